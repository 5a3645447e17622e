"""controls.flow: where pixels were, and what is steadied where that is sure."""

import cv2
import numpy as np
import pytest

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


def test_half_of_a_flash_is_taken_back_and_nothing_without_motion_sure() -> None:
    """At rest the flow is nil and sure: 200 after 100 is shown as 200 - 0.85 * 0.5 * 100."""
    still = [texture()] * 2
    drawn = [np.full((64, 80, 3), level, np.uint8) for level in (100, 200)]
    first, second = stabilised(still, drawn, 0.5)
    assert (first == 100).all()
    assert np.median(second) == round(200 - MAX_SHARE * 0.5 * 100)
    cut = list(stabilised([texture(), 255 - texture()], drawn, 1.0))[1]
    assert np.median(cut) == 200


def test_nothing_is_changed_at_zero() -> None:
    drawn = [texture(), texture(shift=1)]
    assert all(a is b for a, b in zip(stabilised(drawn, drawn, 0.0), drawn, strict=True))
    with pytest.raises(RequestError, match="The stabilising is -1.0; it must lie in"):
        list(stabilised(drawn, drawn, -1.0))
