"""controls.poses.tiles: squares that cover a picture, and which of them are looked at."""

import numpy as np
import pytest

from iclora.controls.poses.tiles import MIN_SIDE_PX, PER_FRAME, SIDES, Watch, tiles


@pytest.mark.parametrize(("height", "width"), [(576, 768), (1080, 1920), (1000, 512)])
def test_every_small_square_of_the_picture_lies_wholly_in_a_tile(height: int, width: int) -> None:
    """Tiles overlap by half, so whatever is half as large as a tile is whole in one."""
    for share in SIDES:
        side = round(share * min(height, width))
        placed = [tile for tile in tiles(height, width) if tile.side == side]
        if side < MIN_SIDE_PX:
            assert placed == []
            continue
        assert all(0 <= one.left <= width - side and 0 <= one.top <= height - side for one in placed)
        half = side // 2 - 1
        for top in range(0, height - half, 7):
            for left in range(0, width - half, 7):
                assert any(
                    one.left <= left and left + half <= one.left + side and one.top <= top
                    and top + half <= one.top + side
                    for one in placed
                )  # fmt: skip


def test_a_small_picture_has_no_tiles() -> None:
    assert tiles(240, 320) == []
    assert [one.side for one in tiles(400, 400)] == [180] * 16


def test_the_first_frame_is_gone_through_and_then_only_what_changes() -> None:
    frame, watch = np.zeros((576, 768, 3), np.uint8), Watch()
    everything = tiles(576, 768)
    assert watch.due(frame, lambda _: True) == everything
    assert watch.due(frame, lambda _: True) == []
    frame = frame.copy()
    frame[450:, 600:] = 255
    first = watch.due(frame, lambda _: True)
    assert len(first) == PER_FRAME
    assert all(tile.left + tile.side > 600 and tile.top + tile.side > 450 for tile in first)
    second = watch.due(frame, lambda _: True)
    assert second and not set(second) & set(first)


def test_grain_is_no_change_and_waiting_counts() -> None:
    rng, watch = np.random.default_rng(0), Watch()
    frame = rng.integers(100, 104, (576, 768, 3), np.uint8)
    watch.due(frame, lambda _: True)
    assert watch.due(rng.integers(100, 104, (576, 768, 3), np.uint8), lambda _: True) == []
    brighter = frame + np.uint8(50)
    everything, waiting = tiles(576, 768), 0
    for _ in range(-(-len(everything) // PER_FRAME)):
        waiting += len(watch.due(brighter, lambda _: True))
    assert waiting == len(everything)


def test_squares_that_are_not_wanted_stay_to_be_looked_at() -> None:
    frame, watch = np.zeros((576, 768, 3), np.uint8), Watch()
    large = watch.due(frame, lambda tile: tile.side > 200)
    assert large and all(tile.side > 200 for tile in large)
    later = watch.due(frame, lambda _: True)
    assert len(later) == PER_FRAME and all(tile.side < 200 for tile in later)
