"""The training of the base and of its adapter, in small."""

import argparse
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from iclora import adapters, checkpoints
from iclora.transformer import Stream, forward, running
from tests.toyworld.runs import CAPTIONS, call, stop_at
from toyworld import flow_loss, train_base
from toyworld.architecture import MICRO, build
from toyworld.batches import Drawn
from toyworld.flow_loss import Teacher

# PyTorch says once that half-precision norms with float32 weights are not the fused ones.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
SIZES = ("--batch", 2, "--device", "cpu")


@pytest.fixture(autouse=True)
def _log_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_base, "LOG_EVERY", 1)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_resumed_base_ends_where_an_unbroken_one_does(
    bank: Path, vae_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--micro", "--vae", vae_folder, "--steps", 5, *SIZES)
    monkeypatch.setattr(train_base, "SAVE_EVERY", 2)
    call(monkeypatch, train_base.main, bank, tmp_path / "whole", *words)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, train_base, "loss_of", 4)
        call(patch, train_base.main, bank, tmp_path / "broken", *words)
    assert torch.load(tmp_path / "broken" / "state.pt")["step"] == 2
    assert not (tmp_path / "broken" / "model").exists()
    call(monkeypatch, train_base.main, bank, tmp_path / "broken", *words)
    assert losses(tmp_path / "broken")[3:] == losses(tmp_path / "whole")[2:]
    whole, resumed = (checkpoints.load(tmp_path / name / "model") for name in ("whole", "broken"))
    for part in ("transformer", "text_encoder", "connectors"):
        before, after = getattr(whole, part).state_dict(), getattr(resumed, part).state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items()), part
    shipped = load_file(tmp_path / "whole" / "model" / "vae" / "diffusion_pytorch_model.safetensors")
    given = load_file(vae_folder / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(value.bfloat16(), shipped[name]) for name, value in given.items())


def test_a_base_can_be_trained_on_from_another(
    bank: Path, base_folder: Path, vae_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "--micro",
        "--vae",
        vae_folder,
        "--begin",
        base_folder,
        "--steps",
        1,
        "--adam",
        1e-9,
        "--muon",
        0,
    )
    call(monkeypatch, train_base.main, bank, tmp_path, *words, *SIZES)
    begun, trained = checkpoints.load(base_folder), checkpoints.load(tmp_path / "model")
    for part in ("transformer", "text_encoder", "connectors"):
        after = getattr(trained, part).state_dict()
        for name, value in getattr(begun, part).state_dict().items():
            torch.testing.assert_close(after[name], value, rtol=2**-7, atol=1e-6)  # as bfloat16
    assert trained.tokenizer.get_vocab() == begun.tokenizer.get_vocab()


