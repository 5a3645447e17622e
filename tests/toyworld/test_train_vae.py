"""The training of the autoencoder, in small."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLLTX2Video
from safetensors.torch import load_file

from tests.toyworld.runs import call, stop_at, write_bank
from toyworld import train_vae
from toyworld.architecture import MICRO, build_vae

SIZES = ("--micro", "--batch", 2, "--crop", 32, "--start-clips", 2, "--refit-clips", 4, "--device", "cpu")


@pytest.fixture(autouse=True)
def _quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed-form start has tests of its own; here random weights will do."""
    monkeypatch.setattr(train_vae, "start_linear", lambda vae, clips: vae.encoder.bfloat16().float())
    monkeypatch.setattr(train_vae, "LOG_EVERY", 1)


def rows(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return AutoencoderKLLTX2Video.from_pretrained(out / "vae").state_dict()  # type: ignore[no-any-return]


def test_a_resumed_run_ends_where_an_unbroken_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = write_bank(tmp_path / "bank")
    monkeypatch.setattr(train_vae, "SAVE_EVERY", 2)
    call(monkeypatch, train_vae.main, bank, tmp_path / "whole", "--steps", 5, *SIZES)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, train_vae, "reconstruction_loss", 4)
        call(patch, train_vae.main, bank, tmp_path / "broken", "--steps", 5, *SIZES)
    assert torch.load(tmp_path / "broken" / "state.pt")["step"] == 2
    call(monkeypatch, train_vae.main, bank, tmp_path / "broken", "--steps", 5, *SIZES)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    logged = rows(tmp_path / "broken")
    assert [row["step"] for row in logged] == [1, 2, 3, 3, 4, 5]
    assert logged[2] == logged[3]


def test_logged_are_means_of_the_steps_since_the_last_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = write_bank(tmp_path / "bank")
    for every in (1, 2):
        monkeypatch.setattr(train_vae, "LOG_EVERY", every)
        call(monkeypatch, train_vae.main, bank, tmp_path / f"every{every}", "--steps", 3, *SIZES)
    one, two = rows(tmp_path / "every1"), rows(tmp_path / "every2")
    assert [row["step"] for row in two] == [2, 3]
    for key in ("loss", "psnr"):
        assert two[0][key] == pytest.approx((one[0][key] + one[1][key]) / 2)
        assert two[1][key] == one[2][key]


def test_the_start_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, out, calls = write_bank(tmp_path / "bank"), tmp_path / "run", []

    def start(vae: AutoencoderKLLTX2Video, clips: torch.Tensor) -> None:
        calls.append(vae)

    monkeypatch.setattr(train_vae, "start_linear", start)
    call(monkeypatch, train_vae.main, bank, out, "--steps", 0, "--seed", 0, *SIZES)
    assert not (out / "vae").exists()  # the start alone was asked for
    # The second run would begin with other weights.
    call(monkeypatch, train_vae.main, bank, out, "--steps", 1, "--seed", 1, "--freeze-encoder", *SIZES)
    assert len(calls) == 1
    started = AutoencoderKLLTX2Video.from_pretrained(out / "start").encoder.conv_out.conv.weight
    torch.testing.assert_close(weights(out)["encoder.conv_out.conv.weight"], started, rtol=2**-8, atol=0)


