"""Solid scenes: exact depth, windows that cut nothing off, shadows, film."""

import dataclasses

import numpy as np
import pytest
import torch

from toyworld import solids_render
from toyworld.film import Film, expose
from toyworld.objects import Recipe
from toyworld.records import Numbers
from toyworld.scene import SolidScene, build_scene, scene_at
from toyworld.solids import Look
from toyworld.solids_render import render_solids
from toyworld.view import View, at_centres, sample_count, shrink

VIEW = View(height=48, width=64, time=np.arange(2) / 8, device=torch.device("cpu"), supersample=2)


def ball_scene(style: str = "plain") -> SolidScene:
    """A ball of half a metre at the origin, seen from four metres away at its own height."""
    scene = build_scene(np.random.default_rng(0), style)
    look = Look(colour=np.array([0.9, 0.1, 0.1]), number=64)
    recipe = Recipe(
        kind="ball",
        motion="still",
        place=(0.0, 0.0),
        size=0.5,
        look=look,
        yaw=0.0,
        speed=1.0,
        phase=0.0,
        heading=0.0,
        slender=1.0,
    )
    camera = dataclasses.replace(
        scene.camera,
        move="static",
        handheld=False,
        distance=4.0,
        height=0.5,
        target_height=0.5,
        target_side=0.0,
        yaw=0.0,
        focal=2.0,
    )
    return dataclasses.replace(scene, people=(), recipes=(recipe,), camera=camera)


def test_depth_of_ball_and_ground_by_hand() -> None:
    view = dataclasses.replace(VIEW, height=33, width=33, time=np.zeros(1))
    depth = render_solids([ball_scene()], view)[0].depth[0]
    assert depth[16, 16].item() == pytest.approx(3.5, abs=1e-4)
    # The lowest row looks down by 32/33 of half the picture over a focal length of 2, from half a metre.
    assert depth[32, 0].item() == pytest.approx(0.5 * 2 / (32 / 33), rel=1e-5)


def test_the_ball_is_tracked_and_red() -> None:
    clip = render_solids([ball_scene()], VIEW)[0]
    np.testing.assert_allclose(clip.tracks[0, 0], [31.5, 23.5, 1.0], atol=1e-4)
    red, green, blue = clip.frames[0, 23, 31].tolist()
    assert red > 2 * green and red > 2 * blue


@pytest.mark.parametrize("seed", range(4))
def test_windows_cut_nothing_off(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = build_scene(np.random.default_rng(seed), "plain")
    windowed = render_solids([scene], VIEW)[0]
    whole = (0, sample_count(48, 2), 0, sample_count(64, 2))
    monkeypatch.setattr(solids_render, "_windows", lambda chunk, spheres: [whole] * spheres[0].shape[1])
    full = render_solids([scene], VIEW)[0]
    assert int((windowed.frames.int() - full.frames.int()).abs().max()) <= 1
    assert torch.equal(windowed.depth, full.depth)


def test_solids_lie_within_their_spheres() -> None:
    for seed in range(6):
        moment = scene_at(build_scene(np.random.default_rng(seed), "plain"), np.arange(3) / 3)
        for solid in moment.solids:
            if solid.kind == "capsule":
                ends = solid.geometry[:, :6].reshape(3, 2, 3)
                np.testing.assert_allclose(solid.spheres[..., :3], ends)
            assert (solid.spheres[..., 3] > 0).any()


def test_a_solid_darkens_the_ground() -> None:
    scene = ball_scene()
    camera = dataclasses.replace(scene.camera, height=2.5)
    scene = dataclasses.replace(scene, camera=camera)
    nothing = dataclasses.replace(scene, recipes=())
    lit, bare = (render_solids([some], VIEW)[0] for some in (scene, nothing))
    ground = torch.isclose(lit.depth, bare.depth)
    darker = (bare.frames.int() - lit.frames.int()).sum(-1) > 20
    assert bool((ground & darker).any())


def test_shrink_and_centres_by_hand() -> None:
    plane = torch.tensor([[[0.0, 0, 0, 0, 0], [0, 4, 0, 0, 0], [0, 0, 0, 0, 0]]])
    assert sample_count(2, 2) == 5 and sample_count(2, 1) == 2
    assert shrink([plane], 2)[0, 0].tolist() == [[1.0, 0.0]]
    assert at_centres(plane, 2).tolist() == [[[4.0, 0.0]]]


def test_film_of_zeros_changes_nothing_and_exposure_doubles() -> None:
    picture = torch.full((1, 3, 8, 8), 0.25)
    time = torch.zeros(1, 1, 1)
    plain = Film(exposure=0.0, contrast=0.0, vignette=0.0, blur=0.0, grain=0.0, shift=0.5)
    assert torch.equal(expose(picture, Numbers([plain], [1], "cpu"), time), picture)
    bright = dataclasses.replace(plain, exposure=1.0)
    assert torch.allclose(expose(picture, Numbers([bright], [1], "cpu"), time), picture * 2)
    grainy = expose(picture, Numbers([dataclasses.replace(plain, grain=0.1)], [1], "cpu"), time)
    assert 0 < float((grainy - picture).abs().max()) <= 0.1 + 1e-6
