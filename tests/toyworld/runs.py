"""Small banks and runs for the tests of the trainings."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CAPTIONS = ["a red ball rolling", "a clay figure waving", "two neon boxes"]


def write_bank(folder: Path, *, clips: int = 3, size: int = 64, num_frames: int = 9) -> Path:
    """Write a bank of light squares that move over a dark ground."""
    frames = np.full((clips, num_frames, size, size, 3), 40, np.uint8)
    for clip in range(clips):
        for frame in range(num_frames):
            left = 4 + 6 * clip + frame
            frames[clip, frame, 16 : size // 2 + 8, left : left + size // 3] = (220, 90 + 40 * clip, 60)
    folder.mkdir(parents=True)
    np.save(folder / "frames.npy", frames)
    (folder / "captions.json").write_text(json.dumps(CAPTIONS[:clips]))
    return folder


def call(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *words: object) -> None:
    """Call a script's main with words on its command line."""
    monkeypatch.setattr(sys, "argv", ["script", *map(str, words)])
    main()


def stop_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, count: int) -> None:
    """Interrupt a run at the given call of one of its functions, counted from 1, and only then."""
    original, calls = getattr(owner, name), []

    def stopped(*arguments: Any, **settings: Any) -> Any:
        calls.append(name)
        if len(calls) == count:
            raise KeyboardInterrupt
        return original(*arguments, **settings)

    monkeypatch.setattr(owner, name, stopped)
