"""Intersections against values worked out by hand: rays along z from the origin, things at z = 5."""

import pytest
import torch

from toyworld.trace import Rays, Slot, Surface, draw, hit_box, hit_capsule, hit_cone, hit_ellipsoid


def rays(*directions: tuple[float, float]) -> Rays:
    x = torch.tensor([[[float(u) for u, _ in directions]]])
    y = torch.tensor([[[float(v) for _, v in directions]]])
    zero = torch.zeros(1, 1, 1)
    return Rays(origin=(zero, zero, zero), direction=(x, y, torch.ones_like(x)))


CAPSULE = torch.tensor([[-1.0, 0, 5, 1, 0, 5, 0.5]])
SPHERE = torch.tensor([[0.0, 0, 5, 1, 0, 0, 0, 1, 0, 0, 0, 1]])
CUBE = torch.tensor([[0.0, 0, 5, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1]])
CYLINDER = torch.tensor([[0.0, -1, 5, 0, 1, 5, 0.5, 0.5]])


def test_capsule_body_and_round_ends() -> None:
    hit = hit_capsule(rays((0, 0), (0.28, 0), (0.4, 0)), CAPSULE)
    assert hit.met[0, 0].tolist() == [True, True, False]
    assert hit.depth[0, 0, 0].item() == pytest.approx(4.5, abs=1e-4)
    assert hit.normal[2][0, 0, 0].item() == pytest.approx(-1, abs=1e-4)
    end = torch.tensor([0.28, 0, 1]) * hit.depth[0, 0, 1] - torch.tensor([1.0, 0, 5])
    assert end.norm().item() == pytest.approx(0.5, abs=1e-3)


def test_ellipsoid_is_met_at_its_front() -> None:
    hit = hit_ellipsoid(rays((0, 0), (0.3, 0)), SPHERE)
    assert hit.met[0, 0].tolist() == [True, False]
    assert hit.depth[0, 0, 0].item() == pytest.approx(4, abs=1e-5)
    assert [part[0, 0, 0].item() for part in hit.normal] == pytest.approx([0, 0, -1], abs=1e-5)


def test_box_gives_the_face_it_shows() -> None:
    hit = hit_box(rays((0.2, 0), (0.3, 0)), CUBE)
    assert hit.met[0, 0].tolist() == [True, False]
    assert hit.depth[0, 0, 0].item() == pytest.approx(4, abs=1e-5)
    assert [part[0, 0, 0].item() for part in hit.normal] == pytest.approx([0, 0, -1], abs=1e-5)


def test_cone_with_equal_ends_is_a_cylinder() -> None:
    hit = hit_cone(rays((0, 0), (0.09, 0), (0.12, 0), (0, 0.3)), CYLINDER)
    assert hit.met[0, 0].tolist() == [True, True, False, False]
    assert hit.depth[0, 0, 0].item() == pytest.approx(4.5, abs=1e-4)


def test_cone_from_above_shows_its_flat_end() -> None:
    wide = torch.tensor([[0.0, -3, 5, 0, -1, 5, 2.0, 2.0]])
    hit = hit_cone(rays((0, -0.22)), wide)
    assert bool(hit.met[0, 0, 0])
    assert hit.depth[0, 0, 0].item() == pytest.approx(1 / 0.22, abs=1e-4)
    assert hit.normal[1][0, 0, 0].item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_solid_wins_in_any_order(order: tuple[int, int]) -> None:
    bundle = rays((0, 0))
    surface = Surface.empty(bundle.direction[0])
    near, far = SPHERE.clone(), SPHERE.clone()
    near[0, 2] = 3.0
    looks = torch.tensor([[[1.0, 0, 0, 1, 0, 0, 0, 1, 8]], [[0.0, 0, 1, 0, 0, 1, 0, 1, 9]]])
    slots = [
        Slot(kind="ellipsoid", geometry=geometry, look=look, patterns=[0], window=(0, 1, 0, 1))
        for geometry, look in zip((near, far), looks, strict=True)
    ]
    for place in order:
        draw(surface, bundle, slots[place])
    assert surface.depth.item() == pytest.approx(2, abs=1e-5)
    assert surface.ident.item() == 8
    assert [part.item() for part in surface.colour] == [1, 0, 0]
