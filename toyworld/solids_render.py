"""Draws solid scenes: chunks of pictures from one or several scenes at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from toyworld import shade
from toyworld.backdrop_render import draw_backdrop, paint_sky
from toyworld.camera import half_extent, to_pixels
from toyworld.film import expose
from toyworld.records import Numbers
from toyworld.scene import SolidMoment, SolidScene, scene_at
from toyworld.trace import NEAR, WIDTHS, Box, Rays, Slot, Surface, draw
from toyworld.view import RenderedClip, View, at_centres, sample_count, to_bytes, visibility

MAX_PEOPLE = 2
MAX_OBJECTS = 16
FAR_AWAY = np.array([0.0, -1e4, 0.0])
NO_SPHERES = np.array([0.0, -1e4, 0.0, 0.0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Chunk:
    """Pictures to draw together: for every scene its moment and which of its frames."""

    moments: list[SolidMoment]
    frames: list[np.ndarray]
    view: View

    @property
    def counts(self) -> list[int]:
        return [len(frames) for frames in self.frames]

    def gather(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Takes each scene's own frames of its array and lines them up, "n ..."."""
        return np.concatenate([array[frames] for array, frames in zip(arrays, self.frames, strict=True)])


def render_solids(scenes: Sequence[SolidScene], view: View) -> list[RenderedClip]:
    """Renders solid scenes.

    Args:
        scenes: timeless scenes.
        view: size and times.

    Returns:
        One clip a scene.
    """
    moments = [scene_at(scene, view.time) for scene in scenes]
    everything = np.arange(len(view.time))
    per_chunk = max(1, view.budget // len(scenes))
    parts = [everything[i : i + per_chunk] for i in range(0, len(everything), per_chunk)]
    pictures, depths = [], []
    for part in parts:
        chunk = _Chunk(moments=moments, frames=[part] * len(moments), view=view)
        picture, depth = _draw_chunk(chunk)
        pictures.append(picture.unflatten(0, (len(moments), len(part))))
        depths.append(depth.unflatten(0, (len(moments), len(part))))
    frames, depth = torch.cat(pictures, dim=1), torch.cat(depths, dim=1)
    return [_with_truth(moment, frames[i], depth[i], view) for i, moment in enumerate(moments)]


def _with_truth(moment: SolidMoment, frames: Tensor, depth: Tensor, view: View) -> RenderedClip:
    def seen(points: np.ndarray, slack: float) -> Tensor:
        projected = moment.camera.project(points)
        return visibility(to_pixels(projected, view.height, view.width), projected[..., 2], depth, slack)

    skeletons = torch.zeros(len(view.time), MAX_PEOPLE, 18, 3, device=view.device)
    tracks = torch.zeros(len(view.time), MAX_OBJECTS, 3, device=view.device)
    for i, points in enumerate(moment.keypoints):
        skeletons[:, i] = seen(points, 0.2)
    for i, recipe in enumerate(moment.scene.recipes):
        tracks[:, i] = seen(moment.centres[i][:, None], recipe.size)[:, 0]
    return RenderedClip(frames=frames, depth=depth, skeletons=skeletons, tracks=tracks)


def _positions(pixels: int, half: float, view: View) -> Tensor:
    """Gives the samples' places along a side, from -half to half."""
    step = torch.arange(sample_count(pixels, view.supersample), device=view.device, dtype=torch.float32)
    pixel = step if view.supersample == 1 else (step - 1) / 2
    return half * ((pixel * 2 + 1) / pixels - 1)


def _focal(chunk: _Chunk) -> Tensor:
    """Gives each picture's focal length, "n 1 1"."""
    focal = np.repeat([moment.camera.focal for moment in chunk.moments], chunk.counts)
    return chunk.view.tensor(focal)[:, None, None]


def _rays(chunk: _Chunk) -> Rays:
    view = chunk.view
    tall, wide = half_extent(view.height, view.width)
    up, side = -_positions(view.height, tall, view), _positions(view.width, wide, view)
    cameras = [moment.camera for moment in chunk.moments]
    rotation = view.tensor(chunk.gather([camera.rotation for camera in cameras]))
    origin = view.tensor(chunk.gather([camera.origin for camera in cameras]))
    focal = _focal(chunk)
    u, v = side[None, None, :] / focal, up[None, :, None] / focal
    axes = [rotation[:, i, :, None, None] for i in range(3)]
    x, y, z = (axes[2][:, i] + u * axes[0][:, i] + v * axes[1][:, i] for i in range(3))
    return Rays(
        origin=(origin[:, 0, None, None], origin[:, 1, None, None], origin[:, 2, None, None]),
        direction=(x, y, z),
    )


def _bounds(chunk: _Chunk, spheres: list[np.ndarray]) -> np.ndarray:
    """Bounds the view of spheres ("f k m 4" a scene, k solids of m spheres each).

    Returns:
        Left, top, right, bottom in half shorter sides from the middle: "k 4"; empty ones have right < left.
    """
    low = np.full((spheres[0].shape[1], 2), np.inf)
    high = -low
    for moment, frames, balls in zip(chunk.moments, chunk.frames, spheres, strict=True):
        camera, balls = moment.camera, balls[frames]
        offset = balls[..., :3] - camera.origin[frames][:, None, None]
        seen = np.einsum("fij,fkmj->fkmi", camera.rotation[frames], offset)
        radius, depth = balls[..., 3:], seen[..., 2:]
        behind = depth + radius <= NEAR
        close = (depth - radius < NEAR) & ~behind
        near, far = np.maximum(depth - radius, NEAR), np.maximum(depth + radius, NEAR)
        middle = camera.focal * seen[..., :2] * np.array([1.0, -1.0])
        start, end = middle - camera.focal * radius, middle + camera.focal * radius
        first = np.where(close, -1e3, np.minimum(start / near, start / far))
        last = np.where(close, 1e3, np.maximum(end / near, end / far))
        low = np.minimum(low, np.where(behind, np.inf, first).min(axis=(0, 2)))
        high = np.maximum(high, np.where(behind, -np.inf, last).max(axis=(0, 2)))
    return np.concatenate([low, high], axis=1)


def _windows(chunk: _Chunk, spheres: list[np.ndarray]) -> list[Box | None]:
    """Finds for each solid the samples that may see it, or None."""
    view = chunk.view
    tall, wide = half_extent(view.height, view.width)
    windows: list[Box | None] = []
    for left, top, right, bottom in _bounds(chunk, spheres):
        if not (right > left and bottom > top):
            windows.append(None)
            continue
        columns = _range((left / wide, right / wide), view.width, view.supersample)
        rows = _range((top / tall, bottom / tall), view.height, view.supersample)
        empty = rows[0] >= rows[1] or columns[0] >= columns[1]
        windows.append(None if empty else (*rows, *columns))
    return windows


def _range(ends: tuple[float, float], pixels: int, supersample: int) -> tuple[int, int]:
    """Turns a span in [-1, 1] into samples from, to (one to spare on either side)."""
    count = sample_count(pixels, supersample)
    places = [
        np.clip(((end + 1) * pixels / 2 - 0.5) * supersample + supersample - 1, -2, count + 2) for end in ends
    ]
    return max(int(np.floor(places[0])) - 1, 0), min(int(np.ceil(places[1])) + 2, count)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Row:
    """All solids of one kind, lined up over the scenes of a chunk: one call draws one column."""

    kind: str
    geometry: np.ndarray
    """ "n k p" """
    spheres: list[np.ndarray]
    """ "f k 2 4" a scene; radius 0 far below where a scene has no such solid."""
    looks: np.ndarray
    """ "scenes k 9" """


def _rows(chunk: _Chunk) -> list[_Row]:
    rows = []
    total = len(chunk.view.time)
    for kind in WIDTHS:
        scenes = [[solid for solid in moment.solids if solid.kind == kind] for moment in chunk.moments]
        most = max(len(solids) for solids in scenes)
        if most == 0:
            continue
        geometry, spheres, looks = [], [], []
        for solids in scenes:
            missing = most - len(solids)
            none = np.broadcast_to(NO_SPHERES, (total, 2, 4))
            both = [np.broadcast_to(solid.spheres, (total, 2, 4)) for solid in solids]
            geometry.append(
                np.stack([solid.geometry for solid in solids] + [_dummy(kind, total)] * missing, axis=1)
            )
            spheres.append(np.stack(both + [none] * missing, axis=1))
            looks.append(
                np.stack([solid.look.row() for solid in solids] + [np.zeros(9, np.float32)] * missing)
            )
        rows.append(_Row(kind=kind, geometry=chunk.gather(geometry), spheres=spheres, looks=np.stack(looks)))
    return rows


def _dummy(kind: str, count: int) -> np.ndarray:
    """Makes geometry that no ray meets."""
    parts = {
        "capsule": [FAR_AWAY, FAR_AWAY + 0.1, [0.01]],
        "cone": [FAR_AWAY, FAR_AWAY + 0.1, [0.01, 0.01]],
        "ellipsoid": [FAR_AWAY, 100 * np.eye(3).ravel()],
        "box": [FAR_AWAY, np.eye(3).ravel(), [0.01] * 3],
    }[kind]
    return np.broadcast_to(np.concatenate(parts), (count, WIDTHS[kind]))


def _draw_row(surface: Surface, rays: Rays, chunk: _Chunk, row: _Row) -> None:
    geometry = chunk.view.tensor(row.geometry)
    look = chunk.view.tensor(np.repeat(row.looks, chunk.counts, axis=0))
    for i, window in enumerate(_windows(chunk, row.spheres)):
        if window is not None:
            patterns = sorted({int(number) for number in row.looks[:, i, 6]})
            draw(
                surface,
                rays,
                Slot(
                    kind=row.kind, geometry=geometry[:, i], look=look[:, i], patterns=patterns, window=window
                ),
            )


def _shadow_capsules(kind: str, spheres: np.ndarray) -> np.ndarray:
    """Stands capsules in for the shadows of solids, from their spheres "n k 2 4": "n k 7"."""
    first, last = spheres[..., 0, :], spheres[..., 1, :]
    radius = 0.5 * (first[..., 3:] + last[..., 3:])
    if kind == "box":
        radius = radius * 0.72
    elif kind == "cone":
        radius = np.maximum(first[..., 3:], last[..., 3:]) * 0.6
    return np.concatenate([first[..., :3], last[..., :3], radius], axis=-1)


def _shadows(chunk: _Chunk, surface: Surface, rays: Rays, sun: Tensor) -> Tensor:
    """Casts every solid's shadow on the ground: light that arrives, "n h w"."""
    light = torch.ones_like(surface.depth)
    for row in _rows(chunk):
        lying = []
        for moment, balls in zip(chunk.moments, row.spheres, strict=True):
            s, height = moment.scene.backdrop.sun, np.maximum(balls[..., 1:2], 0)
            reach = (balls[..., 3:] + 0.06 + 0.16 * height) / s[1]
            lying.append(np.concatenate([balls[..., :3] - balls[..., 1:2] * s / s[1], reach], axis=-1))
        discs = chunk.view.tensor(_shadow_capsules(row.kind, chunk.gather(row.spheres)))
        for i, window in enumerate(_windows(chunk, lying)):
            if window is not None:
                shade.ground_shadow(light, (surface, rays), sun, discs[:, i], window)
    return light


def _draw_chunk(chunk: _Chunk) -> tuple[Tensor, Tensor]:
    view, scenes = chunk.view, [moment.scene for moment in chunk.moments]
    style = Numbers([scene.style for scene in scenes], chunk.counts, view.device)
    backdrop = Numbers([scene.backdrop for scene in scenes], chunk.counts, view.device)
    rays = _rays(chunk)
    surface = Surface.empty(rays.direction[0])
    paint_sky(surface, rays, backdrop, style)
    samples = min(view.height, view.width) * view.supersample
    draw_backdrop(surface, rays, backdrop, 2 / (samples * _focal(chunk)))
    for row in _rows(chunk):
        _draw_row(surface, rays, chunk, row)
    sun = backdrop.table("sun")
    lens = shade.Lens(
        half_short=min(view.height, view.width) * view.supersample / 2,
        supersample=view.supersample,
        shift=backdrop["seed_shift"],
        time=view.tensor(chunk.gather([view.time] * len(scenes)))[:, None, None],
    )
    arrives = _shadows(chunk, surface, rays, sun) if style.any("shadow") else torch.ones_like(surface.depth)
    colour, amount = shade.light_surface(surface, rays, sun, arrives, style)
    picture = shade.finish(colour, amount, (surface, rays), style, lens)
    film = Numbers([scene.film for scene in scenes], chunk.counts, view.device)
    return to_bytes(expose(picture, film, lens.time)), at_centres(surface.depth, view.supersample)
