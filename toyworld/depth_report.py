"""Measures a depth estimator: how well it orders the places of a picture from near to far.

    python -m toyworld.depth_report --motorcycle FOLDER

`FOLDER` holds `motorcycle_left.png` and `motorcycle_disp.npz`, as scikit-image has them in `skimage/data`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8

from iclora.adherence import rank_correlation
from iclora.controls.depths.network import TinyDepthNetwork
from iclora.controls.depths.tiny import Tiny, load
from toyworld.render import HELD_OUT_SEED_START, render, scene_of
from toyworld.shapes import ShapeScene

Estimator = Callable[[UInt8[np.ndarray, "h w 3"]], Float32[np.ndarray, "h w"]]
SIZE = 256
"""Pixels of the rendered pictures, as wide as high."""


@cache
def _held_out(seed: int) -> tuple[UInt8[np.ndarray, "h w 3"], Float32[np.ndarray, "h w"]]:
    """A picture from the middle of a clip, and its nearness."""
    scenes = render([seed], height=SIZE, width=SIZE, num_frames=2, fps=1.0)
    return scenes.frames[0, 1].numpy(), (1 / scenes.depth[0, 1]).numpy()


def held_out_scores(estimate: Estimator, seeds: Iterable[int]) -> list[float]:
    """Scores pictures of this world; those without depth (one flat layer) are left out.

    Args:
        estimate: RGB 0..255 to nearness, of any size.
        seeds: Of the clips.

    Returns:
        The rank correlation of each.
    """
    scores = []
    for seed in seeds:
        picture, truth = _held_out(seed)
        if truth.std() > 1e-3 * truth.mean():
            scores.append(score(estimate(picture), truth, np.ones(truth.shape, bool)))
    return scores


def score(
    guess: Float32[np.ndarray, "h w"], truth: Float[np.ndarray, "H W"], known: Bool[np.ndarray, "H W"]
) -> float:
    """The rank correlation at every second known pixel each way.

    Args:
        guess: Nearness of any size.
        truth: Nearness.
        known: Where the truth is known.

    Returns:
        -1 to 1.
    """
    resized = cv2.resize(guess, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    some = np.s_[::2, ::2]
    where = known[some]
    return rank_correlation(resized[some][where], truth[some][where])


def nearness_with(network: TinyDepthNetwork) -> Estimator:
    """Turns a network into an estimator as `tiny` uses it.

    Args:
        network: Without norms.

    Returns:
        One picture in, its nearness out.
    """
    estimator = Tiny(network=network)
    return lambda picture: next(iter(estimator([picture])))


def motorcycle(folder: Path) -> tuple[UInt8[np.ndarray, "h w 3"], np.ndarray]:
    """Reads the left picture and its disparity, which is 1 over distance; unknown places are not finite."""
    bgr = cv2.imread(str(folder / "motorcycle_left.png"))
    if bgr is None:
        raise FileNotFoundError(f"{folder} holds no motorcycle_left.png: give skimage/data of scikit-image")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.load(folder / "motorcycle_disp.npz")["arr_0"]


def _down(picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h 1"]:
    """What is lower in the picture is nearer: what an estimator must do better than."""
    return np.arange(len(picture), dtype=np.float32)[:, None]


def main() -> None:
    """Prints the figures of the embedded estimator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200, help="held-out clips")
    parser.add_argument("--motorcycle", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(HELD_OUT_SEED_START, HELD_OUT_SEED_START + given.clips)
    flat = {seed for seed in seeds if isinstance(scene_of(seed)[0], ShapeScene)}
    estimators = {"tiny": nearness_with(load()), "lower is nearer": _down}
    for kind, some in (("solid scenes", [*set(seeds) - flat]), ("flat shapes", [*flat])):
        for name, estimate in estimators.items():
            scores = held_out_scores(estimate, sorted(some))
            tenth, middle = np.percentile(scores, (10, 50))
            print(
                f"{len(scores)} {kind}, {name}: mean {np.mean(scores):.3f}, median {middle:.3f}, "
                f"worst tenth below {tenth:.3f}"
            )
    if given.motorcycle is not None:
        picture, disparity = motorcycle(given.motorcycle)
        for name, estimate in estimators.items():
            print(f"motorcycle, {name}: {score(estimate(picture), disparity, np.isfinite(disparity)):.3f}")


if __name__ == "__main__":
    main()
