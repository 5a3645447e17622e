"""controls.poses.smoothing: less jitter, no lag, and the figures that say so."""

from dataclasses import replace

import numpy as np
import pytest

from iclora.controls.poses import Poses, flicker, lag_frames, one_euro, smooth_poses
from iclora.controls.poses.smoothing import SPEED_GAIN, fill_gaps
from iclora.errors import RequestError
from tests.controls.poses.people import person, poses_of

FPS = 24.0


def waving(num_frames: int = 72, *, noise_px: float = 0.0, hertz: float = 0.75) -> Poses:
    """Somebody who sways 30 pixels to each side, with jitter on every point."""
    random = np.random.default_rng(0)
    frames = []
    for frame in range(num_frames):
        somebody = person(60 + 30 * np.sin(2 * np.pi * hertz * frame / FPS))
        somebody[:18, :2] += random.normal(0, noise_px, (18, 2)).astype(np.float32)
        frames.append([somebody])
    return poses_of(*frames, fps=FPS)


def causal(poses: Poses) -> Poses:
    """The filter run forwards only, as a live view has to."""
    points = poses.points.copy()
    for number in range(18):
        track = points[:, 0, number, :2].astype(np.float64) / 113
        track = one_euro(track, fps=FPS, min_cutoff_hz=1.8, speed_gain=SPEED_GAIN)
        points[:, 0, number, :2] = track * 113
    return Poses(points=points, height=poses.height, width=poses.width, fps=poses.fps)


def test_one_euro_by_hand() -> None:
    """At rest an exponential filter: a cut-off of fps / 2 pi lets half of a step in."""
    step = np.array([[0.0], [1.0], [1.0], [1.0]])
    filtered = one_euro(step, fps=FPS, min_cutoff_hz=FPS / (2 * np.pi), speed_gain=0.0)
    assert filtered[:, 0].tolist() == pytest.approx([0, 0.5, 0.75, 0.875])


def test_one_euro_lets_go_of_what_moves() -> None:
    ramp = np.linspace(0, 10, 24)[:, None]
    slow = one_euro(ramp, fps=FPS, min_cutoff_hz=1.0, speed_gain=0.0)
    quick = one_euro(ramp, fps=FPS, min_cutoff_hz=1.0, speed_gain=10.0)
    assert abs(quick[-1, 0] - 10) < abs(slow[-1, 0] - 10) / 5


def test_many_points_are_filtered_as_each_alone() -> None:
    moving = np.random.default_rng(0).normal(0, 1, (30, 4, 2)).cumsum(axis=0)
    settings = {"fps": FPS, "min_cutoff_hz": 1.0, "speed_gain": 2.0}
    together = one_euro(moving, **settings)
    for number in range(4):
        assert np.allclose(together[:, number], one_euro(moving[:, number], **settings), rtol=0, atol=1e-12)


def test_a_point_begins_anew() -> None:
    """The first of two begins again in its fourth frame, without a speed from before."""
    step = np.array([[0, 0], [1, 1], [1, 1], [9, 1], [10, 1]], float)[..., None]
    starts = np.zeros((5, 2), bool)
    starts[3, 0] = True
    filtered = one_euro(step, fps=FPS, min_cutoff_hz=FPS / (2 * np.pi), speed_gain=0.0, starts=starts)
    assert filtered[:, 0, 0].tolist() == pytest.approx([0, 0.5, 0.75, 9, 9.5])
    assert filtered[:, 1, 0].tolist() == pytest.approx([0, 0.5, 0.75, 0.875, 0.9375])
    quick = one_euro(step, fps=FPS, min_cutoff_hz=1.0, speed_gain=5.0, starts=starts)
    fresh = one_euro(step[3:], fps=FPS, min_cutoff_hz=1.0, speed_gain=5.0)
    assert np.allclose(quick[3:, 0], fresh[:, 0])


def test_each_point_is_calmed_while_it_is_there() -> None:
    """One that comes and goes is filtered in each stretch as if that were the whole clip."""
    shaky = waving(40, noise_px=1.0)
    shaky.points[12:20, 0, 4] = 0
    calm = smooth_poses(shaky, 0.5).points[:, 0, 4]
    assert not calm[12:20].any()
    for stretch in (slice(0, 12), slice(20, 40)):
        points = shaky.points.copy()
        points[:, 0, 4] = 0
        points[stretch, 0, 4] = shaky.points[stretch, 0, 4]
        alone = smooth_poses(replace(shaky, points=points), 0.5).points[stretch, 0, 4]
        assert np.allclose(calm[stretch], alone, atol=0.02)  # the person's usual size differs a little


def test_smoothing_lowers_flicker_without_lag() -> None:
    shaky = waving(noise_px=1.0, hertz=0.3)
    calm = smooth_poses(shaky, 0.5)
    assert flicker(calm) < 0.5 * flicker(shaky)
    assert abs(lag_frames(shaky, calm)) < 0.1
    assert lag_frames(shaky, causal(shaky)) > 5 * abs(lag_frames(shaky, calm))


