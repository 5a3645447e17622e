"""benchmarks/controls.py: every control has its row, with one core's time and what stabilising does."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import Clip, controls
from tests.micro import moving_square

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("controls")


def test_every_control_has_its_row(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def filmed(name: str, height: int, width: int) -> Clip:
        return moving_square(height=96, width=128, num_frames=9)

    monkeypatch.setattr(bench, "filmed", filmed)
    monkeypatch.setattr(bench, "ORDER", ("soft-edges", "depth", "grey", "tracks"))
    monkeypatch.setattr(bench, "TRACKS_SIZE", (64, 48))
    rows = [line.strip("| ").split(" | ") for line in bench.table().splitlines()]
    assert [row[0] for row in rows[2:6]] == ["soft-edges", "depth", "grey", "tracks"]
    assert set(bench.ORDER) <= set(controls.CONTROLS)
    assert all(float(row[1].rstrip(" |")) > 0 for row in rows[2:6])
    before, after = rows[3][3].split(",")[0].split(" to ")
    assert float(after) <= float(before)
    assert rows[-1][0].startswith("Trails of 16 tracks, 121 frames at 48x64, drawn in ")


def test_a_cell_by_hand(bench: Any) -> None:
    assert bench.in_words(1.0, 0.5, -0.001) == "1.00 to 0.50, +0.00"
    flat = Clip(frames=np.full((3, 8, 8, 3), 9, np.uint8), fps=8.0)
    assert bench.steadiness("soft-edges", flat) == "0.00 to 0.00, +0.00"
