"""Small films of things that move, each in its own way, and their edges."""

from pathlib import Path

import cv2
import numpy as np

from iclora import controls, media
from iclora.clip import Clip


def moving(seed: int, *, num_frames: int = 12, height: int = 64, width: int = 64, fps: float = 16.0) -> Clip:
    """A few boxes that drift over a patterned ground."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 120, (5, 5, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    starts, ways = rng.uniform(0, 1, (3, 2)), rng.uniform(-0.05, 0.05, (3, 2))
    colours = rng.integers(150, 256, (3, 3))
    frames = np.repeat(ground[None], num_frames, axis=0)
    for index, frame in enumerate(frames):
        for start, way, colour in zip(starts, ways, colours, strict=True):
            top, left = (((start + way * index) % 1) * (height, width)).astype(int)
            frame[top : top + height // 4, left : left + width // 4] = colour
    return Clip(frames=frames, fps=fps)


def edges(clip: Clip) -> Clip:
    """The edges of a clip, as a reference."""
    return controls.canny(clip)


def save(clip: Clip, path: Path) -> Path:
    """Write a clip as mp4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return media.save(clip, path)


def save_pairs(folder: Path, count: int, *, num_frames: int = 12) -> Path:
    """Write clips `0` ... with captions and references."""
    for seed in range(count):
        clip = moving(seed, num_frames=num_frames)
        save(clip, folder / f"{seed}.mp4")
        save(edges(clip), folder / f"{seed}_reference.mp4")
        (folder / f"{seed}.txt").write_text(f"box {seed}")
    return folder
