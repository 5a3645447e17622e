"""controls.depths.anything: Depth Anything V2, with a random network of a few thousand weights."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from iclora.controls.depths import anything
from iclora.controls.depths.anything import DepthAnything, looked_at, prepared
from iclora.controls.depths.releases import RELEASES
from iclora.errors import ModelError

SMALL = RELEASES["depth-anything-v2-small"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    return tmp_path


def put(folder: Path, *, kind: str = "relative") -> Path:
    """A random network in the form of the released ones."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=8,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=70,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=8,
        patch_size=14,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type=kind,
        max_depth=10,
    )
    torch.manual_seed(0)
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    return folder


def test_files_put_by_hand_are_read(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put(cache / SMALL.name)
    frames = np.random.default_rng(0).integers(0, 256, (2, 60, 80, 3), dtype=np.uint8)
    capfd.readouterr()
    first, second = DepthAnything(SMALL.name)(frames)
    assert capfd.readouterr() == ("", "")  # no bar of transformers
    assert first.shape == second.shape == (518, 686) and first.dtype == np.float32
    assert np.isfinite(first).all() and not np.array_equal(first, second)


def test_a_network_of_distances_is_turned_round(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(predicted_depth=torch.tensor([[[2.0, 4.0]]]))

    class Distances:
        config = SimpleNamespace(patch_size=14, depth_estimation_type="metric")

        def to(self, device: str) -> "Distances":
            return self

        def __call__(self, **given: Any) -> SimpleNamespace:
            return found

    monkeypatch.setattr(anything, "find", lambda release: [cache / "config.json"])
    monkeypatch.setattr(anything, "load", lambda folder: Distances())
    (nearness,) = DepthAnything(SMALL.name)(np.zeros((1, 28, 28, 3), np.uint8))
    assert nearness.tolist() == [[0.5, 0.25]]


def test_pictures_are_brought_to_the_form_of_training() -> None:
    assert looked_at(480, 640, multiple=14) == (518, 686)
    assert looked_at(1280, 720, multiple=14) == (924, 518)
    white = prepared(np.full((20, 30, 3), 255, np.uint8), 14, 28)
    assert white.shape == (1, 3, 14, 28)
    assert np.allclose(white[0, :, 3, 3], (1 - anything.MEAN) / anything.SPREAD, atol=1e-5)


def test_damaged_files_are_told(cache: Path) -> None:
    folder = put(cache / SMALL.name)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="does not hold Depth Anything V2 .*delete it and run again"):
        DepthAnything(SMALL.name)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="does not hold Depth Anything V2"):
        DepthAnything(SMALL.name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_what_the_processor_sees(cache: Path) -> None:
    put(cache / SMALL.name)
    frames = np.random.default_rng(0).integers(0, 256, (3, 60, 80, 3), dtype=np.uint8)
    found = (DepthAnything(SMALL.name, device=device)(frames) for device in ("cpu", "cuda"))
    for here, there in zip(*found, strict=True):
        assert np.ptp(here) > 0 and np.abs(here - there).max() < 5e-3 * np.ptp(here)
