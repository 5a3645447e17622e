"""The training of the base and of its adapter, in small."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from iclora import adapters, checkpoints
from iclora.geometry import LatentGrid, reference_positions, target_positions
from iclora.sampling import DISTILLED_SIGMAS
from iclora.transformer import Stream
from tests.toyworld.runs import CAPTIONS, call, stop_at
from toyworld import train_base
from toyworld.architecture import MICRO, save_random
from toyworld.train_base import FACTORS, FPS, Bank, draw, draw_sigmas, sequence_of

# PyTorch says once that half-precision norms with float32 weights are not the fused ones.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
SIZES = ("--batch", 2, "--window", 4, "--device", "cpu")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random latents of 3 clips: 2x6x6 cells, half that for the control."""
    folder = tmp_path_factory.mktemp("banks") / "bank"
    folder.mkdir()
    rng = np.random.default_rng(0)
    np.save(folder / "target.npy", rng.standard_normal((3, 8, 2, 6, 6)).astype(np.float16))
    np.save(folder / "control.npy", rng.standard_normal((3, 8, 2, 3, 3)).astype(np.float16))
    (folder / "captions.json").write_text(json.dumps([*CAPTIONS, "not encoded yet"]))
    (folder / "encoded.txt").write_text("3")
    return folder


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
    drawn, seen = draw(Bank.open(bank), generator(1), count=3, window=4), []
    for _ in range(40):
        loss = train_base.loss_of(parts, drawn, generator(1), options)
        seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert seen[-1] < 0.8 * seen[0]


def test_the_loss_of_the_true_velocity_is_nothing(
    bank: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def true_velocity(transformer: object, stream: Stream) -> tuple[torch.Tensor, None]:
        shift = stream.latents - stream.sequence.clean  # sigma times noise minus clean, on target tokens
        return shift / stream.sigma[:, None, None], None

    options = type("Options", (), {"device": "cpu", "adapter": base_folder})()
    parts = checkpoints.load(base_folder)
    drawn = draw(Bank.open(bank), np.random.default_rng(1), count=3, window=4)
    monkeypatch.setattr(train_base, "velocity", true_velocity)
    assert train_base.loss_of(parts, drawn, np.random.default_rng(1), options).item() < 1e-6
    monkeypatch.setattr(train_base, "velocity", lambda _, stream: (-true_velocity(_, stream)[0], None))
    assert train_base.loss_of(parts, drawn, np.random.default_rng(1), options).item() > 1


def test_a_bank_holds_what_is_encoded(bank: Path) -> None:
    opened = Bank.open(bank)
    assert opened.captions == CAPTIONS
    assert opened.target.shape == (3, 8, 2, 6, 6)


def test_control_and_place_belong_to_the_window(bank: Path) -> None:
    opened, places = Bank.open(bank), set()
    numbered = np.arange(36, dtype=np.float16).reshape(6, 6)
    quarter = numbered[::2, ::2]
    marked = Bank(
        target=np.broadcast_to(numbered, opened.target.shape),
        control=np.broadcast_to(quarter, opened.control.shape),
        captions=opened.captions,
    )
    for seed in range(20):
        target, control, captions, (y, x) = draw(marked, np.random.default_rng(seed), count=2, window=4)
        assert target.shape == (2, 8, 2, 4, 4) and control.shape == (2, 8, 2, 2, 2)
        assert target[0, 0, 0, 0, 0] == control[0, 0, 0, 0, 0] == 6 * (y // 16) + x // 16
        assert torch.equal(target[..., ::2, ::2], control)
        assert all(caption in ("", *CAPTIONS) for caption in captions)
        places.add((y, x))
    assert places == {(0, 0), (0, 32), (32, 0), (32, 32)}


def test_a_tenth_of_the_captions_is_dropped(bank: Path) -> None:
    opened, rng = Bank.open(bank), np.random.default_rng(0)
    drawn = [caption for _ in range(100) for caption in draw(opened, rng, count=10, window=4)[2]]
    assert 0.07 < drawn.count("") / len(drawn) < 0.13


def test_a_window_keeps_its_place_in_the_picture() -> None:
    target, control = torch.zeros(1, 8, 2, 4, 4), torch.zeros(1, 8, 2, 2, 2)
    sequence = sequence_of(target, control, (32, 64))
    whole = target_positions(LatentGrid(frames=2, height=6, width=8), FACTORS, FPS)
    window = whole.unflatten(1, (2, 6, 8))[:, :, 2:6, 4:8].flatten(1, 3)
    assert torch.equal(sequence.positions[0, :, :32], window)
    grid = LatentGrid(frames=2, height=3, width=4)
    small = reference_positions(grid, FACTORS, FPS, downscale=2).unflatten(1, (2, 3, 4))
    assert torch.equal(sequence.positions[0, :, 32:], small[:, :, 1:3, 2:4].flatten(1, 3))
    assert sequence_of(target, None, (0, 0)).lengths == (32,)


def test_half_of_the_noise_levels_are_steps_of_the_schedule() -> None:
    sigmas = draw_sigmas(np.random.default_rng(0), 4000)
    assert sigmas.dtype == torch.float32 and 0 < sigmas.min() and sigmas.max() <= 1
    steps = torch.tensor(DISTILLED_SIGMAS[:-1])
    on_step = (sigmas[:, None] == steps).any(dim=1)
    assert 0.47 < on_step.float().mean() < 0.53
    assert set(sigmas[on_step].tolist()) == set(steps.tolist())
    assert 0.6 < sigmas[~on_step].mean() < 0.75
