"""Muon, the split of parameters, and the schedule."""

import math

import pytest
import torch
from torch import nn

from toyworld.optimizers import Muon, adam, cosine, orthogonalise, split


@pytest.mark.parametrize("shape", [(12, 24), (8, 32), (32, 8)])
def test_orthogonalise_brings_singular_values_to_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) + 2.0
    values = torch.linalg.svdvals(orthogonalise(matrix))
    before = torch.linalg.svdvals(matrix)
    assert before[0] > 3 * before[-1]
    assert 0.5 < values.min() and values.max() < 1.3
    assert orthogonalise(matrix).dtype == torch.float32


def test_the_first_step_of_muon_by_hand() -> None:
    # A gradient of orthogonal columns keeps its direction; a tall matrix takes a longer step.
    weight = nn.Parameter(torch.zeros(4, 1, 1))
    weight.grad = torch.tensor([3.0, 0.0, 4.0, 0.0]).view(4, 1, 1)
    Muon([weight], learning_rate=0.1).step()
    direction = -weight.detach().flatten() / weight.detach().norm()
    torch.testing.assert_close(direction, torch.tensor([0.6, 0.0, 0.8, 0.0]), rtol=0.01, atol=0.01)
    assert 0.1 * 2 * 0.6 < weight.detach().norm() < 0.1 * 2 * 1.3


def test_muon_leaves_parameters_without_gradient() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    Muon([weight], learning_rate=0.1).step()
    assert torch.equal(weight, torch.ones(2, 2))


def test_muon_resumes_from_its_state() -> None:
    def steps(weight: nn.Parameter, optimizer: Muon, count: range) -> None:
        for step in count:
            weight.grad = torch.sin(weight.detach() * 3 + step)
            optimizer.step()

    start = torch.arange(12.0).view(3, 4)
    unbroken, broken = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    steps(unbroken, Muon([unbroken], learning_rate=0.1), range(6))
    first, second = (Muon([broken], learning_rate=0.1) for _ in range(2))
    steps(broken, first, range(3))
    second.load_state_dict(first.state_dict())
    steps(broken, second, range(3, 6))
    assert torch.equal(unbroken, broken)


def test_split_by_dimension_name_and_gradient() -> None:
    module = nn.ModuleDict({"embed": nn.Embedding(3, 4), "body": nn.Linear(4, 4), "frozen": nn.Linear(4, 4)})
    module["frozen"].requires_grad_(False)
    matrices, rest = split(module, exclude=("embed",))
    assert [p is module["body"].weight for p in matrices] == [True]
    assert {id(p) for p in rest} == {id(module["embed"].weight), id(module["body"].bias)}


def test_cosine_by_hand() -> None:
    optimizer = adam([nn.Parameter(torch.zeros(1))], 2.0)
    schedule = cosine(optimizer, num_steps=100, warmup=10, floor=0.1)
    rates = []
    for _ in range(121):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.2) and rates[4] == pytest.approx(1.0)
    assert rates[50] == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert rates[75] == pytest.approx(2 * (0.1 + 0.9 * (1 + math.cos(0.75 * math.pi)) / 2))
    assert rates[100] == rates[120] == pytest.approx(0.2)
