"""Draws scenes of shapes: far to near, each contour with an edge one pixel soft (or softer)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from toyworld import shade
from toyworld.camera import half_extent, to_pixels
from toyworld.contours import NUM_SEGMENTS, TABLE
from toyworld.film import expose
from toyworld.records import Numbers
from toyworld.shapes import ShapeRecipe, ShapeScene, layer_at, shape_at
from toyworld.solids_render import MAX_OBJECTS, MAX_PEOPLE
from toyworld.texture import PATTERNS, noise, pattern
from toyworld.trace import Surface
from toyworld.view import RenderedClip, View, to_bytes, visibility

BACK_DEPTH = 12.0
"""Depth of the backmost layer, metres."""

Grid = tuple[Tensor, Tensor]


def render_shapes(scenes: Sequence[ShapeScene], view: View) -> list[RenderedClip]:
    """Renders scenes of shapes.

    Args:
        scenes: timeless scenes.
        view: size and times; contours are smooth already, so that one sample a pixel is drawn.

    Returns:
        One clip a scene.
    """
    return [_render_one(scene, view) for scene in scenes]


def _render_one(scene: ShapeScene, view: View) -> RenderedClip:
    count = len(view.time)
    per_chunk = max(1, view.budget * view.supersample**2)
    frames, depths = [], []
    for start in range(0, count, per_chunk):
        picture, depth = _draw(scene, view, view.time[start : start + per_chunk])
        frames.append(picture)
        depths.append(depth)
    depth = torch.cat(depths)
    tracks = torch.zeros(count, MAX_OBJECTS, 3, device=view.device)
    named = [recipe for recipe in scene.recipes if recipe.named]
    for i, recipe in enumerate(named):
        centre = shape_at(recipe, scene.drift, view.time)[:, None, :2]
        pixels = to_pixels(centre, view.height, view.width)
        tracks[:, i] = visibility(pixels, np.full((count, 1), recipe.depth), depth, 1e-3)[:, 0]
    return RenderedClip(
        frames=torch.cat(frames),
        depth=depth,
        tracks=tracks,
        skeletons=torch.zeros(count, MAX_PEOPLE, 18, 3, device=view.device),
    )


def _grid(view: View, count: int) -> Grid:
    tall, wide = half_extent(view.height, view.width)
    y = tall * ((torch.arange(view.height, device=view.device) * 2 + 1) / view.height - 1)
    x = wide * ((torch.arange(view.width, device=view.device) * 2 + 1) / view.width - 1)
    shape = (count, view.height, view.width)
    return x[None, None, :].expand(shape).contiguous(), y[None, :, None].expand(shape).contiguous()


def _draw(scene: ShapeScene, view: View, time: np.ndarray) -> tuple[Tensor, Tensor]:
    style = Numbers([scene.style], [len(time)], view.device)
    ground = Numbers([scene.ground], [len(time)], view.device)
    grid = _grid(view, len(time))
    surface = Surface.empty(grid[0])
    pixel = 2.0 / min(view.height, view.width)
    _draw_ground(surface, grid, (scene, time), (ground, style))
    for recipe in scene.recipes:
        _draw_shape(surface, grid, recipe, shape_at(recipe, scene.drift, time), pixel)
    lens = shade.Lens(
        half_short=min(view.height, view.width) / 2,
        supersample=1,
        shift=ground["seed_shift"],
        time=view.tensor(time)[:, None, None],
    )
    colour, amount = _light(surface, ground, style)
    film = Numbers([scene.film], [len(time)], view.device)
    picture = expose(shade.finish(colour, amount, (surface, None), style, lens), film, lens.time)
    return to_bytes(picture), surface.depth


def _draw_ground(
    surface: Surface, grid: Grid, scene_time: tuple[ShapeScene, np.ndarray], numbers: tuple[Numbers, Numbers]
) -> None:
    scene, time = scene_time
    ground, style = numbers
    layer = torch.from_numpy(layer_at(scene.drift, time, BACK_DEPTH).astype(np.float32)).to(
        surface.depth.device
    )
    x = (grid[0] - layer[:, 0, None, None]) / layer[:, 2, None, None]
    y = (grid[1] - layer[:, 1, None, None]) / layer[:, 2, None, None]
    cosine, sine = ground["angle"].cos(), ground["angle"].sin()
    p, q = (x * cosine + y * sine) * ground["frequency"], (y * cosine - x * sine) * ground["frequency"]
    mix = pattern(ground["pattern"], ground.kinds("pattern"), (p, q), ground["tile"], ground["edge"])
    ramp = ((p / ground["frequency"] + 1) / 2).clamp(0, 1) * ground["gradient"]
    fine = []
    if ground.any("grain"):
        fine = [
            noise(x * 0.45 + ground["seed_shift"] + 0.31 * i, y * 0.45, ground["tile"] * 0 + 4) - 0.5
            for i in range(2)
        ]
    for i in range(3):
        part = torch.lerp(ground["colour"][i], ground["second"][i], mix)
        part = torch.lerp(part, ground["third"][i].expand_as(part), ramp)
        if fine:
            part = part + ground["grain"] * (fine[0] + 0.4 * (i - 1) * fine[1])
        part = torch.lerp(part, style["backdrop_colour"][i].expand_as(part), 0.92 * style["backdrop"])
        surface.colour[i].copy_(part.clamp(0, 1))
    surface.depth.fill_(BACK_DEPTH)
    surface.ident.fill_(1.0)
    surface.normal[2].fill_(1.0)
    surface.lit.fill_(1.0)


def _distance(recipe: ShapeRecipe, p: Tensor, q: Tensor) -> Tensor:
    """Gives how far inside (negative) or outside a shape's own coordinates lie, in its own units."""
    if recipe.kind == "band":
        return p.abs() - 0.35
    if recipe.kind == "stroke":
        best = torch.full_like(p, 1e9)
        for i in range(NUM_SEGMENTS):
            ax, ay, bx, by = (float(value) for value in recipe.segments[i])
            dx, dy = bx - ax, by - ay
            part = (((p - ax) * dx + (q - ay) * dy) / (dx * dx + dy * dy + 1e-6)).clamp(0, 1)
            best = torch.minimum(best, torch.hypot(p - ax - part * dx, q - ay - part * dy))
        return best - recipe.thickness
    if recipe.kind == "island":
        tile = torch.full_like(p[:1, :1, :1], 9.0)
        return 0.9 * (0.57 - noise(p * 0.09 + recipe.angle, q * 0.09, tile))
    radius = torch.hypot(p, q)
    table = torch.from_numpy(recipe.table.astype(np.float32)).to(p.device)
    turn = torch.atan2(q, p) * (TABLE / (2 * math.pi)) + TABLE
    low = turn.floor()
    index = low.to(torch.int64) % TABLE
    edge = torch.lerp(table[index], table[(index + 1) % TABLE], turn - low)
    distance = radius - edge
    return distance.abs() - recipe.ring if recipe.ring > 0 else distance


