"""Numbers of steps, by hand."""

import pytest
import torch
from accelerate import Accelerator

from iclora.training.meter import Meter, first_broken


def test_losses_gradients_and_losses_by_noise_level() -> None:
    meter = Meter(torch.device("cpu"))
    meter.add_batch(torch.tensor([[1.0, 3.0], [0.0, 1.0]]), torch.tensor([0.05, 0.12]))
    meter.add_batch(torch.tensor([[5.0, 7.0], [1.0, 2.0]]), torch.tensor([0.18, 1.0]))
    meter.end_step(torch.tensor(0.5))
    meter.add_batch(torch.tensor([[2.0], [3.0]]), torch.tensor([0.0]))
    meter.end_step(torch.tensor(1.5))
    assert meter.num_steps == 2
    losses, gradients, by_level = meter.read(Accelerator(cpu=True))
    assert (losses, gradients) == ([[4.0, 2.0], [1.0, 3.0]], [0.5, 1.5])
    assert by_level == [1.5, 4.0, *[None] * 7, 7.0]
    assert meter.num_steps == 0


@pytest.mark.parametrize(
    ("losses", "gradients", "place"),
    [
        ([1.0, 2.0], [0.1, 0.2], None),
        ([1.0, float("nan")], [0.1, 0.2], 1),
        ([1.0, 2.0], [float("inf"), 1.0], 0),
    ],
)
def test_the_first_step_that_broke(losses: list[float], gradients: list[float], place: int | None) -> None:
    assert first_broken(losses, gradients) == place
