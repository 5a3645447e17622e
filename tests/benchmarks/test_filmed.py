"""benchmarks/filmed.py: sheets of controls of filmed clips, small enough for a page."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import media
from iclora.clip import Clip

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def filmed(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("filmed")


def test_the_largest_height_that_is_small_enough(filmed: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    rows = {"noise": Clip(frames=noise, fps=24.0)}
    filmed.save_sheet(rows, tmp_path / "a.png", heights=(400, 64, 32), num_columns=3)
    assert media.read(tmp_path / "a.png").height == 20 + 64


def test_every_clip_that_is_measured_is_shown(filmed: Any) -> None:
    assert set(filmed.SIZES) == set(filmed.FROM_FRAME) == set(importlib.import_module("controls").CLIPS)


@pytest.mark.weights
def test_rows_of_a_clip(filmed: Any, filmed_clips: Path, blazepose_weights: dict[str, Path]) -> None:
    clip = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=3)
    rows = filmed.drawn(clip, "carphone")
    assert list(rows) == ["canny of carphone", "depth of carphone", "pose of carphone"]
    assert all(row.frames.shape == clip.frames.shape and row.frames.any() for row in rows.values())
