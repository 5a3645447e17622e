"""Trains the depth estimator `tiny` of the controls on this world's exact depth.

    python -m toyworld.depth_bank runs/depth --clips 6000
    python -m toyworld.train_depth runs/depth --out src/iclora/controls/depths/tiny.safetensors

Every minute the running mean of the weights is scored on validation seeds, and the best is kept at `--out`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as functional
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from iclora.controls.depths.network import TinyDepthNetwork
from toyworld.depth_batches import DepthBank, batch
from toyworld.depth_report import held_out_scores, nearness_with
from toyworld.render import HELD_OUT_SEED_START

VALIDATION_SEEDS = range(HELD_OUT_SEED_START + 500_000, HELD_OUT_SEED_START + 500_048)
"""Beyond those of the report: they choose the best weights."""
BATCH, RATE, AVERAGING = 16, 2e-3, 0.998
SCALES = 4
LAST = ("nearness", "maps")
"""Convolutions that nothing comes behind."""


def with_norms(network: nn.Module) -> None:
    """Puts a batch norm behind each convolution but the last, in place."""
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Conv2d) and name not in LAST:
            setattr(network, name, nn.Sequential(child, nn.BatchNorm2d(child.out_channels)))
        else:
            with_norms(child)


def without_norms(network: nn.Module) -> None:
    """Takes the batch norms of `with_norms` into the convolutions, in place; for use, not for training."""
    network.eval()
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Sequential) and isinstance(child[-1], nn.BatchNorm2d):
            setattr(network, name, fuse_conv_bn_eval(child[0], child[1]))
        else:
            without_norms(child)


def _standard(nearness: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Takes out a picture's scale and shift: the median becomes 0, the mean distance from it 1."""
    flat = nearness.flatten(1)
    middle = flat.median(dim=1, keepdim=True).values
    spread = (flat - middle).abs().mean(dim=1, keepdim=True)
    return ((flat - middle) / spread.clamp_min(1e-4)).view_as(nearness)


def depth_loss(guess: Float[Tensor, "b h w"], truth: Float[Tensor, "b h w"]) -> Tensor:
    """Mean distance after taking out scale and shift, and that of the slopes at several sizes.

    Args:
        guess: Nearness as guessed.
        truth: Nearness as it is; pictures in which it hardly changes do not count.

    Returns:
        One number. Source: Ranftl et al., "Towards Robust Monocular Depth Estimation", 2020, section 5.
    """
    flat = truth.flatten(1)
    counts = (flat.std(dim=1) > 1e-3 + 0.01 * flat.mean(dim=1)).float()
    # Very near surfaces would drown the rest: beyond 5 mean distances they count as that.
    wanted = _standard(truth).clamp(-5, 5)
    miss = _standard(guess) - wanted
    loss = miss.abs().mean(dim=(1, 2))
    for level in range(SCALES):
        across = (miss[:, :, 1:] - miss[:, :, :-1]).abs().mean(dim=(1, 2))
        down = (miss[:, 1:] - miss[:, :-1]).abs().mean(dim=(1, 2))
        loss = loss + 0.5 * (across + down)
        if level + 1 < SCALES:
            miss = functional.avg_pool2d(miss[:, None], 2)[:, 0]
    return (loss * counts).sum() / counts.sum().clamp_min(1)


def save(network: nn.Module, path: Path, *, made_by: str = "toyworld/train_depth.py") -> None:
    """Writes the weights as float16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.to(torch.float16).contiguous() for name, value in network.state_dict().items()}
    save_file(weights, path, metadata={"licence": "Apache-2.0", "made_by": made_by})


def rate_at(share: float) -> float:
    """The learning rate after a share of the time: up in 2 %, then down along a cosine."""
    if share < 0.02:
        return RATE * share / 0.02
    return RATE * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(1.0, (share - 0.02) / 0.98))))


Network = TypeVar("Network", bound=nn.Module)


class Averaged(Generic[Network]):
    """The running mean of a network's weights, ready for use."""

    def __init__(self, network: Network) -> None:
        self.network = deepcopy(network)

    def update(self, network: nn.Module, step: int) -> None:
        """Moves the mean towards the network."""
        keep = min(AVERAGING, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, now in zip(
                self.network.state_dict().values(), network.state_dict().values(), strict=True
            ):
                if mean.is_floating_point():
                    mean.lerp_(now, 1 - keep)

    def folded(self) -> Network:
        """A copy without norms, its weights rounded as they will be saved."""
        made = deepcopy(self.network)
        without_norms(made)
        return made.half().float()


def train(bank: DepthBank, out: Path, *, seconds: float, seed: int, say: Callable[[str], None]) -> None:
    """Trains for so long, and keeps the best weights.

    Args:
        bank: Pictures to learn from.
        out: Where the weights go.
        seconds: How long; the learning rate follows it.
        seed: Of the weights and of the batches.
        say: Told of each score.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = TinyDepthNetwork().to(memory_format=torch.channels_last)
    with_norms(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    average, best, losses = Averaged(network), -1.0, []
    begun = scored = time.monotonic()
    step = 0
    while (spent := time.monotonic() - begun) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(spent / seconds)
        pictures, truth = batch(bank, rng, BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            guess = network.train()(pictures.contiguous(memory_format=torch.channels_last))
        loss = depth_loss(guess.float(), truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network, step)
        losses.append(float(loss.detach()))
        step += 1
        if time.monotonic() - scored > 60 or time.monotonic() - begun >= seconds:
            made = average.folded()
            score = float(np.mean(held_out_scores(nearness_with(made), VALIDATION_SEEDS)))
            say(
                f"step {step}, {spent:.0f} s: loss {np.mean(losses[-200:]):.4f}, rank correlation {score:.4f}"
            )
            if score > best:
                best = score
                save(made, out)
            scored = time.monotonic()


def main() -> None:
    """Parses the command line and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=18.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    bank = DepthBank(given.bank)
    train(
        bank, given.out, seconds=60 * given.minutes, seed=given.seed, say=lambda text: print(text, flush=True)
    )


if __name__ == "__main__":
    main()
