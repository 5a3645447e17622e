"""What saves memory changes no number, and what is missing is told."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from iclora import adapters, checkpoints
from iclora.errors import MissingDependencyError, RequestError
from iclora.training.config import resolve
from iclora.training.loss import Learner
from iclora.training.low_memory import _Fetcher, keep_on_host, quantise
from iclora.training.model import make_optimizer, uncompiled
from tests.training.test_loss import PLACE, batch_of, chance_like

CPU = torch.device("cpu")


def learner_of(model: Path, *, waiting: int, checkpointing: bool) -> Learner:
    transformer = checkpoints.load(model).transformer
    torch.manual_seed(0)
    for parameter in adapters.create(transformer, rank=2, name="new"):
        torch.nn.init.normal_(parameter)
    if checkpointing:
        transformer.enable_gradient_checkpointing()
    keep_on_host(transformer, waiting, CPU)
    return Learner(transformer, PLACE, torch.float32)


def gradients_of(learner: Learner) -> list[torch.Tensor]:
    learner(batch_of(), chance_like()).mean().backward()
    return [one.grad for one in learner.parameters() if one.requires_grad and one.grad is not None]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("waiting", [1, 2, 9])
def test_blocks_that_wait_give_the_same_gradients(
    waiting: int, checkpointing: bool, micro_model: Path
) -> None:
    plain = gradients_of(learner_of(micro_model, waiting=0, checkpointing=checkpointing))
    learner = learner_of(micro_model, waiting=waiting, checkpointing=checkpointing)
    before = [id(one) for one in learner.parameters()]
    found = gradients_of(learner)
    assert len(found) == len(plain) == 40
    assert all(torch.equal(one, other) for one, other in zip(found, plain, strict=True))
    assert [id(one) for one in learner.parameters()] == before  # all of them wait again


def test_what_is_fetched_ahead_is_what_comes_next(micro_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    whole = _Fetcher._fetch
    monkeypatch.setattr(
        _Fetcher, "_fetch", lambda self, place: (fetched.append(place), whole(self, place))[1]
    )
    gradients_of(learner_of(micro_model, waiting=2, checkpointing=True))
    assert fetched == [0, 1, 1, 0]  # there, and back from the last one, which was put away


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    whole = importlib.import_module

    def missing(name: str, *more: Any) -> Any:
        if name.startswith(package):
            raise ImportError(f"No module named '{package}'")
        return whole(name, *more)

    monkeypatch.setattr(importlib, "import_module", missing)


def test_packages_that_are_missing_are_told(micro_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "torchao")
    with pytest.raises(MissingDependencyError, match="pip install torchao"):
        quantise(checkpoints.load(micro_model).transformer, "int8", CPU)
    without(monkeypatch, "bitsandbytes")
    settings = resolve({"output": "run", "data": {"path": "data"}}, ["optimizer.kind=adamw8bit"])
    with pytest.raises(MissingDependencyError, match="pip install bitsandbytes"):
        make_optimizer([torch.nn.Parameter(torch.zeros(1))], settings.optimizer)


def test_eight_bit_floats_want_a_gpu_that_knows_them(micro_model: Path) -> None:
    with pytest.raises(RequestError, match="int8 runs on all"):
        quantise(checkpoints.load(micro_model).transformer, "fp8", CPU)


def test_blocks_are_compiled_again_after_what_runs_them_as_they_are(micro_model: Path) -> None:
    transformer = checkpoints.load(micro_model).transformer
    for block in transformer.transformer_blocks:
        block._compiled_call_impl = object()  # what compiling puts there
    before = [block._compiled_call_impl for block in transformer.transformer_blocks]
    assert all(before)
    with uncompiled(transformer):
        assert not any(block._compiled_call_impl for block in transformer.transformer_blocks)
    assert [block._compiled_call_impl for block in transformer.transformer_blocks] == before
