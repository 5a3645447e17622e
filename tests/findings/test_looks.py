"""findings.looks: what is measured, at any size, whatever the lines."""

from dataclasses import asdict

import numpy as np
import pytest

from iclora import controls, media
from iclora.clip import Clip, Film
from iclora.findings import Expected, judge, look
from tests.findings import clips
from toyworld.render import HELD_OUT_SEED_START, render


def scene(side: int) -> Clip:
    """The same scene of the embedded model's world at a size, one frame."""
    scenes = render([HELD_OUT_SEED_START], height=side, width=side, num_frames=1, fps=16.0)
    return Clip(frames=scenes.frames[0].numpy(), fps=16.0)


def said(clip: Clip, kind: str) -> list[str]:
    return [str(one) for one in judge(look(clip), Expected(kinds=(kind,)), "a.mp4")]


@pytest.mark.parametrize("side", [96, 256, 512, 1080])
@pytest.mark.parametrize("thickness", [1, 3])
def test_thin_lines_are_lines_at_any_size(side: int, thickness: int) -> None:
    film = scene(side)
    lines = controls.canny(film, thickness=thickness)
    assert look(lines).lines == 1 and look(Clip(frames=255 - lines.frames, fps=1.0)).inverted_lines == 1
    assert said(lines, "canny") == []
    assert look(film).lines == 0 and len(said(film, "canny")) == 1


def test_lines_that_were_enlarged_or_faint_are_lines() -> None:
    lines = controls.canny(scene(256))
    assert said(media.resize(lines, 900, 900), "canny") == []
    faint = clips.changed(lines, 30 + lines.frames * 0.2)
    assert look(faint).lines == 1 and "little contrast" in said(faint, "canny")[0]


def test_measures_do_not_change_with_the_size() -> None:
    """From 512 to 1080 pixels, films and depth; what is enlarged beyond 256 is measured as it was."""
    film = scene(512)
    for clip in (film, controls.depth(film), controls.canny(film, thickness=3)):
        small, large = (asdict(look(one)) for one in (clip, media.resize(clip, 1080, 1080)))
        for name in ("dark", "light", "drawn", "relief", "detail", "upside", "coloured"):
            assert large[name] == pytest.approx(small[name], abs=0.03), name


@pytest.mark.parametrize("side", [96, 256, 512])
def test_a_grey_film_is_no_depth(side: int) -> None:
    film = scene(side)
    depth = controls.depth(film)
    grey = controls.grey(film)
    assert look(depth).detail < 0.005 < 0.01 < look(grey).detail
    # Of few pixels, things are as thin as edges are.
    like = "soft grey edges on black" if side == 96 else "a film or a photo"
    assert said(depth, "depth") == [] and f"looks like {like}" in said(grey, "depth")[0]


def test_colours_are_told_apart() -> None:
    frames = np.zeros((1, 40, 40, 3), np.uint8)
    frames[:, :10] = (255, 200, 0)
    frames[:, 30:] = (0, 200, 255)
    seen = look(Clip(frames=frames, fps=1.0))
    assert (seen.red, seen.blue, seen.green) == (0.25, 0.25, 0)
    assert seen.yellow_above == pytest.approx(30 / 39)
    frames[:, 15:25] = (0, 255, 0)
    assert look(Clip(frames=frames, fps=1.0)).green == 0.25


def test_normals_are_directions() -> None:
    seen = look(clips.normals())
    assert seen.normals == 1 and seen.normal_blue > 0.5 > abs(seen.normal_red)
    assert look(clips.film()).normals < 0.8


def test_a_film_is_looked_at_as_its_clip_is() -> None:
    """Also where it is so long that parts of it are looked at more closely."""
    edges = clips.lines()
    frames = np.concatenate([edges.frames, np.roll(edges.frames, 9, axis=1)] * 2)
    frames[14] = 0
    long = Clip(frames=frames, fps=16.0)
    film = Film(frames=list(frames), height=96, width=96, num_frames=len(frames), fps=16.0)
    assert look(film) == look(long)
    assert look(long).empty == (14,)
