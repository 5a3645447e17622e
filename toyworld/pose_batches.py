"""Batches for the pose estimator: pictures of the bank, cut, mirrored, and disturbed like generated ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from iclora.controls.poses.tiny_network import CELL_PX
from toyworld.depth_batches import filmed

SIZE = (144, 144)
"""Height and width of the pictures of a batch."""
MIRRORED = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
"""The point that each body point becomes in the mirror."""
HIDDEN_PEAK = 0.6
"""How likely the map says a point is that lies behind something."""
_SIGMA_CELLS = 1.0
_REACH_CELLS = 1.6
"""Cells so near to a point say the way to the middle of its person."""


class PoseBank:
    """Pictures and their skeletons, read at random from disk.

    Args:
        folder: What `pose_bank` filled, perhaps in part.
    """

    def __init__(self, folder: Path) -> None:
        self.frames = np.load(folder / "frames.npy", mmap_mode="r")
        self.skeletons = np.load(folder / "skeletons.npy", mmap_mode="r")
        self.num_clips = int(json.loads((folder / "done.json").read_text())["done"])

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one picture and its skeletons."""
        clip, frame = int(rng.integers(self.num_clips)), int(rng.integers(self.frames.shape[1]))
        return np.array(self.frames[clip, frame]), np.array(self.skeletons[clip, frame])


def batch(
    bank: PoseBank, rng: np.random.Generator, size: int
) -> tuple[
    Float[Tensor, "b 3 h w"], Float[Tensor, "b 18 y x"], Float[Tensor, "b 2 y x"], Float[Tensor, "b y x"]
]:
    """Draw a batch.

    Args:
        bank: Where from.
        rng: Source of randomness.
        size: Pictures in it.

    Returns:
        Pictures in [-1, 1]; how likely each point is in each cell, 0..1; the way from each cell to the middle
        of its person, in cells; and where that way is known.
    """
    drawn = [_scene(bank, rng) for _ in range(size)]
    pictures = torch.from_numpy(np.stack([filmed(picture, rng) for picture, _ in drawn])).permute(0, 3, 1, 2)
    maps = [maps_of(people) for _, people in drawn]
    likely, ways, known = (torch.from_numpy(np.stack(one)) for one in zip(*maps, strict=True))
    return pictures.float() / 127.5 - 1, likely, ways, known


def _scene(bank: PoseBank, rng: np.random.Generator) -> tuple[UInt8[np.ndarray, "h w 3"], np.ndarray]:
    """A part of a picture, perhaps mirrored, at the size of a batch, and the skeletons in it."""
    picture, people = bank.draw(rng)
    height, width = picture.shape[:2]
    side = min(height, width) * rng.uniform(0.6, 1.0)
    top, left = rng.uniform(0, height - side), rng.uniform(0, width - side)
    scale = SIZE[0] / side
    move = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    small = cv2.warpAffine(picture, move, SIZE[::-1], flags=cv2.INTER_AREA)
    people[..., :2] = (people[..., :2] - (left, top)) * scale
    if rng.random() < 0.5:
        small = np.ascontiguousarray(small[:, ::-1])
        people[..., 0] = SIZE[1] - 1 - people[..., 0]
        people = people[:, MIRRORED]
    inside = ((people[..., :2] >= 0) & (people[..., :2] <= (SIZE[1] - 1, SIZE[0] - 1))).all(axis=-1)
    people[..., 2] *= inside
    return small, people


def maps_of(
    people: Float32[np.ndarray, "people 18 3"],
) -> tuple[Float32[np.ndarray, "18 y x"], Float32[np.ndarray, "2 y x"], Float32[np.ndarray, "y x"]]:
    """Draw the maps that the network shall give.

    Args:
        people: x, y in pixels, and 1 seen, 0.5 hidden, 0 not there.

    Returns:
        As for `batch`, of one picture.
    """
    rows, columns = SIZE[0] // CELL_PX, SIZE[1] // CELL_PX
    likely = np.zeros((18, rows, columns), np.float32)
    ways, known = np.zeros((2, rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    for person in people:
        there = person[:, 2] > 0
        if there.sum() < 2:
            continue
        cells = (person[:, :2] + 0.5) / CELL_PX - 0.5
        middle = (cells[there].min(axis=0) + cells[there].max(axis=0)) / 2
        for number in np.flatnonzero(there):
            apart = (x - cells[number, 0]) ** 2 + (y - cells[number, 1]) ** 2
            peak = 1.0 if person[number, 2] == 1 else HIDDEN_PEAK
            likely[number] = np.maximum(likely[number], peak * np.exp(-apart / (2 * _SIGMA_CELLS**2)))
            near = apart <= _REACH_CELLS**2
            ways[0][near], ways[1][near] = middle[0] - x[near], middle[1] - y[near]
            known[near] = 1
    return likely, ways, known
