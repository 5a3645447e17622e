"""Exact intersections of camera rays with the solids of a scene, nearest surface first.

Rays are `origin + t * direction`, and a direction reaches one metre along the camera's axis, so that `t` of a
hit *is* its depth. Pixel fields are separate tensors "n h w" (n pictures): no tensor has a channel axis.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from toyworld.texture import pattern

NEAR = 0.15
"""Nothing nearer than this many metres is drawn."""

Vector = tuple[Tensor, Tensor, Tensor]
Box = tuple[int, int, int, int]
"""Rows from, to; columns from, to."""


@dataclasses.dataclass(kw_only=True)
class Surface:
    """What each ray meets first: depth, unit normal, colour, and which thing it is (0 is the sky)."""

    depth: Tensor
    normal: list[Tensor]
    colour: list[Tensor]
    ident: Tensor
    lit: Tensor
    """1 where light changes the look, 0 where the colour already is what is seen (sky)."""

    @staticmethod
    def empty(like: Tensor) -> Surface:
        """Makes a surface that no ray has met yet."""
        zero = torch.zeros_like(like)
        return Surface(
            depth=torch.full_like(like, float("inf")),
            normal=[zero.clone(), zero.clone(), zero.clone()],
            colour=[zero.clone(), zero.clone(), zero.clone()],
            ident=zero.clone(),
            lit=zero.clone(),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rays:
    """A bundle of rays: one origin a picture ("n 1 1" each), one direction a pixel."""

    origin: Vector
    direction: Vector

    def crop(self, box: Box) -> Rays:
        """Keeps a window of pixels."""
        top, bottom, left, right = box
        x, y, z = (part[:, top:bottom, left:right] for part in self.direction)
        return Rays(origin=self.origin, direction=(x, y, z))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hit:
    """One solid's answer: where it is met, its normal, and pattern coordinates on its surface."""

    met: Tensor
    depth: Tensor
    normal: Vector
    coordinates: tuple[Tensor, Tensor]


def dot(a: Vector, b: Vector) -> Tensor:
    """Multiplies and adds three components."""
    return torch.addcmul(torch.addcmul(a[0] * b[0], a[1], b[1]), a[2], b[2])


