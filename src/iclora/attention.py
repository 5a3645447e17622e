"""Attention strengths and masks as attention weights.

The softmax weight of a pair (target token, reference token j) is multiplied by ``w_j``: ``log w_j`` is
added to the score, in both directions. Items that do not see each other are pairs of weight 0:

                  keys:  target+open     item 1        item 2
    queries:  target        1             w_1           w_2
              open          1              0             0
              item 1   w_1 (target)        1             0
              item 2   w_2 (target)        0             1

*Open* are the items appended before the first weighted one: all of them see each other (official rule).

In sampling, each row of that table is attended to in pieces, by an unmasked kernel that also returns the
logarithm of the sum of its exponentials, and the pieces are merged exactly:

    out = sum_i w_i exp(lse_i) out_i / sum_i w_i exp(lse_i)

A piece has one weight for each query. Where the tokens of an item have different ones (a mask), ``log w`` is
added to the scores inside that piece: as a bias of each key where the kernel is cuDNN's, which takes one of
the keys alone; elsewhere by a few more query/key columns, since what is added to a score is a number of the
query times a number of the key (three columns, so that half precision holds all digits of the logarithm).
Where gradients are wanted, which the logarithm of the sum has none of, all keys are widened so. Nowhere is a
tensor of tokens x tokens made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from iclora.reference import TokenSequence

# exp() of this is exactly 0 in float32; divided by the score's scale it is still finite in half precision.
LOG_ZERO = -1e3
_HALF = (torch.float16, torch.bfloat16)
# Columns added to queries and keys: three are used, but kernels want head sizes in multiples of 8.
_NUM_COLUMNS = 8

KeyValue = tuple[Tensor, Tensor]
"""Keys and values of some tokens, ``[b, k, s, d]`` each."""
_Piece = tuple[Tensor, Tensor]
"""Mixed values ``[b, k, q, d]``, and the logarithm ``[b, k, q]`` of the sum of exponentials over the keys."""
_Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None], _Piece]
"""Attention of queries, keys, values and perhaps a weight of each key ``[b, s]`` to a piece."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairWeights:
    """Who sees whom, and how much.

    Attributes:
        num_target: Target tokens.
        num_open: Target tokens and the appended ones that see all of each other.
        isolated: Tokens of each further item; an item sees the target and itself.
        weights: Weight of each token after the open ones, ``[b, r]``, 0 to 1.
        even: For each further item whether its tokens have one weight (each batch element its own).
    """

    num_target: int
    num_open: int
    isolated: tuple[int, ...]
    weights: Float[Tensor, "b r"]
    even: tuple[bool, ...]

    @property
    def num_tokens(self) -> int:
        """Tokens of the whole sequence."""
        return self.num_open + self.weights.shape[1]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and past-the-last token of each isolated item."""
        return list(pairwise(accumulate(self.isolated, initial=self.num_open)))

    def item_of(self, token: int) -> int:
        """Which isolated item a token belongs to; -1: it is open."""
        return len([start for start, _ in self.spans if start <= token]) - 1


def pair_weights(sequence: TokenSequence) -> PairWeights | None:
    """Find out who sees whom in a sequence.

    Args:
        sequence: The sequence with its appended items.

    Returns:
        The weights, or None where every token sees every token fully.
    """
    lengths, appended = sequence.lengths[1:], sequence.weights
    first = next((index for index, weights in enumerate(appended) if weights is not None), len(appended))
    weighted = first < len(appended)
    if not weighted and (len(appended) < 2 or not sequence.isolate):
        return None
    if sequence.isolate is not None:
        first = 0
    batch = sequence.mask.shape[0]
    columns = [
        torch.ones(batch, length, device=sequence.mask.device) if weights is None else weights.float()
        for length, weights in zip(lengths[first:], appended[first:], strict=True)
    ]
    isolated, even = lengths[first:], sequence.even[first:]
    if sequence.isolate is False:
        isolated, even = (sum(lengths),), (len(lengths) == 1 and even[0],)
    return PairWeights(
        num_target=sequence.num_target,
        num_open=sequence.num_target + sum(lengths[:first]),
        isolated=isolated,
        weights=torch.cat(columns, dim=1),
        even=even,
    )


def one_way_groups(sequence: TokenSequence, pairs: PairWeights | None) -> tuple[int, ...]:
    """Find out which one-way tokens see each other: they see nothing else.

    Args:
        sequence: The sequence.
        pairs: Who sees whom in it, from `pair_weights`.

    Returns:
        Number of one-way tokens of each group, in order.
    """
    first, total = sequence.num_two_way, sum(sequence.lengths)
    spans = [(0, total)] if pairs is None else [(0, pairs.num_open), *pairs.spans]
    return tuple(end - max(start, first) for start, end in spans if end > max(start, first))


def dense_weights(pairs: PairWeights) -> Float[Tensor, "b s s"]:
    """Write the weights out as a matrix: the plain formula, for tests and small sequences.

    Args:
        pairs: Who sees whom.

    Returns:
        Weight of each pair ``[b, query, key]``, 0 to 1.
    """
    batch, num_weighted = pairs.weights.shape
    total = pairs.num_open + num_weighted
    matrix = torch.zeros(batch, total, total, device=pairs.weights.device)
    matrix[:, : pairs.num_open, : pairs.num_open] = 1
    matrix[:, : pairs.num_target, pairs.num_open :] = pairs.weights[:, None, :]
    matrix[:, pairs.num_open :, : pairs.num_target] = pairs.weights[:, :, None]
    for start, end in pairs.spans:
        matrix[:, start:end, start:end] = 1
    return matrix


def attend(
    query: Float[Tensor, "b k q d"],
    key: Float[Tensor, "b k s d"],
    value: Float[Tensor, "b k s d"],
    pairs: PairWeights | None = None,
) -> Float[Tensor, "b k q d"]:
    """Self-attention under pair weights; without them, plain attention and no mask at all.

    Args:
        query: Queries of all tokens, or of the first ones: of the target and of what follows it.
        key: Keys of all tokens.
        value: Values of all tokens.
        pairs: Who sees whom; None means everyone, fully.

    Returns:
        The mixed values, differentiable in all inputs.
    """
    parts = [part.split(part_sizes(pairs, 0, part.shape[2]), dim=2) for part in (query, key, value)]
    return attend_parts(*parts, pairs)


def part_sizes(pairs: PairWeights | None, first: int, last: int) -> list[int]:
    """Cut tokens where others see them differently, for `attend_parts`.

    Args:
        pairs: Who sees whom in the whole sequence; None means everyone, fully.
        first: The first of the tokens to cut.
        last: Past the last of them.

    Returns:
        Number of tokens of each part, in order.
    """
    cuts = [first]
    if pairs is not None:
        for end in (pairs.num_target, pairs.num_open, *(end for _, end in pairs.spans)):
            if cuts[-1] < end < last:
                cuts.append(end)
    return [end - start for start, end in pairwise([*cuts, last])]


def attend_parts(
    query: Sequence[Float[Tensor, "b k _ d"]],
    key: Sequence[Float[Tensor, "b k _ d"]],
    value: Sequence[Float[Tensor, "b k _ d"]],
    pairs: PairWeights | None = None,
) -> Float[Tensor, "b k q d"]:
    """`attend` over tokens in parts, cut as `part_sizes` does or finer; kernels take them as they are.

    Args:
        query: Queries of all tokens, or of the first ones.
        key: Keys of all tokens.
        value: Values of all tokens, in parts of the keys' sizes.
        pairs: Who sees whom; None means everyone, fully.

    Returns:
        The mixed values, differentiable in all inputs.
    """
    num_keys = sum(part.shape[2] for part in key)
    assert pairs is None or num_keys == pairs.num_tokens, "kernels do not see what is missing"
    kernel = _kernel(query[0], key[0], value[0])
    if pairs is None and (kernel is None or len(key) == 1):
        return F.scaled_dot_product_attention(*map(_whole, (query, key, value)))
    if kernel is None:
        rows = _rows_widened(*map(_whole, (query, key, value)), pairs)
    else:
        rows = _rows_in_pieces(kernel, query, key, value, pairs)
    # Joined with tokens before heads, as kernels return them and projections want them: copied once.
    return torch.cat([part.transpose(1, 2) for part in rows], dim=1).transpose(1, 2)


def attend_apart(
    query: Float[Tensor, "b k s d"],
    key: Float[Tensor, "b k s d"],
    value: Float[Tensor, "b k s d"],
    groups: tuple[int, ...],
) -> Float[Tensor, "b k s d"]:
    """Self-attention of each group of tokens to itself alone.

    Args:
        query: Queries.
        key: Keys.
        value: Values.
        groups: Number of tokens of each group, in order.

    Returns:
        The mixed values, differentiable in all inputs.
    """
    parts = zip(*(torch.split(part, list(groups), dim=2) for part in (query, key, value)), strict=True)
    return torch.cat([F.scaled_dot_product_attention(*part) for part in parts], dim=2)


def _whole(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=2)


def _rows_in_pieces(
    kernel: _Kernel,
    query: Sequence[Tensor],
    key: Sequence[Tensor],
    value: Sequence[Tensor],
    pairs: PairWeights | None,
) -> Iterator[Tensor]:
    """Attend from each part to each part that it sees."""
    asking = accumulate((part.shape[2] for part in query), initial=0)
    for first, own in zip(asking, query, strict=False):
        starts = accumulate((part.shape[2] for part in key), initial=0)
        others = zip(starts, key, value, strict=False)
        pieces = [_piece(kernel, (first, own), start, (k, v), pairs) for start, k, v in others]
        yield _merged([piece for piece in pieces if piece is not None])


def _piece(
    kernel: _Kernel, asking: tuple[int, Tensor], start: int, pair: KeyValue, pairs: PairWeights | None
) -> _Piece | None:
    """Attend from one part to another, each with its first token; None where it does not see it."""
    first, query = asking
    if pairs is None or pairs.item_of(first) == pairs.item_of(start):
        return kernel(query, *pair, None)
    opened = pairs.num_open
    if first < pairs.num_target:
        weights = pairs.weights[:, start - opened : start - opened + pair[0].shape[2]]
        if not pairs.even[pairs.item_of(start)]:
            return kernel(query, *pair, weights)
        weights = weights[:, :1]
    elif start < pairs.num_target:
        weights = pairs.weights[:, first - opened : first - opened + query.shape[2]]
    else:
        return None
    mixed, sums = kernel(query, *pair, None)
    return mixed, sums + weights.log()[:, None]  # minus infinity, where it is 0, leaves the piece no share


def _rows_widened(query: Tensor, key: Tensor, value: Tensor, pairs: PairWeights) -> Iterator[Tensor]:
    """Attend from the target, then from each isolated item that asks, all weights in columns."""
    target, opened, asked = pairs.num_target, pairs.num_open, query.shape[2]
    logs = _column_parts(pairs.weights, query)
    long_key = torch.cat([key, F.pad(logs, (0, 0, opened, 0))], dim=-1)
    yield _widened(_plain, _with_ones(query[:, :, :target]), long_key, value)[0]
    if opened > target and asked > target:
        others = query[:, :, target:opened]
        yield F.scaled_dot_product_attention(others, key[:, :, :opened], value[:, :, :opened])
    for start, end in pairs.spans:
        if asked <= start:
            break
        stop = min(end, asked)
        long_query = torch.cat([query[:, :, start:stop], logs[:, :, start - opened : stop - opened]], dim=-1)
        own_key = F.pad(key[:, :, start:end], (0, _NUM_COLUMNS))
        seen_key = torch.cat([_with_ones(key[:, :, :target]), own_key], dim=2)
        seen_value = torch.cat([value[:, :, :target], value[:, :, start:end]], dim=2)
        yield _widened(_plain, long_query, seen_key, seen_value)[0]


def _merged(pieces: list[_Piece]) -> Float[Tensor, "b k q d"]:
    """Merge what was attended to piece by piece."""
    if len(pieces) == 1:
        return pieces[0][0]
    shares = torch.stack([sums for _, sums in pieces]).softmax(dim=0)[..., None]
    first, *others = (share * mixed for share, (mixed, _) in zip(shares, pieces, strict=True))
    merged: Tensor = sum(others, start=first)
    return merged.to(pieces[0][0].dtype)


def _kernel(query: Tensor, key: Tensor, value: Tensor) -> _Kernel | None:
    """Choose the unmasked kernel that tells its log-sum-exp; None: there is none, or gradients are wanted."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value)):
        return None
    if query.device.type == "cpu":
        return _on_cpu
    width = query.shape[-1]
    if query.device.type != "cuda" or query.dtype not in _HALF or width % 8 or width > 256 - _NUM_COLUMNS:
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


