"""The front door: a seed gives the same scene, whatever stands beside it and however it is looked at."""

import dataclasses

import numpy as np
import pytest
import torch

from toyworld.render import HELD_OUT_SEED_START, Scenes, render, scene_of
from toyworld.scene import SolidScene, build_scene
from toyworld.shapes import ShapeScene
from toyworld.solids_render import render_solids
from toyworld.styles import STYLES
from toyworld.view import View


def small(seeds: list[int], num_frames: int = 3, size: int = 48) -> Scenes:
    return render(seeds, height=size, width=size, num_frames=num_frames)


def solid_seeds(count: int) -> list[int]:
    return [seed for seed in range(400) if isinstance(scene_of(seed)[0], SolidScene)][:count]


def test_shapes_types_and_ranges() -> None:
    scenes = render([3, 4], height=32, width=48, num_frames=2)
    assert scenes.frames.shape == (2, 2, 32, 48, 3)
    assert scenes.frames.dtype == torch.uint8
    assert scenes.depth.shape == (2, 2, 32, 48)
    assert scenes.depth.dtype == torch.float32
    assert scenes.skeletons.shape == (2, 2, 2, 18, 3)
    assert scenes.tracks.shape == (2, 2, 16, 3)
    assert len(scenes.captions) == len(scenes.attributes) == 2
    assert bool((scenes.depth > 0).all())
    assert set(scenes.tracks[..., 2].unique().tolist()) <= {0.0, 0.5, 1.0}


def test_a_seed_gives_the_same_clip_alone_and_in_company() -> None:
    together = small([11, 2, 7])
    for place, seed in enumerate([11, 2, 7]):
        alone = small([seed])
        assert torch.equal(alone.frames[0], together.frames[place])
        assert torch.equal(alone.depth[0], together.depth[place])
        assert torch.equal(alone.skeletons[0], together.skeletons[place])
        assert torch.equal(alone.tracks[0], together.tracks[place])
        assert alone.captions[0] == together.captions[place]


def test_scenes_drawn_in_one_call_look_as_they_do_alone() -> None:
    view = View(height=40, width=40, time=np.arange(2) / 24, device=torch.device("cpu"), supersample=2)
    scenes = [
        build_scene(np.random.default_rng(i), style)
        for i, style in enumerate(("toon", "ink", "snow", "metal"))
    ]
    for together, scene in zip(render_solids(scenes, view), scenes, strict=True):
        alone = render_solids([scene], view)[0]
        difference = (together.frames.int() - alone.frames.int()).abs()
        assert int(difference.max()) <= 1
        assert torch.equal(together.depth, alone.depth)


def test_more_frames_continue_the_same_motion() -> None:
    seeds = solid_seeds(2)
    short, long = small(seeds, num_frames=2), small(seeds, num_frames=9)
    assert int((short.frames.int() - long.frames[:, :2].int()).abs().max()) <= 1
    assert not torch.equal(long.frames[:, 0], long.frames[:, 8])


def test_size_does_not_change_the_scene() -> None:
    seeds = list(range(20, 26))
    coarse, fine = small(seeds, num_frames=1, size=48), small(seeds, num_frames=1, size=96)
    assert coarse.captions == fine.captions
    shrunk = torch.nn.functional.avg_pool2d(fine.frames[:, 0].float().permute(0, 3, 1, 2), 2)
    mean_difference = (shrunk - coarse.frames[:, 0].float().permute(0, 3, 1, 2)).abs().mean()
    assert float(mean_difference) < 16
    there = coarse.tracks[..., 2] > 0
    assert there.any()
    assert torch.allclose(fine.tracks[there][:, :2] + 0.5, 2 * (coarse.tracks[there][:, :2] + 0.5), atol=1e-2)


def test_seeds_and_times_give_different_clips() -> None:
    scenes = small([0, 1])
    assert not torch.equal(scenes.frames[0], scenes.frames[1])
    assert scenes.captions[0] != scenes.captions[1]


def test_both_families_appear_and_solids_are_the_larger() -> None:
    families = [isinstance(scene_of(seed)[0], ShapeScene) for seed in range(300)]
    assert 0.3 < np.mean(families) < 0.5


def test_held_out_seeds_start_far_above_training_seeds() -> None:
    assert HELD_OUT_SEED_START == 10_000_000
    assert scene_of(HELD_OUT_SEED_START)[1] != scene_of(0)[1]


def test_styles_give_different_pictures_of_the_same_scene() -> None:
    view = View(height=40, width=40, time=np.zeros(1), device=torch.device("cpu"), supersample=2)
    scenes = [build_scene(np.random.default_rng(5), style) for style in STYLES if style != "snow"]
    pictures = [clip.frames.float() for clip in render_solids(scenes, view)]
    for i, first in enumerate(pictures):
        for second in pictures[:i]:
            assert float((first - second).abs().mean()) > 4.0


def test_joints_that_are_seen_lie_on_their_figure() -> None:
    view = View(height=96, width=96, time=np.arange(2) / 4, device=torch.device("cpu"), supersample=2)
    seen, on_figure = 0, 0
    for seed in solid_seeds(10):
        scene = scene_of(seed)[0]
        assert isinstance(scene, SolidScene)
        clip, empty = (
            render_solids([some], view)[0] for some in (scene, dataclasses.replace(scene, people=()))
        )
        for frame, joints in enumerate(clip.skeletons):
            for x, y, visible in joints.reshape(-1, 3).tolist():
                pixel = (frame, round(y), round(x))
                if visible == 1:
                    seen += 1
                    on_figure += int(clip.depth[pixel] < empty.depth[pixel])
    assert seen > 100
    assert on_figure / seen > 0.97


def test_absent_people_and_objects_are_zero() -> None:
    seed = next(seed for seed in range(200) if isinstance(scene_of(seed)[0], ShapeScene))
    scenes = small([seed], num_frames=1)
    assert not scenes.skeletons.any()
    assert not scenes.tracks[0, :, len(scenes.attributes[0].objects) :].any()


@pytest.mark.parametrize("name", ["height", "width", "num_frames", "fps"])
def test_refuses_what_is_not_positive(name: str) -> None:
    request = {"height": 8, "width": 8, "num_frames": 1, "fps": 24.0, name: 0}
    with pytest.raises(ValueError, match=f"{name} is 0; it must be positive"):
        render([0], **request)


def test_refuses_no_seeds_and_negative_seeds() -> None:
    with pytest.raises(ValueError, match="number of seeds is 0"):
        small([])
    with pytest.raises(ValueError, match="seed is -1"):
        small([-1])
    with pytest.raises(ValueError, match="supersample is 3; accepted are 1 and 2"):
        render([0], height=8, width=8, num_frames=1, supersample=3)
