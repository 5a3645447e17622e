"""toyworld.pose_bank, pose_batches, train_pose, pose_report: a small bank, maps by hand, a short training."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from iclora.controls.poses.tiny import load, people_of
from iclora.controls.poses.tiny_network import TinyPoseNetwork
from toyworld import pose_bank, train_pose
from toyworld.pose_batches import HIDDEN_PEAK, MIRRORED, SIZE, PoseBank, batch, maps_of
from toyworld.pose_report import held_out, held_out_scores
from toyworld.render import HELD_OUT_SEED_START


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> PoseBank:
    folder = tmp_path_factory.mktemp("bank")
    pose_bank.fill(folder, clips=4)
    assert json.loads((folder / "done.json").read_text())["done"] == 4
    return PoseBank(folder)


def test_the_bank_keeps_to_training_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pose_bank, "seeds_from", lambda first: iter([HELD_OUT_SEED_START]))
    with pytest.raises(ValueError, match="reach the held-out seeds"):
        pose_bank.fill(tmp_path, clips=1)


def person(*, hidden: int | None = None) -> np.ndarray:
    """Points on a diagonal, all seen but one."""
    points = np.zeros((1, 18, 3), np.float32)
    points[0, :, 0], points[0, :, 1], points[0, :, 2] = np.arange(18) * 6 + 20, np.arange(18) * 6 + 10, 1
    if hidden is not None:
        points[0, hidden, 2] = 0.5
    return points


def test_maps_are_read_as_they_were_drawn() -> None:
    likely, ways, known = maps_of(person(hidden=3))
    assert likely.shape == (18, 36, 36) and likely.max() <= 1 and 0.3 < likely[3].max() <= HIDDEN_PEAK
    (found,) = people_of(likely, ways)
    apart = np.linalg.norm(found[:18, :2] - person()[0, :, :2], axis=1)
    assert apart.max() < 2.0 and 0 < known.mean() < 0.3
    empty = maps_of(np.zeros((2, 18, 3), np.float32))
    assert not any(one.any() for one in empty)


def test_the_mirror_is_its_own_inverse() -> None:
    assert [MIRRORED[MIRRORED[index]] for index in range(18)] == list(range(18))
    assert MIRRORED[2] == 5 and MIRRORED[16] == 17 and MIRRORED[0] == 0


def test_batches_and_loss(bank: PoseBank) -> None:
    pictures, likely, ways, known = batch(bank, np.random.default_rng(0), 3)
    assert (
        pictures.shape == (3, 3, *SIZE) and likely.shape == (3, 18, 36, 36) and ways.shape == (3, 2, 36, 36)
    )
    assert pictures.min() >= -1 and pictures.max() <= 1 and likely.max() > 0.5
    right = torch.logit(likely.clamp(1e-4, 1 - 1e-4))
    best = train_pose.pose_loss((right, ways), likely, ways, known)
    assert best < train_pose.pose_loss((right.roll(3, -1), ways), likely, ways, known)
    assert best < train_pose.pose_loss((right, ways + 2), likely, ways, known)


def test_weights_are_trained_and_kept(
    bank: PoseBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_pose, "VALIDATION_SEEDS", [HELD_OUT_SEED_START + 3])
    monkeypatch.setattr(train_pose, "BATCH", 2)
    said: list[str] = []
    train_pose.train(bank, tmp_path / "a.safetensors", seconds=0.3, seed=0, say=said.append)
    assert "PCK@0.1" in said[-1]
    assert isinstance(load(tmp_path / "a.safetensors"), TinyPoseNetwork)


def test_exact_skeletons_score_fully() -> None:
    seeds = [HELD_OUT_SEED_START + 3, HELD_OUT_SEED_START + 1]
    truths = {id(held_out(seed)[0]): held_out(seed)[1] for seed in seeds}
    scores = held_out_scores(lambda clip: truths[id(clip)], seeds)
    assert len(scores) == 1 and scores[0].pck == 1.0  # nobody is in the other