def _window(recipe: ShapeRecipe, place: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice, slice]:
    """Finds the rows and columns a shape may reach in these pictures."""
    height, width = size
    if recipe.kind in ("band", "island"):
        return slice(None), slice(0, height), slice(0, width)
    half = min(height, width) / 2
    radius = max(float(recipe.table.max()) + recipe.ring, 1.4) + recipe.soft
    reach = radius * place[:, 4] + 2.0 / half
    left, right = (place[:, 0] - reach).min(), (place[:, 0] + reach).max()
    top, bottom = (place[:, 1] - reach).min(), (place[:, 1] + reach).max()
    rows = slice(max(int(top * half + height / 2) - 1, 0), max(int(bottom * half + height / 2) + 2, 0))
    columns = slice(max(int(left * half + width / 2) - 1, 0), max(int(right * half + width / 2) + 2, 0))
    return slice(None), rows, columns


def _draw_shape(surface: Surface, grid: Grid, recipe: ShapeRecipe, place: np.ndarray, pixel: float) -> None:
    window = _window(recipe, place, (grid[0].shape[1], grid[0].shape[2]))
    x, y = grid[0][window], grid[1][window]
    if x.numel() == 0:
        return
    values = torch.from_numpy(place.astype(np.float32)).to(x.device)
    cx, cy, cosine, sine, scale = (values[:, i, None, None] for i in range(5))
    dx, dy = (x - cx) / scale, (y - cy) / scale
    p, q = dx * cosine + dy * sine, dy * cosine - dx * sine
    distance = _distance(recipe, p, q)
    cover = (0.5 - distance * scale / (pixel + recipe.soft)).clamp(0, 1)
    solid = distance < 0
    kind = PATTERNS.index(recipe.pattern)
    number = torch.full_like(cx, float(kind))
    fine = torch.full_like(cx, 0.1) + 3 * recipe.frequency * pixel / scale
    mix = pattern(
        number,
        [kind],
        (p * recipe.frequency, q * recipe.frequency),
        torch.full_like(cx, float(recipe.tile)),
        fine,
    )
    for i in range(3):
        own = float(recipe.colour[i]) + mix * float(recipe.second[i] - recipe.colour[i])
        surface.colour[i][window] = torch.lerp(surface.colour[i][window], own, cover)
    _put_normal(surface, window, (p, q, distance, solid), recipe, (cosine, sine))
    surface.depth[window] = torch.where(solid, recipe.depth, surface.depth[window])
    surface.ident[window] = torch.where(solid, float(recipe.number), surface.ident[window])


