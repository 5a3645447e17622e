"""Muon for the matrices of a network, AdamW for everything else, one schedule for both."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Muon(Optimizer):
    """Momentum whose update is made orthogonal, matrix by matrix; convolutions count as `out x (in taps)`.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024).
    """

    def __init__(self, parameters: list[Tensor], *, learning_rate: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates all parameters that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                average = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(average, group["momentum"]).flatten(1)
                scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                parameter.add_(orthogonalise(update).view_as(parameter), alpha=-group["lr"] * scale)


def orthogonalise(matrix: Tensor, *, steps: int = 5) -> Tensor:
    """Moves all singular values of a matrix close to 1 by a quintic Newton-Schulz iteration.

    Args:
        matrix: `m n`.
        steps: Iterations.

    Returns:
        `m n`, singular values between about 0.7 and 1.2.
    """
    x = matrix.bfloat16()
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x if wide else x.T).to(matrix.dtype)


def split(module: nn.Module, *, exclude: tuple[str, ...] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Sorts trainable parameters into matrices and the rest.

    Args:
        module: Whose parameters.
        exclude: Parts of names (embeddings, output layers) that count as the rest.

    Returns:
        Matrices and convolutions; all other parameters.
    """
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if p.ndim >= 2 and not any(part in name for part in exclude)]
    chosen = {id(p) for p in matrices}
    return matrices, [p for _, p in named if id(p) not in chosen]


def adam(parameters: list[Tensor], learning_rate: float) -> AdamW:
    """Makes the AdamW that all trainings here share.

    Args:
        parameters: What to train.
        learning_rate: Peak rate.

    Returns:
        The optimizer.
    """
    return AdamW(parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)


def cosine(optimizer: Optimizer, *, num_steps: int, warmup: int = 20, floor: float = 0.02) -> LambdaLR:
    """Warms the rate up linearly, then lowers it along a cosine.

    Args:
        optimizer: Whose rate.
        num_steps: Length of the run.
        warmup: Steps of the rise.
        floor: Last rate as a share of the peak.

    Returns:
        A scheduler to step after each update.
    """

    def factor(step: int) -> float:
        progress = min(1.0, step / num_steps)
        return min((step + 1) / warmup, floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)

    return LambdaLR(optimizer, factor)
