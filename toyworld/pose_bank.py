"""Renders pictures with their exact skeletons once and keeps them on disk, for training the pose estimator.

`python -m toyworld.pose_bank FOLDER --clips 4000` writes `frames.npy` (`n f h w 3` uint8), `skeletons.npy`
(`n f people 18 3` float32: x, y, and 1 seen, 0.5 hidden, 0 not there) and `done.json`. Rendering resumes
where it was stopped.

Frames of a clip lie a second apart, so that they differ. Of the scenes of flat shapes, which hold nobody,
only every eighth is taken.
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

from toyworld.render import HELD_OUT_SEED_START, MAX_PEOPLE, render, scene_of
from toyworld.shapes import ShapeScene

HEIGHT, WIDTH, NUM_FRAMES = 160, 192, 2
CHUNK = 20
SHAPES_KEPT = 8


def seeds_from(first: int) -> Iterator[int]:
    """Yields the seeds of the bank: all solid scenes, and every eighth of flat shapes.

    Args:
        first: The first seed that may come.

    Yields:
        Seeds, rising.
    """
    for seed in itertools.count(first):
        if seed % SHAPES_KEPT == 0 or not isinstance(scene_of(seed)[0], ShapeScene):
            yield seed


def fill(folder: Path, *, clips: int, device: str = "cpu") -> None:
    """Renders clips into a bank; continues one that was begun.

    Args:
        folder: Where to; made if missing.
        clips: How many clips.
        device: Where to render.

    Raises:
        ValueError: If the seeds would reach the held-out ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "done.json"
    done = json.loads(log.read_text())["done"] if log.exists() else 0
    mode = "r+" if done else "w+"
    shape = (clips, NUM_FRAMES)
    frames = open_memmap(folder / "frames.npy", mode=mode, dtype=np.uint8, shape=(*shape, HEIGHT, WIDTH, 3))
    skeletons = open_memmap(
        folder / "skeletons.npy", mode=mode, dtype=np.float32, shape=(*shape, MAX_PEOPLE, 18, 3)
    )
    seeds = list(itertools.islice(seeds_from(0), clips))
    if seeds[-1] >= HELD_OUT_SEED_START:
        raise ValueError(f"{clips} clips reach the held-out seeds; ask for fewer")
    for start in range(done, clips, CHUNK):
        chosen = seeds[start : start + CHUNK]
        place = {"height": HEIGHT, "width": WIDTH, "num_frames": NUM_FRAMES}
        scenes = render(chosen, **place, fps=1.0, device=device)
        frames[start : start + len(chosen)] = scenes.frames.cpu().numpy()
        skeletons[start : start + len(chosen)] = scenes.skeletons.cpu().numpy()
        log.write_text(json.dumps({"done": start + len(chosen), "last_seed": chosen[-1]}))
    frames.flush()
    skeletons.flush()


def main() -> None:
    """Parses the command line and fills a bank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=4000)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    fill(given.folder, clips=given.clips, device=given.device)


if __name__ == "__main__":
    main()
