"""Draws what stands around the solids: sky, far silhouettes, wall and ground."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toyworld.backdrop import TABLE
from toyworld.records import Numbers
from toyworld.texture import noise, pattern
from toyworld.trace import NEAR, Rays, Surface


def paint_sky(surface: Surface, rays: Rays, numbers: Numbers, style: Numbers) -> None:
    """Colours what no solid hides.

    Args:
        surface: changed in place; must be empty.
        rays: the rays of its pixels.
        numbers: `Backdrop` of each picture.
        style: `Style` of each picture.
    """
    x, y, z = rays.direction
    level = torch.hypot(x, z)
    rise = (y / level).clamp(0, 1.2)
    mix = (rise * 1.6).clamp(0, 1)
    own = [torch.lerp(numbers["sky_low"][i], numbers["sky_top"][i], mix) for i in range(3)]
    if numbers.any("clouds"):
        azimuth = torch.atan2(x, z)
        shift = numbers["seed_shift"]
        fluff = noise(azimuth * 0.35 + shift, rise * 0.6 + shift, numbers["cloud_tile"])
        fluff = ((fluff - 0.5) * 5).clamp(0, 1) * numbers["clouds"]
        own = [torch.lerp(part, torch.ones_like(part), fluff) for part in own]
    for i in range(3):
        styled = torch.lerp(style["backdrop_low"][i], style["backdrop_colour"][i], mix)
        surface.colour[i].copy_(torch.lerp(own[i], styled, style["backdrop"]))
    if style.any("stars"):
        azimuth = torch.atan2(x, z)
        spark = noise(azimuth * 0.9 + numbers["seed_shift"], rise * 0.9, numbers["cloud_tile"] * 0)
        spark = ((spark - 0.93) * 40).clamp(0, 1) * style["stars"]
        for part in surface.colour:
            part.add_(spark)


def _put(
    surface: Surface,
    met: Tensor,
    depth: Tensor,
    normal: list[Tensor | float],
    colour: list[Tensor],
    ident: float,
) -> None:
    nearer = met & (depth > NEAR) & (depth < surface.depth)
    surface.depth.copy_(torch.where(nearer, depth, surface.depth))
    surface.ident.masked_fill_(nearer, ident)
    surface.lit.masked_fill_(nearer, 1.0)
    for i in range(3):
        value = normal[i]
        if isinstance(value, float):
            surface.normal[i].masked_fill_(nearer, value)
        else:
            surface.normal[i].copy_(torch.where(nearer, value, surface.normal[i]))
        surface.colour[i].copy_(torch.where(nearer, colour[i], surface.colour[i]))


def _curtain(surface: Surface, rays: Rays, numbers: Numbers, which: str, ident: float) -> None:
    """Stands a silhouette on a circle around the scene."""
    x, _, z = rays.direction
    ox, oy, oz = rays.origin
    radius = numbers[f"{which}_radius"]
    a, b, c = x * x + z * z, x * ox + z * oz, ox * ox + oz * oz - radius * radius
    depth = (-b + (b * b - a * c).clamp_min(0).sqrt()) / a
    hx, hz = ox + depth * x, oz + depth * z
    height = oy + depth * rays.direction[1]
    turn = (torch.atan2(hx, hz) / (2 * math.pi) + 0.5) * TABLE
    low = turn.floor()
    part = turn - low
    index = low.to(torch.int64) % TABLE
    heights = numbers.table(f"{which}_heights")
    flat = index.flatten(1)
    left = torch.gather(heights, 1, flat).view_as(index)
    right = torch.gather(heights, 1, (flat + 1) % TABLE).view_as(index)
    top = torch.lerp(left, right, part)
    shade = 0.75 + 0.35 * (height / (top + 0.1)).clamp(0, 1)
    colour = [numbers[f"{which}_colour"][i] * shade for i in range(3)]
    _put(surface, (height < top) & (height >= 0), depth, [-hx / radius, 0.25, -hz / radius], colour, ident)


def draw_backdrop(surface: Surface, rays: Rays, numbers: Numbers, pixel: Tensor) -> None:
    """Draws ground, wall and silhouettes.

    Args:
        surface: changed in place.
        rays: the rays of its pixels.
        numbers: `Backdrop` of each picture.
        pixel: size of a sample at one metre, in metres, "n 1 1"; patterns finer than pixels fade.
    """
    x, y, z = rays.direction
    ox, oy, oz = rays.origin
    if numbers.any("far_heights"):
        _curtain(surface, rays, numbers, "far", 2.0)
        _curtain(surface, rays, numbers, "near", 3.0)
    if numbers.any("wall"):
        depth = (numbers["wall_depth"] - oz) / torch.where(z.abs() < 1e-6, torch.full_like(z, 1e-6), z)
        size = numbers["wall_frequency"]
        spot = ((ox + depth * x) * size, (oy + depth * y) * size * 1.6)
        mix = pattern(
            numbers["wall_pattern"],
            numbers.kinds("wall_pattern"),
            spot,
            numbers["cloud_tile"],
            numbers["ground_edge"],
        )
        colour = [torch.lerp(numbers["wall_colour"][i], numbers["wall_second"][i], mix) for i in range(3)]
        met = (numbers["wall"] > 0) & (oy + depth * y > 0)
        _put(surface, met, depth, [0.0, 0.0, -1.0], colour, 4.0)
    depth = -oy / torch.where(y > -1e-6, torch.full_like(y, -1e-6), y)
    size, turn = numbers["ground_frequency"], numbers["ground_turn"]
    gx, gz = (ox + depth * x) * size, (oz + depth * z) * size
    spot = (gx * turn.cos() + gz * turn.sin(), gz * turn.cos() - gx * turn.sin())
    print_size = depth * depth * pixel / oy * size
    fade = (1.6 - 2.5 * print_size).clamp(0, 1)
    mix = pattern(
        numbers["ground_pattern"],
        numbers.kinds("ground_pattern"),
        spot,
        numbers["ground_tile"],
        numbers["ground_edge"] + 2 * print_size,
    )
    mix = torch.lerp(torch.full_like(mix, 0.4), mix, fade)
    colour = [torch.lerp(numbers["ground"][i], numbers["ground_second"][i], mix) for i in range(3)]
    _put(surface, (y < -1e-5) & (depth < 200.0), depth, [0.0, 1.0, 0.0], colour, 1.0)
