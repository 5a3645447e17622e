"""Free shapes: contours, layers in depth, and what their depth map says."""

import numpy as np
import pytest
import torch

from toyworld.contours import contour, stroke
from toyworld.shapes import KINDS, build_shapes, shape_at
from toyworld.shapes_render import BACK_DEPTH, render_shapes
from toyworld.view import View

VIEW = View(height=48, width=48, time=np.arange(3) / 6, device=torch.device("cpu"), supersample=2)


def test_square_contour_by_hand() -> None:
    radius = contour(np.random.default_rng(0), "square")
    assert radius[0] == pytest.approx(1.0)
    assert radius[32] == pytest.approx(np.sqrt(0.5))


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_contours_are_positive_and_bounded(kind: str) -> None:
    for seed in range(5):
        radius = contour(np.random.default_rng(seed), kind)
        assert radius.shape == (256,)
        assert 0 < radius.min() and radius.max() <= 1.6


def test_strokes_join() -> None:
    pieces = stroke(np.random.default_rng(1))
    assert pieces.shape == (6, 4)
    np.testing.assert_array_equal(pieces[0, 2:], pieces[1, :2])


def test_recipes_run_from_far_to_near_and_depth_shows_the_nearest() -> None:
    for seed in range(12):
        scene = build_shapes(np.random.default_rng(seed), "plain")
        depths = [recipe.depth for recipe in scene.recipes]
        assert depths == sorted(depths, reverse=True)
        clip = render_shapes([scene], VIEW)[0]
        values = set(np.round(clip.depth.unique().numpy(), 3))
        assert values <= {np.float32(BACK_DEPTH)} | {np.round(np.float32(depth), 3) for depth in depths}


def test_a_seen_centre_of_a_disc_has_its_depth() -> None:
    seen = 0
    for seed in range(60):
        scene = build_shapes(np.random.default_rng(seed), "plain")
        named = [recipe for recipe in scene.recipes if recipe.named]
        if not any(recipe.kind == "circle" for recipe in named):
            continue
        clip = render_shapes([scene], VIEW)[0]
        for i, recipe in enumerate(named):
            x, y, visible = clip.tracks[0, i].tolist()
            if recipe.kind == "circle" and visible == 1:
                assert clip.depth[0, round(y), round(x)].item() == pytest.approx(recipe.depth, abs=1e-4)
                seen += 1
    assert seen >= 3


def test_nearer_layers_move_more_with_the_camera() -> None:
    import dataclasses

    scene = build_shapes(np.random.default_rng(2), "plain")
    drift = dataclasses.replace(scene.drift, move="pan left", handheld=False)
    still = dataclasses.replace(scene.recipes[0], velocity=(0.0, 0.0), sway=(0.0, 1.0, 0.0))
    moved = [
        np.ptp(shape_at(dataclasses.replace(still, depth=depth), drift, VIEW.time)[:, 0])
        for depth in (2.0, 8.0)
    ]
    assert moved[0] == pytest.approx(4 * moved[1])
