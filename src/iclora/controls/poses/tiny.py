"""The estimator `tiny`: weights inside the package, trained on the figures of `toyworld` alone.

It has never seen a photograph and is not to be relied on there: it is for the embedded model's own world,
whose figures BlazePose often does not see.

    maps of 18 points ─► peaks ─► each says where the middle of its person is ─► who agrees is one person
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls.depths.batches import in_batches
from iclora.controls.poses.skeleton import BODY, NUM_POINTS
from iclora.errors import ModelError

if TYPE_CHECKING:
    from iclora.controls.poses.tiny_network import TinyPoseNetwork

WEIGHTS = Path(__file__).with_name("tiny.safetensors")
SHORT_SIDE = 160
"""Pixels of a picture's shorter side when it is looked at."""
BATCH = 8
LEAST_PEAK = 0.4
"""How likely a point must be."""
LEAST_POINTS = 6
"""Who has fewer points is nobody."""
_CELL_PX = 4
_MOST_PEAKS = 4
"""People in a picture, at most."""
_APART_CELLS = 7.0
"""Points whose middles lie farther apart belong to two people."""
_MAX_SHAPE = 3.0


class Tiny:
    """Finds figures in pictures, a few at a time.

    Args:
        network: Other weights than the embedded ones.
        device: `cpu`, `cuda`, ..., as PyTorch has it.

    Raises:
        ModelError: If the embedded weights are missing or damaged.
    """

    def __init__(self, *, network: TinyPoseNetwork | None = None, device: str = "cpu") -> None:
        self._network = (network or load()).eval().to(device)
        self._device = device

    def __call__(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[list[Float32[np.ndarray, "130 3"]]]:
        """Find everybody.

        Args:
            frames: RGB 0..255, all of one size.

        Yields:
            For each frame the points of each person: x and y in pixels and a score 0..1; no hands, no face.
        """
        import torch

        sizes: list[tuple[int, int]] = []

        def small() -> Iterator[Float32[np.ndarray, "3 y x"]]:
            for frame in frames:
                sizes.append((frame.shape[0], frame.shape[1]))
                yield _small(frame)

        for batch in in_batches(small(), BATCH):
            with torch.inference_mode():
                points, ways = self._network(torch.from_numpy(batch).to(self._device))
                likely = torch.sigmoid(points).float().cpu().numpy()
            shown = sizes[: len(batch)]
            del sizes[: len(batch)]
            for size, some, way in zip(shown, likely, ways.float().cpu().numpy(), strict=True):
                scale = np.array([size[1] / batch.shape[3], size[0] / batch.shape[2], 1], np.float32)
                yield [person * scale for person in people_of(some, way)]


def people_of(
    likely: Float32[np.ndarray, "18 y x"], ways: Float32[np.ndarray, "2 y x"]
) -> list[Float32[np.ndarray, "130 3"]]:
    """Read people off the maps.

    Args:
        likely: How likely each body point is in each cell, 0..1.
        ways: From each cell to the middle of its person, x and y in cells.

    Returns:
        The points of each person in pixels of the picture that was looked at, the surest person first.
    """
    peaks = sorted(
        (peak for number, plane in enumerate(likely) for peak in _peaks(number, plane)), reverse=True
    )
    people: list[Float32[np.ndarray, "130 3"]] = []
    middles: list[list[Float32[np.ndarray, " 2"]]] = []
    for score, number, x, y in peaks:
        row, column = (
            int(np.clip(round(at), 0, last - 1)) for at, last in ((y, likely.shape[1]), (x, likely.shape[2]))
        )
        middle = np.array([x, y], np.float32) + ways[:, row, column]
        apart = [float(np.linalg.norm(middle - np.mean(one, axis=0))) for one in middles]
        free = [
            index
            for index, person in enumerate(people)
            if person[number, 2] == 0 and apart[index] <= _APART_CELLS
        ]
        if free:
            index = min(free, key=lambda one: apart[one])
        else:
            index = len(people)
            people.append(np.zeros((NUM_POINTS, 3), np.float32))
            middles.append([])
        # The middle of cell 0 is half a cell from the border.
        people[index][number] = ((x + 0.5) * _CELL_PX - 0.5, (y + 0.5) * _CELL_PX - 0.5, score)
        middles[index].append(middle)
    return [person for person in people if (person[BODY, 2] > 0).sum() >= LEAST_POINTS]


def _peaks(number: int, plane: Float32[np.ndarray, "y x"]) -> list[tuple[float, int, float, float]]:
    """The highest cells of a map, between cells: score, number of the point, x, y."""
    highest = plane == cv2.dilate(plane, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(highest & (plane >= LEAST_PEAK))
    order = np.argsort(-plane[rows, columns], kind="stable")[:_MOST_PEAKS]
    padded = np.pad(plane, 1)
    found = []
    for row, column in zip(rows[order], columns[order], strict=True):
        around = padded[row : row + 3, column : column + 3]
        step = np.array([-1, 0, 1])
        x = column + float((around.sum(axis=0) * step).sum() / around.sum())
        y = row + float((around.sum(axis=1) * step).sum() / around.sum())
        found.append((float(plane[row, column]), number, x, y))
    return found


def _small(frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 y x"]:
    """A picture as the network takes it: RGB in [-1, 1]."""
    height, width = frame.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    longest = SHORT_SIDE * _MAX_SHAPE
    rows, columns = (max(1, round(min(side * scale, longest) / 16)) * 16 for side in (height, width))
    small = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small.transpose(2, 0, 1).astype(np.float32) / np.float32(127.5) - 1)


def load(path: Path = WEIGHTS) -> TinyPoseNetwork:
    """Read the weights.

    Args:
        path: A file that `toyworld/train_pose.py` wrote.

    Returns:
        The network, in float32, on the CPU.

    Raises:
        ModelError: If the file is missing, damaged or holds other weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from iclora.controls.poses.tiny_network import TinyPoseNetwork

    network = TinyPoseNetwork()
    try:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path} does not hold the pose estimator ({reason}). Install the package again."
        ) from error
    return network
