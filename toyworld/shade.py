"""From surfaces to pictures: light, shadows, outlines, hatching and grading, steered by `styles.Style`."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as functional
from torch import Tensor

from toyworld.records import Numbers
from toyworld.texture import noise
from toyworld.trace import Box, Rays, Surface, columns, dot, unit
from toyworld.view import shrink

Colour = list[Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lens:
    """A picture's scale: samples in half its shorter side, and samples a pixel along each side."""

    half_short: float
    supersample: int
    shift: Tensor
    """A number in [0, 1) of each picture's scene, "n 1 1": moves grain and mottle."""
    time: Tensor
    """Seconds, "n 1 1"."""


def ground_shadow(
    light: Tensor, seen: tuple[Surface, Rays], sun: Tensor, capsule: Tensor, window: Box
) -> None:
    """Casts the soft shadow of a capsule on the ground.

    Args:
        light: sunlight that arrives, in [0, 1], "n h w"; changed in place.
        seen: what is seen (only thing 1, the ground, receives) and its rays.
        sun: direction to the sun, "n 3".
        capsule: start(3) end(3) radius, "n 7".
        window: samples it may darken.
    """
    surface, rays = seen
    top, bottom, left, right = window
    pixels = (slice(None), slice(top, bottom), slice(left, right))
    s, d, depth = columns(sun, 0), rays.crop(window).direction, surface.depth[pixels]
    a, b, radius = columns(capsule, 0), columns(capsule, 3), capsule[:, 6, None, None]
    ax, az = a[0] - s[0] * a[1] / s[1], a[2] - s[2] * a[1] / s[1]
    bx, bz = b[0] - s[0] * b[1] / s[1] - ax, b[2] - s[2] * b[1] / s[1] - az
    px, pz = depth * d[0] + (rays.origin[0] - ax), depth * d[2] + (rays.origin[2] - az)
    part = ((px * bx + pz * bz) / (bx * bx + bz * bz + 1e-9)).clamp(0, 1)
    ex, ez = px - part * bx, pz - part * bz
    along = ex * s[0] + ez * s[2]
    away = (ex * ex + ez * ez - along * along).clamp_min(0).sqrt()
    soft = 0.03 + 0.08 * (a[1] + part * (b[1] - a[1])).clamp_min(0)
    reach = ((radius + soft - away) / (2 * soft)).clamp(0, 1)
    lit = torch.where(surface.ident[pixels] == 1, 1 - reach, 1.0)
    light[pixels] = torch.minimum(light[pixels], lit)


def _luminance(colour: Colour) -> Tensor:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def light_surface(
    surface: Surface, rays: Rays, sun: Tensor, arrives: Tensor, style: Numbers
) -> tuple[Colour, Tensor]:
    """Lights a surface.

    Args:
        surface: what is seen.
        rays: its rays.
        sun: direction to the sun, "n 3".
        arrives: sunlight that is not in shadow, "n h w".
        style: `Style` of each picture.

    Returns:
        Colour (unbounded sRGB-like) and the amount of light, "n h w".
    """
    s, normal = columns(sun, 0), tuple(surface.normal)
    cosine = dot(normal, s)
    wrap = style["wrap"]
    direct = ((cosine + wrap) / (1 + wrap)).clamp(0, 1) * (1 - style["shadow"] * (1 - arrives))
    if style.any("levels"):
        levels = style["levels"]
        steps = torch.floor(direct * levels * 0.999 + 0.5) / levels.clamp_min(1)
        direct = torch.where(levels > 0, steps, direct)
    above = style["ambient"] * (0.72 + 0.28 * normal[1])
    amount = (above + style["diffuse"] * direct) * style["dim"]
    amount = torch.lerp(amount, torch.full_like(amount, 0.95), style["flat"])
    colour = []
    base = _covered(surface, style)
    for i in range(3):
        light = above * style["sky"][i] + style["diffuse"] * direct * style["sun"][i]
        light = torch.lerp(light * style["dim"], torch.full_like(light, 0.95), style["flat"])
        colour.append(base[i] * light)
    if style.any("specular") or style.any("rim") or style.any("reflect"):
        _add_gloss(colour, surface, rays, (s, direct), style)
    for i in range(3):
        colour[i] = torch.lerp(surface.colour[i], colour[i], surface.lit)
    return colour, torch.lerp(torch.ones_like(amount), amount, surface.lit)


def _covered(surface: Surface, style: Numbers) -> Colour:
    if not style.any("cover"):
        return surface.colour
    lying = ((surface.normal[1] - 0.35) * 4).clamp(0, 1) * style["cover"]
    return [torch.lerp(part, torch.full_like(part, 0.95), lying) for part in surface.colour]


