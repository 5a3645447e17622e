"""controls.depths.windows: which frames are shown together, and one scale for all of them."""

import numpy as np
import pytest

from iclora.controls.depths.windows import by_windows, joined


def numbered(count: int) -> list[np.ndarray]:
    """Pictures that hold their number and a gradient."""
    return [np.array([[index, index + 0.5], [index + 1, index + 2]], np.float32) for index in range(count)]


def shown(count: int, **settings: object) -> list[list[int]]:
    """The frames of each window."""
    windows = []

    def look(pictures: list[np.ndarray]) -> np.ndarray:
        windows.append([int(picture[0, 0]) for picture in pictures])
        return np.stack(pictures)

    assert len(list(by_windows(numbered(count), look, **settings))) == count  # type: ignore[arg-type]
    return windows


def test_windows_overlap() -> None:
    assert shown(10, length=4, overlap=1) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert shown(9, length=4, overlap=0) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert shown(2, length=4, overlap=1) == [[0, 1]] and shown(0, length=4, overlap=1) == []


def test_windows_begin_with_anchors() -> None:
    windows = shown(15, length=7, overlap=2, anchors=(0, 3))
    assert windows == [
        [0, 1, 2, 3, 4, 5, 6],
        [0, 3, 5, 6, 7, 8, 9],
        [0, 6, 8, 9, 10, 11, 12],
        [0, 9, 11, 12, 13, 14],
    ]


@pytest.mark.parametrize("anchors", [(), (0, 3)])
@pytest.mark.parametrize("count", [1, 6, 7, 8, 20, 37])
def test_all_is_on_the_scale_of_the_first_window(count: int, anchors: tuple[int, ...]) -> None:
    scales = iter([(2.0, 1.0), (0.1, 5.0), (7.0, -3.0)] * 9)

    def look(pictures: list[np.ndarray]) -> np.ndarray:
        scale, shift = next(scales)
        return np.asarray(scale * np.stack(pictures) + shift, np.float32)

    found = np.stack(list(by_windows(numbered(count), look, length=7, overlap=2, anchors=anchors)))
    assert np.allclose(found, 2 * np.stack(numbered(count)) + 1, rtol=1e-3, atol=1e-3)


def test_a_window_is_scaled_shifted_and_faded_in() -> None:
    rising = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    tail = 3 * rising[:2] + 5
    assert np.allclose(joined(tail, rising), 3 * rising + 5, atol=1e-5)
    # One that says the contrary keeps its own scale, and a flat one too; their means meet.
    contrary = joined(tail, -rising)
    assert np.allclose(contrary[2:], -rising[2:] + 6.5 + 0.5, atol=1e-5)
    flat = joined(tail, np.ones((3, 2, 2), np.float32))
    assert np.allclose(flat[2], 6.5) and np.allclose(flat[0], (2 * tail[0] + 6.5) / 3)


def test_what_is_below_the_least_is_cut_before_it_is_mixed() -> None:
    numbers = np.array([0, 2, -5, -6, 1], np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    known = np.concatenate([numbers[:2], numbers[1:2]])  # two anchors, said alike, and a frame of the overlap
    for least, expected in ((-np.inf, [0, 2, (-5 + 2) / 2, -6, 1]), (0.0, [0, 2, (0 + 2) / 2, 0, 1])):
        found = joined(known, numbers, num_anchors=2, least=least)
        assert np.allclose(found[:, 0, 0], expected, atol=1e-5)


def test_anchors_alone_say_the_scale() -> None:
    rising = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    known = np.concatenate([3 * rising[:2] + 5, rising[2:3] + 1])  # the anchors, and a frame of the overlap
    found = joined(known, rising, num_anchors=2)
    assert np.allclose(found[:, 0, 0], [5, 8, (3 + 11) / 2, 14, 17], atol=1e-5)
