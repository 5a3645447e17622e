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
from toyworld.batches import unpacked


def encode(monkeypatch: pytest.MonkeyPatch, bank: Path, vae: Path) -> dict[str, np.ndarray]:
    call(monkeypatch, latents.main, bank, vae, "--device", "cpu")
    return {kind: np.load(bank / f"{kind}.npy") for kind in (*latents.KINDS, "lines")}


def test_the_edges_are_white_lines_at_half_size(tmp_path: Path) -> None:
    thin, control = latents.edges_of(np.load(write_bank(tmp_path / "bank") / "frames.npy")[0])
    assert thin.shape == (9, 64, 64) and control.shape == (9, 32, 32, 1) and control.dtype == np.uint8
    assert thin[0, 28, 3:6].max() == thin[0, 28, 23:27].max() == 255
    assert thin[0, 28, 8:21].max() == thin[0, 28, 30:].max() == 0 and (thin[0, 28] > 0).sum() == 2
    assert control.max() == 255 and 0.01 < (control > 128).mean() < 0.4
    # In frame 0 the square reaches from x = 4 to 25, in the control from 2 to 12.5.
    middle = control[0, 14, :, 0]
    assert middle[1:3].max() == middle[11:14].max() == 255
    assert middle[4:10].max() == middle[15:].max() == 0


def test_lines_are_as_wide_as_said() -> None:
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    frames[:, :, 32:] = 255
    _, control = latents.edges_of(frames)
    assert control[0, 16, :, 0].sum() / 255 == pytest.approx(latents.THICKNESS / 2, abs=0.5)
    assert cv2.countNonZero(latents.edges_of(np.zeros((1, 64, 64, 3), np.uint8))[1][0, :, :, 0]) == 0


def test_recoloured_clips_show_the_same_in_other_colours() -> None:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[:, 2:6, 2:6] = (220, 120, 30)
    rng, seen = np.random.default_rng(0), []
    for _ in range(60):
        mixed = latents.recoloured(frames, rng)
        assert mixed.shape == frames.shape and mixed.dtype == np.uint8
        inside, around = mixed[0, 3, 3].astype(int), mixed[0, 0, 0].astype(int)
        assert (mixed[:, 2:6, 2:6] == inside).all() and np.abs(inside - around).max() > 20
        seen.append((*inside, *around))
    greys = [one for one in seen if len(set(one[:3])) == len(set(one[3:])) == 1]
    negatives = [one for one in greys if one[0] < one[3]]  # the square is lighter than its ground
    assert 10 < len(greys) < 30 and 3 < len(negatives) < len(greys) - 3 and len(set(seen)) > 50


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


def test_views_are_the_clip_or_its_mirror_image_and_a_part(tmp_path: Path) -> None:
    bank = write_bank(tmp_path / "bank")
    mirrored = [latents.is_mirrored(index) for index in range(3)]
    assert True in mirrored and False in mirrored
    for index in range(3):
        clip, pictures = np.load(bank / "frames.npy")[index], latents.pictures_of(bank, index)
        assert {kind: views.shape for kind, views in pictures.items()} == {
            "target": (2, 9, 64, 64, 3),
            "small": (2, 9, 32, 32, 3),
            "hint": (2, 9, 32, 32, 3),
            "control": (2, 9, 32, 32, 1),
            "lines": (2, 9, 64, 8),
        }
        whole, part = pictures["target"]
        bits = unpacked(torch.from_numpy(pictures["lines"])).numpy()
        assert np.array_equal(bits[0] > 0, latents.edges_of(whole)[0] > 0)
        assert np.array_equal(whole[:, :, ::-1] if mirrored[index] else whole, clip)
        assert not np.array_equal(part, whole)
        for kind in ("small", "hint"):
            assert not np.array_equal(pictures[kind][0], pictures[kind][1])
        kinds = ("target", "small", "control")
        for view, small, control in zip(*(pictures[kind] for kind in kinds), strict=True):
            assert np.array_equal(control, latents.edges_of(view)[1])
            averaged = view.reshape(9, 32, 2, 32, 2, 3).mean(axis=(2, 4))
            assert np.abs(averaged - small).mean() < 3


def test_each_view_has_its_caption() -> None:
    first, second = (["panning left", "panning right"][latents.is_mirrored(index)] for index in range(2))
    texts = latents.views_of(["panning left", "panning left"])
    assert texts == [first, "panning left", second, "panning left"]


def test_a_bank_is_encoded_as_the_pipeline_encodes(
    tmp_path: Path, vae_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = write_bank(tmp_path / "bank")
    encoded = encode(monkeypatch, bank, vae_folder)
    assert encoded["target"].shape == (3, 2, 8, 2, 4, 4)
    assert all(encoded[kind].shape == (3, 2, 8, 2, 2, 2) for kind in ("small", "hint", "control"))
    vae, pictures = build_vae(MICRO).from_pretrained(vae_folder), latents.pictures_of(bank, 1)
    assert np.array_equal(encoded.pop("lines")[1], pictures["lines"])
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
        assert np.load(tmp_path / name / "control.npy").any(axis=(1, 2, 3, 4, 5)).tolist() == [True] * count