def minus(a: Vector, b: Vector) -> Vector:
    """Subtracts by component."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def unit(a: Vector) -> Vector:
    """Scales to length one."""
    scale = torch.rsqrt(dot(a, a).clamp_min(1e-12))
    return a[0] * scale, a[1] * scale, a[2] * scale


def columns(values: Tensor, start: int) -> Vector:
    """Takes three parameters of every picture as tensors "n 1 1"."""
    return values[:, start, None, None], values[:, start + 1, None, None], values[:, start + 2, None, None]


def hit_capsule(rays: Rays, values: Tensor) -> Hit:
    """Meets a capsule: parameters a(3) b(3) radius."""
    d, start, end, radius = rays.direction, columns(values, 0), columns(values, 3), values[:, 6, None, None]
    axis, to_start = minus(end, start), minus(rays.origin, start)
    to_end = minus(rays.origin, end)
    length, along, far = dot(axis, axis), dot(axis, to_start), dot(to_start, to_start)
    dd, axis_d, start_d = dot(d, d), dot(axis, d), dot(d, to_start)
    a = (length * dd - axis_d * axis_d).clamp_min(1e-9)
    b = length * start_d - along * axis_d
    c = length * far - along * along - radius * radius * length
    inside = b * b - a * c
    body_depth = (-b - inside.clamp_min(0).sqrt()) / a
    place = along + body_depth * axis_d
    low = place <= 0
    b_cap = torch.where(low, start_d, start_d - axis_d)
    c_cap = torch.where(low, far, dot(to_end, to_end)) - radius * radius
    inside_cap = b_cap * b_cap - dd * c_cap
    cap_depth = (-b_cap - inside_cap.clamp_min(0).sqrt()) / dd
    body = (place > 0) & (place < length)
    depth = torch.where(body, body_depth, cap_depth)
    met = (inside > 0) & (body | (inside_cap > 0))
    part = (along + depth * axis_d) / length
    s = part.clamp(0, 1)
    normal = tuple((to_start[i] + depth * d[i] - s * axis[i]) / radius for i in range(3))
    return Hit(
        met=met, depth=depth, normal=normal, coordinates=(part, torch.atan2(normal[0], normal[2]) / 3.14159)
    )


def _rotated(values: Tensor, start: int, vector: Vector) -> Vector:
    rows = tuple(columns(values, start + 3 * i) for i in range(3))
    return dot(rows[0], vector), dot(rows[1], vector), dot(rows[2], vector)


def _turned_back(values: Tensor, start: int, vector: Vector) -> Vector:
    rows = tuple(columns(values, start + 3 * i) for i in range(3))
    x, y, z = vector
    return tuple(x * rows[0][i] + y * rows[1][i] + z * rows[2][i] for i in range(3))


def hit_ellipsoid(rays: Rays, values: Tensor) -> Hit:
    """Meets an ellipsoid: parameters centre(3) and the matrix(9) that takes it to the unit sphere."""
    origin = _rotated(values, 3, minus(rays.origin, columns(values, 0)))
    d = _rotated(values, 3, rays.direction)
    a, b, c = dot(d, d), dot(d, origin), dot(origin, origin) - 1.0
    inside = b * b - a * c
    depth = (-b - inside.clamp_min(0).sqrt()) / a
    local = tuple(origin[i] + depth * d[i] for i in range(3))
    normal = unit(_turned_back(values, 3, local))
    return Hit(met=inside > 0, depth=depth, normal=normal, coordinates=(local[0] * 1.5, local[1] * 1.5))


def hit_box(rays: Rays, values: Tensor) -> Hit:
    """Meets a box: parameters centre(3), rotation(9) into its own axes, half sizes(3)."""
    origin = _rotated(values, 3, minus(rays.origin, columns(values, 0)))
    d = _rotated(values, 3, rays.direction)
    half = columns(values, 12)
    inverse = tuple(1.0 / torch.where(part.abs() < 1e-7, torch.full_like(part, 1e-7), part) for part in d)
    middle = tuple(-origin[i] * inverse[i] for i in range(3))
    reach = tuple(half[i] * inverse[i].abs() for i in range(3))
    enter = tuple(middle[i] - reach[i] for i in range(3))
    depth = torch.maximum(torch.maximum(enter[0], enter[1]), enter[2])
    leave = torch.minimum(torch.minimum(middle[0] + reach[0], middle[1] + reach[1]), middle[2] + reach[2])
    on_x = (enter[0] >= depth).to(depth.dtype)
    on_y = (enter[1] >= depth).to(depth.dtype) * (1 - on_x)
    on_z = 1 - on_x - on_y
    local = tuple(origin[i] + depth * d[i] for i in range(3))
    side = (-d[0].sign() * on_x, -d[1].sign() * on_y, -d[2].sign() * on_z)
    p = torch.lerp(local[0], local[2], on_x) / half[0]
    q = torch.lerp(local[1], local[2], on_y) / half[1]
    normal = _turned_back(values, 3, side)
    return Hit(met=depth < leave, depth=depth, normal=normal, coordinates=(p * 1.5 + 0.5, q * 1.5 + 0.5))


def hit_cone(rays: Rays, values: Tensor) -> Hit:
    """Meets a cone frustum with flat ends: parameters a(3) b(3), radius at a, radius at b (0 is a point)."""
    d, start, end = rays.direction, columns(values, 0), columns(values, 3)
    wide, narrow = values[:, 6, None, None], values[:, 7, None, None]
    axis, oa, ob = minus(end, start), minus(rays.origin, start), minus(rays.origin, end)
    m0, m1, m9, m5 = dot(axis, axis), dot(oa, axis), dot(ob, axis), dot(oa, oa)
    m2, m3, dd = dot(d, axis), dot(d, oa), dot(d, d)
    slope = wide - narrow
    hy = m0 + slope * slope
    k2 = m0 * m0 * dd - m2 * m2 * hy
    k1 = m0 * m0 * m3 - m1 * m2 * hy + m0 * wide * slope * m2
    k0 = m0 * m0 * m5 - m1 * m1 * hy + m0 * wide * (slope * m1 * 2.0 - m0 * wide)
    inside = k1 * k1 - k2 * k0
    side_depth = (-k1 - inside.clamp_min(0).sqrt()) / torch.where(
        k2.abs() < 1e-9, torch.full_like(k2, 1e-9), k2
    )
    place = m1 + side_depth * m2
    side = (inside > 0) & (place > 0) & (place < m0)
    from_below = m1 < 0
    safe = torch.where(m2.abs() < 1e-9, torch.full_like(m2, 1e-9), m2)
    cap_depth = torch.where(from_below, -m1 / safe, -m9 / safe)
    cap_radius = torch.where(from_below, wide, narrow)
    spot = tuple(oa[i] + cap_depth * d[i] for i in range(3))
    off = m5 + cap_depth * (2 * m3 + cap_depth * dd) - torch.where(from_below, torch.zeros_like(m0), m0)
    cap = (off < cap_radius * cap_radius) & (from_below | (m9 > 0)) & (cap_depth > NEAR)
    del spot
    depth = torch.where(cap, cap_depth, side_depth)
    sign = torch.where(from_below, -1.0, 1.0)
    lean = hy * place
    slant = tuple(
        m0 * (m0 * (oa[i] + depth * d[i]) + slope * axis[i] * wide) - axis[i] * lean for i in range(3)
    )
    length = m0.sqrt()
    normal = unit(tuple(torch.where(cap, sign * axis[i] / length, slant[i] / (m0 * m0)) for i in range(3)))
    part = (m1 + depth * m2) / m0
    return Hit(
        met=cap | side, depth=depth, normal=normal, coordinates=(part * 3, torch.atan2(normal[0], normal[2]))
    )


HITS = {"capsule": hit_capsule, "ellipsoid": hit_ellipsoid, "box": hit_box, "cone": hit_cone}
"""How each kind of solid is met."""

WIDTHS = {"capsule": 7, "ellipsoid": 12, "box": 15, "cone": 8}
"""Number of parameters of each kind."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slot:
    """The same solid of every picture of a chunk: geometry "n k", look "n 9" and the window that holds it.

    The look is colour(3), second colour(3), pattern, pattern frequency, thing number.
    """

    kind: str
    geometry: Tensor
    look: Tensor
    patterns: list[int]
    window: Box


