"""controls.depths.tiny and network: the embedded estimator, with its real weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from iclora.controls.depths.network import STRIDE, TinyDepthNetwork
from iclora.controls.depths.tiny import WEIGHTS, Tiny, load, looked_at
from iclora.errors import ModelError


def room(ball: int) -> np.ndarray:
    """A grey ball on a striped floor before a wall; `ball` is where its middle is, from the left."""
    rows, columns = np.indices((192, 256))
    picture = np.where(rows < 80, 190, 120 + 30 * ((rows // (1 + np.maximum(rows - 80, 0) // 6)) % 2))
    picture = np.repeat(picture[..., None], 3, axis=2)
    distance = np.hypot(rows - 120, columns - ball)
    shade = 200 - 130 * np.clip(np.hypot(rows - 105, columns - ball + 12) / 55, 0, 1)
    picture[distance < 40] = shade[distance < 40][:, None] * np.array([1.0, 0.5, 0.4])
    return picture.astype(np.uint8)


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 2**20
    assert sum(weight.numel() for weight in TinyDepthNetwork().parameters()) < 520_000


def test_what_stands_on_the_floor_is_before_the_wall() -> None:
    for ball in (70, 180):
        (nearness,) = Tiny()([room(ball)])
        assert nearness.shape == (96, 128)
        wall, floor = nearness[:25].mean(), nearness[-12:].mean()
        middle = nearness[50:65, ball // 2 - 8 : ball // 2 + 8].mean()
        assert wall < middle and wall < floor


def test_frames_are_looked_at_one_by_one() -> None:
    together = list(Tiny()([room(70), room(180)]))
    (alone,) = Tiny()([room(180)])
    assert np.abs(together[1] - alone).max() < 1e-4 * np.ptp(alone)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((192, 256), (192, 256)),
        ((1080, 1920), (192, 336)),
        ((640, 360), (336, 192)),
        ((8, 8), (192, 192)),
        ((100, 3000), (192, 576)),
    ],
)
def test_the_size_looked_at(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert looked_at(*size) == expected
    assert all(side % STRIDE == 0 for side in expected)


def test_damaged_weights_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    weights = load_file(WEIGHTS)
    del weights["stem.bias"]
    save_file(weights, tmp_path / "b.safetensors")
    save_file(weights | {"stem.bias": torch.zeros(3)}, tmp_path / "c.safetensors")
    for name in ("a", "b", "c", "none"):
        with pytest.raises(ModelError, match="does not hold the depth estimator .*Install the package again"):
            load(tmp_path / f"{name}.safetensors")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_what_the_processor_sees() -> None:
    frames = [room(70), room(120), room(180)]
    for here, there in zip(Tiny()(frames), Tiny(device="cuda")(frames), strict=True):
        assert np.abs(here - there).max() < 5e-3 * np.ptp(here)
