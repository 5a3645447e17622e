"""Encoded banks."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from iclora.pipeline import encode_frames
from tests.toyworld.runs import call, stop_at, write_bank
from toyworld import latents
from toyworld.architecture import MICRO, build_vae


def encode(monkeypatch: pytest.MonkeyPatch, bank: Path, vae: Path) -> dict[str, np.ndarray]:
    call(monkeypatch, latents.main, bank, vae, "--device", "cpu")
    return {kind: np.load(bank / f"{kind}.npy") for kind in latents.KINDS}


def test_the_edges_are_white_lines_at_full_and_at_half_size(tmp_path: Path) -> None:
    frames = np.load(write_bank(tmp_path / "bank") / "frames.npy")[0]
    lines, control = latents.edges_of(frames)
    assert lines.shape == (9, 64, 64, 1) and control.shape == (9, 32, 32, 1)
    for drawn in (lines, control):
        assert drawn.dtype == np.uint8 and drawn.max() == 255 and 0.01 < (drawn > 128).mean() < 0.4
    # In frame 0 the square reaches from x = 4 to 25, in the control from 2 to 12.5.
    whole, middle = lines[0, 28, :, 0], control[0, 14, :, 0]
    assert whole[3:6].max() == whole[23:27].max() == 255
    assert whole[8:21].max() == whole[30:].max() == 0
    assert middle[1:3].max() == middle[11:14].max() == 255
    assert middle[4:10].max() == middle[15:].max() == 0


def test_lines_are_as_wide_as_said() -> None:
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    frames[:, :, 32:] = 255
    lines, control = latents.edges_of(frames)
    assert (lines[0, 16, :, 0] == 255).sum() == latents.THICKNESS
    assert control[0, 16, :, 0].sum() / 255 == pytest.approx(latents.THICKNESS / 2, abs=0.5)
    assert cv2.countNonZero(latents.edges_of(np.zeros((1, 64, 64, 3), np.uint8))[0][0, :, :, 0]) == 0


def test_an_enlarged_part_depends_on_chance_alone() -> None:
    steps = np.arange(100, dtype=np.uint8)
    frames = np.zeros((2, 100, 100, 3), np.uint8)
    frames[..., 0], frames[..., 1] = steps[:, None], steps  # red tells the row, green the column
    one, again, other = (latents.enlarged_part(frames, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == frames.shape and one.dtype == np.uint8
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    for seed in range(20):
        part = latents.enlarged_part(frames, np.random.default_rng(seed)).astype(int)
        heights, widths = np.ptp(part[0, :, 50, 0]), np.ptp(part[0, 50, :, 1])
        assert heights == pytest.approx(widths, abs=2) and 57 <= heights <= 99
        assert np.array_equal(part[0], part[1])


def test_views_are_the_clip_its_mirror_image_and_a_part(tmp_path: Path) -> None:
    bank = write_bank(tmp_path / "bank")
    clip = np.load(bank / "frames.npy")[1]
    pictures = latents.pictures_of(bank, 1)
    assert {kind: views.shape for kind, views in pictures.items()} == {
        "target": (3, 9, 64, 64, 3),
        "lines": (1, 9, 64, 64, 1),
        "control": (3, 9, 32, 32, 1),
    }
    assert np.array_equal(pictures["target"][0], clip)
    assert np.array_equal(pictures["target"][1, 3, 20, :, 0], clip[3, 20, ::-1, 0])
    assert np.array_equal(pictures["target"][1, :, :, ::-1], clip)
    assert not np.array_equal(pictures["target"][2], clip)
    assert np.array_equal(pictures["lines"][0], latents.edges_of(clip)[0])
    for view, control in zip(pictures["target"], pictures["control"], strict=True):
        assert np.array_equal(control, latents.edges_of(view)[1])


def test_each_view_has_its_caption() -> None:
    assert latents.views_of(["the camera pans left", "a ball"]) == [
        "the camera pans left",
        "the camera pans right",
        "the camera pans left",
        *["a ball"] * 3,
    ]


def test_a_bank_is_encoded_as_the_pipeline_encodes(
    tmp_path: Path, vae_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = write_bank(tmp_path / "bank")
    encoded = encode(monkeypatch, bank, vae_folder)
    assert encoded["target"].shape == (3, 3, 8, 2, 4, 4) and encoded["lines"].shape == (3, 1, 8, 2, 4, 4)
    assert encoded["control"].shape == (3, 3, 8, 2, 2, 2)
    vae, pictures = build_vae(MICRO).from_pretrained(vae_folder), latents.pictures_of(bank, 1)
    for kind, latent in encoded.items():
        assert latent.dtype == np.float16
        with torch.inference_mode():
            colours = [np.broadcast_to(view, (*view.shape[:-1], 3)) for view in pictures[kind]]
            views = [encode_frames(vae, view)[0].numpy() for view in colours]
        np.testing.assert_allclose(latent[1], np.stack(views), rtol=2e-3, atol=1e-4)
    assert (bank / "encoded.txt").read_text() == "3"


def test_encoding_resumes_where_it_was_stopped(
    tmp_path: Path, vae_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encode(monkeypatch, write_bank(tmp_path / "whole"), vae_folder)
    bank = write_bank(tmp_path / "broken")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, latents, "pictures_of", 2)
        encode(patch, bank, vae_folder)
    assert (bank / "encoded.txt").read_text() == "1"
    with monkeypatch.context() as patch:
        stop_at(patch, latents, "pictures_of", 3)  # only two clips are left to encode
        resumed = encode(patch, bank, vae_folder)
    assert all(np.array_equal(resumed[kind], whole[kind]) for kind in latents.KINDS)


def test_all_banks_of_a_folder_are_encoded(
    tmp_path: Path, vae_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, clips in (("0", 1), ("1", 2)):
        write_bank(tmp_path / name, clips=clips)
    call(monkeypatch, latents.main, tmp_path, vae_folder, "--device", "cpu")
    for name in ("0", "1"):
        count = len(json.loads((tmp_path / name / "captions.json").read_text()))
        assert np.load(tmp_path / name / "lines.npy").any(axis=(1, 2, 3, 4, 5)).tolist() == [True] * count
