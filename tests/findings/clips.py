"""Small clips of each kind of control, good ones: white lines, trails, skeletons' colours, depth, a film."""

import cv2
import numpy as np

from iclora import controls
from iclora.clip import Clip
from iclora.controls.depths import conventions
from iclora.controls.poses.skeleton import NUM_POINTS
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
        cv2.circle(frames[index], (place, 40), 3, (0, 0, 255), -1)
    return Clip(frames=frames, fps=16.0)


def depth() -> Clip:
    """Ground that comes near below, and a near square that moves."""
    frames = np.zeros((NUM_FRAMES, SIDE, SIDE, 3), np.uint8)
    frames[:] = np.linspace(0, 200, SIDE).astype(np.uint8)[None, :, None, None]
    for index in range(NUM_FRAMES):
        frames[index, 30:60, 10 + 2 * index : 40 + 2 * index] = 255
    return Clip(frames=frames, fps=16.0)


def soft_edges() -> Clip:
    """Its edges, as soft as they are."""
    return controls.soft_edges(moving_square(num_frames=NUM_FRAMES, height=SIDE, width=SIDE))


def line_art() -> Clip:
    """Dark strokes of a drawing, white on black."""
    frames = np.full((NUM_FRAMES, SIDE, SIDE, 3), 230, np.uint8)
    for index in range(NUM_FRAMES):
        cv2.circle(frames[index], (30 + 2 * index, 48), 20, (20, 20, 20), 2)
    return controls.line_art(Clip(frames=frames, fps=16.0))


def normals() -> Clip:
    """Which way the surfaces of a depth clip face."""
    return controls.normals(depth())


def green() -> Clip:
    """The film with a green hole."""
    frames = film().frames.copy()
    frames[:, 40:70, 40:70] = controls.plain.GREEN
    return Clip(frames=frames, fps=16.0)


def coloured(convention: str) -> Clip:
    """Depth, drawn in another way."""
    drawn = [conventions.coloured(frame[..., 0] / np.float32(255), convention) for frame in depth().frames]
    return Clip(frames=np.stack(drawn), fps=16.0)


def pose() -> Clip:
    """Somebody who stands and glides to the right: arms above legs."""
    points = np.zeros((NUM_FRAMES, 1, NUM_POINTS, 3), np.float32)
    places = [
        (48, 16),
        (48, 28),
        (38, 28),
        (32, 42),
        (30, 54),
        (58, 28),
        (64, 42),
        (66, 54),
        (42, 54),
        (40, 70),
    ]
    places += [(40, 86), (54, 54), (56, 70), (56, 86)]
    places += [(45, 12), (51, 12), (41, 15), (55, 15)]
    points[:, 0, : len(places), :2] = places
    points[:, 0, : len(places), 0] += np.arange(NUM_FRAMES)[:, None]
    points[:, 0, : len(places), 2] = 1
    return controls.draw_poses(controls.Poses(points=points, height=SIDE, width=SIDE, fps=16.0))


def changed(clip: Clip, frames: np.ndarray) -> Clip:
    """A clip with other frames."""
    return Clip(frames=np.ascontiguousarray(frames.astype(np.uint8)), fps=clip.fps)