@pytest.mark.parametrize("spoilt", ["loss", "gradient"])
def test_a_step_that_is_not_finite_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    true_loss, bank = train_vae.reconstruction_loss, write_bank(tmp_path / "bank")

    def spoil(result: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        loss = true_loss(result, wanted)
        # The gradient of the root is infinite at 0, its value is not.
        return loss * float("nan") if spoilt == "loss" else loss + (0 * result).sum().sqrt()

    monkeypatch.setattr(train_vae, "reconstruction_loss", spoil)
    with pytest.raises(ArithmeticError, match="is not finite.*lower the rates"):
        call(monkeypatch, train_vae.main, bank, tmp_path / "run", "--steps", 2, *SIZES)
    assert not (tmp_path / "run" / "state.pt").exists()


def test_the_result_is_stored_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = write_bank(tmp_path / "bank")
    call(monkeypatch, train_vae.main, bank, tmp_path / "run", "--steps", 1, *SIZES)
    stored = load_file(tmp_path / "run" / "vae" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}


def test_training_lowers_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = write_bank(tmp_path / "bank")
    call(monkeypatch, train_vae.main, bank, tmp_path / "run", "--steps", 40, "--muon", "0.02", *SIZES)
    losses = [row["loss"] for row in rows(tmp_path / "run")]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_a_frozen_encoder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = write_bank(tmp_path / "bank")
    out = tmp_path / "run"
    call(monkeypatch, train_vae.main, bank, out, "--steps", 2, "--freeze-encoder", *SIZES)
    before = AutoencoderKLLTX2Video.from_pretrained(out / "start").state_dict()
    after = weights(out)
    for name, value in before.items():
        if name.startswith(("encoder.", "latents_")):
            assert torch.equal(value, after[name]), name
    assert not torch.equal(before["decoder.conv_in.conv.weight"], after["decoder.conv_in.conv.weight"])


def pictures_of(bank: Path, *, most: int = 100) -> train_vae.Pictures:
    return train_vae.Pictures.open(bank, most=most, workers=0, device="cpu")


def test_pictures_are_the_first_clips_of_each_bank_and_their_edges(tmp_path: Path) -> None:
    frames = {}
    for name, clips in (("0", 1), ("1", 3)):
        frames[name] = np.load(write_bank(tmp_path / name, clips=clips) / "frames.npy")
    frames["1"] = frames["1"][:, :, ::-1].copy()
    np.save(tmp_path / "1" / "frames.npy", frames["1"])
    (tmp_path / "1" / "captions.json").write_text(json.dumps(["one", "two"]))  # the third is not rendered
    assert np.array_equal(pictures_of(tmp_path, most=1).clips, [frames["0"][0]])
    assert np.array_equal(pictures_of(tmp_path, most=2).clips, [frames["0"][0], frames["1"][0]])
    pictures = pictures_of(tmp_path)
    assert np.array_equal(pictures.clips, [frames["0"][0], *frames["1"][:2]])
    assert pictures.edges.shape == (3, 9, 64, 64, 1)
    assert all(
        np.array_equal(drawn, train_vae.edges(clip.numpy()))
        for clip, drawn in zip(pictures.clips, pictures.edges, strict=True)
    )


def test_edges_are_white_lines_of_3_pixels() -> None:
    clip = np.zeros((2, 32, 32, 3), np.uint8)
    clip[:, :, 16:] = 255
    lines = train_vae.edges(clip)
    assert lines.shape == (2, 32, 32, 1) and lines.dtype == np.uint8
    assert set(lines.flatten()) == {0, 255} and ((lines[0, :, :, 0] == 255).sum(1) == 3).all()


def test_crops_are_pictures_or_edges_of_the_asked_size(tmp_path: Path) -> None:
    pictures = pictures_of(write_bank(tmp_path / "bank"))
    coloured = train_vae.batch(pictures, np.random.default_rng(0), count=6, size=24, share=0.0)
    edges = train_vae.batch(pictures, np.random.default_rng(0), count=6, size=24, share=1.0)
    for clips in (coloured, edges):
        assert clips.shape == (6, 3, 9, 24, 24) and clips.dtype == torch.float32
        assert clips.min() >= -1 and clips.max() <= 1
    assert not torch.equal(coloured[:, 0], coloured[:, 2])
    assert torch.equal(edges[:, 0], edges[:, 2])
    assert edges.min() == -1


def test_crops_are_taken_everywhere_mirrored_and_at_half_size() -> None:
    columns = torch.arange(32, dtype=torch.uint8).expand(1, 1, 32, 32)
    clips = torch.stack([columns, columns.mT, 0 * columns], dim=-1)  # red tells the column, green the row
    pictures = train_vae.Pictures(clips=clips, edges=torch.full((1, 1, 32, 32, 1), 255, dtype=torch.uint8))
    rng, seen, lines = np.random.default_rng(0), [], 0
    for _ in range(400):
        part = train_vae.crop(pictures, rng, size=8, share=0.25)
        assert part.shape == (3, 1, 8, 8) and part.dtype == torch.float32
        if bool((part == 255).all()):
            lines += 1
            continue
        step = part[0, 0, 0].diff().unique().item()  # pixels of the clip from one of the crop to the next
        assert part[1, 0, :, 0].diff().unique().item() == abs(step)
        seen.append((step, part[:2].amin((1, 2, 3)).tolist()))
    steps = [step for step, _ in seen]
    assert set(steps) == {1, -1, 2, -2}
    assert 0.05 < np.mean(np.abs(steps) == 2) < 0.15 and 0.4 < np.mean(np.sign(steps) == 1) < 0.6
    corners = np.array([corner for step, corner in seen if abs(step) == 1])
    assert corners.min(0).tolist() == [0, 0] and corners.max(0).tolist() == [24, 24]
    assert 0.2 < lines / 400 < 0.3


def test_reconstruction_loss_by_hand() -> None:
    wanted = torch.zeros(1, 1, 1, 2, 2)
    result = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).view(1, 1, 1, 2, 2)
    # A quarter of the pixels is off by 1, and so is half of the differences along each axis.
    assert train_vae.reconstruction_loss(result, wanted).item() == pytest.approx(0.25 + 0.5 + 0.5)


def test_psnr_by_hand() -> None:
    wanted = torch.zeros(2, 3, 1, 4, 4)
    result = torch.stack([wanted[0] + 0.2, wanted[0] - 0.02])
    assert train_vae.psnr(result, wanted) == pytest.approx((20 + 40) / 2, abs=1e-4)


def test_stored_statistics_keep_strong_channels_strong() -> None:
    torch.manual_seed(0)
    vae = build_vae(MICRO)
    clips = torch.rand(4, 3, 9, 32, 32) * 2 - 1
    train_vae.normalise_latents(vae, clips)
    with torch.inference_mode():
        latents = vae.encode(clips).latent_dist.mode()
    scaled = (latents - vae.latents_mean.view(1, -1, 1, 1, 1)) / vae.latents_std.view(1, -1, 1, 1, 1)
    spread, kept = latents.std((0, 2, 3, 4)), scaled.std((0, 2, 3, 4))
    torch.testing.assert_close(scaled.mean((0, 2, 3, 4)), torch.zeros(8), rtol=0, atol=1e-4)
    torch.testing.assert_close(kept.square().mean(), torch.tensor(1.0), rtol=0.05, atol=0)
    torch.testing.assert_close(kept / kept[0], (spread / spread[0]).sqrt(), rtol=1e-3, atol=1e-4)
