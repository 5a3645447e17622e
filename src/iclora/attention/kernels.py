"""Kernels that attend without a mask and tell the logarithm of the sum of their exponentials."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# exp() of this is exactly 0 in float32; divided by the score's scale it is still finite in half precision.
LOG_ZERO = -1e3
_HALF = (torch.float16, torch.bfloat16)
# Columns added to queries and keys: three are used, but kernels want head sizes in multiples of 8.
NUM_COLUMNS = 8

Piece = tuple[Tensor, Tensor]
"""Mixed values ``[b, k, q, d]``, and the logarithm ``[b, k, q]`` of the sum of exponentials over the keys."""
Kernel = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Piece]
"""Attention of queries, keys, values and perhaps a weight of each key ``[b, s]`` to a piece."""


def kernel_of(query: Tensor, key: Tensor, value: Tensor) -> Kernel | None:
    """Choose the unmasked kernel that tells its log-sum-exp; None: there is none, or gradients are wanted."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value)):
        return None
    if query.device.type == "cpu":
        return _on_cpu
    width = query.shape[-1]
    if query.device.type != "cuda" or query.dtype not in _HALF or width % 8 or width > 256 - NUM_COLUMNS:
        return None
    return None if _best_of(query.device) == "none" else _on_cuda


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _best_of(device: torch.device) -> str:
    """Name the fastest kernel of a GPU, by the rules of PyTorch's own choice.

    Source: PyTorch's ``aten/src/ATen/native/transformers/cuda/sdp_utils.cpp``.
    """
    major, _ = torch.cuda.get_device_capability(device)
    # Before 9.15.1 cuDNN is wrong where the number of tokens is no multiple of 128 (PyTorch's issue 169849).
    version: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    if torch.version.cuda and major in (9, 10) and (version or 0) > 91500:
        return "cudnn"
    return "flash" if major >= 8 else "none"


def _on_cpu(query: Tensor, key: Tensor, value: Tensor, weights: Tensor | None = None) -> Piece:
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return _with_columns(attend, query, key, value, weights)


def _on_cuda(query: Tensor, key: Tensor, value: Tensor, weights: Tensor | None = None) -> Piece:
    # cuDNN takes neither wider heads nor a single key.
    if query.shape[-1] > 128 or key.shape[2] == 1 or _best_of(query.device) != "cudnn":
        return _with_columns(torch.ops.aten._scaled_dot_product_flash_attention, query, key, value, weights)
    attend = torch.ops.aten._scaled_dot_product_cudnn_attention
    if weights is None:
        found = attend(query, key, value, None, True)
        return found[0], found[1].reshape(query.shape[:3])  # the sums have one more dimension, of 1
    # A bias is rounded to half precision: of what a weight is below the largest one, which is merged exactly.
    logs = _finite_logs(weights)[:, None, None]
    most = logs.amax(dim=-1)
    found = attend(query, key, value, (logs - most[..., None]).to(query.dtype), True)
    return found[0], found[1].reshape(query.shape[:3]) + most


def plain(query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None) -> Piece:
    """Attention on any device, with gradients; it does not tell its log-sum-exp."""
    return F.scaled_dot_product_attention(query, key, value, scale=scale), query.new_empty(0)


def _with_columns(
    function: Callable[..., Piece], query: Tensor, key: Tensor, value: Tensor, weights: Tensor | None
) -> Piece:
    """Call an unmasked kernel, with the weights of the keys in columns."""
    if weights is None:
        mixed, sums, *_ = function(query, key, value)
        return mixed, sums
    long_key = torch.cat([key, column_parts(weights, query)], dim=-1)
    return widened(function, with_ones(query), long_key, value)


def widened(function: Callable[..., Piece], query: Tensor, key: Tensor, value: Tensor) -> Piece:
    """Attend with queries and keys that have columns added, the scale that of the true head size."""
    width = value.shape[-1]
    mixed, sums, *_ = function(query, key, F.pad(value, (0, NUM_COLUMNS)), scale=1 / math.sqrt(width))
    return mixed[..., :width], sums


def with_ones(tokens: Float[Tensor, "b k s d"]) -> Float[Tensor, "b k s e"]:
    """Add the columns that take up those of `column_parts`."""
    return F.pad(tokens, (0, NUM_COLUMNS), value=1.0)


def column_parts(weights: Float[Tensor, "b r"], like: Float[Tensor, "b k s d"]) -> Float[Tensor, "b k r e"]:
    """Return the columns that add ``log w`` to a score when multiplied with ones."""
    rest = _finite_logs(weights) * math.sqrt(like.shape[-1])
    parts = []
    for _ in range(3):
        part = rest.to(like.dtype)
        parts.append(part)
        rest = rest - part.float()
    columns = F.pad(torch.stack(parts, dim=-1), (0, NUM_COLUMNS - len(parts)))
    return columns[:, None].expand(-1, like.shape[1], -1, -1)


def _finite_logs(weights: Float[Tensor, "b r"]) -> Float[Tensor, "b r"]:
    return torch.where(weights > 0, weights.log(), LOG_ZERO)
