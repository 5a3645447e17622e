"""Adapters of a smaller rank: the nearest there is, and the same where nothing is lost."""

from pathlib import Path

import pytest
import torch

from iclora import adapters
from iclora.adapters import LowRank
from toyworld.resize import main, resized


def test_what_fits_the_rank_stays() -> None:
    torch.manual_seed(0)
    layer = LowRank(down=torch.randn(3, 8), up=torch.randn(6, 3))
    small, kept = resized(layer, 3)
    assert torch.allclose(small.up @ small.down, layer.up @ layer.down, atol=1e-5)
    assert kept == pytest.approx(1)
    less, kept = resized(layer, 2)
    sizes = torch.linalg.svdvals(layer.up @ layer.down)
    lost = (less.up @ less.down - layer.up @ layer.down).square().sum()
    assert lost == pytest.approx(float(sizes[2] ** 2), rel=1e-4)
    assert kept == pytest.approx(float(1 - sizes[2] ** 2 / sizes.square().sum()), rel=1e-5)


def test_a_file_keeps_what_it_says(micro_model: Path, tmp_path: Path) -> None:
    source = micro_model / "adapters" / "canny.safetensors"
    main([str(source), str(tmp_path / "small.safetensors"), "--rank", "1"])
    before, after = adapters.read(source), adapters.read(tmp_path / "small.safetensors")
    assert after.outline.metadata == before.outline.metadata
    assert {layer.size.rank for layer in after.layers.values()} == {1}
    assert after.layers.keys() == before.layers.keys()
