"""What a prompt changes: ten scenes in ten colours each, and whether the colour and the object named show.

Nothing is learned here; pixels are counted. A colour shows where its share of the picture grows more than
that of any other colour. An object shows where the patch of that colour has its outline:

    roundness = area of the patch / area of the smallest circle around it
    figure  below 0.45      box  0.45 to 0.80 (a square: 0.64)      ball  above 0.80 (a disc: 1)
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from iclora.pipeline import Pipeline
from iclora.plan import model_facts, num_prompt_tokens
from toyworld.palette import NAMED_COLOURS

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "teal")
"""The colours that are asked for."""

SCENES = (
    "a {} figure standing on gray ground",
    "a {} ball bouncing on gray ground",
    "a {} box on brown ground",
    "a {} figure walking in front of a gray wall",
    "a {} ball rolling in front of a gray wall",
    "a {} box spinning in front of a gray wall",
    "a {} figure dancing on brown ground",
    "a {} ball floating, gray hills behind",
    "a {} box tumbling, gray hills behind",
    "a {} figure waving, gray hills behind",
)
"""Prompts with a place for the colour; the word after it is the object."""

ROUNDNESS = {"figure": (0.0, 0.45), "box": (0.45, 0.80), "ball": (0.80, 1.01)}
"""Roundness of each object's outline, from and up to."""
SMALLEST_PATCH = 0.003
"""Smallest patch that is looked at, as a share of the picture."""


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


def prompt_hits(
    pipe: Pipeline, scene: str, *, size: int, num_frames: int = 9, seed: int = 0
) -> list[dict[str, bool]]:
    """Asks for one scene in all colours with one seed, and finds which pictures show what they name.

    A picture shows its colour when, of all colours, it is the one whose share of the pixels exceeds most its
    mean over the scene's pictures. What the scene shows whatever is asked (its ground, or a model that paints
    for one colour) so counts for nothing.

    Args:
        pipe: A base without references.
        scene: One of `SCENES`.
        size: Height and width in pixels.
        num_frames: Frames of each clip; the middle one is looked at.
        seed: Seed of the noise.

    Returns:
        For each of `COLOURS` whether the `colour` and the `object` show.
    """
    wanted = scene.split("{} ")[1].split()[0].strip(",")
    shares, objects = [], []
    for number, colour in enumerate(COLOURS):
        prompt = shortened(scene.format(colour), pipe.model)
        clip = pipe.generate(prompt, size=(size, size), num_frames=num_frames, seed=seed).clip
        picture = clip.frames[clip.num_frames // 2]
        shares.append(colour_shares(picture))
        objects.append(outline_of(nearest_colours(picture) == number) == wanted)
    excess = np.stack(shares) - np.mean(shares, axis=0)
    colours = [int(row.argmax()) == number for number, row in enumerate(excess)]
    return [{"colour": colour, "object": named} for colour, named in zip(colours, objects, strict=True)]


def outline_of(mask: Bool[np.ndarray, "h w"]) -> str | None:
    """Names the object whose outline the largest patch of a mask has.

    Args:
        mask: Where the object's colour is.

    Returns:
        `figure`, `box` or `ball`; None where there is no patch to speak of.
    """
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outlines, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < SMALLEST_PATCH * mask.size:
        return None
    _, radius = cv2.minEnclosingCircle(largest)
    roundness = min(1.0, cv2.contourArea(largest) / (np.pi * radius**2))
    return next(name for name, (start, end) in ROUNDNESS.items() if start <= roundness < end)


def colour_shares(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " colours"]:
    """Finds the share of the pixels that each of `COLOURS` is the name of.

    Args:
        picture: RGB, 0..255.

    Returns:
        Shares, each 0..1; pixels nearest to a named colour that is not asked for count for none.
    """
    nearest = nearest_colours(cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA))
    return np.array([(nearest == number).mean() for number in range(len(COLOURS))])


def nearest_colours(picture: UInt8[np.ndarray, "h w 3"]) -> Int[np.ndarray, "h w"]:
    """Names the colour of every pixel.

    Args:
        picture: RGB, 0..255.

    Returns:
        Numbers in `COLOURS`; from its length up for named colours that are not asked for.
    """
    names = [*COLOURS, *(name for name in NAMED_COLOURS if name not in COLOURS)]
    palette = np.array([[NAMED_COLOURS[name] for name in names]], np.float32)
    named = cv2.cvtColor(palette, cv2.COLOR_RGB2Lab)[0]
    pixels = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return np.linalg.norm(pixels[:, :, None] - named, axis=3).argmin(axis=2)
