"""Contours of free shapes, as radii around a centre, and strokes."""

from __future__ import annotations

import math

import numpy as np

TABLE = 256
"""Points of a contour around its centre."""

NUM_SEGMENTS = 6
"""Pieces of a stroke."""


def _polygon(corners: int, angle: np.ndarray) -> np.ndarray:
    step = 2 * math.pi / corners
    return math.cos(step / 2) / np.cos(np.mod(angle, step) - step / 2)


def _heart(angle: np.ndarray) -> np.ndarray:
    t = np.linspace(0, 2 * math.pi, 2000)
    x = 16 * np.sin(t) ** 3 / 17
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 17
    around = np.mod(np.arctan2(y, x), 2 * math.pi)
    order = np.argsort(around)
    return np.interp(angle, around[order], np.hypot(x, y)[order], period=2 * math.pi)


def contour(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Draws the contour of a kind.

    Args:
        rng: source of randomness.
        kind: one of `shapes.KINDS`.

    Returns:
        Radius around the centre, "256", about 1.
    """
    angle = np.linspace(0, 2 * math.pi, TABLE, endpoint=False)
    corners = {"triangle": 3, "square": 4, "hexagon": 6}
    if kind in corners:
        return _polygon(corners[kind], angle)
    if kind == "star":
        points, deep = int(rng.integers(4, 9)), float(rng.uniform(0.35, 0.6))
        saw = np.abs(np.mod(angle * points / (2 * math.pi), 1.0) * 2 - 1)
        return deep / (1 - (1 - deep) * saw)
    if kind == "flower":
        petals = int(rng.integers(4, 9))
        return 0.62 + 0.38 * np.abs(np.cos(angle * petals / 2))
    if kind == "gear":
        teeth = int(rng.integers(7, 14))
        return 0.82 + 0.16 * np.clip(4 * np.sin(angle * teeth), -1, 1)
    if kind == "heart":
        return _heart(angle)
    if kind == "leaf":
        return 0.35 + 0.65 * np.abs(np.cos(angle)) ** float(rng.uniform(1.5, 4))
    if kind in ("circle", "ring", "band", "stroke", "island"):
        return np.ones(TABLE)
    waves = np.zeros(TABLE)
    top, fall = (7, 1.3) if kind == "blob" else (24, 0.7)
    for k in range(1, top):
        waves += rng.normal() / k**fall * np.sin(k * angle + rng.uniform(0, 2 * math.pi))
    return np.clip(0.8 + 0.24 * waves / (waves.std() + 1e-6), 0.25, 1.5)


def stroke(rng: np.random.Generator) -> np.ndarray:
    """Draws a few joined pieces, as letters are made of.

    Args:
        rng: source of randomness.

    Returns:
        x0, y0, x1, y1 of each piece, "6 4"; the last one repeats to fill the rows.
    """
    count = int(rng.integers(2, NUM_SEGMENTS + 1))
    grid = rng.random() < 0.5
    points = rng.choice([-0.8, 0.0, 0.8], (count + 1, 2)) if grid else rng.uniform(-0.9, 0.9, (count + 1, 2))
    pieces = np.concatenate([points[:-1], points[1:]], axis=1)
    return np.concatenate([pieces, np.repeat(pieces[-1:], NUM_SEGMENTS - count, axis=0)])
