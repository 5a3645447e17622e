"""Whether a prompt's colour shows: ten scenes in ten colours each, measured by counting pixels."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from iclora.pipeline import Pipeline
from iclora.plan import model_facts, num_prompt_tokens
from toyworld.palette import NAMED_COLOURS

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "teal")
"""The colours that are asked for."""

SCENES = (
    "a {} figure standing on gray ground",
    "a {} figure walking in front of a gray wall",
    "a {} figure dancing on brown ground",
    "a {} figure waving, with gray hills behind",
    "two {} figures walking on gray ground",
    "a {} ball bouncing on gray ground",
    "a {} box on brown ground",
    "a {} box spinning in front of a gray wall",
    "a figure standing in front of a {} wall",
    "a figure walking under a {} sky",
)
"""Prompts with a place for the colour."""


def shortened(prompt: str, model: str) -> str:
    """Drops words from the end of a caption until the model takes it.

    Args:
        prompt: A caption.
        model: `tiny` or a model folder.

    Returns:
        As much of the caption as fits.
    """
    facts = model_facts(model)
    while num_prompt_tokens(facts, prompt) > facts.recipe.max_prompt_tokens:
        prompt = prompt.rpartition(" ")[0]
    return prompt


def colour_hits(pipe: Pipeline, scene: str, *, size: int, num_frames: int = 9, seed: int = 0) -> list[bool]:
    """Asks for one scene in all colours with one seed, and finds which pictures show their colour.

    A picture shows its colour when, of all colours, it is the one whose share of the pixels exceeds most its
    mean share over the scene's pictures. What all of them have in common (ground, sky, a liking of the model
    for one colour) so counts for nothing.

    Args:
        pipe: A base without references.
        scene: One of `SCENES`.
        size: Height and width in pixels.
        num_frames: Frames of each clip; the middle one is looked at.
        seed: Seed of the noise.

    Returns:
        For each of `COLOURS` whether it shows.
    """
    shares = []
    for colour in COLOURS:
        prompt = shortened(scene.format(colour), pipe.model)
        clip = pipe.generate(prompt, size=(size, size), num_frames=num_frames, seed=seed).clip
        shares.append(colour_shares(clip.frames[clip.num_frames // 2]))
    excess = np.stack(shares) - np.mean(shares, axis=0)
    return [int(row.argmax()) == number for number, row in enumerate(excess)]


def colour_shares(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " colours"]:
    """Finds the share of the pixels that each of `COLOURS` is the name of.

    Args:
        picture: RGB, 0..255.

    Returns:
        Shares, each 0..1; pixels nearest to a named colour that is not asked for count for none.
    """
    names = list(NAMED_COLOURS)
    palette = np.array([[NAMED_COLOURS[name] for name in names]], np.float32)
    named = cv2.cvtColor(palette, cv2.COLOR_RGB2Lab)[0]
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).reshape(-1, 1, 3)
    nearest = np.linalg.norm(pixels - named[None], axis=2).argmin(axis=1)
    return np.array([(nearest == names.index(colour)).mean() for colour in COLOURS])
