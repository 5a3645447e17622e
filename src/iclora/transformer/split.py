"""One video over several GPUs: each holds some of the tokens, and some of the heads while it attends.

              projections, text, feed-forward              attention to the video's tokens
    GPU 0     tokens 0 to s/2, all heads        ──────►    all tokens, heads 0 to k/2
    GPU 1     tokens s/2 to s, all heads        ◄──────    all tokens, heads k/2 to k

So attention is what it is on one GPU, with fewer heads: who sees whom, and how much, needs no other code.
Each GPU is given the whole sequence and returns the whole velocity. The audio, which is short, is on all.

Source: Jacobs et al. 2023, "DeepSpeed Ulysses".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from torch.distributed import _functional_collectives as collectives
from torch.distributed.device_mesh import init_device_mesh

from iclora.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the tokens of a sequence are shared out.

    Attributes:
        group: Name of the process group.
        rank: Which of its members this is.
        counts: Number of tokens of each member, in order.
    """

    group: str
    rank: int
    counts: tuple[int, ...]

    def own(self, tokens: slice) -> slice:
        """Which of the tokens that are shared out are here."""
        start = tokens.start + sum(self.counts[: self.rank])
        return slice(start, start + self.counts[self.rank])

    def by_heads(self, tokens: Float[Tensor, "b k n d"]) -> Float[Tensor, "b h s d"]:
        """Give away the other members' heads of the tokens here for one's own heads of all tokens."""
        size, count = len(self.counts), self.counts[self.rank]
        parts = rearrange(tokens, "b (p h) n d -> (p n) b h d", p=size)
        found = self._exchanged(parts, [count] * size, list(self.counts))
        return rearrange(found, "s b h d -> b h s d")

    def by_tokens(self, tokens: Float[Tensor, "b h s d"]) -> Float[Tensor, "b k n d"]:
        """Undo `by_heads`."""
        size, count = len(self.counts), self.counts[self.rank]
        parts = rearrange(tokens, "b h s d -> s b h d")
        found = self._exchanged(parts, list(self.counts), [count] * size)
        return rearrange(found, "(p n) b h d -> b (p h) n d", p=size)

    def own_heads(self, tokens: Float[Tensor, "b k a d"]) -> Float[Tensor, "b h a d"]:
        """Pick one's own heads of tokens that all members have."""
        return tokens.tensor_split(len(self.counts), dim=1)[self.rank]

    def all_heads(self, tokens: Float[Tensor, "b h a d"]) -> Float[Tensor, "b k a d"]:
        """Undo `own_heads`."""
        size = len(self.counts)
        parts = repeat(tokens, "b h a d -> (p h) b a d", p=size)
        sizes = [tokens.shape[1]] * size
        return rearrange(self._exchanged(parts, sizes, sizes), "k b a d -> b k a d")

    def all_tokens(self, tokens: Float[Tensor, "b n c"]) -> Float[Tensor, "b s c"]:
        """Bring the tokens of all members together."""
        size, count = len(self.counts), self.counts[self.rank]
        parts = repeat(tokens, "b n c -> (p n) b c", p=size)
        return rearrange(self._exchanged(parts, [count] * size, list(self.counts)), "s b c -> b s c")

    def _exchanged(self, parts: Tensor, given: list[int], taken: list[int]) -> Tensor:
        """Give each member its rows; the sizes say how many go to each and come from each."""
        group: Any = self.group
        found = collectives.all_to_all_single(parts.contiguous(), taken, given, group)
        there: Tensor = collectives.wait_tensor(found)  # type: ignore[no-untyped-call]
        return there


def split_over(transformer: Any, num_gpus: int) -> None:
    """Run every video of a transformer over several GPUs, one process for each (``torchrun``).

    All of the processes have the transformer, call with the same tokens and get the same velocity. It is for
    sampling alone.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel`` on this process's GPU.
        num_gpus: How many GPUs share a video; divides the number of processes.

    Raises:
        RequestError: The heads cannot be shared out evenly.
    """
    from diffusers import ContextParallelConfig
    from diffusers.models._modeling_parallel import ParallelConfig

    check_heads(transformer.config, num_gpus)
    context = ContextParallelConfig(ulysses_degree=num_gpus)
    # Not by `enable_parallelism`, which wants a GPU, and prepares diffusers' own forward; ours is another.
    kind = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    mesh = init_device_mesh(kind, context.mesh_shape, mesh_dim_names=context.mesh_dim_names)
    config = ParallelConfig(context_parallel_config=context)
    world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    config.setup(*world, transformer.device, mesh=mesh)
    transformer._parallel_config = config


def check_heads(config: Mapping[str, Any], num_gpus: int) -> None:
    """Refuse a number of GPUs that the heads of a model cannot be shared by.

    Args:
        config: Arguments of ``LTX2VideoTransformer3DModel``.
        num_gpus: How many GPUs share a video.

    Raises:
        RequestError: The heads cannot be shared out evenly.
    """
    for name in ("num_attention_heads", "audio_num_attention_heads"):
        heads = int(config.get(name, 32))
        if heads % num_gpus:
            raise RequestError(
                f"A model of {heads} heads cannot be shared by {num_gpus} GPUs: a number that divides it can."
            )


def split_of(transformer: Any, num_tokens: int) -> Split | None:
    """Share out a sequence as diffusers' ``enable_parallelism`` was asked to.

    Args:
        transformer: The transformer.
        num_tokens: Tokens of the sequence.

    Returns:
        How its tokens are shared out; None where one GPU has all of them.

    Raises:
        RequestError: It was asked for in a way that this forward does not have, or gradients are wanted.
    """
    parallel = getattr(transformer, "_parallel_config", None)
    if parallel is None:
        return None
    context = parallel.context_parallel_config
    hooks = getattr(getattr(transformer.proj_out, "_diffusers_hook", None), "hooks", {})
    if context is None or context.ring_degree > 1 or any(name.startswith("cp_") for name in hooks):
        raise RequestError(
            "This transformer is split in a way that references are not kept exact in: call "
            "iclora.transformer.split_over(transformer, num_gpus) instead of enable_parallelism."
        )
    if torch.is_grad_enabled():
        raise RequestError(
            "A video over several GPUs is for sampling alone: call under torch.inference_mode(), or train "
            "with other videos on each GPU."
        )
    mesh = context._ulysses_mesh
    size, rank = mesh.size(), mesh.get_local_rank()
    if num_tokens < size:
        raise RequestError(f"{num_tokens} tokens cannot be shared by {size} GPUs: take fewer of them.")
    counts = tuple(num_tokens // size + (index < num_tokens % size) for index in range(size))
    return Split(group=mesh.get_group().group_name, rank=rank, counts=counts)
