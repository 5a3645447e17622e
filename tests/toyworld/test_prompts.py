"""toyworld.prompts: colours are counted, and found where they show."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from iclora.clip import Clip
from toyworld.palette import NAMED_COLOURS
from toyworld.prompts import COLOURS, colour_hits, colour_shares, shortened


def painted(colour: str, share: float) -> np.ndarray:
    picture = np.full((64, 64, 3), np.array(NAMED_COLOURS["gray"]) * 255, np.uint8)
    picture[:, : round(64 * share)] = np.array(NAMED_COLOURS[colour]) * 255
    return picture


def test_shares_of_a_painted_picture() -> None:
    shares = colour_shares(painted("red", 0.25))
    assert shares[COLOURS.index("red")] == 0.25 and shares.sum() == 0.25


def fake_pipe(model: Path, painter: Any) -> Any:
    def generate(prompt: str, **_: Any) -> Any:
        return SimpleNamespace(clip=Clip(frames=painter(prompt)[None], fps=16.0))

    return SimpleNamespace(generate=generate, model=str(model))


def test_a_model_that_paints_what_is_asked_hits_all(micro_model: Path) -> None:
    pipe = fake_pipe(micro_model, lambda prompt: painted(prompt.split()[1], 0.1))
    assert colour_hits(pipe, "a {} ball", size=64) == [True] * 10


def test_a_model_that_always_paints_red_hits_none_by_it(micro_model: Path) -> None:
    """All pictures are alike, so no colour exceeds its mean; the first colour in the list wins the tie."""
    hits = colour_hits(fake_pipe(micro_model, lambda prompt: painted("red", 0.5)), "a {} ball", size=64)
    assert sum(hits) <= 1


def test_long_captions_are_shortened_to_fit(micro_model: Path) -> None:
    assert shortened("a red ball", str(micro_model)) == "a red ball"
    assert shortened("a red ball " * 10, str(micro_model)).startswith("a red ball a red")
