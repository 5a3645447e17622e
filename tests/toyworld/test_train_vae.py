"""The training of the autoencoder, in small."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLLTX2Video

from tests.toyworld.runs import call, stop_at, write_bank
from toyworld import train_vae
from toyworld.architecture import MICRO, build_vae

SIZES = ("--micro", "--batch", 2, "--crop", 32, "--start-clips", 2, "--device", "cpu")


@pytest.fixture(autouse=True)
def _quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed-form start has tests of its own; here random weights will do."""
    monkeypatch.setattr(train_vae, "start_linear", lambda vae, clips: None)


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
    rows = [json.loads(line) for line in (tmp_path / "broken" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 3, 4, 5]
    assert rows[2] == rows[3]


def test_training_lowers_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = write_bank(tmp_path / "bank")
    call(monkeypatch, train_vae.main, bank, tmp_path / "run", "--steps", 40, "--muon", "0.02", *SIZES)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
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


def test_crops_are_pictures_or_edges_of_the_asked_size(tmp_path: Path) -> None:
    bank = np.load(write_bank(tmp_path / "bank") / "frames.npy")
    pictures = train_vae.batch(bank, np.random.default_rng(0), count=6, size=24, share=0.0)
    edges = train_vae.batch(bank, np.random.default_rng(0), count=6, size=24, share=1.0)
    for clips in (pictures, edges):
        assert clips.shape == (6, 3, 9, 24, 24) and clips.dtype == torch.float32
        assert clips.min() >= -1 and clips.max() <= 1
    assert not torch.equal(pictures[:, 0], pictures[:, 2])
    assert torch.equal(edges[:, 0], edges[:, 2])
    assert edges.min() == -1


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
