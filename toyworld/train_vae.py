"""Trains the autoencoder of the embedded model on crops of a bank.

`python -m toyworld.train_vae BANK OUT` starts from the best linear codec (see `vae_start`), saves
`OUT/state.pt` as it goes, resumes from it, and leaves the weights in `OUT/vae`. A quarter of the crops are
edge pictures of the clips, at full and at half size, because control clips go through the same autoencoder.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKLLTX2Video
from torch import Tensor
from torch.nn.functional import avg_pool2d

from toyworld.architecture import MICRO, TINY, build_vae
from toyworld.bank import shards
from toyworld.feeding import spread
from toyworld.logbook import write_row
from toyworld.optimizers import Muon, adam, cosine, split
from toyworld.vae_start import refit_last, start_linear

SAVE_EVERY = 200
LOG_EVERY = 20


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What crops are drawn from, uint8: `clips` `n f h w 3` and their `edges` `n f h w 1`."""

    clips: Tensor
    edges: Tensor

    @classmethod
    def open(cls, folder: Path, *, most: int, workers: int, device: str) -> "Pictures":
        """Reads the first clips of each bank in a folder, `most` in all, and draws their edges."""
        banks = shards(folder)
        clips = []
        for bank in banks:
            count = len(json.loads((bank / "captions.json").read_text()))
            frames = np.load(bank / "frames.npy", mmap_mode="r")
            clips += list(frames[: min(count, -(-most // len(banks)))])
        clips = clips[:most]
        drawn = np.stack(list(spread(edges, clips, workers=workers)))
        whole = torch.from_numpy(np.stack(clips)).to(device)
        return cls(clips=whole, edges=torch.from_numpy(drawn).to(device))


def edges(clip: np.ndarray) -> np.ndarray:
    """Draws the edges of a clip with thresholds of a strictness that differs from clip to clip.

    Args:
        clip: `f h w 3` uint8.

    Returns:
        White lines of 3 pixels on black, `f h w 1` uint8.
    """
    low = float(np.random.default_rng(int(clip[0, 0].sum())).uniform(40, 110))
    lines = [cv2.Canny(cv2.GaussianBlur(frame, (0, 0), 1.0), low, 2.2 * low) for frame in clip]
    lines = [cv2.dilate(line, np.ones((3, 3), np.uint8)) for line in lines]
    return np.stack(lines)[..., None]


def crop(pictures: Pictures, rng: np.random.Generator, *, size: int, share: float) -> Tensor:
    """Draws one training crop: a picture or its edges, the latter mostly at half size.

    Args:
        pictures: Where from.
        rng: Source of chance.
        size: Height and width of the crop.
        share: Share of crops that show edges.

    Returns:
        `3 f size size`, 0 to 255.
    """
    lines = rng.random() < share
    source = pictures.edges if lines else pictures.clips
    clip = source[int(rng.integers(len(source)))]
    half = rng.random() < (0.8 if lines else 0.1)
    span = 2 * size if half else size
    y, x = (int(rng.integers(side - span + 1)) for side in clip.shape[1:3])
    part = clip[:, y : y + span, x : x + span].permute(3, 0, 1, 2).float()
    if half:
        part = avg_pool2d(part, 2)
    if rng.random() < 0.5:
        part = part.flip(-1)
    return part.expand(3, -1, -1, -1)


def batch(
    pictures: Pictures, rng: np.random.Generator, *, count: int, size: int, share: float = 0.25
) -> Tensor:
    """Draws a batch of crops.

    Args:
        pictures: Where from.
        rng: Source of chance.
        count: Crops.
        size: Height and width of a crop, at most half of a clip's.
        share: Share of crops that show edges.

    Returns:
        `b 3 f h w` in -1..1.
    """
    crops = [crop(pictures, rng, size=size, share=share) for _ in range(count)]
    return torch.stack(crops) / 127.5 - 1


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


def psnr(result: Tensor, wanted: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in decibels of pictures in -1..1, mean over the batch.

    Args:
        result: `b 3 f h w`.
        wanted: The same shape.

    Returns:
        Decibels, a scalar.
    """
    error = (result.clamp(-1, 1) - wanted).square().mean((1, 2, 3, 4))
    return (10 * torch.log10(4 / error)).mean()


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


def begin(pictures: Pictures, out: Path, given: argparse.Namespace) -> AutoencoderKLLTX2Video:
    """Builds the autoencoder; where `OUT/start` is not there yet, starts it as the best linear codec.

    Args:
        pictures: What crops are drawn from.
        out: Folder of the run.
        given: Options of the command line.

    Returns:
        The autoencoder, on its device.
    """
    torch.manual_seed(given.seed)
    vae = build_vae(MICRO if given.micro else TINY).to(given.device)
    vae.encoder.requires_grad_(not given.freeze_encoder)
    if (out / "start").exists():
        vae.load_state_dict(AutoencoderKLLTX2Video.from_pretrained(out / "start").state_dict())
    else:
        size = min(96, pictures.clips.shape[2] // 2)
        clips = batch(pictures, np.random.default_rng(1), count=given.start_clips, size=size)
        start_linear(vae, clips)
        normalise_latents(vae, batch(pictures, np.random.default_rng(2), count=64, size=given.crop))
        for statistic in (vae.latents_mean, vae.latents_std):
            statistic.copy_(statistic.bfloat16())  # as they are shipped, like the encoder
        vae.save_pretrained(out / "new")
        (out / "new").replace(out / "start")
    return vae


def train(pictures: Pictures, out: Path, given: argparse.Namespace) -> AutoencoderKLLTX2Video:
    """Trains, saving state as it goes.

    Args:
        pictures: What crops are drawn from.
        out: Folder of the run.
        given: Options of the command line.

    Returns:
        The trained autoencoder.
    """
    vae = begin(pictures, out, given)
    matrices, rest = split(vae, exclude=("conv_in", "conv_out"))
    optimizers = [Muon(matrices, learning_rate=given.muon), adam(rest, given.adam)]
    schedules = [cosine(optimizer, num_steps=lambda: given.steps) for optimizer in optimizers]
    parts = {"vae": vae, **{f"optimizer{i}": o for i, o in enumerate([*optimizers, *schedules])}}
    state, step = out / "state.pt", 0
    if state.exists():
        saved = torch.load(state, map_location=given.device)
        step = saved["step"]
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    started = time.monotonic()
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    rows: list[Tensor] = []
    for now in range(step, given.steps):
        rng = np.random.default_rng([given.seed, now])
        clips = batch(pictures, rng, count=given.batch, size=given.crop, share=given.edges)
        result = vae.decode(vae.encode(clips).latent_dist.mode()).sample
        loss = reconstruction_loss(result, clips)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for mover in [*optimizers, *schedules]:
            mover.step()
        vae.zero_grad(set_to_none=True)
        step = now + 1
        rows.append(torch.stack([loss.detach(), psnr(result.detach(), clips), norm]))
        if step % LOG_EVERY == 0 or step == given.steps:
            write_row(out, step, ("loss", "psnr", "gradient"), rows, begun=started)
            rows = []
        if step % SAVE_EVERY == 0 or step == given.steps:
            saved = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
            torch.save(saved, out / "new.pt")
            (out / "new.pt").replace(state)
    torch.backends.cudnn.allow_tf32 = False
    return vae


def main() -> None:
    """Parses the command line, trains, writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=20000, help="0: the closed-form start alone")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--crop", type=int, default=128, help="pixels")
    parser.add_argument("--start-clips", type=int, default=280, help="crops for the closed-form start")
    parser.add_argument("--refit-clips", type=int, default=120, help="crops for the closed-form finish")
    parser.add_argument("--muon", type=float, default=1.5e-3, help="peak learning rate of convolutions")
    parser.add_argument("--adam", type=float, default=5e-5, help="peak learning rate of everything else")
    parser.add_argument("--clips", type=int, default=1500, help="how many clips to draw crops from")
    parser.add_argument("--freeze-encoder", action="store_true", help="train the decoder alone")
    parser.add_argument("--edges", type=float, default=0.25, help="share of crops that show edges")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw edges")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--micro", action="store_true", help="an autoencoder small enough for unit tests")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.backends.cudnn.allow_tf32 = False  # outside the steps the constant channel needs all digits
    pictures = Pictures.open(given.bank, most=given.clips, workers=given.workers, device=given.device)
    vae = train(pictures, given.out, given)
    if given.steps == 0:
        return
    if not given.freeze_encoder:
        normalise_latents(vae, batch(pictures, np.random.default_rng(2), count=64, size=given.crop))
    last = batch(pictures, np.random.default_rng(3), count=given.refit_clips, size=given.crop, share=0.05)
    refit_last(vae.bfloat16().float(), last)
    vae.bfloat16().save_pretrained(given.out / "vae")


if __name__ == "__main__":
    main()
