"""adherence.scoring: films scored against themselves, late, still and in halves, by each kind of control."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import adherence, controls, media
from iclora.adherence import SCORERS
from iclora.clip import Clip
from iclora.controls.depths import uncoloured
from iclora.controls.poses import Poses
from iclora.errors import NothingToFollowError, RequestError
from tests.controls.poses.people import person

SIZE = 128


@pytest.fixture(scope="module")
def films(filmed_clips: Path) -> tuple[Clip, Clip]:
    """Two films of one length."""
    names = ("bigbuckbunny.mp4", "bikes.mp4")
    read = (media.read(filmed_clips / name, fps=12.0, max_frames=13) for name in names)
    return tuple(media.resize(film, SIZE, SIZE) for film in read)  # type: ignore[return-value]


def late(film: Clip, num_frames: int) -> Clip:
    held = np.repeat(film.frames[:1], num_frames, axis=0)
    return Clip(frames=np.concatenate([held, film.frames[:-num_frames]]), fps=film.fps)


@pytest.mark.parametrize("kind", [kind for kind in SCORERS if kind != "pose"])
def test_a_film_follows_its_own_control_best(films: tuple[Clip, Clip], kind: str) -> None:
    film, other = films
    truth = adherence.find_truth(kind, film)
    own = adherence.score(kind, truth, film)
    assert own.value > 0.95 and own.frames[-1] is not None
    unlike = adherence.score(kind, truth, other)
    assert unlike.value < own.value - 0.2 and (unlike.leak or 0) < 0.1
    said = json.loads(json.dumps(own.to_json()))
    assert said["control"] == kind and abs(said["lag_frames"]) < 0.01 and "inside" not in said


@pytest.mark.parametrize("kind", ["canny", "depth", "grey"])
def test_a_late_result_is_told(films: tuple[Clip, Clip], kind: str) -> None:
    truth = adherence.find_truth(kind, films[0])
    assert adherence.score(kind, truth, late(films[0], 2)).lag_frames == pytest.approx(2, abs=0.5)


def grey_is_depth(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """An estimator that takes what is bright for near, at half the size."""
    for frame in frames:
        yield frame[::2, ::2].mean(axis=2, dtype=np.float32)


@pytest.mark.parametrize(("kind", "dials"), [("canny", {}), ("depth", {"estimator": grey_is_depth})])
def test_inside_and_outside_of_a_mask(films: tuple[Clip, Clip], kind: str, dials: dict[str, Any]) -> None:
    """The left half is the film that is followed, the right half another one."""
    film, other = films
    left = np.zeros((film.num_frames, SIZE, SIZE), bool)
    left[:, :, : SIZE // 2] = True
    joined = Clip(frames=np.where(left[..., None], film.frames, other.frames), fps=film.fps)
    truth = adherence.find_truth(kind, film, **dials)
    score = adherence.score(kind, truth, joined, where=left, **dials)
    assert score.inside is not None and score.outside is not None
    main = adherence.scorer_of(kind).main
    inside, outside = getattr(score.inside, main), getattr(score.outside, main)
    assert inside > score.value > outside and inside > outside + 0.2
    assert score.to_json()["inside"][main] == inside


def test_a_part_without_anything_is_left_out(films: tuple[Clip, Clip]) -> None:
    nowhere = np.zeros((films[0].num_frames, SIZE, SIZE), bool)
    truth = adherence.find_truth("canny", films[0])
    score = adherence.score("canny", truth, films[0], where=nowhere)
    assert score.inside is None and score.outside is not None


def test_poses_with_any_estimator(films: tuple[Clip, Clip]) -> None:
    def one_sees(frames: object) -> object:
        for index, _ in enumerate(frames):  # type: ignore[arg-type, var-annotated]
            yield [person(3.0 * index)]

    points = np.stack([[person(3.0 * index)] for index in range(films[0].num_frames)])
    truth = Poses(points=points, height=SIZE, width=SIZE, fps=12.0)
    score = adherence.score("pose", truth, films[0], estimator=one_sees)
    assert score.value == 1.0 and score.measure == "pose PCK@0.1" and abs(score.lag_frames) < 1e-6


def test_depth_is_read_off_its_drawing(films: tuple[Clip, Clip]) -> None:
    for convention in ("near-white", "near-black", "inferno"):
        drawn = controls.depth(films[0], convention=convention)
        truth = adherence.read_drawing("depth", drawn, convention=convention)
        assert adherence.score("depth", truth, films[0]).value > 0.95
    assert uncoloured(np.full((1, 1, 3), 255, np.uint8), "near-white")[0, 0] == 1.0
    assert uncoloured(np.full((1, 1, 3), 255, np.uint8), "near-black")[0, 0] == 0.0


def test_what_cannot_be_scored_is_refused(films: tuple[Clip, Clip]) -> None:
    with pytest.raises(RequestError, match="'green' is not a control that can be scored; accepted: canny"):
        adherence.scorer_of("green")
    for kind in ("pose", "tracks"):
        with pytest.raises(RequestError, match="do not say which point is which"):
            adherence.read_drawing(kind, films[0])
    with pytest.raises(RequestError, match="not white lines on black"):
        adherence.read_drawing("canny", films[0])
    blank = Clip(frames=np.zeros((9, 64, 64, 3), np.uint8), fps=12.0)
    with pytest.raises(NothingToFollowError, match="no point in the film"):
        adherence.find_truth("tracks", blank)


def test_steadiness_of_a_clip_that_fades() -> None:
    frames = np.full((9, 48, 64, 3), 100, np.uint8)
    frames[6:] = 151
    measured = adherence.steadiness(Clip(frames=frames, fps=12.0))
    assert measured["drift"] == pytest.approx(20) and measured["flicker"] >= 0
