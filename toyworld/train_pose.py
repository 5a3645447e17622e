"""Trains the pose estimator `tiny` of the controls on this world's exact skeletons.

    python -m toyworld.pose_bank runs/pose --clips 3000
    python -m toyworld.train_pose runs/pose --out src/iclora/controls/poses/tiny.safetensors

Its trunk begins as that of the depth estimator. Every minute the running mean of the weights is scored on
validation seeds, and the best is kept at `--out`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor, nn

from iclora.controls.depths.tiny import load as load_depth
from iclora.controls.poses import find_poses
from iclora.controls.poses.tiny import Tiny
from iclora.controls.poses.tiny_network import NUM_BODY, TinyPoseNetwork
from toyworld.pose_batches import PoseBank, batch
from toyworld.pose_report import held_out_scores
from toyworld.render import HELD_OUT_SEED_START
from toyworld.train_depth import RATE, Averaged, rate_at, save, with_norms

VALIDATION_SEEDS = range(HELD_OUT_SEED_START + 500_000, HELD_OUT_SEED_START + 500_024)
"""Beyond those of the report: they choose the best weights."""
BATCH = 16
SCORE_SECONDS = 60.0
_WAY_WEIGHT = 0.02
_RARE = 30.0
"""How much more a cell counts the more likely a point is there: such cells are few."""


def pose_loss(
    guess: tuple[Float[Tensor, "b 18 y x"], Float[Tensor, "b 2 y x"]],
    likely: Float[Tensor, "b 18 y x"],
    ways: Float[Tensor, "b 2 y x"],
    known: Float[Tensor, "b y x"],
) -> Tensor:
    """Compare the maps of a guess with those drawn.

    Args:
        guess: From the network.
        likely: How likely each point is in each cell.
        ways: The way to the middle of the person.
        known: Where that is known.

    Returns:
        One number.
    """
    points, there = guess
    loss = functional.binary_cross_entropy_with_logits(points, likely, weight=1 + _RARE * likely)
    missed = functional.smooth_l1_loss(there, ways, reduction="none").sum(dim=1) * known
    return loss + _WAY_WEIGHT * missed.sum() / known.sum().clamp_min(1)


def begin() -> TinyPoseNetwork:
    """A network whose trunk sees what the depth estimator has learnt to see."""
    network = TinyPoseNetwork()
    trunk = {name: value for name, value in load_depth().state_dict().items() if name in network.state_dict()}
    network.load_state_dict(trunk, strict=False)
    with torch.no_grad():
        assert network.maps.bias is not None
        network.maps.bias[:NUM_BODY] = -4  # half likely everywhere would drown all else
    return network


def validation_score(network: TinyPoseNetwork) -> float:
    """The mean PCK on validation clips."""
    estimator = Tiny(network=network)
    scores = held_out_scores(lambda clip: find_poses(clip, estimator=estimator), VALIDATION_SEEDS)
    return float(np.mean([score.pck for score in scores]))


def train(
    bank: PoseBank, out: Path, *, seconds: float, seed: int, say: Callable[[str], None], device: str = "cpu"
) -> None:
    """Trains for so long of the processor's time, and keeps the best weights.

    Args:
        bank: Pictures to learn from.
        out: Where the weights go.
        seconds: How long; the learning rate follows it.
        seed: Of the weights and of the batches.
        say: Told of each score.
        device: Where to train.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = begin().to(device, memory_format=torch.channels_last)
    with_norms(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    average, best, losses = Averaged(network), -1.0, []
    begun = scored = time.process_time()
    step = 0
    while (spent := time.process_time() - begun) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(spent / seconds)
        pictures, *drawn = (one.to(device) for one in batch(bank, rng, BATCH))
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            points, ways = network.train()(pictures.contiguous(memory_format=torch.channels_last))
        loss = pose_loss((points.float(), ways.float()), *drawn)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network, step)
        losses.append(float(loss.detach()))
        step += 1
        if time.process_time() - scored > SCORE_SECONDS or time.process_time() - begun >= seconds:
            made = average.folded().cpu()
            score = validation_score(made)
            say(f"step {step}, {spent:.0f} s: loss {np.mean(losses[-200:]):.4f}, PCK@0.1 {score:.4f}")
            if score > best:
                best = score
                save(made, out, made_by="toyworld/train_pose.py")
            scored = time.process_time()


def main() -> None:
    """Parses the command line and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=14.0, help="of the processor's time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    train(
        PoseBank(given.bank),
        given.out,
        seconds=60 * given.minutes,
        seed=given.seed,
        say=lambda text: print(text, flush=True),
        device=given.device,
    )


if __name__ == "__main__":
    main()
