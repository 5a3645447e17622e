"""adherence.leak: drawings mixed into films by known shares, and films without a trace of them."""

from pathlib import Path

import numpy as np
import pytest

from iclora import adherence, controls, media
from iclora.clip import Clip
from iclora.errors import RequestError


@pytest.fixture(scope="module")
def film(filmed_clips: Path) -> Clip:
    film = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=9)
    return media.resize(film, 256, 256)


def mixed(film: Clip, drawing: Clip, share: float) -> Clip:
    frames = (1 - share) * film.frames.astype(float) + share * drawing.frames
    return Clip(frames=np.rint(frames).astype(np.uint8), fps=film.fps)


@pytest.mark.parametrize("kind", ["canny", "tracks"])
def test_the_share_of_a_drawing_is_told(film: Clip, kind: str) -> None:
    """Its own control fits a film as well as any result could, and yet does not show in it."""
    drawing = controls.CONTROLS[kind](film)
    for share in (0.0, 0.1, 0.3, 0.6):
        assert adherence.leak(drawing, mixed(film, drawing, share)) == pytest.approx(share, abs=0.03)
    assert adherence.leak(drawing, drawing) == pytest.approx(1)


def test_a_large_picture_is_told_alike(film: Clip) -> None:
    drawing = media.resize(controls.tracks(film), 512, 512)
    large = mixed(media.resize(film, 512, 512), drawing, 0.3)
    assert adherence.leak(drawing, large) == pytest.approx(0.3, abs=0.03)


def test_a_result_that_is_the_depth_map_is_told(film: Clip) -> None:
    drawing = controls.depth(film)
    assert adherence.leak(drawing, film) == 0.0
    assert adherence.leak(drawing, mixed(film, drawing, 0.8)) > 0.5
    assert adherence.leak(drawing, drawing) == pytest.approx(1)


def test_black_and_blank_leak_nothing(film: Clip) -> None:
    black = Clip(frames=np.zeros_like(film.frames), fps=film.fps)
    assert adherence.leak(black, film) == 0.0
    assert adherence.leak(controls.canny(film), black) == 0.0
    with pytest.raises(RequestError, match="and the control 9"):
        adherence.leak(film, Clip(frames=film.frames[:3], fps=film.fps))
