"""Banks of rendered clips."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from toyworld import bank
from toyworld.render import render


def fill(
    folder: Path, *, clips: int = 3, size: int = 32, first_seed: int = 5
) -> tuple[np.ndarray, list[str]]:
    bank.fill(folder, clips=clips, size=size, num_frames=2, fps=16.0, device="cpu", first_seed=first_seed)
    return np.load(folder / "frames.npy"), json.loads((folder / "captions.json").read_text())


def test_a_clip_is_its_seed(tmp_path: Path) -> None:
    frames, captions = fill(tmp_path / "bank")
    assert frames.shape == (3, 2, 32, 32, 3) and frames.dtype == np.uint8
    scenes = render([7], height=32, width=32, num_frames=2, fps=16.0)
    assert np.array_equal(frames[2], scenes.frames[0].numpy())
    assert captions[2] == scenes.captions[0]


def test_rendering_resumes_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, captions = fill(tmp_path / "whole")
    monkeypatch.setattr(bank, "CHUNK", 1)
    calls: list[list[int]] = []

    def stopped(seeds: list[int], **settings: object) -> object:
        calls.append(seeds)
        if calls == [[5], [6]]:
            raise KeyboardInterrupt
        return render(seeds, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(bank, "render", stopped)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "broken")
    frames, told = fill(tmp_path / "broken")
    assert calls == [[5], [6], [6], [7]]
    assert np.array_equal(frames, whole) and told == captions


def test_a_bank_of_another_shape_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, clips=1)
    with pytest.raises(ValueError, match=r"holds \(1, 2, 32, 32, 3\), asked for \(1, 2, 16, 16, 3\)"):
        fill(tmp_path, clips=1, size=16)


def test_held_out_seeds_are_refused(tmp_path: Path) -> None:
    last = bank.HELD_OUT_SEED_START - 1
    with pytest.raises(ValueError, match="seeds from 10000000 on are held out"):
        fill(tmp_path / "two", clips=2, first_seed=last)
    fill(tmp_path / "one", clips=1, first_seed=last)


def test_a_folder_of_banks_is_listed_by_name(tmp_path: Path) -> None:
    for name in ("1", "0", "10", "other"):
        (tmp_path / name).mkdir()
        if name != "other":
            (tmp_path / name / "captions.json").write_text("[]")
    assert bank.shards(tmp_path) == [tmp_path / "0", tmp_path / "1", tmp_path / "10"]
    assert bank.shards(tmp_path / "1") == [tmp_path / "1"]


def test_a_folder_without_a_bank_is_refused(tmp_path: Path) -> None:
    message = f"{tmp_path} holds no bank: fill one with python -m toyworld.bank {tmp_path}"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        bank.shards(tmp_path)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [str(tmp_path / "bank"), "--clips", "1", "--size", "32", "--frames", "2", "--first-seed", "5"]
    monkeypatch.setattr(sys, "argv", ["bank", *words, "--device", "cpu"])
    bank.main()
    assert np.array_equal(np.load(tmp_path / "bank" / "frames.npy"), fill(tmp_path / "same", clips=1)[0])
