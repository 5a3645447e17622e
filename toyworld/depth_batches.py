"""Batches for the depth estimator: pictures of the bank, disturbed so that filmed ones are not foreign.

Geometry first (another part, mirrored, a nearer scene cut out and put in front), then surfaces (each slice of
depth recoloured, or given a texture), then the camera (light, colours, blur, noise, compression).
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

Picture = UInt8[np.ndarray, "h w 3"]
Nearness = Float32[np.ndarray, "h w"]
SIZES = ((128, 160), (128, 176), (160, 160), (144, 192), (176, 128))
"""Height and width of batches; each is drawn as one of these."""


class DepthBank:
    """Pictures and their nearness, read at random from disk.

    Args:
        folder: What `depth_bank` filled, perhaps in part.
    """

    def __init__(self, folder: Path) -> None:
        self.frames = np.load(folder / "frames.npy", mmap_mode="r")
        self.nearness = np.load(folder / "nearness.npy", mmap_mode="r")
        self.num_clips = int(json.loads((folder / "done.json").read_text())["done"])

    def draw(self, rng: np.random.Generator) -> tuple[Picture, Nearness]:
        """Draw one picture."""
        clip, frame = int(rng.integers(self.num_clips)), int(rng.integers(self.frames.shape[1]))
        return np.array(self.frames[clip, frame]), np.asarray(self.nearness[clip, frame], np.float32)


def batch(
    bank: DepthBank, rng: np.random.Generator, size: int
) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b h/2 w/2"]]:
    """Draw a batch of one size of `SIZES`.

    Args:
        bank: Where from.
        rng: Source of randomness.
        size: Pictures in it.

    Returns:
        Pictures in [-1, 1] and their nearness at half the size.
    """
    height, width = SIZES[int(rng.integers(len(SIZES)))]
    pictures, targets = [], []
    for _ in range(size):
        picture, nearness = _scene(bank, rng, (height, width))
        pictures.append(filmed(_repainted(picture, nearness, rng), rng))
        targets.append(cv2.resize(nearness, (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    frames = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return frames.float() / 127.5 - 1, torch.from_numpy(np.stack(targets))


def _scene(bank: DepthBank, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Picture, Nearness]:
    """One scene, or two of which the nearer surface is seen at each pixel."""
    picture, nearness = _part(*bank.draw(rng), rng, size)
    if rng.random() < 0.3:
        other, before = _part(*bank.draw(rng), rng, size)
        before = before * np.float32(rng.uniform(0.6, 1.8) * nearness.mean() / max(before.mean(), 1e-6))
        picture = np.where((before > nearness)[..., None], other, picture)
        nearness = np.maximum(nearness, before)
    return picture, nearness


def _part(
    picture: Picture, nearness: Nearness, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[Picture, Nearness]:
    """A part of a picture at the size wanted, perhaps mirrored, of a slightly other shape."""
    full_height, full_width = nearness.shape
    share = rng.uniform(0.5, 1.0)
    shape = np.exp(rng.uniform(-0.2, 0.2)) * size[1] / size[0]
    height = min(full_height, full_width / shape) * share
    width = min(height * shape, full_width)
    top, left = rng.uniform(0, full_height - height), rng.uniform(0, full_width - width)
    part = np.s_[round(top) : round(top + height), round(left) : round(left + width)]
    mirror = 1 if rng.random() < 0.5 else -1
    to = (size[1], size[0])
    near = cv2.resize(nearness[part], to, interpolation=cv2.INTER_LINEAR)[:, ::mirror]
    seen = cv2.resize(picture[part], to, interpolation=cv2.INTER_LINEAR)[:, ::mirror]
    return np.ascontiguousarray(seen), np.ascontiguousarray(near)


def _clouds(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """Smooth noise of a random grain, about -1 to 1."""
    cells = int(rng.choice([3, 6, 12, 24, 48]))
    coarse = rng.standard_normal((cells, max(2, round(cells * width / height)), channels)).astype(np.float32)
    kind = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    return cv2.resize(coarse, (width, height), interpolation=kind).reshape(height, width, channels) * 0.6


def _repainted(picture: Picture, nearness: Nearness, rng: np.random.Generator) -> Picture:
    """Give slices of depth other colours or textures, so that neither tells how far a thing is."""
    if rng.random() < 0.4:
        return picture
    height, width = nearness.shape
    edges = np.sort(rng.choice(nearness.ravel(), int(rng.integers(1, 5))))
    slices = np.searchsorted(edges, nearness)
    painted = picture.copy()
    for number in range(len(edges) + 1):
        if rng.random() < 0.5:
            continue
        change = np.diag(np.exp(rng.normal(0, 0.35, 3)))
        other = cv2.transform(picture, np.hstack([change, rng.normal(0, 25, (3, 1))]))
        if rng.random() < 0.6:
            texture = _clouds(rng, height, width, int(rng.choice([1, 3])))
            other = np.clip(other + texture * np.float32(rng.uniform(5, 70)), 0, 255).astype(np.uint8)
        cv2.copyTo(other, np.uint8(slices == number), painted)
    return painted


def filmed(picture: Picture, rng: np.random.Generator) -> Picture:
    """Do to a picture what light, lens, sensor and codec may do.

    Args:
        picture: RGB 0..255.
        rng: Source of randomness.

    Returns:
        The picture, disturbed.
    """
    if rng.random() < 0.5:
        bent = (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.35)) * 255
        picture = cv2.LUT(picture, bent.astype(np.uint8))
    x = cv2.transform(picture.astype(np.float32), _colours(rng))
    if rng.random() < 0.3:  # light that changes over the picture
        x = x * (1 + np.float32(rng.uniform(0.1, 0.5)) * _clouds(rng, *x.shape[:2], 1))
    if rng.random() < 0.4:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.5:
        x = x + rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.uniform(1, 15))
    out = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 85))])
        out = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return out


def _colours(rng: np.random.Generator) -> Float[np.ndarray, "3 4"]:
    """Mixes the channels, shifts them, and takes out some of the colour."""
    mixing, shift = np.eye(3), np.zeros((3, 1))
    if rng.random() < 0.6:
        mixing = np.eye(3) * rng.uniform(0.6, 1.25) + rng.normal(0, 0.08, (3, 3))
        shift = np.full((3, 1), rng.normal(0, 15))
    saturation = rng.choice([1.0, rng.uniform(0, 1.3), 0.0], p=[0.4, 0.5, 0.1])
    grey = np.full((3, 3), 1 / 3)
    return np.hstack([(grey + saturation * (np.eye(3) - grey)) @ mixing, shift])
