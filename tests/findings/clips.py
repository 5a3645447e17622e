"""Small clips of each kind of control, good ones: white lines, trails, skeletons' colours, depth, a film."""

import cv2
import numpy as np

from iclora import controls
from iclora.clip import Clip
from tests.micro import moving_square

NUM_FRAMES, SIDE = 9, 96


def film() -> Clip:
    """A grainy square that moves over a grainy ground."""
    clip = moving_square(num_frames=NUM_FRAMES, height=SIDE, width=SIDE)
    grain = np.random.default_rng(1).integers(0, 40, (SIDE, SIDE, 1), dtype=np.uint8)
    return Clip(frames=clip.frames + grain, fps=clip.fps)


def lines(thickness: int = 1) -> Clip:
    """Its edges."""
    return controls.canny(moving_square(num_frames=NUM_FRAMES, height=SIDE, width=SIDE), thickness=thickness)


def trails() -> Clip:
    """Blue heads with red tails on black, as trails of tracks are drawn."""
    frames = np.zeros((NUM_FRAMES, SIDE, SIDE, 3), np.uint8)
    for index in range(NUM_FRAMES):
        place = 20 + 4 * index
        cv2.circle(frames[index], (place - 8, 40), 2, (255, 0, 0), -1)
        cv2.circle(frames[index], (place, 40), 6, (0, 0, 255), -1)
    return Clip(frames=frames, fps=16.0)


def depth() -> Clip:
    """Ground that comes near below, and a near square that moves."""
    frames = np.zeros((NUM_FRAMES, SIDE, SIDE, 3), np.uint8)
    frames[:] = np.linspace(0, 200, SIDE).astype(np.uint8)[None, :, None, None]
    for index in range(NUM_FRAMES):
        frames[index, 30:60, 10 + 2 * index : 40 + 2 * index] = 255
    return Clip(frames=frames, fps=16.0)


def changed(clip: Clip, frames: np.ndarray) -> Clip:
    """A clip with other frames."""
    return Clip(frames=np.ascontiguousarray(frames.astype(np.uint8)), fps=clip.fps)
