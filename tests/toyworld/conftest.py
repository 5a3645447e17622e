"""What several tests of the world and its trainings share."""

from pathlib import Path

import pytest
import torch

from toyworld.architecture import MICRO, build_vae


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "vae"
    build_vae(MICRO).save_pretrained(folder)
    return folder
