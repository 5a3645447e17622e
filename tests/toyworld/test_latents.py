"""Encoded banks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from iclora.pipeline import encode_frames
from tests.toyworld.runs import call, stop_at, write_bank
from toyworld import latents
from toyworld.architecture import MICRO, build_vae


def encode(monkeypatch: pytest.MonkeyPatch, bank: Path, vae: Path) -> tuple[np.ndarray, np.ndarray]:
    call(monkeypatch, latents.main, bank, vae, "--device", "cpu")
    return np.load(bank / "target.npy"), np.load(bank / "control.npy")


def test_the_control_is_white_lines_at_half_size(tmp_path: Path) -> None:
    frames = np.load(write_bank(tmp_path / "bank") / "frames.npy")[0]
    control = latents.control_of(frames)
    assert control.shape == (9, 32, 32, 3) and control.dtype == np.uint8
    assert control.max() == 255 and 0.01 < (control > 128).mean() < 0.4
    assert np.array_equal(control[..., 0], control[..., 2])
    # In frame 0 the square reaches from x = 4 to 25, in the control from 2 to 12.5.
    middle = control[0, 14, :, 0]
    assert middle[1:3].max() == middle[11:14].max() == 255
    assert middle[4:10].max() == middle[15:].max() == 0


def test_a_bank_is_encoded_as_the_pipeline_encodes(
    tmp_path: Path, vae_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = write_bank(tmp_path / "bank")
    target, control = encode(monkeypatch, bank, vae_folder)
    assert target.shape == (3, 8, 2, 4, 4) and control.shape == (3, 8, 2, 2, 2)
    assert target.dtype == control.dtype == np.float16
    frames = np.load(bank / "frames.npy")[1]
    vae = build_vae(MICRO).from_pretrained(vae_folder)
    with torch.inference_mode():
        expected = encode_frames(vae, frames)[0].numpy().astype(np.float16)
        edges = encode_frames(vae, latents.control_of(frames))[0].numpy().astype(np.float16)
    assert np.array_equal(target[1], expected) and np.array_equal(control[1], edges)
    assert (bank / "encoded.txt").read_text() == "3"


def test_encoding_resumes_where_it_was_stopped(
    tmp_path: Path, vae_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encode(monkeypatch, write_bank(tmp_path / "whole"), vae_folder)
    bank = write_bank(tmp_path / "broken")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, latents, "control_of", 2)
        encode(patch, bank, vae_folder)
    assert (bank / "encoded.txt").read_text() == "1"
    with monkeypatch.context() as patch:
        stop_at(patch, latents, "control_of", 3)  # only two clips are left to encode
        resumed = encode(patch, bank, vae_folder)
    assert np.array_equal(resumed[0], whole[0]) and np.array_equal(resumed[1], whole[1])


def test_lines_are_as_wide_as_said() -> None:
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    frames[:, :, 32:] = 255
    lines = latents.control_of(frames)[0, 16, :, 0].astype(float).sum() / 255
    assert latents.THICKNESS == pytest.approx(2 * lines, abs=1)
    assert cv2.countNonZero(latents.control_of(np.zeros((1, 64, 64, 3), np.uint8))[0, :, :, 0]) == 0
