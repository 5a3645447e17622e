"""adherence.depth: ramps whose order and scale are known."""

import numpy as np
import pytest

from iclora import adherence
from iclora.adherence.depth import scaled_error
from iclora.errors import NothingToFollowError, RequestError

RAMP = np.tile(np.arange(4, dtype=np.float32), (2, 1))


def clip(*frames: np.ndarray) -> np.ndarray:
    return np.stack(frames).astype(np.float32)


def test_scale_and_shift_do_not_count() -> None:
    score = adherence.depth(clip(RAMP, RAMP), clip(7 * RAMP + 3, 0.1 * RAMP - 9))
    assert score.rank == pytest.approx(1) and score.frame_rank == pytest.approx((1, 1))
    assert score.error == pytest.approx(0, abs=1e-6)
    assert score.clip_error > 0.5  # but the scale changes from frame to frame


def test_the_wrong_way_round() -> None:
    score = adherence.depth(clip(RAMP), clip(-RAMP))
    assert score.rank == pytest.approx(-1) and score.error == 1.0


def test_what_the_best_fit_leaves() -> None:
    """0, 1, 2, 3 against 0, 1, 3, 2: correlation 0.8 in values and in ranks, so sqrt(1 - 0.64) is left."""
    score = adherence.depth(clip(RAMP), clip(RAMP[:, [0, 1, 3, 2]]))
    assert score.rank == pytest.approx(0.8)
    assert score.error == pytest.approx(0.6) and score.clip_error == pytest.approx(0.6)


def test_a_bend_changes_the_error_and_not_the_order() -> None:
    score = adherence.depth(clip(RAMP), clip(RAMP**3))
    assert score.rank == pytest.approx(1) and 0.2 < score.error < 0.6


def test_flat_frames_are_left_out_and_flat_results_follow_nothing() -> None:
    score = adherence.depth(clip(RAMP, 0 * RAMP), clip(RAMP, RAMP))
    assert score.frame_rank == (pytest.approx(1), None) and score.rank == pytest.approx(1)
    blank = adherence.depth(clip(RAMP), clip(0 * RAMP))
    assert blank.rank == 0.0 and blank.error == 1.0
    with pytest.raises(NothingToFollowError, match="flat there"):
        adherence.depth(clip(0 * RAMP), clip(RAMP))


def test_a_part_counts_alone() -> None:
    result = RAMP[:, [0, 1, 3, 2]]
    left = np.zeros((1, 2, 4), bool)
    left[..., :2] = True
    assert adherence.depth(clip(RAMP), clip(result), where=left).rank == pytest.approx(1)
    assert adherence.depth(clip(RAMP), clip(result), where=~left).rank == pytest.approx(-1)
    with pytest.raises(NothingToFollowError):
        adherence.depth(clip(RAMP), clip(RAMP), where=np.zeros_like(left))


def test_shapes_must_agree(unchecked_shapes: None) -> None:
    with pytest.raises(RequestError, match="one size and length"):
        adherence.depth(clip(RAMP), clip(RAMP, RAMP))


def test_scaled_error_of_numbers_worked_out_by_hand() -> None:
    # -1, 0, 1 against -1, 2, -1: no correlation at all. Against 0, 0, 1: 0.866 of 1.
    wanted = np.array([-1.0, 0, 1])
    assert scaled_error(wanted, np.array([-1.0, 2, -1])) == pytest.approx(1)
    assert scaled_error(wanted, np.array([0.0, 0, 1])) == pytest.approx(0.5)


def test_rank_correlation() -> None:
    values = np.array([1.0, 2, 3, 4])
    assert adherence.rank_correlation(values, values**3) == pytest.approx(1)
    assert adherence.rank_correlation(values, -values) == pytest.approx(-1)
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    assert adherence.rank_correlation(np.array([1.0, 5, 5, 9]), values) == pytest.approx(
        4.5 / np.sqrt(4.5 * 5)
    )
    assert adherence.rank_correlation(np.ones(4), values) == 0
