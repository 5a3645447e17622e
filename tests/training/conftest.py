from pathlib import Path

import pytest

from tests.training.prepared import save_prepared


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, micro_model: Path) -> Path:
    """Eight clips to train on and two held out, with canny references of half the size."""
    return save_prepared(tmp_path_factory.mktemp("prepared") / "data", micro_model)