def _put_normal(
    surface: Surface,
    window: tuple[slice, slice, slice],
    local: tuple[Tensor, Tensor, Tensor, Tensor],
    recipe: ShapeRecipe,
    turn: tuple[Tensor, Tensor],
) -> None:
    p, q, distance, solid = local
    if recipe.bevel == 0:
        flat = (torch.zeros_like(p), torch.zeros_like(p), torch.ones_like(p))
    else:
        lean = 0.85 * (1 + distance / recipe.bevel).clamp(0, 1)
        away = lean * torch.rsqrt((p * p + q * q).clamp_min(1e-6))
        u, v = p * away, q * away
        right, down = u * turn[0] - v * turn[1], u * turn[1] + v * turn[0]
        flat = (right, -down, (1 - lean * lean).clamp_min(0).sqrt())
    for i in range(3):
        surface.normal[i][window] = torch.where(solid, flat[i], surface.normal[i][window])


def _light(surface: Surface, ground: Numbers, style: Numbers) -> tuple[list[Tensor], Tensor]:
    """Lights the layers from the side, as the solid world is lit from its sun."""
    sun = ground["sun"]
    cosine = sum(surface.normal[i] * sun[i] for i in range(3))
    direct = cosine.clamp(0, 1) / sun[2].clamp_min(0.4)
    if style.any("levels"):
        levels = style["levels"]
        direct = torch.where(
            levels > 0, torch.floor(direct * levels * 0.999 + 0.5) / levels.clamp_min(1), direct
        )
    amount = (style["ambient"] + style["diffuse"] * direct) * style["dim"]
    amount = torch.lerp(amount, torch.full_like(amount, 0.95), style["flat"]).clamp(0, 1.3)
    facing = 1 - surface.normal[2]
    solid = (surface.ident > 4.5).to(amount.dtype)
    shine = cosine.clamp(0, 1).pow(style["shininess"]) * style["specular"] * 0.5 * solid
    band = (0.75 + 0.4 * torch.sin(7 * surface.normal[1] + 4 * surface.normal[0])).clamp(0, 1.2)
    colour = []
    for i in range(3):
        own = surface.colour[i]
        light = style["ambient"] * style["sky"][i] + style["diffuse"] * direct * style["sun"][i]
        light = torch.lerp(light * style["dim"], torch.full_like(light, 0.95), style["flat"])
        part = torch.lerp(own * light, own * (0.2 + band), style["reflect"] * solid)
        part = torch.lerp(
            part,
            torch.full_like(part, 0.95),
            0.45 * style["cover"] * solid * (surface.normal[1] * 2).clamp(0, 1),
        )
        colour.append(part + shine + facing * style["rim"] * solid * (0.3 + own))
    return colour, amount
