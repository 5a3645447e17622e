"""What guesses lack of their control: nothing where they are the clip, less the nearer they are to it."""

import importlib
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from iclora import Clip, checkpoints
from iclora.pipeline import encode_frames, pixels_of
from iclora.training import judging
from iclora.training.judging import JUDGED, Judge, edges_apart, moved_apart
from tests.training.edges import pictures_of, step
from toyworld.render import HELD_OUT_SEED_START, render

detector = importlib.import_module("iclora.controls.canny")  # the package's name of that is the function
BORDER = 1 + round(4 * detector.DEFAULT_BLUR)


def test_gradients_are_those_of_the_edge_detector() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (48, 64)).astype(np.float32)
    grey = np.round(cv2.GaussianBlur(noise, (0, 0), 3))
    frame = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    sides = detector._gradients(frame, detector.Look())
    expected = cv2.magnitude(*(side.astype(np.float32) for side in sides))
    measured = judging.gradients_of(pictures_of(grey))[0, 0].numpy()
    inner = expected[BORDER:-BORDER, BORDER:-BORDER]
    assert np.abs(measured - inner).max() < 6  # the detector rounds the blurred picture to whole greys
    assert np.corrcoef(measured.ravel(), inner.ravel())[0, 1] > 0.98


def test_the_threshold_is_that_of_the_edge_detector() -> None:
    frames = [step(20), step(30), step(40, low=10, high=200)]
    clip = Clip(frames=np.repeat(np.stack(frames)[..., None], 3, axis=3).astype(np.uint8), fps=8.0)
    inner = (Ellipsis, slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    sizes = [
        cv2.magnitude(*(side.astype(np.float32) for side in detector._gradients(frame, detector.Look())))
        for frame in clip.frames
    ]
    usual, strong = np.percentile(np.stack(sizes)[inner], (detector.AUTO_PERCENTILE, 99))
    low, high = detector.AUTO_HIGH_RANGE
    expected = np.clip(min(usual, detector.AUTO_STRONG_SHARE * strong), low, high)
    threshold = judging.threshold_of(judging.gradients_of(pictures_of(*frames)))
    assert threshold.item() == pytest.approx(expected, abs=3)
    flat = judging.threshold_of(judging.gradients_of(pictures_of(np.full((48, 64), 90, np.float32))))
    assert flat.item() == low


def test_edges_must_be_there_and_nowhere_else() -> None:
    clip = pictures_of(step(30))
    same, near, weak, none, moved = (
        edges_apart(pictures_of(frame), clip).item()
        for frame in (step(30), step(31), step(30, high=100), step(30, high=60), step(44))
    )
    assert same == pytest.approx(0, abs=1e-6) and near == pytest.approx(0, abs=1e-6)
    assert 0 < weak < none < moved
    assert none == pytest.approx(judging.STRONG, rel=0.05)


def test_what_moves_must_be_where_it_goes() -> None:
    def bar(*starts: int) -> Tensor:
        frames = [np.zeros((8, 40), np.float32) for _ in starts]
        for frame, start in zip(frames, starts, strict=True):
            frame[:, start : start + 8] = 255
        return pictures_of(*frames)

    clip = bar(0, 8, 16)
    same, still, half, changed = (
        moved_apart(one, clip).item() for one in (clip, bar(0, 0, 0), bar(0, 8, 0), 0 * clip)
    )
    assert same == 0 and still == 1
    assert half == pytest.approx(0.5)  # of two changed frames one is right
    assert changed == pytest.approx(0.5)  # grey is half as far from either colour as they are from each other
    nothing = moved_apart(bar(0, 8), bar(0, 0)).item()
    assert nothing == 0  # what moves without being asked to is for flow matching to mend


@cache
def latents() -> Tensor:
    """Four rendered clips with figures, encoded."""
    scenes = render(
        [HELD_OUT_SEED_START + number for number in (1, 3, 4, 8)],
        height=160,
        width=160,
        num_frames=9,
        fps=16.0,
        device="cpu",
    )
    with torch.inference_mode():
        encoded = encode_frames(checkpoints.load("tiny").vae, *scenes.frames.numpy())
    return encoded.clone()


@pytest.mark.parametrize("control", JUDGED)
def test_the_clip_itself_lacks_little_and_another_much(control: str) -> None:
    judge, clips = Judge(checkpoints.load("tiny").vae, [control], crop=160), latents()
    worse = clips + 0.4 * torch.randn(clips.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        same, noisy, others = (
            judge.losses(guess, clips, [control] * 4, seed=0) for guess in (clips, worse, clips.roll(1, 0))
        )
    assert same.max() < 0.3 and (same < noisy).all()
    assert noisy.mean() < others.mean() and others.mean() > 3 * same.mean() + 0.2


@pytest.mark.parametrize("control", JUDGED)
def test_following_the_gradient_brings_the_control_back(control: str) -> None:
    judge, clips = Judge(checkpoints.load("tiny").vae, [control], crop=64), latents()
    guess = clips.roll(1, 0).requires_grad_()
    optimizer = torch.optim.Adam([guess], lr=0.1)
    found = []
    for _ in range(12):
        loss = judge.losses(guess, clips, [control] * 4, seed=0).sum()
        found.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert found[-1] < 0.7 * found[0]


def test_each_clip_is_judged_by_its_own_control() -> None:
    vae, clips = checkpoints.load("tiny").vae, latents()[:2]
    with torch.no_grad():
        both = Judge(vae, ["depth", "canny"], crop=160).losses(
            clips.roll(1, 0), clips, ["canny", "depth"], seed=0
        )
        alone = [
            Judge(vae, [control], crop=160).losses(clips.roll(1, 0), clips, [control] * 2, seed=0)
            for control in ("canny", "depth")
        ]
    assert both.tolist() == pytest.approx([alone[0][0].item(), alone[1][1].item()], rel=1e-4)


def test_a_picture_without_lines_does_not_count_more_than_one_with_some() -> None:
    flat = pictures_of(*[np.full((64, 64), 128, np.float32)] * 2)
    noise = np.random.default_rng(0).uniform(0, 255, (64, 64)).astype(np.float32)
    assert edges_apart(pictures_of(noise, noise), flat).item() < 60  # 674 where each line counted alone
    assert edges_apart(pictures_of(step(30, low=110, high=150)), pictures_of(step(30, low=128, high=128))) < 3


def test_edges_that_cannot_be_seen_do_not_count() -> None:
    clip = pictures_of(step(30, low=60, high=200))
    beyond = pictures_of(step(30, low=255, high=355))
    assert edges_apart(beyond, clip).item() == pytest.approx(judging.STRONG, rel=0.05)


def test_a_crop_is_looked_at_somewhere_else_each_time() -> None:
    vae, clips = checkpoints.load("tiny").vae, latents()
    judge = Judge(vae, ["canny"], crop=64)
    with torch.no_grad():
        found = {judge.losses(clips * 0, clips, ["canny"] * 4, seed=seed).sum().item() for seed in range(4)}
        small = pixels_of(vae, clips[judging._cut((10, 10), 4, 0)])
    assert len(found) > 1 and small.shape[-2:] == (64, 64)
