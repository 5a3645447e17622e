"""What several tests of the world and its trainings share."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.toyworld.runs import CAPTIONS
from toyworld.architecture import MICRO, build_vae, save_random


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "vae"
    build_vae(MICRO).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random latents of 3 clips in two views: 2x4x4 cells, half that for what has half the size."""
    folder = tmp_path_factory.mktemp("banks") / "bank"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("target", 4), ("small", 2), ("hint", 2), ("control", 2)):
        latents = rng.standard_normal((4, 2, 8, 2, size, size)).astype(np.float16)
        np.save(folder / f"{name}.npy", latents)
    np.save(folder / "lines.npy", rng.integers(256, size=(4, 2, 9, 64, 8), dtype=np.uint8))
    (folder / "captions.json").write_text(json.dumps([*CAPTIONS, "not encoded yet"]))
    (folder / "encoded.txt").write_text("3")
    return folder


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    save_random(folder, micro=True)
    return folder
