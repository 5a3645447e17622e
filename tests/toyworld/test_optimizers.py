"""Muon, the split of parameters, and the schedule."""

import math

import pytest
import torch
from torch import nn

from toyworld import optimizers
from toyworld.optimizers import Muon, adam, cosine, orthogonalise, split


@pytest.mark.parametrize("shape", [(12, 24), (8, 32), (32, 8)])
def test_orthogonalise_brings_singular_values_to_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) + 2.0
    moved = orthogonalise(torch.stack([matrix, 5 * matrix]))
    before = torch.linalg.svdvals(matrix)
    assert before[0] > 3 * before[-1]
    for values in torch.linalg.svdvals(moved):
        assert 0.5 < values.min() and values.max() < 1.3
    assert moved.shape == (2, *shape) and moved.dtype == torch.float32


def test_the_first_step_of_muon_by_hand() -> None:
    # A gradient of orthogonal columns keeps its direction; a tall matrix takes a longer step.
    weight = nn.Parameter(torch.zeros(4, 1, 1))
    weight.grad = torch.tensor([3.0, 0.0, 4.0, 0.0]).view(4, 1, 1)
    Muon([weight], learning_rate=0.1).step()
    direction = -weight.detach().flatten() / weight.detach().norm()
    torch.testing.assert_close(direction, torch.tensor([0.6, 0.0, 0.8, 0.0]), rtol=0.01, atol=0.01)
    assert 0.1 * 2 * 0.6 < weight.detach().norm() < 0.1 * 2 * 1.3


def test_the_second_step_of_muon_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Gradients 1 and 3: the average is 0.5 and then 0.5 * 0.5 + 0.5 * 3 = 1.75; what is made orthogonal lies
    # half way from the gradient to it (Nesterov): 0.75, then 2.375. Left as it is here, it is the update.
    monkeypatch.setattr(optimizers, "orthogonalise", lambda matrices: matrices)
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = Muon([weight], learning_rate=0.1, momentum=0.5)
    for gradient, expected in ((1.0, -0.075), (3.0, -0.075 - 0.2375)):
        weight.grad = torch.full((2, 2), gradient)
        optimizer.step()
        torch.testing.assert_close(weight.detach(), torch.full((2, 2), expected))


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (9, 2, 2, 1, 1)])
def test_parameters_of_one_shape_move_as_each_would_alone(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(shape, generator=generator) for _ in range(2)]
    gradients = [torch.randn(2, *shape, generator=generator) for _ in range(2)]  # two steps each

    def moved(chosen: list[int]) -> list[torch.Tensor]:
        weights = [nn.Parameter(starts[i].clone()) for i in chosen]
        optimizer = Muon([*weights, nn.Parameter(torch.ones(3, 3))], learning_rate=0.1)
        for step in range(2):
            for i, weight in zip(chosen, weights, strict=True):
                weight.grad = gradients[i][step]
            optimizer.step()
        return [weight.detach() for weight in weights]

    together, alone = moved([0, 1]), [*moved([0]), *moved([1])]
    torch.testing.assert_close(together, alone)
    assert all((weight - start).norm() > 0.1 for weight, start in zip(together, starts, strict=True))


def test_muon_leaves_parameters_without_gradient() -> None:
    still, moved = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    moved.grad = torch.eye(2)
    Muon([still, moved], learning_rate=0.1).step()
    assert torch.equal(still, torch.ones(2, 2)) and not torch.equal(moved, still)


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
    schedule = cosine(optimizer, num_steps=lambda: 100, warmup=10, floor=0.1)
    rates = []
    for _ in range(121):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.2) and rates[4] == pytest.approx(1.0)
    assert rates[50] == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert rates[75] == pytest.approx(2 * (0.1 + 0.9 * (1 + math.cos(0.75 * math.pi)) / 2))
    assert rates[100] == rates[120] == pytest.approx(0.2)


def test_a_length_set_during_the_run_counts_from_then_on() -> None:
    optimizer, length = adam([nn.Parameter(torch.zeros(1))], 1.0), 1000
    schedule = cosine(optimizer, num_steps=lambda: length, warmup=1, floor=0.0)
    for step in range(1, 51):
        length = 1000 if step < 50 else 100
        optimizer.step()
        schedule.step()
        if step == 49:
            assert optimizer.param_groups[0]["lr"] == pytest.approx((1 + math.cos(0.049 * math.pi)) / 2)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5)