def draw(surface: Surface, rays: Rays, slot: Slot) -> None:
    """Draws one solid into the surface where it is nearest.

    Args:
        surface: changed in place.
        rays: the rays of the surface's pixels.
        slot: the solid.
    """
    top, bottom, left, right = slot.window
    window = (slice(None), slice(top, bottom), slice(left, right))
    hit = HITS[slot.kind](rays.crop(slot.window), slot.geometry)
    old = surface.depth[window]
    nearer = hit.met & (hit.depth > NEAR) & (hit.depth < old)
    look = [slot.look[:, i, None, None] for i in range(9)]
    colours = look[0:3]
    if slot.patterns != [0]:
        p, q = hit.coordinates
        mix = pattern(
            look[6],
            slot.patterns,
            (p * look[7], q * look[7]),
            torch.full_like(look[6], 8.0),
            torch.full_like(look[6], 0.15),
        )
        colours = [torch.lerp(look[i], look[i + 3], mix) for i in range(3)]
    surface.depth[window] = torch.where(nearer, hit.depth, old)
    surface.ident[window] = torch.where(nearer, look[8], surface.ident[window])
    surface.lit[window] = torch.where(nearer, torch.ones_like(look[8]), surface.lit[window])
    for i in range(3):
        surface.normal[i][window] = torch.where(nearer, hit.normal[i], surface.normal[i][window])
        surface.colour[i][window] = torch.where(nearer, colours[i], surface.colour[i][window])