def _add_gloss(
    colour: Colour, surface: Surface, rays: Rays, light: tuple[tuple[Tensor, ...], Tensor], style: Numbers
) -> None:
    s, direct = light
    view = unit(rays.direction)
    normal = tuple(surface.normal)
    facing = dot(normal, view)
    bounce = tuple(view[i] - 2 * facing * normal[i] for i in range(3))
    shine = dot(bounce, s).clamp(0, 1).pow(style["shininess"]) * style["specular"] * (direct > 0.02)
    solid = (surface.ident > 4.5).to(shine.dtype)
    rim = (1 + facing).clamp(0, 1).pow(2.5) * style["rim"] * solid
    mirror = ((bounce[1] * 4 + 0.4).clamp(0, 1) + 0.35 * torch.sin(bounce[1] * 9 + bounce[0] * 3)).clamp(
        0, 1.2
    )
    for i in range(3):
        own = surface.colour[i]
        shining = torch.lerp(colour[i], own * (0.12 + 1.25 * mirror) + 0.1 * mirror, style["reflect"] * solid)
        colour[i] = shining + shine * style["sun"][i] * (0.35 + 0.65 * solid) + rim * (0.35 + own)


def _spots(surface: Surface, rays: Rays) -> tuple[Tensor, ...]:
    depth = surface.depth.clamp_max(60.0)
    return tuple(rays.origin[i] + depth * rays.direction[i] for i in range(3))


def mottle(colour: Colour, surface: Surface, rays: Rays | None, style: Numbers, lens: Lens) -> None:
    """Makes colour uneven, fixed to the surface for solids seen from close by; changes `colour` in place."""
    if rays is None:
        _, height, width = surface.depth.shape
        y = (torch.arange(height, device=surface.depth.device) / lens.half_short)[None, :, None].expand_as(
            surface.depth
        )
        x = (torch.arange(width, device=surface.depth.device) / lens.half_short)[None, None, :].expand_as(
            surface.depth
        )
        z = surface.ident * 0.37
    else:
        x, y, z = _spots(surface, rays)
    tile = torch.full_like(lens.shift, 5.0)
    grain = noise(x * 0.3 + lens.shift, y * 0.3 + z * 0.21, tile) - 0.5
    for part in colour:
        part.mul_(1 + style["mottle"] * 0.7 * grain * surface.lit)


def find_edges(surface: Surface, lens: Lens, style: Numbers) -> Tensor:
    """Finds where things end or fold.

    Args:
        surface: what is seen.
        lens: the picture's scale.
        style: `Style` of each picture (line width).

    Returns:
        1 on lines, 0 elsewhere, "n h w".
    """
    inverse = 1.0 / surface.depth
    fields = (surface.ident, *surface.normal)

    def changes(dim: int) -> Tensor:
        size = surface.ident.shape[dim] - 1
        first = [field.narrow(dim, 0, size) for field in fields]
        after = [field.narrow(dim, 1, size) for field in fields]
        near, far = inverse.narrow(dim, 0, size), inverse.narrow(dim, 1, size)
        cosine = sum(first[i] * after[i] for i in (1, 2, 3))
        solid = (first[0] > 4.5) & (after[0] > 4.5)
        fold = solid & (cosine < 0.75)
        step = (near - far).abs() > 0.06 * torch.maximum(near, far)
        far_ground = (first[0] < 4.5) & (after[0] < 4.5) & (first[0] == after[0])
        edge = (first[0] != after[0]) | fold | (step & ~far_ground)
        pad = (0, 0, 0, 1) if dim == 1 else (0, 1)
        return functional.pad(edge.to(inverse.dtype), pad)

    lines = torch.maximum(changes(1), changes(2))
    return _thicken(lines, style["outline_px"] * lens.half_short / 64.0)


def _thicken(lines: Tensor, widths: Tensor) -> Tensor:
    """Widens one-sample lines to each picture's width."""
    result = torch.zeros_like(lines)
    rounded = widths.round().clamp_min(1)
    for width in range(1, int(rounded.max()) + 1):
        chosen = rounded == width
        if not bool(chosen.any()):
            continue
        low = (width - 1) // 2
        padded = functional.pad(lines[:, None], (low, width - 1 - low, low, width - 1 - low))
        wide = functional.max_pool2d(padded, width, 1)[:, 0]
        result = torch.where(chosen, wide, result)
    return result


def draw_lines(colour: Colour, surface: Surface, style: Numbers, lens: Lens) -> None:
    """Draws outlines over a lit picture; changes `colour` in place."""
    lines = find_edges(surface, lens, style) * style["outline"]
    own = surface.colour
    bright = torch.maximum(torch.maximum(own[0], own[1]), own[2]).clamp_min(0.15)
    for i in range(3):
        glow = own[i] / bright
        ink = torch.lerp(style["outline_colour"][i].expand_as(glow), glow, style["outline_own"])
        colour[i].lerp_(ink, lines)