def _on_cpu(query: Tensor, key: Tensor, value: Tensor, weights: Tensor | None = None) -> _Piece:
    return _with_columns(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu, query, key, value, weights)


def _on_cuda(query: Tensor, key: Tensor, value: Tensor, weights: Tensor | None = None) -> _Piece:
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


def _plain(query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None) -> _Piece:
    """Attention on any device, with gradients; it does not tell its log-sum-exp."""
    return F.scaled_dot_product_attention(query, key, value, scale=scale), query.new_empty(0)


def _with_columns(
    function: Callable[..., _Piece], query: Tensor, key: Tensor, value: Tensor, weights: Tensor | None
) -> _Piece:
    """Call an unmasked kernel, with the weights of the keys in columns."""
    if weights is None:
        mixed, sums, *_ = function(query, key, value)
        return mixed, sums
    long_key = torch.cat([key, _column_parts(weights, query)], dim=-1)
    return _widened(function, _with_ones(query), long_key, value)


def _widened(function: Callable[..., _Piece], query: Tensor, key: Tensor, value: Tensor) -> _Piece:
    """Attend with queries and keys that have columns added, the scale that of the true head size."""
    width = value.shape[-1]
    mixed, sums, *_ = function(query, key, F.pad(value, (0, _NUM_COLUMNS)), scale=1 / math.sqrt(width))
    return mixed[..., :width], sums


def _with_ones(tokens: Float[Tensor, "b k s d"]) -> Float[Tensor, "b k s e"]:
    """Add the columns that take up those of `_column_parts`."""
    return F.pad(tokens, (0, _NUM_COLUMNS), value=1.0)


def _column_parts(weights: Float[Tensor, "b r"], like: Float[Tensor, "b k s d"]) -> Float[Tensor, "b k r e"]:
    """Return the columns that add ``log w`` to a score when multiplied with ones."""
    rest = _finite_logs(weights) * math.sqrt(like.shape[-1])
    parts = []
    for _ in range(3):
        part = rest.to(like.dtype)
        parts.append(part)
        rest = rest - part.float()
    columns = F.pad(torch.stack(parts, dim=-1), (0, _NUM_COLUMNS - len(parts)))
    return columns[:, None].expand(-1, like.shape[1], -1, -1)


def _finite_logs(weights: Float[Tensor, "b r"]) -> Float[Tensor, "b r"]:
    return torch.where(weights > 0, weights.log(), LOG_ZERO)
