"""Steps that fit into minutes."""

import json
from pathlib import Path

import pytest

from toyworld.minutes import main, steps_within


def log(folder: Path, *rows: dict[str, float]) -> Path:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_last_row_of_steps_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow, fast = {"step": 10, "seconds_per_step": 9.0}, {"step": 20, "seconds_per_step": 0.25}
    path = log(tmp_path, slow, fast, {"step": 20, "held_out": 0.3})
    assert steps_within(path, 2) == 480
    assert steps_within(path, 0.01) == 20  # no fewer than were taken
    main([str(path), "1.5"])
    assert capsys.readouterr().out == "360\n"


def test_a_first_row_alone_is_too_little(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 1 rows of steps; train on until it has two"):
        steps_within(log(tmp_path, {"step": 10, "seconds_per_step": 9.0}), 1)
