"""The training of the base and of its adapter, in small."""

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from iclora import adapters, checkpoints
from iclora.geometry import LatentGrid, reference_positions, target_positions
from iclora.sampling import DISTILLED_SIGMAS
from iclora.transformer import Stream, forward
from tests.toyworld.runs import CAPTIONS, call, stop_at
from toyworld import train_base
from toyworld.architecture import MICRO, build, save_random
from toyworld.batches import LINE_WORDS, Bank, draw
from toyworld.train_base import FACTORS, FPS, draw_sigmas, sequence_of

# PyTorch says once that half-precision norms with float32 weights are not the fused ones.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
SIZES = ("--batch", 2, "--device", "cpu")


@pytest.fixture(autouse=True)
def _log_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_base, "LOG_EVERY", 1)


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    save_random(folder, micro=True)
    return folder


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
        "--start",
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
    # Step 110 begins at 100 s; 55 steps took the last 27.5 s, so the other 20 s of 2 minutes hold 40 steps.
    monkeypatch.setattr(train_base.time, "monotonic", lambda: 100.0)
    for minutes, asked, expected in ((2, 1000, 150), (2, 130, 130), (1, 1000, 111)):
        given = argparse.Namespace(minutes=minutes, steps=asked)
        assert train_base.steps_within(given, begun=0.0, probed=72.5) == expected


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
    monkeypatch.setattr(forward, "_compiled_block", cache(forward._compiled_block.__wrapped__))
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
    assert (adapter.outline.control, adapter.outline.base) == ("canny", "micro")
    assert adapter.outline.reference_attention == "two_way"
    assert json.loads(adapter.outline.metadata["iclora.config"])["control"] == {"thickness": 3}
    transformer = checkpoints.load(base_folder).transformer
    assert adapters.misfit(transformer, adapter.outline) == ""


