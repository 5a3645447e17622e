"""controls.canny: lines where steps are, thresholds of the whole clip, one thickness."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iclora import media
from iclora.adherence import line_flicker
from iclora.clip import Audio, Clip
from iclora.controls import CONTROLS, canny, drawing_size
from iclora.controls.canny import BACKENDS, LEAD_IN
from iclora.errors import MissingDependencyError, RequestError


def step_frame(level: int, *, size: int = 16, column: int = 8) -> np.ndarray:
    """Black left of `column`, grey `level` from it on: the 3x3 Sobel measures 4 * level at the step."""
    frame = np.zeros((size, size, 3), np.uint8)
    frame[:, column:] = level
    return frame


def clip_of(*frames: np.ndarray) -> Clip:
    return Clip(frames=np.stack(frames), fps=24.0)


def test_table_names_canny() -> None:
    assert CONTROLS["canny"] is canny


def test_step_becomes_one_column_of_white_beside_it() -> None:
    lines = canny(clip_of(step_frame(200)), blur=0.0).frames[0]
    assert np.unique(lines).tolist() == [0, 255]
    assert (lines[..., 0] == lines[..., 1]).all() and (lines[..., 0] == lines[..., 2]).all()
    columns = np.flatnonzero(lines[..., 0].any(axis=0))
    assert columns.size == 1 and columns[0] in (7, 8)
    assert (lines[:, columns[0], 0] == 255).all()


@pytest.mark.parametrize(("high", "num_lines"), [(39.0, 1), (41.0, 0)])
def test_thresholds_are_sobel_magnitudes(high: float, num_lines: int) -> None:
    """A step of 10 grey levels measures 40."""
    lines = canny(clip_of(step_frame(10)), blur=0.0, low=high, high=high)
    assert int(lines.frames[0, 5, :, 0].sum()) == 255 * num_lines


def test_low_keeps_what_joins_a_strong_line() -> None:
    """The step fades downwards from 400 by 20 a row."""
    frame = step_frame(100)
    frame[:, 8:] -= (5 * np.arange(16, dtype=np.uint8))[:, None, None]
    both = canny(clip_of(frame), blur=0.0, low=50.0, high=300.0).frames[0, :, 7:9, 0].any(axis=1)
    strong_only = canny(clip_of(frame), blur=0.0, low=300.0, high=300.0).frames[0, :, 7:9, 0].any(axis=1)
    assert both.all()
    assert strong_only[:5].all() and not strong_only[6:].any()


def test_automatic_thresholds_come_from_the_whole_clip() -> None:
    """A step that stands out alone is weak beside a frame of strong texture; and no frame flickers."""
    texture = np.repeat(np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8), 3, axis=2)
    weak = step_frame(50)
    assert canny(clip_of(weak), blur=0.0).frames.any()
    lines = canny(clip_of(texture, weak), blur=0.0).frames
    assert lines[0].any() and not lines[1].any()


def test_flat_grainy_clip_has_no_lines() -> None:
    grain = np.random.default_rng(0).integers(126, 131, (3, 32, 32, 1), np.uint8).repeat(3, axis=3)
    assert not canny(Clip(frames=grain, fps=24.0)).frames.any()


def test_given_low_above_the_automatic_high_is_met() -> None:
    assert not canny(clip_of(step_frame(100)), blur=0.0, low=500.0).frames.any()


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("thickness", [1, 3, 5])
def test_thickness_in_pixels_whatever_the_size(size: int, thickness: int) -> None:
    lines = canny(clip_of(step_frame(200, size=size, column=size // 2)), thickness=thickness).frames[0]
    assert ((lines[..., 0] > 0).sum(axis=1) == thickness).all()


def test_rate_sound_and_input_are_kept() -> None:
    audio = Audio(samples=np.zeros((1, 10), np.float32), sample_rate=16000)
    clip = Clip(frames=step_frame(200)[None], fps=12.5, audio=audio)
    before = clip.frames.copy()
    lines = canny(clip)
    assert lines.fps == 12.5 and lines.audio is audio
    assert np.array_equal(clip.frames, before)


def test_progress_counts_every_frame() -> None:
    seen: list[tuple[int, int | None]] = []
    canny(clip_of(step_frame(9), step_frame(9)), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blur": -1.0}, "The blur is -1.0 pixels; it must be 0"),
        ({"blur": 1e9}, "The blur is 1000000000.0 pixels; it must be 0 .none. to 100"),
        ({"thickness": 1000}, "The line thickness is 1000 pixels; .* from 1 up, at most 512"),
        ({"thickness": 0}, "The line thickness is 0 pixels; it must be a whole number from 1 up"),
        ({"low": -5.0}, "The threshold 'low' is -5.0; give 0 or more"),
        ({"low": 9.0, "high": 5.0}, r"The threshold 'low' \(9.0\) is above 'high' \(5.0\)"),
    ],
)
def test_numbers_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        canny(clip_of(step_frame(9)), **options)


def film() -> Clip:
    """Smooth shapes with grain on them."""
    noise = np.random.default_rng(3).normal(0, 1, (6, 48, 64, 3))
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 3) for frame in noise[:1].repeat(6, axis=0)])
    return Clip(frames=(128 + 400 * soft + 4 * noise).clip(0, 255).astype(np.uint8), fps=12.0)


def test_presets_are_the_released_ones() -> None:
    """The trainer's script and the workflow's node pass the frame to cv2.Canny as it is."""
    for lines, frame in zip(canny(film(), preset="trainer").frames, film().frames, strict=True):
        assert np.array_equal(lines[..., 0], cv2.Canny(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 100, 200))
    for lines, frame in zip(canny(film(), preset="union").frames, film().frames, strict=True):
        assert np.array_equal(lines[..., 0], cv2.Canny(frame, 92, 200))


def test_the_size_a_preset_draws_at() -> None:
    assert drawing_size("union", 704, 1216) == (512, 884)
    assert drawing_size("union", 320, 256) == (640, 512)
    assert drawing_size("ltx-2", 704, 1216) == drawing_size("auto", 704, 1216) == (704, 1216)


def published_canny(frame: np.ndarray, low: float, high: float) -> np.ndarray:
    """Canny as kornia documents it, in floats of 0..1: what ComfyUI's own node draws.

    Grey, a Gaussian of deviation 1 and 5 taps, Sobel, ridges along the nearest of four directions, and what
    is above `low` and joined to something above `high`.
    """

    def filtered(picture: np.ndarray, taps: Sequence[float], axis: int, mode: Any) -> np.ndarray:
        reach = [(0, 0), (0, 0)]
        reach[axis] = (len(taps) // 2,) * 2
        padded, length = np.pad(picture, reach, mode=mode), picture.shape[axis]
        parts = (tap * padded.take(range(at, at + length), axis) for at, tap in enumerate(taps))
        return np.sum(list(parts), axis=0)

    bell = np.exp(-(np.arange(-2.0, 3) ** 2) / 2)
    grey = frame / 255 @ np.array([0.299, 0.587, 0.114])
    for axis in (0, 1):
        grey = filtered(grey, bell / bell.sum(), axis, "reflect")
    across = filtered(filtered(grey, (1, 2, 1), 0, "edge"), (-1, 0, 1), 1, "edge")
    down = filtered(filtered(grey, (1, 2, 1), 1, "edge"), (-1, 0, 1), 0, "edge")
    size, way = np.hypot(across, down), np.rint(np.degrees(np.arctan2(down, across)) / 45).astype(int) % 4
    beyond, (rows, columns) = np.pad(size, 1), size.shape
    ridge = np.zeros(size.shape, bool)
    for number, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        one = beyond[1 + y : 1 + y + rows, 1 + x : 1 + x + columns]
        other = beyond[1 - y : 1 - y + rows, 1 - x : 1 - x + columns]
        ridge |= (way == number) & (size > one) & (size > other)
    _, groups = cv2.connectedComponents(np.uint8(ridge & (size > low)), connectivity=8)
    return np.isin(groups, np.setdiff1d(groups[ridge & (size > high)], [0]))


def test_the_preset_of_the_ltx_2_workflows_is_canny_as_published(filmed_clips: Path) -> None:
    """0.4 and 0.8 of white; the fractions that are left differ in a pixel of a thousand at most."""
    for name in ("bikes", "bigbuckbunny"):
        frame = media.read(filmed_clips / f"{name}.mp4", max_frames=9).frames[-1]
        ours = canny(clip_of(frame), preset="ltx-2").frames[0, ..., 0] > 0
        expected = published_canny(frame, 0.4, 0.8)
        assert expected.sum() > 50
        assert (ours & expected).sum() >= 0.998 * (ours | expected).sum()


def test_another_blur_takes_the_ltx_2_preset_at_its_thresholds_only() -> None:
    clip = clip_of(step_frame(30), step_frame(60))  # unblurred 120 and 240
    same = canny(clip, low=102.0, high=204.0, blur=0.0)
    assert np.array_equal(canny(clip, preset="ltx-2", blur=0.0).frames, same.frames)
    assert [frame.any() for frame in same.frames] == [False, True]


def test_a_dial_overrides_its_preset() -> None:
    gentle = canny(film(), preset="trainer", high=50.0).frames[0, ..., 0]
    grey = cv2.cvtColor(film().frames[0], cv2.COLOR_RGB2GRAY)
    assert np.array_equal(gentle, cv2.Canny(grey, 50, 50))


def test_short_lines_are_left_out() -> None:
    frame = step_frame(200, size=32, column=20)
    frame[5, 5] = 255
    assert canny(clip_of(frame), blur=0.0).frames[0, 3:8, 3:8].any()
    lines = canny(clip_of(frame), blur=0.0, min_length=16).frames[0]
    assert not lines[:, :16].any() and (lines[..., 0] > 0).sum() == 32


def test_a_line_that_was_there_stays_below_the_threshold_and_a_new_one_does_not_come() -> None:
    """Unblurred a step of 40 measures 160, one of 22 measures 88; `high` 100 falls to 80 or rises to 120."""
    fading = clip_of(step_frame(40), step_frame(22), step_frame(22))
    dials = {"blur": 0.0, "low": 100.0, "high": 100.0}
    assert [frame.any() for frame in canny(fading, **dials).frames] == [True, False, False]
    assert [frame.any() for frame in canny(fading, **dials, stabilise=0.5).frames] == [True, True, True]
    coming = clip_of(*[step_frame(22)] * (LEAD_IN + 2), step_frame(28))
    assert canny(coming, **dials).frames[-1].any()
    assert not canny(coming, **dials, stabilise=0.5).frames.any()


def grainy(num_frames: int) -> Clip:
    """A step that grain hides and shows: it measures 96 unblurred, the grain's spread is a third of that."""
    frames = np.repeat(step_frame(24, size=96, column=48)[None], num_frames, axis=0).astype(float) + 60
    grain = np.random.default_rng(0).normal(0, 5, frames.shape[:3])
    return Clip(frames=(frames + grain[..., None]).clip(0, 255).astype(np.uint8), fps=24.0)


