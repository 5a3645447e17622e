"""benchmarks/step_official.py: the official forward, where its package is installed, on the same tokens."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from iclora.attention import dense_weights, pair_weights

FEW = ["--device", "cpu", "--size", "micro", "--rounds", "1", "--layouts", "half", "--official"]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent / "benchmarks"))
    return importlib.import_module("step")


@pytest.mark.parametrize("words", [[], ["--fp8"]])
def test_what_is_not_there_is_not_timed(
    step: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr(step, "is_importable", lambda: bool(words))
    with pytest.raises(SystemExit):
        step.main([*FEW, *words])
    assert "--official needs the package ltx_core on PYTHONPATH" in capsys.readouterr().err


@pytest.mark.parametrize("weighting", ["1", "0.5", "mask"])
def test_the_official_forward_has_our_weights_and_result(step: Any, weighting: str) -> None:
    pytest.importorskip("ltx_core", reason="the official package is not installed")
    size, device = step.SIZES["micro"], torch.device("cpu")
    with torch.inference_mode():
        torch.manual_seed(0)
        model = step.build(size, 2, device)
        for parameter in model.parameters():
            parameter.mul_(10)  # so that it tells who sees whom
        official = step.official_of(model, compiled=False)
        sequence = step.sequence_of(size, "full", weighting, device)
        video, audio = step.inputs_of(model, size, sequence)
        pairs = pair_weights(sequence)
        mask = None if pairs is None else dense_weights(pairs)
        theirs = step.official_run(official, video, audio, mask)(0.7)
        ours = step.Ours(model=model, video=video, audio=audio)(0.7)
    assert official.proj_out.weight.data_ptr() == model.proj_out.weight.data_ptr()
    target = slice(0, sequence.num_target)
    torch.testing.assert_close(ours[0][:, target], theirs[0][:, target], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-4, atol=1e-4)


def test_it_has_rows_of_its_own(step: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ltx_core", reason="the official package is not installed")
    assert step.main([*FEW, "--attention", "1", "0.5", "mask"]) == 0
    assert capsys.readouterr().out.count("official │") == 2
