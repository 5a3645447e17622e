"""controls.plain: luma, blur, blocks and green, by hand; a film gives what its clip does."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from iclora.clip import Clip, Film, Frames
from iclora.controls import CONTROLS, blocks, blur, green, grey
from iclora.errors import RequestError


def clip_of(frames: np.ndarray) -> Clip:
    return Clip(frames=frames, fps=12.0)


def film_of(clip: Clip) -> Film:
    frames = Frames(lambda: iter(clip.frames))
    return Film(frames=frames, height=clip.height, width=clip.width, num_frames=clip.num_frames, fps=clip.fps)


def noise(*, num_frames: int = 3, height: int = 24, width: int = 32) -> Clip:
    return clip_of(np.random.default_rng(0).integers(0, 256, (num_frames, height, width, 3), np.uint8))


def test_grey_is_luma() -> None:
    """Rec. 601: 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2."""
    picture = grey(clip_of(np.full((1, 2, 2, 3), (200, 100, 50), np.uint8)))
    assert (picture.frames == 124).all()


def test_blur_spreads_a_point_and_keeps_a_plane() -> None:
    frames = np.zeros((1, 33, 33, 3), np.uint8)
    frames[0, 16, 16] = 255
    spread = blur(clip_of(frames), radius=1.0).frames[0, ..., 0]
    assert spread[16, 16] in (40, 41) and spread[16, 18] in (5, 6)  # 255 / (2 pi), and that times exp(-2)
    plane = clip_of(np.full((1, 9, 9, 3), 77, np.uint8))
    assert (blur(plane).frames == 77).all()


def test_blocks_are_means() -> None:
    frames = np.zeros((1, 4, 8, 3), np.uint8)
    frames[0, :, 4:6] = (100, 0, 40)
    assert (blocks(clip_of(frames), block=4).frames[0, :, :4] == 0).all()
    assert (blocks(clip_of(frames), block=4).frames[0, :, 4:] == (50, 0, 20)).all()


def test_green_where_the_clip_is_black_or_the_mask_white() -> None:
    frames = np.full((2, 2, 4, 3), 90, np.uint8)
    frames[:, :, 0] = (8, 3, 0)
    painted = green(clip_of(frames)).frames
    assert (painted[:, :, 0] == (0, 255, 0)).all() and (painted[:, :, 1:] == 90).all()
    still = np.zeros((1, 2, 4, 3), np.uint8)
    still[0, 1, 3] = 255
    painted = green(clip_of(frames), mask=clip_of(still)).frames
    assert (painted[:, 1, 3] == (0, 255, 0)).all()
    assert (painted != frames).any(axis=3).sum() == 2
    assert np.array_equal(green(film_of(clip_of(frames)), mask=clip_of(still)).read().frames, painted)


def test_green_has_a_mask_for_each_frame_and_holds_none() -> None:
    clip = noise(num_frames=6)
    given: list[weakref.ref[np.ndarray]] = []
    held = []

    def masks() -> Iterator[np.ndarray]:
        for index in range(6):
            mask = np.zeros((24, 32, 3), np.uint8)
            mask[:, index] = 255
            given.append(weakref.ref(mask))
            yield mask

    mask = Film(frames=Frames(masks), height=24, width=32, num_frames=6, fps=12.0)
    for index, frame in enumerate(green(film_of(clip), mask=mask).frames):
        assert (frame[:, index] == (0, 255, 0)).all()
        held.append(sum(one() is not None for one in given))
    assert len(held) == 6 and max(held) <= 2


@pytest.mark.parametrize("name", ["blocks", "blur", "canny", "green", "grey", "line-art", "soft-edges"])
def test_a_film_gives_what_its_clip_does(name: str) -> None:
    clip = noise()
    drawn = CONTROLS[name](film_of(clip))
    assert isinstance(drawn, Film) and drawn.fps == 12.0 and drawn.audio is None
    for _ in range(2):
        assert np.array_equal(drawn.read().frames, CONTROLS[name](clip).frames)
    assert drawn.read(2).num_frames == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("blur", {"radius": 0.0}, "The blur's radius is 0.0 pixels; give more than 0"),
        ("blocks", {"block": 0}, "The side of a block is 0 pixels; give a whole number from 1 up"),
        ("green", {"mask": noise(num_frames=2)}, "The mask has 2 frames of 32x24, but the clip 3 of 32x24"),
        ("line-art", {"width": 99.0}, "The width or blur is 99.0 pixels; give more than 0"),
        ("soft-edges", {"stabilise": 2.0}, "The stabilising is 2.0; it must lie in 0..1"),
        ("normals", {"relief": 0.0}, "The relief is 0.0; give more than 0 and at most 100"),
        ("normals", {}, "made of a depth picture, and this clip has colours"),
    ],
)
def test_bad_dials_are_named(name: str, options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        CONTROLS[name](noise(), **options)
