"""Renders many clips once and keeps them on disk as arrays that training reads at random.

`python -m toyworld.bank FOLDER --clips 2000` writes `frames.npy` (`n f h w 3` uint8) and `captions.json`.
Rendering resumes where it was stopped. A clip's number is its seed, so two banks of one size are the same.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from rich.progress import track

from toyworld.render import HELD_OUT_SEED_START, render

CHUNK = 8


def shards(folder: Path) -> list[Path]:
    """Lists the banks in a folder: itself, or the folders in it, which several processes filled.

    Args:
        folder: A bank or a folder of banks.

    Returns:
        Folders with captions, in the order of their names.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = sorted(path.parent for path in [*folder.glob("captions.json"), *folder.glob("*/captions.json")])
    if not found:
        raise FileNotFoundError(f"{folder} holds no bank: fill one with python -m toyworld.bank {folder}")
    return found


def fill(
    folder: Path, *, clips: int, size: int, num_frames: int, fps: float, device: str, first_seed: int
) -> None:
    """Renders clips into a bank; continues one that was begun.

    Args:
        folder: Where to; made if missing.
        clips: How many clips.
        size: Height and width in pixels.
        num_frames: Frames a clip.
        fps: Frames a second.
        device: Where to render.
        first_seed: Seed of the first clip.

    Raises:
        ValueError: if the folder holds a bank of another shape, or seeds would be held-out ones.
    """
    if first_seed + clips > HELD_OUT_SEED_START:
        raise ValueError(f"seeds from {HELD_OUT_SEED_START} on are held out: begin lower or make fewer clips")
    folder.mkdir(parents=True, exist_ok=True)
    path, shape = folder / "frames.npy", (clips, num_frames, size, size, 3)
    begun = path.exists()
    mode = "r+" if begun else "w+"
    frames = open_memmap(path, mode=mode, dtype=np.uint8, shape=None if begun else shape)
    if frames.shape != shape:
        raise ValueError(
            f"{path} holds {frames.shape}, asked for {shape}: name another folder or the same shape"
        )
    log = folder / "captions.json"
    captions: list[str] = json.loads(log.read_text()) if log.exists() else []
    starts = range(len(captions), clips, CHUNK)
    for start in track(starts, description="rendering"):
        seeds = range(first_seed + start, first_seed + min(start + CHUNK, clips))
        scenes = render(list(seeds), height=size, width=size, num_frames=num_frames, fps=fps, device=device)
        frames[start : start + len(seeds)] = scenes.frames.cpu().numpy()
        captions += scenes.captions
        (folder / "new.json").write_text(json.dumps(captions))
        (folder / "new.json").replace(log)
    frames.flush()


def main() -> None:
    """Parses the command line and fills a bank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--size", type=int, default=256, help="pixels")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--fps", type=float, default=16.0)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    fill(
        given.folder,
        clips=given.clips,
        size=given.size,
        num_frames=given.frames,
        fps=given.fps,
        device=given.device,
        first_seed=given.first_seed,
    )


if __name__ == "__main__":
    main()
