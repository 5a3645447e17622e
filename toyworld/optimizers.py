"""Muon for the matrices of a network, AdamW for everything else, one schedule for both."""

import math
from collections import defaultdict
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
        """Updates all parameters that have a gradient, those of one shape together."""
        assert closure is None
        for group in self.param_groups:
            alike: defaultdict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for shape, parameters in alike.items():
                for parameter in parameters:
                    if "momentum" not in self.state[parameter]:
                        self.state[parameter]["momentum"] = torch.zeros_like(parameter)
                averages = [self.state[parameter]["momentum"] for parameter in parameters]
                gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
                torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
                mixed = torch._foreach_lerp(gradients, averages, group["momentum"])
                updates = orthogonalise(torch.stack(mixed).flatten(2))
                scale = max(1.0, updates.shape[1] / updates.shape[2]) ** 0.5
                torch._foreach_add_(parameters, list(updates.view(-1, *shape)), alpha=-group["lr"] * scale)


def orthogonalise(matrices: Tensor, *, steps: int = 5) -> Tensor:
    """Moves all singular values of matrices close to 1 by a quintic Newton-Schulz iteration.

    Args:
        matrices: `k m n`.
        steps: Iterations.

    Returns:
        `k m n`, singular values between about 0.7 and 1.2.
    """
    x = matrices.bfloat16() if matrices.is_cuda else matrices  # in half precision CPUs crawl
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)


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
    fused = all(parameter.is_cuda for parameter in parameters)
    return AdamW(parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)


def cosine(
    optimizer: Optimizer, *, num_steps: Callable[[], int], warmup: int = 20, floor: float = 0.02
) -> LambdaLR:
    """Warms the rate up linearly, then lowers it along a cosine.

    Args:
        optimizer: Whose rate.
        num_steps: Tells the length of the run, which may be set while it runs.
        warmup: Steps of the rise.
        floor: Last rate as a share of the peak.

    Returns:
        A scheduler to step after each update.
    """

    def factor(step: int) -> float:
        progress = min(1.0, step / max(1, num_steps()))
        return min((step + 1) / warmup, floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)

    return LambdaLR(optimizer, factor)
