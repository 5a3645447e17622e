"""controls.depth: from a clip to a depth control, with a made-up estimator and with the embedded one."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from iclora import adherence, media
from iclora.clip import Audio, Clip, Film
from iclora.controls import CONTROLS, Depths, depth
from iclora.errors import RequestError


def brightness(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """An estimator: what is bright is near."""
    for frame in frames:
        yield frame[..., 0].astype(np.float32)


def stairs() -> Clip:
    levels = np.linspace(10, 90, 3 * 20 * 30).reshape(3, 20, 30, 1).repeat(3, 3)
    sound = Audio(samples=np.zeros((1, 10), np.float32), sample_rate=16000)
    return Clip(frames=levels.astype(np.uint8), fps=12.0, audio=sound)


def test_the_table_names_depth() -> None:
    assert CONTROLS["depth"] is depth


def test_one_scale_for_the_clip_and_its_sound() -> None:
    clip = stairs()
    drawn = depth(clip, estimator=brightness, near=100, far=0)
    expected = np.rint((clip.frames.astype(float) - 10) / (clip.frames.max() - 10.0) * 255)
    assert np.abs(drawn.frames - expected).max() <= 1
    assert drawn.audio is clip.audio and drawn.fps == 12.0
    inverse = depth(clip, estimator=brightness, near=100, far=0, convention="near-black")
    assert np.abs(inverse.frames.astype(int) + drawn.frames - 255).max() <= 1


def test_black_stays_black_without_loading_anything() -> None:
    black = Clip(frames=np.zeros((2, 8, 8, 3), np.uint8), fps=8.0)
    assert depth(black) is black


def test_a_filmed_clip(filmed_clips: Path) -> None:
    clip = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=9)
    drawn = depth(clip)
    assert drawn.frames.shape == clip.frames.shape
    grey = drawn.frames[..., 0].astype(float)
    assert grey.std() > 30 and (drawn.frames == drawn.frames[..., :1]).all()
    assert grey[:, -20:, 60:100].mean() > grey[:, :20].mean()  # his chest is nearer than the window behind
    # one scale: what changes from frame to frame is little of what there is
    assert np.abs(np.diff(grey, axis=0)).mean() < 0.15 * grey.std()


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"estimator": "midas"}, "There is no depth estimator 'midas'"),
        ({"convention": "grey"}, "There is no depth convention 'grey'"),
        ({"near": 5, "far": 5}, "The percentiles are far 5 and near 5"),
    ],
)
def test_dials_are_checked_first(dials: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        depth(Clip(frames=np.zeros((1, 8, 8, 3), np.uint8), fps=8.0), **dials)


@pytest.mark.parametrize("stabilise", [0.0, 0.5])
def test_a_film_gives_what_its_clip_gives(filmed_clips: Path, stabilise: float) -> None:
    path = filmed_clips / "bikes.mp4"
    film = media.resize(media.film(path, max_frames=17), 96, 160)
    drawn = depth(film, stabilise=stabilise)
    assert isinstance(drawn, Film) and (drawn.num_frames, drawn.fps) == (17, film.fps)
    assert np.array_equal(drawn.read().frames, depth(film.read(), stabilise=stabilise).frames)
    black = Film(frames=[np.zeros((8, 8, 3), np.uint8)], height=8, width=8, num_frames=1, fps=8.0)
    assert depth(black) is black


def test_stabilising_lowers_flicker_without_lag(filmed_clips: Path) -> None:
    clip = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=33)
    before, after = depth(clip), depth(clip, stabilise=0.5)
    flickers = [adherence.flicker(one, flow_of=clip) for one in (before, after)]
    assert flickers[1] < 0.7 * flickers[0]
    assert abs(adherence.lag_frames(before, after)) < 0.05
    with pytest.raises(RequestError, match="The stabilising is 2"):
        depth(clip, stabilise=2.0)


def test_a_render_is_drawn_as_it_is() -> None:
    render = Depths(nearness=np.linspace(0, 1, 2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6), fps=8.0)
    drawn = depth(render, near=100, far=0, convention="near-black")
    assert drawn.frames[0, 0, 0].tolist() == [255] * 3 and drawn.frames[-1, -1, -1].tolist() == [0] * 3
    with pytest.raises(RequestError, match="stabilise is about a filmed clip"):
        depth(render, stabilise=0.5)


def test_numbers_that_are_none_are_told() -> None:
    clip = Clip(frames=np.ones((2, 8, 8, 3), np.uint8), fps=8.0)
    with pytest.raises(RequestError, match="The depth found in frame 0 is not finite"):
        depth(clip, estimator=lambda frames: (np.full((4, 4), np.nan, np.float32) for _ in frames))