def test_a_one_way_adapter_is_trained_as_its_file_says(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def velocity(transformer: Any, stream: Stream) -> tuple[torch.Tensor, None]:
        seen.append(stream.sequence.num_one_way)
        return original(transformer, stream)  # type: ignore[return-value]

    original = train_base.velocity
    monkeypatch.setattr(train_base, "velocity", velocity)
    words = ("--adapter", base_folder, "--steps", 2, *SIZES)
    for name, more in (("one", ["--one-way"]), ("two", [])):
        call(monkeypatch, train_base.main, bank, tmp_path / name, *words, *more)
        said = adapters.read_outline(tmp_path / name / "canny.safetensors").reference_attention
        assert said == f"{name}_way"
    assert seen == [1, 1, 0, 0]
    assert losses(tmp_path / "one") != losses(tmp_path / "two")
    with pytest.raises(SystemExit):
        call(monkeypatch, train_base.main, bank, tmp_path, "--one-way", *SIZES)


def test_training_lowers_the_loss(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = checkpoints.load(base_folder)
    generator, given = np.random.default_rng, {"device": "cpu", "adapter": None, "one_way": False}
    options = type("Options", (), given)()
    parameters = list(parts.transformer.requires_grad_(True).parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    drawn, seen = draw(Bank.open(bank), generator(1), count=3), []
    for _ in range(40):
        loss = train_base.loss_of(parts, drawn, generator(1), options)
        seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert seen[-1] < 0.8 * seen[0]


def true_velocity(transformer: object, stream: Stream) -> tuple[torch.Tensor, None]:
    """Noise minus clean of noised tokens; of clean ones 0, which is not what the loss would ask of them."""
    shift = stream.latents - stream.sequence.clean  # sigma times noise minus clean, on noised tokens
    return shift / stream.sigma[:, None, None], None


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.5, 3), (1.0, 4)])
def test_the_loss_is_the_error_on_noised_tokens_alone(
    share: float, count: int, bank: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = argparse.Namespace(device="cpu", adapter=base_folder, one_way=False)
    parts, drawn = checkpoints.load(base_folder), draw(Bank.open(bank), np.random.default_rng(1), count=4)
    given: list[int] = []

    def off_by(error: float, stream: Stream) -> tuple[torch.Tensor, None]:
        clean = (stream.latents == stream.sequence.clean).all(dim=-1)
        assert torch.equal(clean, stream.sequence.mask == 0)
        given.append(int(clean[:, :16].all(dim=1).sum()))
        return true_velocity(None, stream)[0] + error, None

    monkeypatch.setattr(train_base, "FIRST_FRAME", share)
    for error in (0.0, 2.0):
        monkeypatch.setattr(train_base, "velocity", lambda _, stream, error=error: off_by(error, stream))
        rng = np.random.default_rng(0)  # begins with 0.64, 0.27, 0.04, 0.02
        loss = train_base.loss_of(parts, drawn, rng, options)
        assert loss.item() == pytest.approx(error**2, abs=1e-5)
    assert given == [count, count]


@pytest.mark.parametrize("adapter", [False, True])
def test_references_are_for_the_adapter_and_for_the_base_with_line_drawings(
    *,
    adapter: bool,
    bank: Path,
    base_folder: Path,
    vae_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[tuple[bool, bool]] = []

    def loss_of(parts: Any, drawn: train_base.Drawn, *others: Any) -> torch.Tensor:
        batches.append((any(text.startswith(LINE_WORDS) for text in drawn[2]), drawn[1] is not None))
        return original(parts, drawn, *others)

    original = train_base.loss_of
    monkeypatch.setattr(train_base, "loss_of", loss_of)
    monkeypatch.setattr(train_base, "LINES_EVERY", 3)
    monkeypatch.setattr("toyworld.batches.CAPTION_DROPOUT", 0.0)
    words = ("--adapter", base_folder) if adapter else ("--micro", "--vae", vae_folder)
    call(monkeypatch, train_base.main, bank, tmp_path / "run", *words, "--steps", 4, *SIZES)
    no_lines = [(False, adapter)] * 4
    assert batches == (no_lines if adapter else [*no_lines[:2], (True, True), no_lines[3]])


def test_a_batch_is_laid_out_as_in_generation() -> None:
    target, control = torch.randn(2, 8, 2, 4, 6), torch.randn(2, 8, 2, 2, 3)
    sequence = sequence_of(target, control, torch.tensor([False, True]))
    assert sequence.lengths == (48, 12)
    whole = target_positions(LatentGrid(frames=2, height=4, width=6), FACTORS, FPS)
    small = reference_positions(LatentGrid(frames=2, height=2, width=3), FACTORS, FPS, downscale=2)
    assert torch.equal(sequence.positions[1], torch.cat([whole, small], dim=1))
    assert torch.equal(sequence.clean[0, 0], target[0, :, 0, 0, 0])
    assert torch.equal(sequence.clean[0, 48], control[0, :, 0, 0, 0])
    # The first frame's 24 tokens of the second clip and all of the references stay clean.
    assert sequence.mask.tolist() == [[1] * 48 + [0] * 12, [0] * 24 + [1] * 24 + [0] * 12]
    alone = sequence_of(target, None, torch.tensor([True, False]))
    assert alone.lengths == (48,) and alone.mask.tolist() == [[0] * 24 + [1] * 24, [1] * 48]


def test_a_fifth_of_the_noise_levels_are_steps_of_the_schedule() -> None:
    sigmas = draw_sigmas(np.random.default_rng(0), 4000)
    assert sigmas.dtype == torch.float32 and 0 < sigmas.min() and sigmas.max() <= 1
    steps = torch.tensor(DISTILLED_SIGMAS[:-1])
    on_step = (sigmas[:, None] == steps).any(dim=1)
    assert 0.18 < on_step.float().mean() < 0.22
    assert set(sigmas[on_step].tolist()) == set(steps.tolist())
    assert 0.6 < sigmas[~on_step].mean() < 0.75


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
