"""toyworld: the depth estimator from rendered depth to weights, in small, and how it is measured."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from iclora.controls.depths.network import TinyDepthNetwork
from iclora.controls.depths.tiny import load
from toyworld import depth_bank, train_depth
from toyworld.depth_batches import SIZES, DepthBank, batch
from toyworld.depth_report import held_out_scores, motorcycle, nearness_with, score
from toyworld.render import HELD_OUT_SEED_START, scene_of
from toyworld.shapes import ShapeScene


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> DepthBank:
    folder = tmp_path_factory.mktemp("depth")
    depth_bank.fill(folder, clips=3)
    first = np.load(folder / "frames.npy")
    depth_bank.fill(folder, clips=3)  # nothing is left to do
    assert np.array_equal(np.load(folder / "frames.npy"), first) and first.any()
    return DepthBank(folder)


def test_most_seeds_are_solid_scenes() -> None:
    seeds = depth_bank.seeds_from(0)
    kinds = [isinstance(scene_of(next(seeds))[0], ShapeScene) for _ in range(60)]
    assert 2 < sum(kinds) < 20


def test_batches_keep_picture_and_depth_together(bank: DepthBank) -> None:
    rng = np.random.default_rng(0)
    pictures, nearness = batch(bank, rng, 4)
    assert tuple(pictures.shape[2:]) in SIZES and pictures.shape[:2] == (4, 3)
    assert nearness.shape == (4, pictures.shape[2] // 2, pictures.shape[3] // 2)
    assert pictures.min() >= -1 and pictures.max() <= 1 and (nearness >= 0).all()
    again, _ = batch(bank, np.random.default_rng(0), 4)
    assert torch.equal(pictures, again)


def test_the_loss_forgets_scale_and_shift() -> None:
    truth = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert float(train_depth.depth_loss(3 * truth + 2, truth)) < 1e-5
    assert float(train_depth.depth_loss(-truth, truth)) > 1
    flat = torch.full((1, 16, 16), 0.1)
    assert float(train_depth.depth_loss(truth[:1], flat)) == 0


def test_norms_fold_into_the_convolutions() -> None:
    torch.manual_seed(0)
    network = TinyDepthNetwork()
    train_depth.with_norms(network)
    network.train()(torch.randn(2, 3, 32, 32))
    picture = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        before = network.eval()(picture)
        train_depth.without_norms(network)
        after = network(picture)
    assert set(network.state_dict()) == set(TinyDepthNetwork().state_dict())
    assert torch.allclose(before, after, atol=1e-4)


def test_weights_are_trained_and_kept(bank: DepthBank, tmp_path: Path) -> None:
    said: list[str] = []
    train_depth.train(bank, tmp_path / "a.safetensors", seconds=0.5, seed=0, say=said.append)
    assert "rank correlation" in said[-1]
    load(tmp_path / "a.safetensors")
    assert train_depth.rate_at(0) == 0 and train_depth.rate_at(0.02) == train_depth.RATE


def test_only_known_places_are_scored() -> None:
    truth = np.arange(64.0).reshape(8, 8)
    guess = truth.astype(np.float32)
    guess[:, 4:] = 0
    known = np.zeros((8, 8), bool)
    known[:, :4] = True
    assert score(guess, truth, known) == pytest.approx(1)


def test_held_out_pictures_are_ordered() -> None:
    rows = np.arange(64, dtype=np.float32)[:, None].repeat(2, axis=1)
    scores = held_out_scores(lambda picture: rows, [HELD_OUT_SEED_START, HELD_OUT_SEED_START + 1])
    assert all(-1 <= one <= 1 for one in scores) and len(scores) == 2


def test_the_motorcycle_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no motorcycle_left\.png"):
        motorcycle(tmp_path)
    cv2.imwrite(str(tmp_path / "motorcycle_left.png"), np.full((4, 6, 3), (1, 2, 3), np.uint8))
    np.savez(tmp_path / "motorcycle_disp.npz", np.ones((4, 6), np.float32))
    picture, disparity = motorcycle(tmp_path)
    assert picture[0, 0].tolist() == [3, 2, 1] and disparity.shape == (4, 6)


def test_the_embedded_estimator_orders_a_photograph() -> None:
    """It scores 0.715; that what is lower is nearer, 0.67."""
    skimage = pytest.importorskip("skimage")
    picture, disparity = motorcycle(Path(skimage.__file__).parent / "data")
    assert score(nearness_with(load())(picture), disparity, np.isfinite(disparity)) > 0.68


def test_the_embedded_estimator_orders_held_out_solid_scenes() -> None:
    """It scores 0.934; that what is lower is nearer, 0.855."""
    seeds = range(HELD_OUT_SEED_START, HELD_OUT_SEED_START + 12)
    solid = [seed for seed in seeds if not isinstance(scene_of(seed)[0], ShapeScene)][:6]
    scores = held_out_scores(nearness_with(load()), solid)
    assert len(scores) == 6 and np.mean(scores) > 0.9
