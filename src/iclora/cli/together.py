"""Several processes that make one video, one for each GPU: `torchrun --nproc-per-node 2 -m iclora generate`.

All of them read, plan and sample; the first one alone talks and writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iclora.errors import RequestError

if TYPE_CHECKING:
    from iclora.plan import Plan


def num_processes() -> int:
    """How many processes torchrun, or what sets the same variables, has started for this command."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "MASTER_ADDR" in os.environ else 1


def is_first() -> bool:
    """Whether this process is the one that talks and writes."""
    return num_processes() == 1 or int(os.environ.get("RANK", 0)) == 0


def own_device(device: str) -> str:
    """Find the device of this process.

    Args:
        device: The word of the command line.

    Returns:
        That word; of `cuda`, with several processes, this process's own card.

    Raises:
        RequestError: All processes would be on one card.
    """
    if num_processes() == 1 or not device.startswith("cuda"):
        return device
    if device != "cuda":
        raise RequestError(
            f"{num_processes()} processes cannot share {device}: say --device cuda, and each has its card."
        )
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}"


def check_shares(plan: Plan) -> None:
    """Refuse a number of processes that a model cannot be shared by, before its weights are loaded.

    Args:
        plan: What shall be made.

    Raises:
        RequestError: The number does not divide that of the model's heads.
    """
    from iclora.checkpoints import read_config
    from iclora.transformer.split import check_heads

    if num_processes() > 1:
        check_heads(read_config(Path(plan.model_path) / "transformer" / "config.json"), num_processes())


@contextmanager
def together(transformer: Any, device: str) -> Iterator[None]:
    """Share the videos of a transformer with the other processes.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``, which all processes have.
        device: Where this process computes.
    """
    if num_processes() == 1:
        yield
        return
    import torch

    from iclora.transformer import split_over

    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    split_over(transformer, num_processes())
    yield
    # Not where something failed: the others would be waited for, and torchrun ends them.
    torch.distributed.destroy_process_group()
