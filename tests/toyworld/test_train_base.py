"""The training of the base and of its adapter, in small."""

import argparse
import json
import shutil
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
from toyworld.batches import LINE_WORDS, Bank, draw, shorten
from toyworld.train_base import FACTORS, FPS, draw_sigmas, sequence_of

# PyTorch says once that half-precision norms with float32 weights are not the fused ones.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
SIZES = ("--batch", 2, "--device", "cpu")


@pytest.fixture(autouse=True)
def _log_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_base, "LOG_EVERY", 1)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random latents of 3 clips in three views: 2x4x4 cells, half that for the control."""
    folder = tmp_path_factory.mktemp("banks") / "bank"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("target", 4), ("lines", 4), ("control", 2)):
        latents = rng.standard_normal((4, 3, 8, 2, size, size)).astype(np.float16)
        np.save(folder / f"{name}.npy", latents)
    (folder / "captions.json").write_text(json.dumps([*CAPTIONS, "not encoded yet"]))
    (folder / "encoded.txt").write_text("3")
    return folder


def numbered_bank(count: int = 5) -> Bank:
    """Clip i, called `clip i`, has the target i, the lines -i and the control i / 2, all over."""
    numbers = torch.arange(count, dtype=torch.float16).view(-1, 1, 1, 1, 1)
    target = numbers.expand(-1, 8, 2, 4, 4)
    return Bank(
        target=target,
        lines=-target,
        control=target[..., ::2, ::2] / 2,
        captions=[f"clip {number}" for number in range(count)],
    )


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
    assert json.loads(adapter.outline.metadata["iclora.config"])["control"] == {"thickness": 3}
    transformer = checkpoints.load(base_folder).transformer
    assert adapters.misfit(transformer, adapter.outline) == ""


def test_training_lowers_the_loss(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = checkpoints.load(base_folder)
    generator, given = np.random.default_rng, {"device": "cpu", "adapter": None}
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
    options = argparse.Namespace(device="cpu", adapter=base_folder)
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


def test_a_bank_holds_the_views_of_all_that_is_encoded(bank: Path, tmp_path: Path) -> None:
    for number in range(2):
        shutil.copytree(bank, tmp_path / str(number))
    (tmp_path / "1" / "captions.json").write_text(json.dumps(["panning left"]))
    (tmp_path / "1" / "encoded.txt").write_text("1")
    opened = Bank.open(tmp_path)
    assert opened.captions == [
        *(caption for caption in CAPTIONS for _ in range(3)),
        *("panning left", "panning right", "panning left"),
    ]
    assert opened.target.shape == opened.lines.shape == (12, 8, 2, 4, 4)
    for name in ("target", "lines", "control"):
        stored, held = np.load(bank / f"{name}.npy"), getattr(opened, name)
        assert held.dtype == torch.float16
        assert np.array_equal(held[4], stored[1, 1]) and np.array_equal(held[11], stored[0, 2])


def test_target_control_and_caption_belong_together() -> None:
    target, control, captions = draw(numbered_bank(), np.random.default_rng(0), count=40)
    assert target.shape == (40, 8, 2, 4, 4) and control.shape == (40, 8, 2, 2, 2)
    assert target.dtype == control.dtype == torch.float32
    numbers = target[:, 0, 0, 0, 0].tolist()
    assert set(numbers) == {0, 1, 2, 3, 4}
    for number, clip, small, caption in zip(numbers, target, control, captions, strict=True):
        assert bool((clip == number).all()) and bool((small == number / 2).all())
        assert caption in ("", f"clip {int(number)}")


def test_a_share_of_the_clips_is_shown_as_line_drawings() -> None:
    target, control, captions = draw(numbered_bank(), np.random.default_rng(0), count=2000, lines=0.3)
    drawn = 0
    for number, small, caption in zip(
        target[:, 0, 0, 0, 0].tolist(), control[:, 0, 0, 0, 0].tolist(), captions, strict=True
    ):
        assert abs(number) == 2 * small  # the control stays as it is
        drawn += number < 0
        words = f"{LINE_WORDS}, " if number < 0 else ""
        assert number == 0 or caption in ("", f"{words}clip {int(abs(number))}")
    assert 0.27 < drawn / np.count_nonzero(target[:, 0, 0, 0, 0]) < 0.33


@pytest.mark.parametrize(("adapter", "share"), [(False, train_base.LINES), (True, 0.0)])
def test_line_drawings_are_for_the_base_alone(
    *,
    adapter: bool,
    share: float,
    bank: Path,
    base_folder: Path,
    vae_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares: list[float] = []

    def drawing(bank: Bank, rng: np.random.Generator, *, count: int, lines: float) -> train_base.Drawn:
        shares.append(lines)
        return draw(bank, rng, count=count, lines=lines)

    monkeypatch.setattr(train_base, "draw", drawing)
    words = ("--adapter", base_folder) if adapter else ("--micro", "--vae", vae_folder)
    call(monkeypatch, train_base.main, bank, tmp_path / "run", *words, "--steps", 1, *SIZES)
    assert shares == [share]


def test_a_tenth_of_the_captions_is_dropped() -> None:
    _, _, captions = draw(numbered_bank(), np.random.default_rng(0), count=2000)
    assert 0.08 < captions.count("") / len(captions) < 0.12


def test_captions_lose_the_words_that_do_not_fit() -> None:
    words = "one red ball rolling and two blue boxes falling past four trees".split()
    parts = build([*words, LINE_WORDS], MICRO)
    assert len(parts.tokenizer(f"{LINE_WORDS},").input_ids) == 6  # <bos>, four words and a comma
    fits = " ".join(words[:10])  # 16 tokens in all
    assert shorten(["", fits, " ".join(words)], parts) == ["", fits, fits]


def test_a_caption_may_lose_all_of_its_words() -> None:
    parts = build(["no word of the captions"], MICRO)  # so each letter is a token
    assert shorten(["a ball"], parts) == [""]


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


def test_half_of_the_noise_levels_are_steps_of_the_schedule() -> None:
    sigmas = draw_sigmas(np.random.default_rng(0), 4000)
    assert sigmas.dtype == torch.float32 and 0 < sigmas.min() and sigmas.max() <= 1
    steps = torch.tensor(DISTILLED_SIGMAS[:-1])
    on_step = (sigmas[:, None] == steps).any(dim=1)
    assert 0.47 < on_step.float().mean() < 0.53
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
