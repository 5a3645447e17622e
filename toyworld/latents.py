"""Encodes a bank once: latents of every clip and of half-size pictures of it, as the pipeline encodes them.

`python -m toyworld.latents BANK VAE` writes into the bank, float16, two views of each clip (as it is or
mirrored, and a part of it enlarged): `target.npy` (`n view c f h w`), and at half size `small.npy` (the
same), `hint.npy` (in colours mixed at random) and `control.npy` (its edges); and the edges themselves,
one pixel wide, as `lines.npy` (`n view f h w/8` uint8, a bit a pixel). It resumes where it was stopped.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKLLTX2Video
from numpy.lib.format import open_memmap
from rich.progress import track

from iclora import Clip, controls, media
from iclora.controls.lines import thicken
from iclora.pipeline import encode_frames
from toyworld.bank import shards
from toyworld.captions import mirrored
from toyworld.feeding import spread

THICKNESS = 3
"""Line width of the embedded adapter's control at full size, in pixels; thinner ones are lost."""
DOWNSCALE = 2
FPS = 16.0
KINDS = ("target", "small", "hint", "control")
VIEWS = 2
SMALLEST_PART = 0.6


def edges_of(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws the edges of a clip, and makes its control at the size its reference has.

    Args:
        frames: `f h w 3` uint8.

    Returns:
        Lines one pixel wide, `f h w` uint8, and the control, `f h/2 w/2 1` uint8.
    """
    thin = controls.canny(Clip(frames=frames, fps=FPS)).frames[..., 0]
    thick = np.repeat(np.stack([thicken(lines, THICKNESS) for lines in thin])[..., None], 3, axis=-1)
    height, width = (side // DOWNSCALE for side in thin.shape[1:])
    return thin, media.resize(Clip(frames=thick, fps=FPS), height, width, fit="stretch").frames[..., :1]


def recoloured(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mixes the colours of a clip at random: what is where stays, what colour it has does not.

    Args:
        frames: `f h w 3` uint8.
        rng: Source of chance.

    Returns:
        The same shape; in a third of all cases grey, half of these negatives.
    """
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    if rng.random() < 1 / 3:
        turn = np.outer(np.ones(3) / 3, np.ones(3) * rng.choice([-1, 1]))
    mixed = (frames.astype(np.float32) - 127.5) @ turn.astype(np.float32)
    largest = max(float(np.abs(mixed).max()), 1.0)
    return (mixed * (127.5 * rng.uniform(0.6, 1) / largest) + 127.5).astype(np.uint8)


def enlarged_part(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cuts a random part out of a clip and enlarges it to the clip's size.

    Args:
        frames: `f h w 3` uint8.
        rng: Source of chance.

    Returns:
        The same shape.
    """
    _, height, width, _ = frames.shape
    share = rng.uniform(SMALLEST_PART, 1)
    h, w = round(share * height), round(share * width)
    y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
    part = frames[:, y : y + h, x : x + w]
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in part])


def is_mirrored(index: int) -> bool:
    """Whether the first view of a clip of a bank is its mirror image."""
    return bool(np.random.default_rng([index, 1]).random() < 0.5)


def views_of(captions: list[str]) -> list[str]:
    """Captions of the views of a bank's clips.

    Args:
        captions: One each clip.

    Returns:
        One each view, the views of a clip together.
    """
    texts = []
    for index, caption in enumerate(captions):
        texts += [mirrored(caption) if is_mirrored(index) else caption, caption]
    return texts


def pictures_of(bank: Path, index: int) -> dict[str, np.ndarray]:
    """Makes what is encoded of one clip.

    Args:
        bank: Folder made by `toyworld.bank`.
        index: Which clip.

    Returns:
        For each of `KINDS` frames `view f h w c` uint8: 3 channels, or 1 of edges, which are grey; and as
        `lines` the bits of the edges at full size, `view f h w/8`.
    """
    clip = np.array(np.load(bank / "frames.npy", mmap_mode="r")[index])
    rng = np.random.default_rng(index)
    whole = np.ascontiguousarray(clip[:, :, ::-1]) if is_mirrored(index) else clip
    views = [whole, enlarged_part(clip, rng)]
    small = [
        media.resize(Clip(frames=view, fps=FPS), *(side // DOWNSCALE for side in view.shape[1:3])).frames
        for view in views
    ]
    lines, control = zip(*map(edges_of, views), strict=True)
    return {
        "target": np.stack(views),
        "small": np.stack(small),
        "hint": np.stack([recoloured(view, rng) for view in small]),
        "control": np.stack(control),
        "lines": np.packbits(np.stack(lines) > 0, axis=-1),
    }


@torch.inference_mode()
def encode_bank(bank: Path, vae: AutoencoderKLLTX2Video, *, workers: int = 0) -> None:
    """Writes the latents of a bank.

    Args:
        bank: Folder made by `toyworld.bank`.
        vae: The trained autoencoder.
        workers: Processes that draw edges.
    """
    count = len(json.loads((bank / "captions.json").read_text()))
    done = bank / "encoded.txt"
    start = int(done.read_text()) if done.exists() else 0
    files: dict[str, np.ndarray] = {}
    clips = spread(partial(pictures_of, bank), range(start, count), workers=workers)
    for index, pictures in zip(track(range(start, count), description="encoding"), clips, strict=True):
        made = {"lines": pictures["lines"]}
        for kind in KINDS:
            colours = np.broadcast_to(pictures[kind], (*pictures[kind].shape[:-1], 3))
            made[kind] = encode_frames(vae, *colours).half().cpu().numpy()
        for kind, values in made.items():
            if kind not in files:
                path, mode = bank / f"{kind}.npy", "r+" if start else "w+"
                shape = None if start else (count, *values.shape)
                files[kind] = open_memmap(path, mode=mode, dtype=values.dtype, shape=shape)
            files[kind][index] = values
        (bank / "new.txt").write_text(str(index + 1))
        (bank / "new.txt").replace(done)


def main() -> None:
    """Parses the command line and encodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--workers", type=int, default=0, help="processes that draw edges")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # as exact as on a CPU
    vae = AutoencoderKLLTX2Video.from_pretrained(given.vae).float().to(given.device)
    for bank in shards(given.bank):
        encode_bank(bank, vae, workers=given.workers)


if __name__ == "__main__":
    main()
