"""A video over two processes is the video of one."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from iclora.errors import RequestError
from iclora.transformer import split_over, velocity
from iclora.transformer.split import Split, split_of
from tests.small_models import contexts, stream, transformer, video_target
from tests.transformer.shared_videos import CASES, COMPILED, FORM, made

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[Tensor]]]:
    """What each of two processes made of all cases."""
    folder = tmp_path_factory.mktemp("shared")
    words = [sys.executable, "-m", "tests.transformer.shared_videos"]
    processes = [
        subprocess.Popen([*words, str(rank), "2", str(folder)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for process in processes:
        _, complaints = process.communicate(timeout=250)
        assert process.returncode == 0, complaints
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", [*CASES, COMPILED])
def test_two_processes_make_the_video_of_one(name: str, shared: list[dict[str, list[Tensor]]]) -> None:
    alone = made(transformer(FORM), CASES[name.removeprefix("compiled, ")])
    for here in shared:
        for ours, expected in zip(here[name], alone, strict=True):
            assert float((ours - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize(("rank", "own"), [(0, slice(10, 13)), (1, slice(13, 15)), (2, slice(15, 17))])
def test_tokens_are_shared_out_in_order(rank: int, own: slice) -> None:
    assert Split(group="", rank=rank, counts=(3, 2, 2)).own(slice(10, 17)) == own


def parallel(ring: int = 1, context: bool = True) -> Any:
    mesh = SimpleNamespace(
        size=lambda: 2, get_local_rank=lambda: 1, get_group=lambda: SimpleNamespace(group_name="g")
    )
    config = SimpleNamespace(ring_degree=ring, _ulysses_mesh=mesh)
    return SimpleNamespace(context_parallel_config=config if context else None)


def test_an_odd_number_of_tokens_is_shared_out() -> None:
    model = transformer()
    assert split_of(model, 7) is None
    model._parallel_config = parallel()
    with torch.inference_mode():
        assert split_of(model, 7) == Split(group="g", rank=1, counts=(4, 3))
        with pytest.raises(RequestError, match="1 tokens cannot be shared by 2 GPUs"):
            split_of(model, 1)


@pytest.mark.parametrize("given", [parallel(ring=2), parallel(context=False)])
def test_other_ways_to_split_are_refused(given: Any) -> None:
    model = transformer()
    model._parallel_config = given
    video = stream(video_target(), contexts(model)[0])
    with torch.inference_mode(), pytest.raises(RequestError, match=r"call iclora.transformer.split_over"):
        velocity(model, video)


def test_training_and_odd_heads_are_refused() -> None:
    model = transformer()
    model._parallel_config = parallel()
    with pytest.raises(RequestError, match="for sampling alone"):
        velocity(model, stream(video_target(), contexts(model)[0]))
    with pytest.raises(RequestError, match="2 heads cannot be shared by 3 GPUs"):
        split_over(transformer(), 3)
