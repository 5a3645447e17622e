"""Trains the autoencoder of the embedded model on crops of a bank.

`python -m toyworld.train_vae BANK OUT` starts from the best linear codec (see `vae_start`), saves
`OUT/state.pt` as it goes, resumes from it, and leaves the weights in `OUT/vae`. A quarter of the crops are
edge pictures of the clips, at full and at half size, because control clips go through the same autoencoder.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKLLTX2Video
from torch import Tensor

from toyworld.architecture import MICRO, TINY, build_vae
from toyworld.feeding import feed
from toyworld.optimizers import Muon, adam, cosine, split
from toyworld.vae_start import refit_last, start_linear

SAVE_EVERY = 50


def edges(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws the edges of a clip with thresholds of a random strictness.

    Args:
        clip: `f h w 3` uint8.
        rng: Source of chance.

    Returns:
        White lines of 3 pixels on black, `f h w 3` uint8.
    """
    low = float(rng.uniform(40, 110))
    lines = [cv2.Canny(cv2.GaussianBlur(frame, (0, 0), 1.0), low, 2.2 * low) for frame in clip]
    lines = [cv2.dilate(line, np.ones((3, 3), np.uint8)) for line in lines]
    return np.repeat(np.stack(lines)[..., None], 3, axis=-1)


def crop(bank: np.ndarray, rng: np.random.Generator, *, size: int, share: float) -> np.ndarray:
    """Draws one training crop: a picture or its edges, the latter mostly at half size.

    Args:
        bank: Clips `n f h w 3` uint8.
        rng: Source of chance.
        size: Height and width of the crop.
        share: Share of crops that show edges.

    Returns:
        `f size size 3` uint8.
    """
    clip = np.asarray(bank[rng.integers(len(bank))])
    lines = rng.random() < share
    if lines:
        clip = edges(clip, rng)
    if rng.random() < (0.8 if lines else 0.1):
        half = clip.shape[2] // 2
        clip = np.stack([cv2.resize(frame, (half, half), interpolation=cv2.INTER_AREA) for frame in clip])
    y, x = rng.integers(clip.shape[1] - size + 1), rng.integers(clip.shape[2] - size + 1)
    clip = clip[:, y : y + size, x : x + size]
    return clip[:, :, ::-1] if rng.random() < 0.5 else clip