@pytest.mark.parametrize("stabilise", [0.5, 1.0])
def test_stabilised_lines_are_whole_from_the_first_frame_on(stabilise: float) -> None:
    """Of 96 pixels; and what is played before the film is not drawn."""
    dials = {"blur": 0.0, "low": 95.0, "high": 115.0}
    raw, steady = canny(grainy(20), **dials), canny(grainy(20), **dials, stabilise=stabilise)
    assert steady.frames.shape == raw.frames.shape
    broken, whole = ((clip.frames[..., 0] > 0).sum(axis=(1, 2)) for clip in (raw, steady))
    assert broken.max() < 90 and 90 <= whole.min() and whole.max() <= 105
    assert line_flicker(steady, flow_of=grainy(20)) < 0.1 * line_flicker(raw, flow_of=grainy(20))


def test_scikit_image_finds_nearly_the_same_lines() -> None:
    pytest.importorskip("skimage")
    dials = {"low": 30.0, "high": 60.0, "blur": 1.5}
    ours, theirs = (canny(film(), **dials, backend=name).frames[..., 0] for name in BACKENDS)
    near = np.stack([cv2.dilate(lines, np.ones((3, 3), np.uint8)) for lines in ours])
    assert (near[theirs > 0] > 0).mean() > 0.9 and 0.8 < (ours > 0).sum() / (theirs > 0).sum() < 1.25


def test_a_missing_backend_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'iclora\[scikit-image\]'"):
        canny(film(), backend="scikit-image")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "best"}, "There is no preset 'best'; choose one of auto, union, ltx-2, trainer"),
        ({"backend": "gpu"}, "There is no backend 'gpu'; choose one of opencv, scikit-image"),
        ({"min_length": -1}, "The least length of a line is -1 pixels"),
        ({"preset": "union", "backend": "scikit-image"}, "The preset 'union' is OpenCV's own"),
        ({"stabilise": 1.5}, "The stabilising is 1.5; it must lie in 0..1"),
    ],
)
def test_words_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        canny(film(), **options)
