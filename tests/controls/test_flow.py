"""controls.flow: where pixels were, and what is steadied where that is sure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iclora import adherence, media
from iclora.clip import Clip
from iclora.controls import CONTROLS
from iclora.controls.flow import MAX_SHARE, Motion, moved, stabilised
from iclora.errors import RequestError


def texture(*, shift: int = 0, height: int = 64, width: int = 80) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (height, width + 40, 3))
    picture = (128 + 500 * cv2.GaussianBlur(noise, (0, 0), 3)).clip(0, 255).astype(np.uint8)
    return picture[:, 20 - shift : 20 - shift + width]


@pytest.mark.parametrize("size", [(64, 80), (8, 24), (80, 1100)])
def test_a_shifted_picture_is_found_where_it_was(size: tuple[int, int]) -> None:
    before, now = (texture(shift=shift, height=size[0], width=size[1]) for shift in (0, 3))
    place, sure = Motion(before).step(now)
    assert place.shape == (*size, 2) and sure.shape == size
    if size[0] >= 64:
        columns = np.arange(size[1], dtype=np.float32)
        inner = sure[:, 8:-8]
        assert inner.mean() > 0.8
        assert np.abs(place[:, 8:-8, 0] - (columns - 3)[8:-8])[inner].mean() < 0.5
        assert np.abs(moved(before, place) - now)[:, 8:-8][inner].mean() < 6


def test_a_cut_is_not_sure() -> None:
    _, sure = Motion(texture()).step(255 - texture())
    assert sure.mean() < 0.3


def test_a_flash_is_shared_out_and_nothing_without_motion_sure() -> None:
    """At rest the flow is sure: of each frame 0.85 * 0.5 comes from the other, in one of both ways."""
    still = [texture()] * 2
    drawn = [np.full((64, 80, 3), level, np.uint8) for level in (100, 200)]
    first, second = stabilised(still, drawn, 0.5)
    away = 100 * MAX_SHARE * 0.5 / 2
    assert np.median(first) == round(100 + away) and np.median(second) == round(200 - away)
    cut = list(stabilised([texture(), 255 - texture()], drawn, 1.0))[1]
    assert np.median(cut) == 200


@pytest.mark.parametrize("amount", [0.5, 1.0])
def test_blocks_do_not_show(amount: float) -> None:
    """Plain numbers of another size, over several blocks: as the mean of both ways over the whole clip."""
    share, count = MAX_SHARE * amount, 70
    values = np.random.default_rng(1).normal(size=count).astype(np.float32)
    drawn = [np.full((16, 20), value, np.float32) for value in values]
    steady = np.array([np.median(one) for one in stabilised([texture()] * count, drawn, amount)])
    past, future = values.copy(), values.copy()
    for index in range(1, count):
        past[index] += share * (past[index - 1] - past[index])
        future[-1 - index] += share * (future[-index] - future[-1 - index])
    assert np.abs(steady - (past + future) / 2).max() < 0.03
    assert np.abs(steady[-5:] - (past + future)[-5:] / 2).max() < 1e-5


def test_what_moves_is_not_dragged_and_lags_nowhere() -> None:
    filmed = [texture(shift=shift) for shift in range(12)]
    for before, after in zip(filmed, stabilised(filmed, filmed, 1.0), strict=True):
        assert np.abs(before[:, 16:-16].astype(int) - after[:, 16:-16]).mean() < 6


def test_frames_are_not_all_held() -> None:
    """At 0.5 the first frame comes once five more than ten have been seen."""
    seen = []

    def filmed() -> Iterator[np.ndarray]:
        for index in range(40):
            seen.append(index)
            yield texture()

    first = next(iter(stabilised(filmed(), [np.zeros((8, 8), np.float32)] * 40, 0.5)))
    assert first.shape == (8, 8) and len(seen) == 11


def test_nothing_is_changed_at_zero() -> None:
    drawn = [texture(), texture(shift=1)]
    assert all(a is b for a, b in zip(stabilised(drawn, drawn, 0.0), drawn, strict=True))
    with pytest.raises(RequestError, match="The stabilising is -1.0; it must lie in"):
        list(stabilised(drawn, drawn, -1.0))


# Lines are unblurred here, as then both the averaging of the film and the memory of lines are needed.
@pytest.mark.parametrize(
    ("kind", "dials", "most"),
    [("canny", {"blur": 0.0}, 0.45), ("soft-edges", {}, 0.75), ("line-art", {}, 0.7), ("normals", {}, 0.65)],
)
def test_stabilising_lowers_flicker_without_lag(
    filmed_clips: Path, kind: str, dials: dict[str, Any], most: float
) -> None:
    filmed = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=13)
    noise = np.random.default_rng(0).normal(0, 8, filmed.frames.shape)
    frames = (filmed.frames + noise).clip(0, 255).astype(np.uint8)
    clip = Clip(frames=frames[..., :1].repeat(3, 3) if kind == "normals" else frames, fps=filmed.fps)
    before, after = (CONTROLS[kind](clip, **dials, stabilise=amount) for amount in (0.0, 0.5))
    measure = adherence.line_flicker if kind == "canny" else adherence.flicker
    assert measure(after, flow_of=clip) < most * measure(before, flow_of=clip)
    assert abs(adherence.lag_frames(before, after)) < 0.2