def test_the_written_base_is_the_average_of_all_steps(
    bank: Path, vae_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def loss_of(parts: checkpoints.Components, *others: Any) -> torch.Tensor:
        seen.append(parts.transformer.proj_in.weight.detach().clone())
        return original(parts, *others)

    original = train_base.loss_of
    monkeypatch.setattr(train_base, "loss_of", loss_of)
    words = ("--micro", "--vae", vae_folder, "--steps", 3, "--adam", 0.1, *SIZES)
    call(monkeypatch, train_base.main, bank, tmp_path, *words)
    last = torch.load(tmp_path / "state.pt")["trained"]["0.proj_in.weight"]
    average = torch.stack([*seen, last]).mean(dim=0)  # the start counts as well
    assert len(seen) == 3 and (last - average).abs().max() > 0.05
    written = checkpoints.load(tmp_path / "model").transformer.proj_in.weight
    torch.testing.assert_close(written.detach(), average, rtol=2**-8, atol=1e-6)  # as bfloat16


def test_logged_are_means_of_the_steps_since_the_last_row(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for every in (1, 2):
        monkeypatch.setattr(train_base, "LOG_EVERY", every)
        words = ("--adapter", base_folder, "--steps", 3, *SIZES)
        call(monkeypatch, train_base.main, bank, tmp_path / f"every{every}", *words)
    one, two = losses(tmp_path / "every1"), losses(tmp_path / "every2")
    assert two == pytest.approx([(one[0] + one[1]) / 2, one[2]], abs=2e-5)


def test_steps_within_some_minutes_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Step 60 begins at 100 s; 30 steps took the last 15 s, so the other 20 s of 2 minutes hold 40 steps.
    monkeypatch.setattr(train_base.time, "monotonic", lambda: 100.0)
    for minutes, asked, expected in ((2, 1000, 100), (2, 90, 90), (1, 1000, 61)):
        given = argparse.Namespace(minutes=minutes, steps=asked)
        assert train_base.steps_within(given, begun=0.0, probed=85.0) == expected


def test_a_run_of_some_minutes_keeps_its_length_when_resumed(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_base, "PROBE", 3)
    words = ("--adapter", base_folder, "--steps", 50, *SIZES)
    for _ in range(2):
        call(monkeypatch, train_base.main, bank, tmp_path, *words, "--minutes", 1e-9)
        assert len(losses(tmp_path)) == 4
    words = ("--adapter", base_folder, "--steps", 6, *SIZES)
    call(monkeypatch, train_base.main, bank, tmp_path, *words)  # no minutes: all of the steps
    assert len(losses(tmp_path)) == 6


@pytest.mark.parametrize(("muon", "kinds"), [(0.01, ["Muon", "AdamW"]), (0, ["AdamW"])])
def test_all_of_the_base_is_trained_with_and_without_muon(muon: float, kinds: list[str]) -> None:
    parts = build(CAPTIONS, MICRO)
    given = argparse.Namespace(adapter=None, muon=muon, adam=0.01, steps=10)
    trained, movers = train_base.trainable(parts, given)
    optimizers = movers[: len(movers) // 2]
    assert [type(optimizer).__name__ for optimizer in optimizers] == kinds
    held = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held})
    assert {id(p) for p in held} == {id(p) for p in trained.parameters()}


def test_compiled_blocks_are_those_of_the_model(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []

    def as_it_is(function: Any, **settings: Any) -> Any:
        compiled.append(function)
        return function

    words = ("--adapter", base_folder, "--steps", 2, *SIZES)
    call(monkeypatch, train_base.main, bank, tmp_path / "eager", *words)
    monkeypatch.setattr(torch, "compile", as_it_is)
    monkeypatch.setattr(running, "_compiled_block", cache(running._compiled_block.__wrapped__))
    call(monkeypatch, train_base.main, bank, tmp_path / "compiled", *words, "--compile")
    assert compiled.count(forward._block) == 1 and len(compiled) == 1 + MICRO.num_layers
    assert losses(tmp_path / "compiled") == losses(tmp_path / "eager")


def test_an_adapter_is_written_that_is_read_and_fits_its_base(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--adapter", base_folder, "--steps", 5, "--adam", "0.02", *SIZES)
    monkeypatch.setattr(train_base, "SAVE_EVERY", 2)
    for name in ("whole", "broken"):
        torch.manual_seed(0)
        with monkeypatch.context() as patch:
            if name == "broken":
                stop_at(patch, train_base, "loss_of", 4)
                with pytest.raises(KeyboardInterrupt):
                    call(patch, train_base.main, bank, tmp_path / name, *words)
            else:
                call(patch, train_base.main, bank, tmp_path / name, *words)
    call(monkeypatch, train_base.main, bank, tmp_path / "broken", *words)
    adapter = adapters.read(tmp_path / "whole" / "canny.safetensors")
    resumed = adapters.read(tmp_path / "broken" / "canny.safetensors")
    for name, layer in adapter.layers.items():
        assert torch.equal(layer.up, resumed.layers[name].up)
        assert torch.equal(layer.down, resumed.layers[name].down)
    assert len(adapter.layers) == MICRO.num_layers * len(adapters.VIDEO_TARGETS)
    assert any(bool(layer.up.any()) for layer in adapter.layers.values())
    assert (adapter.downscale, adapter.temporal_factor, adapter.outline.rank) == (2, 1, train_base.RANK)
    assert (adapter.outline.controls, adapter.outline.base) == (("canny",), "micro")
    assert adapter.outline.reference_attention == "two_way"
    assert json.loads(adapter.outline.metadata["iclora.config"]) == {
        "control": {"thickness": 3},
        "rank": train_base.RANK,
        "steps": 5,
        "guidance": 1.0,
        "feedback": 0.0,
        "reach": 1.0,
    }
    transformer = checkpoints.load(base_folder).transformer
    assert adapters.misfit(transformer, adapter.outline) == ""


def test_a_one_way_adapter_is_trained_as_its_file_says(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def velocity(transformer: Any, stream: Stream) -> tuple[torch.Tensor, None]:
        seen.append(stream.sequence.num_one_way)
        return original(transformer, stream)  # type: ignore[return-value]

    original = flow_loss.velocity
    monkeypatch.setattr(flow_loss, "velocity", velocity)
    words = ("--adapter", base_folder, "--steps", 2, *SIZES)
    for name, more in (("one", ["--one-way"]), ("two", [])):
        call(monkeypatch, train_base.main, bank, tmp_path / name, *words, *more)
        said = adapters.read_outline(tmp_path / name / "canny.safetensors").reference_attention
        assert said == f"{name}_way"
    assert seen == [1, 1, 0, 0]
    assert losses(tmp_path / "one") != losses(tmp_path / "two")
    with pytest.raises(SystemExit):
        call(monkeypatch, train_base.main, bank, tmp_path, "--one-way", *SIZES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [(4, False), (4, False), (4, True), (4, False)]),
        (("--small",), [(2, False)] * 4),
        (("--adapter",), [(4, True)] * 4),
        (("--guidance", 2), [(4, False)] * 4),
    ],
)
def test_what_batches_hold(
    *,
    words: tuple[object, ...],
    expected: list[tuple[int, bool]],
    bank: Path,
    base_folder: Path,
    vae_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[tuple[int, bool]] = []

    def loss_of(parts: Any, drawn: Drawn, *others: Any) -> torch.Tensor:
        batches.append((drawn.target.shape[-1], drawn.reference is not None))
        return original(parts, drawn, *others)

    original = train_base.loss_of
    monkeypatch.setattr(train_base, "loss_of", loss_of)
    monkeypatch.setattr(train_base, "HINTS_EVERY", 3)
    if words == ("--adapter",):
        words = ("--adapter", base_folder)
    else:
        words = ("--micro", "--vae", vae_folder, "--begin", base_folder, *words)
    call(monkeypatch, train_base.main, bank, tmp_path / "run", *words, "--steps", 4, *SIZES)
    assert batches == expected


def test_guidance_is_learnt_from_what_the_run_begins_with(
    bank: Path, base_folder: Path, vae_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that answers prompts and references strongly is pushed by what both change; nothing else is."""
    canny = tmp_path / "adapter" / "canny.safetensors"
    words = ("--adapter", base_folder, *SIZES)
    call(monkeypatch, train_base.main, bank, canny.parent, *words, "--steps", 3, "--adam", 0.05)
    teachers: list[Teacher | None] = []

    def loss_of(*given: Any) -> torch.Tensor:
        teachers.append(given[4])
        return original(*given)

    original = train_base.loss_of
    monkeypatch.setattr(train_base, "loss_of", loss_of)
    words = (*words, "--begin", canny, "--steps", 1)
    call(monkeypatch, train_base.main, bank, tmp_path / "plain", *words)
    call(monkeypatch, train_base.main, bank, tmp_path / "led", *words, "--guidance", 3)
    assert teachers[0] is None and teachers[1] is not None and teachers[1].guidance == 3
    frozen = adapters.take(teachers[1].parts.transformer, "canny")
    for name, layer in adapters.read(canny).layers.items():
        assert torch.equal(frozen[name].up, layer.up.float())
    assert losses(tmp_path / "led") != losses(tmp_path / "plain")
    assert (
        adapters.read_outline(tmp_path / "led" / "canny.safetensors").metadata["iclora.config"].count("3.0")
    )
    words = ("--micro", "--vae", vae_folder, "--steps", 1, "--guidance", 2, *SIZES)
    with pytest.raises(SystemExit):  # there is nothing to learn it from
        call(monkeypatch, train_base.main, bank, tmp_path / "none", *words)


def test_two_processes_share_their_gradients(
    bank: Path, base_folder: Path, vae_folder: Path, tmp_path: Path
) -> None:
    words = ("--micro", "--vae", vae_folder, "--begin", base_folder, "--steps", 3, *SIZES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = ["-m", "toyworld.train_base", bank, tmp_path, *words]
    done = subprocess.run(
        [*launch, *map(str, program)], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (tmp_path, tmp_path / "process1")
    ]
    for mine, others in zip(*rows, strict=True):
        assert mine["loss"] != others["loss"]  # of other clips
        assert mine["gradient"] == pytest.approx(others["gradient"], rel=1e-3)
    assert (tmp_path / "model" / "model.json").exists()


@pytest.mark.parametrize("spoilt", ["loss", "gradient"])
def test_a_step_that_is_not_finite_stops_the_run_and_keeps_the_last_sound_state(
    bank: Path, vae_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    true_loss, calls = train_base.loss_of, []

    def spoil(*arguments: object) -> torch.Tensor:
        calls.append(1)
        loss = true_loss(*arguments)  # type: ignore[arg-type]
        if len(calls) != 4:
            return loss
        # The gradient of the root is infinite at 0, its value is not.
        return loss * float("nan") if spoilt == "loss" else loss + (0 * loss).sqrt()

    monkeypatch.setattr(train_base, "loss_of", spoil)
    monkeypatch.setattr(train_base, "SAVE_EVERY", 2)
    with pytest.raises(ArithmeticError, match=r"before step 4 is not finite.*lower the rates"):
        call(
            monkeypatch, train_base.main, bank, tmp_path, "--micro", "--vae", vae_folder, "--steps", 6, *SIZES
        )
    saved = torch.load(tmp_path / "state.pt")
    assert saved["step"] == 2
    assert all(bool(value.isfinite().all()) for value in saved["trained"].values())