def put_on_paper(colour: Colour, amount: Tensor, style: Numbers, lens: Lens) -> None:
    """Leaves paper where the style wants it, with hatching where it is dark; changes `colour` in place."""
    _, height, width = colour[0].shape
    device = colour[0].device
    scale = 64.0 / lens.half_short
    y = (torch.arange(height, device=device) * scale)[:, None]
    x = (torch.arange(width, device=device) * scale)[None, :]
    tone = amount * (0.35 + 0.65 * _luminance(colour)).clamp(0, 1)
    first = torch.sin((x + y) * (2 * math.pi / 10.0))
    second = torch.sin((x - y) * (2 * math.pi / 10.0))
    ink = ((first - 0.1) * 2 + 0.5).clamp(0, 1) * (tone < 0.5) + ((second - 0.1) * 2 + 0.5).clamp(0, 1) * (
        tone < 0.3
    )
    ink = ink.clamp(0, 1) * style["hatch"]
    for i in range(3):
        sheet = torch.lerp(
            style["paper_colour"][i].expand_as(tone), style["outline_colour"][i].expand_as(tone), ink
        )
        colour[i].lerp_(sheet, style["paper"])


def add_fog(colour: Colour, surface: Surface, style: Numbers) -> None:
    """Fades what is far; changes `colour` in place."""
    veil = (
        1 - torch.exp(-0.1 * style["fog"] * (surface.depth.clamp_max(60.0) - 2.0).clamp_min(0))
    ) * surface.lit
    for i in range(3):
        colour[i].lerp_(style["fog_colour"][i].expand_as(veil), veil)


def add_flakes(colour: Colour, style: Numbers, lens: Lens) -> None:
    """Lets snow fall in front; changes `colour` in place."""
    _, height, width = colour[0].shape
    device = colour[0].device
    y = ((torch.arange(height, device=device) + 0.5) / lens.half_short)[:, None]
    x = ((torch.arange(width, device=device) + 0.5) / lens.half_short)[None, :]
    for layer, (cells, size) in enumerate(((2.5, 0.1), (4.0, 0.11), (6.0, 0.13))):
        fall = lens.time * (0.9 - 0.2 * layer) * cells * 0.5
        p = x * cells + 0.25 * torch.sin(lens.time * 2 + layer) + 17.3 * lens.shift
        q = y * cells - fall + 31 * lens.shift
        i, j = p.floor(), q.floor()
        side = torch.sin(i * 127.1 + j * 311.7 + layer * 7.3) * 43.7585
        rise = torch.sin(i * 269.5 + j * 183.3 + layer * 3.1) * 43.7585
        side, rise = side - side.floor(), rise - rise.floor()
        away = torch.hypot(p - i - 0.15 - 0.7 * side, q - j - 0.15 - 0.7 * rise)
        flake = (
            ((size - away) * 20 + 0.5).clamp(0, 1)
            * style["flakes"]
            * ((side * 7.31 + rise * 3.77).frac() > 0.45)
        )
        for part in colour:
            part.lerp_(torch.full_like(part, 0.98), flake)


def grade(picture: Tensor, style: Numbers, lens: Lens) -> Tensor:
    """Grades finished pictures.

    Args:
        picture: "n 3 h w" in about [0, 1].
        style: `Style` of each picture.
        lens: the picture's scale (before supersampling is undone).

    Returns:
        "n 3 h w" in [0, 1].
    """

    def colour(name: str) -> Tensor:
        return torch.stack(style[name], dim=1)

    def number(name: str) -> Tensor:
        return style[name][:, None]

    if style.any("bloom"):
        size = max(int(lens.half_short / lens.supersample * 0.06) * 2 + 1, 3)
        glow = picture
        for _ in range(2):
            glow = functional.avg_pool2d(glow, size, 1, size // 2)
        picture = picture + number("bloom") * glow
    picture = picture * colour("tint")
    gray = (picture * picture.new_tensor([0.3, 0.59, 0.11])[:, None, None]).sum(1, keepdim=True)
    picture = torch.lerp(gray.expand_as(picture), picture, number("saturation"))
    if style.any("duotone"):
        two = torch.lerp(
            colour("duotone_dark").expand_as(picture),
            colour("duotone_light").expand_as(picture),
            gray.clamp(0, 1).expand_as(picture),
        )
        picture = torch.lerp(picture, two, number("duotone"))
    picture = torch.lerp(picture, torch.ones_like(picture), number("lift"))
    return picture.clamp(0, 1)


def finish(
    colour: Colour, amount: Tensor, seen: tuple[Surface, Rays | None], style: Numbers, lens: Lens
) -> Tensor:
    """Draws a lit surface in its style: mottle, fog, paper, outlines, flakes, grading.

    Args:
        colour: lit colour planes; changed in place.
        amount: light on the surface, "n h w".
        seen: the surface, and its rays if it is a solid scene.
        style: `Style` of each picture.
        lens: the picture's scale.

    Returns:
        Finished pictures, "n 3 h w" in [0, 1].
    """
    surface, rays = seen
    if style.any("mottle"):
        mottle(colour, surface, rays, style, lens)
    if style.any("fog"):
        add_fog(colour, surface, style)
    if style.any("paper"):
        put_on_paper(colour, amount, style, lens)
    if style.any("outline"):
        draw_lines(colour, surface, style, lens)
    if style.any("flakes"):
        add_flakes(colour, style, lens)
    planes = [part.clamp(0, 1.3) for part in colour]
    return grade(shrink(planes, lens.supersample), style, lens)