def batch(
    bank: np.ndarray, rng: np.random.Generator, *, count: int, size: int, share: float = 0.25
) -> Tensor:
    """Draws a batch of crops.

    Args:
        bank: Clips `n f h w 3` uint8.
        rng: Source of chance.
        count: Crops.
        size: Height and width of a crop.
        share: Share of crops that show edges.

    Returns:
        `b 3 f h w` in -1..1.
    """
    crops = np.stack([crop(bank, rng, size=size, share=share) for _ in range(count)])
    return torch.from_numpy(crops).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def reconstruction_loss(result: Tensor, wanted: Tensor) -> Tensor:
    """L1 of pixels plus L1 of their differences in space, which keeps edges sharp.

    Args:
        result: `b 3 f h w`.
        wanted: The same shape.

    Returns:
        Scalar.
    """
    error = result - wanted
    return error.abs().mean() + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def psnr(result: Tensor, wanted: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels of pictures in -1..1, mean over the batch.

    Args:
        result: `b 3 f h w`.
        wanted: The same shape.

    Returns:
        Decibels.
    """
    error = (result.clamp(-1, 1) - wanted).square().mean((1, 2, 3, 4))
    return float((10 * torch.log10(4 / error)).mean())


def normalise_latents(vae: AutoencoderKLLTX2Video, clips: Tensor) -> None:
    """Measures mean and spread of each latent channel and stores them in the autoencoder.

    The stored scale is the root of the spread: strong (coarse) channels stay stronger after scaling and rise
    from the noise first, weak (fine) ones last. Their mean square is 1.

    Args:
        vae: Changed in place.
        clips: `b 3 f h w` in -1..1.
    """
    with torch.no_grad():
        latents = torch.cat([vae.encode(clip[None]).latent_dist.mode() for clip in clips])
    spread = latents.std((0, 2, 3, 4)).sqrt()
    vae.latents_mean.copy_(latents.mean((0, 2, 3, 4)))
    vae.latents_std.copy_(spread * spread.square().mean().sqrt())


def begin(bank: np.ndarray, out: Path, given: argparse.Namespace) -> AutoencoderKLLTX2Video:
    """Builds the autoencoder; where no state is saved yet, starts it as the best linear codec.

    Args:
        bank: Clips `n f h w 3` uint8.
        out: Folder of the run.
        given: Options of the command line.

    Returns:
        The autoencoder, on its device.
    """
    torch.manual_seed(given.seed)
    vae = build_vae(MICRO if given.micro else TINY)
    vae.encoder.requires_grad_(not given.freeze_encoder)
    if not (out / "state.pt").exists():
        size = min(96, bank.shape[2] // 2)  # half-size crops must hold it
        start_linear(vae, batch(bank, np.random.default_rng(1), count=given.start_clips, size=size))
        normalise_latents(vae, batch(bank, np.random.default_rng(2), count=64, size=given.crop))
        vae.save_pretrained(out / "start")
    return vae.to(given.device)


def train(bank: np.ndarray, out: Path, given: argparse.Namespace) -> AutoencoderKLLTX2Video:
    """Trains, saving state as it goes.

    Args:
        bank: Clips `n f h w 3` uint8.
        out: Folder of the run.
        given: Options of the command line.

    Returns:
        The trained autoencoder.
    """
    vae = begin(bank, out, given)
    matrices, rest = split(vae, exclude=("conv_in", "conv_out"))
    optimizers = [Muon(matrices, learning_rate=given.muon), adam(rest, given.adam)]
    schedules = [cosine(optimizer, num_steps=given.steps) for optimizer in optimizers]
    parts = {"vae": vae, **{f"optimizer{i}": o for i, o in enumerate([*optimizers, *schedules])}}
    state, step = out / "state.pt", 0
    if state.exists():
        saved = torch.load(state, map_location=given.device)
        step = saved["step"]
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    started = time.monotonic()
    drawing = partial(batch, bank, count=given.batch, size=given.crop, share=given.edges)
    for now, drawn in feed(drawing, seed=given.seed, first=step, last=given.steps, workers=given.workers):
        clips = drawn.to(given.device)
        with torch.autocast(given.device.split(":")[0], torch.bfloat16):
            result = vae.decode(vae.encode(clips).latent_dist.mode()).sample
        loss = reconstruction_loss(result.float(), clips)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for part in (*optimizers, *schedules):
            part.step()
        vae.zero_grad(set_to_none=True)
        step = now + 1
        row = {"step": step, "loss": loss.item(), "psnr": psnr(result.detach().float(), clips)}
        print(json.dumps(row), f"{time.monotonic() - started:.0f} s", flush=True)
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        if step % SAVE_EVERY == 0 or step == given.steps:
            saved = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
            torch.save(saved, out / "new.pt")
            (out / "new.pt").replace(state)
    return vae


def main() -> None:
    """Parses the command line, trains, writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--crop", type=int, default=96, help="pixels")
    parser.add_argument("--start-clips", type=int, default=280, help="crops for the closed-form start")
    parser.add_argument("--refit-clips", type=int, default=120, help="crops for the closed-form finish")
    parser.add_argument("--muon", type=float, default=1.5e-3, help="peak learning rate of convolutions")
    parser.add_argument("--adam", type=float, default=5e-5, help="peak learning rate of everything else")
    parser.add_argument("--freeze-encoder", action="store_true", help="train the decoder alone")
    parser.add_argument("--edges", type=float, default=0.25, help="share of crops that show edges")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw batches ahead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--micro", action="store_true", help="an autoencoder small enough for unit tests")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    bank = np.load(given.bank / "frames.npy", mmap_mode="r")
    bank = bank[: len(json.loads((given.bank / "captions.json").read_text()))]
    vae = train(bank, given.out, given).cpu()
    if not given.freeze_encoder:
        normalise_latents(
            vae, batch(bank, np.random.default_rng(2), count=64, size=given.crop).to(given.device)
        )
    refit_last(
        vae, batch(bank, np.random.default_rng(3), count=given.refit_clips, size=given.crop, share=0.05)
    )
    vae.save_pretrained(given.out / "vae")


if __name__ == "__main__":
    main()
