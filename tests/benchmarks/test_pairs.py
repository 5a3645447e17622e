"""The table of how well the audit tells pairs from what is none."""

import pytest

from benchmarks import pairs
from iclora.training.together import trace
from tests.training.clips import edges, moving


def test_a_row_counts_what_is_found() -> None:
    clips = [moving(seed) for seed in range(9)]
    traced = [(trace(clip.frames), trace(edges(clip).frames)) for clip in clips]
    assert pairs.row("edges", traced).startswith("| edges | 0 of 9 (0) | 9 of 9 (0) | ")


def test_scenes_are_rendered_with_their_references(capsys: pytest.CaptureFixture[str]) -> None:
    pairs.main(["--scenes", "2", "--no-films"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines][:2] == ["| canny, toyworld", "| exact depth, toyworld"]
