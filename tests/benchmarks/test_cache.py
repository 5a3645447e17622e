"""benchmarks/cache.py: what keeping references does to results."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import Clip

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("cache")


def test_each_policy_has_its_row(cache: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "cache.md"
    words = ["--scenes", "1", "--no-films", "--frames", "9", "--size", "64", "--markdown", str(page)]
    cache.main(words)
    rows = [line.strip("| ").split(" | ") for line in page.read_text("utf-8").splitlines()[2:]]
    assert [row[1].strip("`") for row in rows] == list(cache.POLICIES)
    assert rows[0][3] == "equal" and all(row[3].endswith("dB") or "least" in row[3] for row in rows[1:])
    assert page.read_text("utf-8") == capsys.readouterr().out


def test_likeness_by_hand(cache: Any) -> None:
    black = Clip(frames=np.zeros((2, 4, 4, 3), np.uint8), fps=8.0)
    grey = Clip(frames=np.full((2, 4, 4, 3), 51, np.uint8), fps=8.0)
    assert cache.likeness(black, black) is None
    assert cache.likeness(black, grey) == pytest.approx(20 * np.log10(5))
