"""Measures pose estimators on held-out figures of this world.

    python -m toyworld.pose_report

prints PCK@0.1 and OKS of `tiny` and, where it is installed, of BlazePose.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import torch

from iclora import adherence
from iclora.adherence import PoseScore
from iclora.clip import Clip
from iclora.controls.poses import Poses, find_poses
from iclora.controls.poses.skeleton import BODY, NUM_POINTS
from iclora.errors import NothingToFollowError
from toyworld.render import HELD_OUT_SEED_START, render

SIZE, NUM_FRAMES, RATE = 256, 5, 6.0
Estimate = Callable[[Clip], Poses]


@cache
def held_out(seed: int) -> tuple[Clip, Poses]:
    """Renders a held-out clip and its exact skeletons.

    Args:
        seed: Of the clip.

    Returns:
        The clip, and the points of those who are mostly seen.
    """
    scenes = render([seed], height=SIZE, width=SIZE, num_frames=NUM_FRAMES, fps=RATE)
    skeletons = scenes.skeletons[0].numpy()
    mostly = (skeletons[..., 2] == 1).sum(axis=-1) >= 9
    points = np.zeros((*skeletons.shape[:2], NUM_POINTS, 3), np.float32)
    points[:, :, BODY] = skeletons * mostly[..., None, None]
    clip = Clip(frames=scenes.frames[0].numpy(), fps=RATE)
    return clip, Poses(points=points, height=SIZE, width=SIZE, fps=RATE)


def held_out_scores(estimate: Estimate, seeds: Iterable[int]) -> list[PoseScore]:
    """Scores an estimator against exact skeletons.

    Args:
        estimate: A clip in, its poses out.
        seeds: Of the clips; those with nobody in them are left out.

    Returns:
        A score for each clip.
    """
    scores = []
    for seed in seeds:
        clip, truth = held_out(seed)
        try:
            scores.append(adherence.pose(truth, estimate(clip)))
        except NothingToFollowError:
            continue
    return scores


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--clips", type=int, default=40, help="held-out clips, of which about half hold somebody"
    )
    parser.add_argument("--estimators", default="tiny,blazepose")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.estimators.split(","):
        seeds = range(HELD_OUT_SEED_START, HELD_OUT_SEED_START + given.clips)
        scores = held_out_scores(lambda clip, name=name: find_poses(clip, estimator=name), seeds)
        means = {field: np.mean([getattr(one, field) for one in scores]) for field in ("pck", "oks", "found")}
        unseen = np.mean([one.found == 0 for one in scores])
        said = ", ".join(f"{field} {mean:.3f}" for field, mean in means.items())
        print(f"{name}: {len(scores)} clips with somebody: {said}; nobody found in {100 * unseen:.0f} %")


if __name__ == "__main__":
    main()
