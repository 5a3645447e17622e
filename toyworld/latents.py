"""Encodes a bank once: latents of every clip and of its control, as the pipeline encodes them.

`python -m toyworld.latents BANK VAE` writes `target.npy` (`n c f h w`) and `control.npy` (edges at half size)
into the bank, float16, and resumes where it was stopped.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLLTX2Video
from numpy.lib.format import open_memmap
from rich.progress import track

from iclora import Clip, controls, media
from iclora.pipeline import encode_frames

THICKNESS = 3
"""Line width of the embedded adapter's control at full size, in pixels; thinner ones are lost."""
DOWNSCALE = 2
FPS = 16.0


def control_of(frames: np.ndarray) -> np.ndarray:
    """Makes the control of a clip at the size its reference has.

    Args:
        frames: `f h w 3` uint8.

    Returns:
        Lines at half size, `f h/2 w/2 3` uint8.
    """
    lines = controls.canny(Clip(frames=frames, fps=FPS), thickness=THICKNESS)
    small = media.resize(lines, lines.height // DOWNSCALE, lines.width // DOWNSCALE, fit="stretch")
    return small.frames


@torch.inference_mode()
def encode_bank(bank: Path, vae: AutoencoderKLLTX2Video) -> None:
    """Writes the latents of a bank.

    Args:
        bank: Folder made by `toyworld.bank`.
        vae: The trained autoencoder.
    """
    frames = np.load(bank / "frames.npy", mmap_mode="r")
    count = len(json.loads((bank / "captions.json").read_text()))
    done = bank / "encoded.txt"
    start = int(done.read_text()) if done.exists() else 0
    files: dict[str, np.ndarray] = {}
    for index in track(range(start, count), description="encoding"):
        clip = np.array(frames[index])
        for name, pictures in (("target", clip), ("control", control_of(clip))):
            latent = encode_frames(vae, pictures)[0].float().cpu().numpy()
            if name not in files:
                path, mode = bank / f"{name}.npy", "r+" if start else "w+"
                shape = None if start else (len(frames), *latent.shape)
                files[name] = open_memmap(path, mode=mode, dtype=np.float16, shape=shape)
            files[name][index] = latent
        done.write_text(str(index + 1))


def main() -> None:
    """Parses the command line and encodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    vae = AutoencoderKLLTX2Video.from_pretrained(given.vae).to(given.device)
    encode_bank(given.bank, vae)


if __name__ == "__main__":
    main()
