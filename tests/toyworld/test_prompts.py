"""toyworld.prompts: colours are counted, and found where they show."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from iclora.clip import Clip
from toyworld.palette import NAMED_COLOURS
from toyworld.prompts import (
    COLOURS,
    SCENES,
    colour_shares,
    nearest_colours,
    outline_of,
    prompt_hits,
    shortened,
)


def painted(colour: str, share: float) -> np.ndarray:
    picture = np.full((64, 64, 3), np.array(NAMED_COLOURS["gray"]) * 255, np.uint8)
    picture[:, : round(64 * share)] = np.array(NAMED_COLOURS[colour]) * 255
    return picture


def drawn(colour: str, kind: str) -> np.ndarray:
    """A figure with arms and legs, a ball, or a cube seen from above, on gray."""
    picture = painted("gray", 0)
    rgb = tuple(float(level) * 255 for level in NAMED_COLOURS[colour])
    if kind == "ball":
        cv2.circle(picture, (32, 32), 12, rgb, -1)
    elif kind == "box":
        cv2.fillConvexPoly(
            picture, np.array([[20, 24], [40, 18], [46, 24], [46, 42], [24, 48], [20, 42]]), rgb
        )
    else:
        cv2.circle(picture, (32, 12), 4, rgb, -1)
        for start, end in [
            ((32, 14), (32, 36)),
            ((18, 22), (46, 22)),
            ((32, 36), (24, 56)),
            ((32, 36), (40, 56)),
        ]:
            cv2.line(picture, start, end, rgb, 4)
    return picture


def test_every_pixel_has_its_colour() -> None:
    for number, colour in enumerate(COLOURS):
        assert (nearest_colours(painted(colour, 1.0)) == number).all()
    assert (nearest_colours(painted("gray", 1.0)) >= len(COLOURS)).all()


def test_shares_of_a_painted_picture() -> None:
    shares = colour_shares(painted("red", 0.25))
    assert shares[COLOURS.index("red")] == 0.25 and shares.sum() == 0.25


def fake_pipe(model: Path, painter: Any) -> Any:
    def generate(prompt: str, **_: Any) -> Any:
        return SimpleNamespace(clip=Clip(frames=painter(prompt)[None], fps=16.0))

    return SimpleNamespace(generate=generate, model=str(model))


def test_a_model_that_paints_what_is_asked_hits_all(micro_model: Path) -> None:
    pipe = fake_pipe(micro_model, lambda prompt: drawn(prompt.split()[1], prompt.split()[2]))
    for scene in SCENES[:3]:
        assert prompt_hits(pipe, scene, size=64) == [{"colour": True, "object": True}] * 10


def test_the_right_colour_in_the_wrong_shape_is_half_a_hit(micro_model: Path) -> None:
    pipe = fake_pipe(micro_model, lambda prompt: drawn(prompt.split()[1], "box"))
    assert prompt_hits(pipe, "a {} ball", size=64) == [{"colour": True, "object": False}] * 10


def test_specks_are_no_object() -> None:
    mask = np.zeros((64, 64), bool)
    assert outline_of(mask) is None
    mask[::20, ::20] = True
    assert outline_of(mask) is None


def test_a_model_that_always_paints_red_hits_none_by_it(micro_model: Path) -> None:
    """All pictures are alike, so no colour exceeds its mean; the first colour in the list wins the tie."""
    hits = prompt_hits(fake_pipe(micro_model, lambda prompt: painted("red", 0.5)), "a {} ball", size=64)
    assert sum(hit["colour"] for hit in hits) <= 1


def test_long_captions_are_shortened_to_fit(micro_model: Path) -> None:
    assert shortened("a red ball", str(micro_model)) == "a red ball"
    assert shortened("a red ball " * 10, str(micro_model)).startswith("a red ball a red")
