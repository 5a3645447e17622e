"""Renders pictures with their exact depth once and keeps them on disk, for training the depth estimator.

`python -m toyworld.depth_bank FOLDER --clips 6000` writes `frames.npy` (`n f h w 3` uint8), `nearness.npy`
(`n f h w` float16, 1 over metres, 0 is sky) and `done.json`. Rendering resumes where it was stopped.

Frames of a clip lie a second apart, so that they differ. Of the scenes of flat shapes, whose depth is a
layer's and not a surface's, only every third is taken.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap

from toyworld.render import HELD_OUT_SEED_START, render, scene_of
from toyworld.shapes import ShapeScene

HEIGHT, WIDTH, NUM_FRAMES = 176, 224, 2
CHUNK = 20
SHAPES_KEPT = 3


def seeds_from(first: int, *, shapes_kept: int = SHAPES_KEPT) -> Iterator[int]:
    """Yields the seeds of a bank: all solid scenes, and some of flat shapes.

    Args:
        first: The first seed that may come.
        shapes_kept: Of the flat ones, one in so many.

    Yields:
        Seeds, rising.
    """
    for seed in itertools.count(first):
        if seed % shapes_kept == 0 or not isinstance(scene_of(seed)[0], ShapeScene):
            yield seed


def fill(folder: Path, *, clips: int) -> None:
    """Renders clips into a bank; continues one that was begun.

    Args:
        folder: Where to; made if missing.
        clips: How many clips.

    Raises:
        ValueError: If the seeds would reach the held-out ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "done.json"
    done = json.loads(log.read_text())["done"] if log.exists() else 0
    shape = (clips, NUM_FRAMES, HEIGHT, WIDTH)
    mode = "r+" if done else "w+"
    frames = open_memmap(folder / "frames.npy", mode=mode, dtype=np.uint8, shape=(*shape, 3))
    nearness = open_memmap(folder / "nearness.npy", mode=mode, dtype=np.float16, shape=shape)
    seeds = list(itertools.islice(seeds_from(0), clips))
    if seeds[-1] >= HELD_OUT_SEED_START:
        raise ValueError(f"{clips} clips reach the held-out seeds; ask for fewer")
    for start in range(done, clips, CHUNK):
        chosen = seeds[start : start + CHUNK]
        scenes = render(chosen, height=HEIGHT, width=WIDTH, num_frames=NUM_FRAMES, fps=1.0)
        frames[start : start + len(chosen)] = scenes.frames.numpy()
        nearness[start : start + len(chosen)] = (1 / scenes.depth).numpy()
        log.write_text(json.dumps({"done": start + len(chosen), "last_seed": chosen[-1]}))
    frames.flush()
    nearness.flush()


def main() -> None:
    """Parses the command line and fills a bank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=6000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    fill(given.folder, clips=given.clips)


if __name__ == "__main__":
    main()
