"""What several tests of the world and its trainings share."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.toyworld.runs import CAPTIONS
from toyworld.architecture import MICRO, build_vae


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "vae"
    build_vae(MICRO).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random latents of 3 clips in three views: 2x4x4 cells, half that for the control; lines of one view."""
    folder = tmp_path_factory.mktemp("banks") / "bank"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, views, size in (("target", 3, 4), ("lines", 1, 4), ("control", 3, 2)):
        latents = rng.standard_normal((4, views, 8, 2, size, size)).astype(np.float16)
        np.save(folder / f"{name}.npy", latents)
    (folder / "captions.json").write_text(json.dumps([*CAPTIONS, "not encoded yet"]))
    (folder / "encoded.txt").write_text("3")
    return folder
