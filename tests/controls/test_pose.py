"""controls.pose and controls.poses.finding: from a clip to skeletons, with a made-up estimator."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from iclora import media
from iclora.clip import Audio, Clip, Film
from iclora.controls import CONTROLS, draw_poses, find_poses, pose
from iclora.controls.cache import Cache
from iclora.controls.poses import ESTIMATORS, Estimator, finding, smooth_poses
from iclora.errors import RequestError
from tests.controls.poses.people import person


def clip_of(num_frames: int = 4, *, level: int = 90) -> Clip:
    """Grey, each frame a level lighter than the one before; or black."""
    levels = level + np.arange(num_frames) * (level > 0)
    frames = np.repeat(levels.astype(np.uint8), 130 * 200 * 3).reshape(num_frames, 130, 200, 3)
    return Clip(frames=frames, fps=12.0)


def sees(*frames: list[np.ndarray]) -> Estimator:
    """An estimator that sees these people, frame after frame."""

    def estimator(pictures: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        yield from (people for _, people in zip(pictures, frames, strict=True))

    return estimator


def test_the_table_names_pose_and_its_estimators() -> None:
    assert CONTROLS["pose"] is pose
    assert set(ESTIMATORS) == {"blazepose", "dwpose", "tiny"}


def test_people_are_found_steadied_and_drawn() -> None:
    estimator = sees(*([person(3 * (frame % 2))] for frame in range(4)))
    audio = Audio(samples=np.zeros((1, 10), np.float32), sample_rate=16000)
    clip = Clip(frames=clip_of().frames, fps=12.0, audio=audio)
    drawn = pose(clip, estimator=estimator, smooth=0.75, stick_width=2.0)
    expected = draw_poses(smooth_poses(find_poses(clip, estimator=estimator), 0.75), stick_width=2)
    assert np.array_equal(drawn.frames, expected.frames) and drawn.frames.any()
    assert drawn.fps == 12.0 and drawn.audio is audio


def test_short_appearances_are_mistakes() -> None:
    always, once = person(), person(100)
    found = find_poses(clip_of(), estimator=sees([always], [always, once], [always], [always]))
    assert found.num_people == 1
    still = find_poses(clip_of(1), estimator=sees([always, once]))
    assert still.num_people == 2


def test_frames_that_are_held_are_looked_at_once() -> None:
    seen: list[tuple[int, int | None]] = []
    held = media.resample(clip_of(2), fps=12.0, num_frames=5)
    estimator = sees([person()], [person(7)])
    found = find_poses(held, estimator=estimator, progress=lambda *step: seen.append(step))
    assert list(found.body[:, 0, 0, 0] - found.body[0, 0, 0, 0]) == [0, 7, 7, 7, 7]
    assert seen == [(1, 5), (2, 5), (5, 5)]


def test_the_largest_people_alone() -> None:
    frames = [[person(), person(100, scale=0.5)]] * 4
    assert find_poses(clip_of(), estimator=sees(*frames), max_people=1).body[0, 0, 0, 0] == 50


def test_progress_counts_every_frame() -> None:
    seen: list[tuple[int, int | None]] = []
    find_poses(clip_of(2), estimator=sees([], []), progress=lambda *step: seen.append(step))
    assert seen == [(1, 2), (2, 2)]


def test_nobody_is_an_error_but_black_stays_black() -> None:
    with pytest.raises(RequestError, match="Nobody is found in any of the 2 frames"):
        pose(clip_of(2), estimator=sees([], []))
    black = clip_of(2, level=0)
    assert pose(black) is black  # without loading anything


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "openpose"}, "There is no estimator 'openpose'; choose one of blazepose, dwpose"),
        ({"smooth": -0.1}, "The smoothing is -0.1"),
        ({"stick_width": 1.5}, "The stick width is 1.5 pixels"),
        ({"min_score": 2.0}, "The least score of a point is 2.0"),
    ],
)
def test_options_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        pose(clip_of(), **options)
    with pytest.raises(RequestError, match="Cannot keep 0 people"):
        find_poses(clip_of(), max_people=0)


def test_a_film_gives_what_its_clip_gives() -> None:
    clip = clip_of()
    film = Film(frames=clip.frames, height=130, width=200, num_frames=4, fps=12.0)
    people = [[person(2 * frame)] for frame in range(4)]
    drawn = pose(film, estimator=sees(*people))
    assert isinstance(drawn, Film)
    assert np.array_equal(drawn.read().frames, pose(clip, estimator=sees(*people)).frames)


def test_people_are_kept_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    cache = Cache(folder=tmp_path / "found", max_bytes=1e6, tell=told.append)
    frames = [[person(frame), person(100)] for frame in range(4)]

    def fetched() -> Estimator:
        (tmp_path / "weights").write_bytes(b"1")
        return sees(*frames)

    def never() -> Estimator:
        raise AssertionError("the networks are not needed")

    monkeypatch.setattr(finding, "ESTIMATORS", {"blazepose": fetched})
    monkeypatch.setattr(finding, "WEIGHTS", {"blazepose": lambda: [tmp_path / "weights"]})
    first = find_poses(clip_of(), cache=cache)
    monkeypatch.setattr(finding, "ESTIMATORS", {"blazepose": never})
    assert np.array_equal(find_poses(clip_of(), cache=cache).points, first.points)
    assert find_poses(clip_of(), cache=cache, max_people=1).num_people == 1  # chosen after
    assert len(told) == 2 and "poses: found before" in told[0]