def test_motion_is_kept() -> None:
    still, calm = waving(), smooth_poses(waving(), 0.5)
    inside = slice(6, -6)
    error = np.abs(calm.body[inside, 0, :, 0] - still.body[inside, 0, :, 0]).max()
    assert error < 0.06 * 60


@pytest.mark.parametrize("amount", [0.25, 0.5, 1.0])
def test_more_is_calmer(amount: float) -> None:
    shaky = waving(noise_px=1.0, hertz=0.0)
    assert flicker(smooth_poses(shaky, amount)) < flicker(smooth_poses(shaky, amount - 0.2))


def test_none_changes_nothing_and_out_of_range_is_named() -> None:
    poses = waving(8, noise_px=1.0)
    assert smooth_poses(poses, 0.0) is poses
    with pytest.raises(RequestError, match=r"The smoothing is 1.5; it must lie in 0\.\.1"):
        smooth_poses(poses, 1.5)


def test_smoothing_does_not_leap_over_long_gaps() -> None:
    """Somebody who is gone for 10 frames and comes back elsewhere."""
    gone = np.zeros((130, 3), np.float32)
    poses = poses_of(*[[person(0)]] * 5, *[[gone]] * 10, *[[person(60)]] * 5, fps=FPS)
    assert np.allclose(smooth_poses(poses, 1.0).points, poses.points, atol=1e-4)


@pytest.mark.parametrize(("gap", "filled"), [(3, True), (4, False)])
def test_short_gaps_are_filled_on_the_straight_way(gap: int, filled: bool) -> None:
    gone = np.zeros((130, 3), np.float32)
    points = fill_gaps(poses_of([person(0)], *[[gone]] * gap, [person(40, score=0.5)]).points)
    assert (points[1, 0, 0, 2] > 0) == filled
    if filled:
        assert points[2, 0, 0].tolist() == pytest.approx([70, 10, 0.7])
    assert not points[:, 0, 18:].any()


def test_flicker_by_hand() -> None:
    """Every other frame 2 px off: each point lies 2 px from the middle of its neighbours, of 113."""
    poses = poses_of(*([person(2 * (frame % 2))] for frame in range(6)))
    assert flicker(poses) == pytest.approx(100 * 2 / 113, rel=1e-4)
    steady = poses_of(*([person(5 * frame)] for frame in range(6)))
    assert flicker(steady) == pytest.approx(0, abs=1e-4)
    assert flicker(poses_of([person()])) == 0


def test_flicker_does_not_depend_on_what_is_not_seen() -> None:
    """Guessed legs far below the picture make nobody larger: 2 px of what is seen, 63 px high."""
    frames = []
    for frame in range(6):
        somebody = person(2 * (frame % 2))
        somebody[[9, 10, 12, 13], 2] = 0.1
        frames.append([somebody])
    assert flicker(poses_of(*frames)) == pytest.approx(100 * 2 / 63, rel=1e-4)


def test_lag_by_hand() -> None:
    poses = waving()
    late = Poses(points=np.roll(poses.points, 2, axis=0), height=130, width=200, fps=FPS)
    assert lag_frames(poses, late) == pytest.approx(2, abs=0.1)
    assert lag_frames(late, poses) == pytest.approx(-2, abs=0.1)
    assert lag_frames(poses, poses) == pytest.approx(0, abs=0.01)
    assert lag_frames(poses_of([person()]), poses_of([person()])) == 0


def test_filled_gaps_do_not_count_as_flicker() -> None:
    """Somebody stands, is gone for a frame and stands 100 px farther on: only the filled frame moves."""
    gone = np.zeros((130, 3), np.float32)
    found = poses_of(*[[person(0)]] * 3, [gone], *[[person(100)]] * 3)
    filled = replace(found, points=fill_gaps(found.points))
    assert flicker(found) == flicker(filled, seen_in=found) == 0
    assert flicker(filled) > 5


def test_people_who_share_a_place_are_steadied_each_for_themselves() -> None:
    """As if each had a place of their own, whatever the size of the other."""
    random, nobody = np.random.default_rng(0), 0 * person()
    small, large = ([person(40 + random.normal(), scale=scale) for _ in range(10)] for scale in (0.2, 1.0))
    shared = poses_of(*[[one] for one in [*small, *[nobody] * 48, *large]])
    apart = poses_of(
        *[[one, nobody] for one in small], *[[nobody, nobody]] * 48, *[[nobody, one] for one in large]
    )
    calm, alone = smooth_poses(shared, 0.5), smooth_poses(apart, 0.5)
    assert np.array_equal(calm.points[:, 0], alone.points.sum(axis=1))
    assert not calm.points[10:58, :, :, 2].any()
    assert flicker(shared) == pytest.approx(flicker(apart))
    assert lag_frames(shared, calm) == lag_frames(apart, alone)
