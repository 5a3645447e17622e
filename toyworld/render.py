"""Renders the world from seeds alone: pictures, depth, skeletons, tracks, captions.

    scenes = render([0, 1, 2], height=128, width=128, num_frames=17)

A seed decides everything. What is rendered for it does not depend on the other seeds of the call; size, frame
count and rate only choose where and when the same scene is looked at. Training keeps to seeds below
`HELD_OUT_SEED_START`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from toyworld.captions import caption
from toyworld.describe import Attributes
from toyworld.scene import SolidScene, build_scene
from toyworld.shapes import ShapeScene, build_shapes
from toyworld.shapes_render import render_shapes
from toyworld.solids_render import MAX_OBJECTS, MAX_PEOPLE, render_solids
from toyworld.styles import STYLES
from toyworld.view import RenderedClip, View

HELD_OUT_SEED_START = 10_000_000
"""Seeds from here on are never trained on."""

__all__ = ["HELD_OUT_SEED_START", "MAX_OBJECTS", "MAX_PEOPLE", "Scenes", "render", "scene_of"]

SHARE_OF_SHAPES = 0.4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenes:
    """Rendered clips and their ground truth."""

    frames: UInt8[Tensor, "b f h w 3"]
    """sRGB, 0 to 255."""
    depth: Float[Tensor, "b f h w"]
    """Metres along the camera's axis at pixel centres; inf is sky."""
    skeletons: Float[Tensor, "b f people 18 3"]
    """OpenPose-18 joints: x, y in pixels (the first pixel's centre is 0) and visibility: 1 seen, 0.5 hidden
    behind something, 0 outside the picture or nobody."""
    tracks: Float[Tensor, "b f objects 3"]
    """Object centres: x, y in pixels and visibility as in `skeletons`, ordered as `Attributes.objects`."""
    captions: list[str]
    attributes: list[Attributes]
    seeds: list[int]
    fps: float


Scene = SolidScene | ShapeScene


def scene_of(seed: int, style: str | None = None) -> tuple[Scene, str]:
    """Draws the scene and the caption of a seed.

    Args:
        seed: any non-negative whole number.
        style: the name of a style to draw it in; None: the seed's own.

    Returns:
        The timeless scene and one caption of it.

    Raises:
        ValueError: if the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; a seed is a whole number of at least 0: give another")
    first = np.random.default_rng([seed, 0])
    own = str(first.choice(list(STYLES)))
    shapes = bool(first.random() < SHARE_OF_SHAPES)
    rng = np.random.default_rng([seed, 1])
    build = build_shapes if shapes else build_scene
    scene: Scene = build(rng, own if style is None else style)
    return scene, caption(scene.attributes, np.random.default_rng([seed, 2]))


def render(
    seeds: Sequence[int],
    *,
    height: int,
    width: int,
    num_frames: int,
    fps: float = 24.0,
    device: torch.device | str = "cpu",
    supersample: int = 2,
    style: str | None = None,
) -> Scenes:
    """Renders one clip a seed.

    Args:
        seeds: whole numbers of at least 0.
        height: pixels.
        width: pixels.
        num_frames: frames of each clip.
        fps: frames per second; the first frame is at 0 seconds.
        device: where to compute; the result stays there.
        supersample: 2 smooths the edges of solid scenes with rays between pixels; 1 is faster and jagged.
        style: the name of a style for all of them; None: each seed's own.

    Returns:
        Clips and ground truth, on `device`.

    Raises:
        ValueError: if a size, the frame count or the rate is not positive, there is no seed, or supersample
            is not 1 or 2.
    """
    for name, value in (
        ("height", height),
        ("width", width),
        ("num_frames", num_frames),
        ("fps", fps),
        ("number of seeds", len(seeds)),
    ):
        if value <= 0:
            raise ValueError(f"{name} is {value}; it must be positive: give another")
    if supersample not in (1, 2):
        raise ValueError(f"supersample is {supersample}; accepted are 1 and 2")
    time = np.arange(num_frames) / fps
    view = View(height=height, width=width, time=time, device=torch.device(device), supersample=supersample)
    drawn = [scene_of(seed, style) for seed in seeds]
    done = _render_all([scene for scene, _ in drawn], view)
    return Scenes(
        frames=torch.stack([clip.frames for clip in done]),
        depth=torch.stack([clip.depth for clip in done]),
        skeletons=torch.stack([clip.skeletons for clip in done]),
        tracks=torch.stack([clip.tracks for clip in done]),
        captions=[text for _, text in drawn],
        attributes=[scene.attributes for scene, _ in drawn],
        seeds=list(seeds),
        fps=fps,
    )


def _render_all(scenes: Sequence[Scene], view: View) -> list[RenderedClip]:
    """Renders each family in groups: one scene at a time on a CPU, as many as fit on a GPU."""
    clips: dict[int, RenderedClip] = {}
    size = 1 if view.device.type == "cpu" else max(1, view.budget // len(view.time))
    solids = [i for i, scene in enumerate(scenes) if isinstance(scene, SolidScene)]
    shapes = [i for i, scene in enumerate(scenes) if isinstance(scene, ShapeScene)]
    for start in range(0, len(solids), size):
        group = solids[start : start + size]
        clips.update(zip(group, render_solids([scenes[i] for i in group], view), strict=True))
    for start in range(0, len(shapes), size):
        group = shapes[start : start + size]
        clips.update(zip(group, render_shapes([scenes[i] for i in group], view), strict=True))
    return [clips[i] for i in range(len(scenes))]
