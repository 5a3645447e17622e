"""cli: the controls drawn frame by frame, besides canny."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
from iclora.clip import Clip
from tests.micro import moving_square


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["control", *(str(word) for word in words)])
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("words", "dials"),
    [
        (("grey",), {}),
        (("blur", "--radius", "2"), {"radius": 2.0}),
        (("blocks", "--block", "8"), {"block": 8}),
        (("soft-edges", "--blur", "1", "--stabilise", "0.5"), {"blur": 1.0, "stabilise": 0.5}),
        (("line-art", "--width", "3"), {"width": 3.0}),
        (("green",), {}),
        (("canny", "--preset", "trainer", "--min-length", "9"), {"preset": "trainer", "min_length": 9}),
    ],
)
def test_each_is_as_in_python(words: tuple[str, ...], dials: dict, film_path: Path, tmp_path: Path) -> None:
    code, said = run(words[0], film_path, "-o", f"{tmp_path}/made/", *words[1:])
    assert code == 0 and "64x48, 9 frames at 16 per second" in said
    expected = controls.CONTROLS[words[0]](media.read(film_path), **dials)
    assert np.array_equal(media.read(tmp_path / "made").frames, expected.frames)
    notes = json.loads((tmp_path / "made.json").read_text())
    assert notes["command"] == f"control {words[0]}"
    assert ("flicker_after" in notes["result"]) is ("stabilise" in dials)


def test_stabilising_says_what_it_did(film_path: Path, tmp_path: Path) -> None:
    for kind in ("canny", "soft-edges"):
        code, said = run(kind, film_path, "-o", tmp_path / f"{kind}.mp4", "--stabilize", "1")
        assert code == 0 and "flicker " in said and "lag " in said


def test_normals_of_a_depth_picture(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None], (48, 64, 3))
    media.save_image(ramp.copy(), tmp_path / "depth.png")
    code, _ = run("normals", tmp_path / "depth.png", "-o", f"{tmp_path}/n/", "--frames", "3")
    normals = media.read(tmp_path / "n")
    assert code == 0 and normals.num_frames == 3 and normals.frames[0, 24, 32, 0] < 127


def test_green_under_a_mask(film_path: Path, tmp_path: Path) -> None:
    mask = np.zeros((96, 128, 3), np.uint8)
    mask[:, 64:] = 255
    media.save_image(mask, tmp_path / "mask.png")
    words = ("green", film_path, "-o", f"{tmp_path}/g/", "--size", "32x32", "--mask", tmp_path / "mask.png")
    assert run(*words)[0] == 0
    painted = media.read(tmp_path / "g").frames
    assert (painted[:, :, 16:] == (0, 255, 0)).all() and not (painted[:, :, :16] == (0, 255, 0)).all(-1).any()


def test_a_mask_of_another_size_is_brought_to_the_clips(film_path: Path, tmp_path: Path) -> None:
    mask = np.zeros((24, 32, 3), np.uint8)
    mask[:, 16:] = 255
    media.save_image(mask, tmp_path / "mask.png")
    code, said = run("green", film_path, "-o", f"{tmp_path}/g/", "--mask", tmp_path / "mask.png")
    assert code == 0 and "the mask, 32x24, is brought to 64x48" in said
    green = (media.read(tmp_path / "g").frames == (0, 255, 0)).all(axis=-1)
    assert green[:, :, 34:].all() and not green[:, :, :30].any()
    media.save_image(mask.repeat(2, axis=0).repeat(2, axis=1), tmp_path / "same.png")
    code, said = run("green", film_path, "-o", f"{tmp_path}/h/", "--mask", tmp_path / "same.png")
    assert code == 0 and "is brought to" not in said


def test_a_still_is_held(tmp_path: Path) -> None:
    media.save(moving_square(num_frames=1), tmp_path / "a.png")
    assert run("grey", tmp_path / "a.png", "-o", tmp_path / "grey.mp4", "--frames", "5")[0] == 0
    held = media.read(tmp_path / "grey.mp4")
    assert held.num_frames == 5 and np.ptp(held.frames.astype(int), axis=0).max() <= 2


def test_bad_input_is_one_line(film_path: Path, tmp_path: Path) -> None:
    for name, height, width in (("square", 8, 8), ("short", 24, 32)):
        media.save(Clip(frames=np.zeros((2, height, width, 3), np.uint8), fps=16.0), tmp_path / f"{name}.mp4")
    before = sorted(tmp_path.iterdir())
    for words, message in (
        (("normals", film_path), "made of a depth picture"),
        (("blur", film_path, "--radius", "0"), "The blur's radius is 0.0 pixels"),
        (("green", film_path, "--mask", tmp_path / "square.mp4"), "The mask is 8x8, another shape than the"),
        (
            ("green", film_path, "--mask", tmp_path / "short.mp4"),
            "The mask has 2 frames of 64x48, but the clip",
        ),
        (("canny", film_path, "--preset", "x"), "There is no preset 'x'"),
    ):
        code, said = run(*words, "-o", tmp_path / "out.mp4")
        assert code == 1 and message in said.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before
