"""Whether clips move together: filmed clips and their controls, and the same with other clips'."""

from pathlib import Path

import numpy as np
import pytest

from iclora import controls, media
from iclora.clip import Clip
from iclora.training.together import Bonds, Trace, lag_of, trace
from tests.training.clips import moving


def filmed(folder: Path) -> list[Clip]:
    """Seven pieces of three films: several of one scene too."""
    clips = []
    for name in ("carphone_pristine", "bikes", "bigbuckbunny"):
        film = media.film(folder / f"{name}.mp4", max_frames=66)
        clip = media.resize(film, 96, 128).read()
        clips += [Clip(frames=clip.frames[at : at + 22], fps=clip.fps) for at in (0, 22, 44)]
    return clips


@pytest.mark.parametrize("kind", ["canny", "line-art"])
def test_pairs_stand_out_and_other_pairings_do_not(filmed_clips: Path, kind: str) -> None:
    clips = filmed(filmed_clips)
    targets = [trace(clip.frames) for clip in clips]
    references = [trace(controls.CONTROLS[kind](clip).frames) for clip in clips]
    right, wrong = Bonds(), Bonds()
    for index, target in enumerate(targets):
        right.add((target, references[index]))
        wrong.add((target, references[(index + 1) % len(references)]))
    good = [right.of(index) for index in range(len(clips))]
    bad = [wrong.of(index) for index in range(len(clips))]
    assert all(one is not None and one.distance > 2 and one.better is None for one in good)
    assert all(one is not None and (one.distance < 2 or one.better is not None) for one in bad)
    assert sum(one is not None and one.better == index - 1 for index, one in enumerate(bad)) >= 6


def test_places_without_a_trace_are_kept() -> None:
    bonds = Bonds()
    traces = [trace(moving(seed).frames) for seed in range(3)]
    for one in (traces[0], None, traces[1], traces[2]):
        bonds.add(None if one is None else (one, one))
    assert bonds.of(1) is None
    found = bonds.of(0)
    assert found is not None and found.num_others == 2 and found.motion == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("lag", [-3, -1, 0, 2])
def test_a_lag_is_measured(lag: int) -> None:
    frames = moving(4, num_frames=40).frames
    target, reference = frames[10:30], frames[10 - lag : 30 - lag]
    found, fit, without = lag_of(trace(target), trace(reference))
    assert found == lag and fit == pytest.approx(1, abs=1e-4)
    assert without < 0.9 or lag == 0


def test_motion_and_outlines_lie_where_they_are() -> None:
    frames = np.zeros((2, 80, 80, 3), np.uint8)
    frames[1, 8:16, 40:48] = 200
    found = trace(frames)
    assert found.motion.shape == (1, 10, 10) and found.outlines.shape == (2, 10, 10)
    assert found.motion[0, 1, 5] == pytest.approx(194) and found.motion.sum() == pytest.approx(194)
    assert found.outlines[0].max() == 0 and found.outlines[1, 1, 5] > 0 and found.outlines[1, 5, 5] == 0
    assert found.moves == pytest.approx(1.94)


def test_a_still_has_no_lag_and_does_not_move() -> None:
    found = trace(np.zeros((1, 8, 8, 3), np.uint8))
    assert isinstance(found, Trace) and found.moves == 0 and lag_of(found, found) == (0, 0.0, 0.0)
