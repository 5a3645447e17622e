"""Self-attention under pair weights: piece by piece, or with all weights in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from iclora.attention import kernels
from iclora.attention.kernels import Kernel, Piece
from iclora.attention.pairs import PairWeights

KeyValue = tuple[Tensor, Tensor]
"""Keys and values of some tokens, ``[b, k, s, d]`` each."""


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
    queries, keys, values = (
        torch.split(part, part_sizes(pairs, 0, part.shape[2]), dim=2) for part in (query, key, value)
    )
    return attend_parts(queries, keys, values, pairs)


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
    kernel = kernels.kernel_of(query[0], key[0], value[0])
    if kernel is not None and (pairs is not None or len(key) > 1):
        rows = _rows_in_pieces(kernel, query, key, value, pairs)
    elif pairs is not None:
        rows = _rows_widened(_whole(query), _whole(key), _whole(value), pairs)
    else:
        return F.scaled_dot_product_attention(_whole(query), _whole(key), _whole(value))
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
    kernel: Kernel,
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
        yield _merged(
            [piece for start, *pair in others for piece in _pieces(kernel, (first, own), start, pair, pairs)]
        )


def _pieces(
    kernel: Kernel,
    asking: tuple[int, Tensor],
    start: int,
    pair: Sequence[Tensor],
    pairs: PairWeights | None,
) -> Iterator[Piece]:
    """Attend from one part to another, each with its first token; nothing where it does not see it."""
    first, query = asking
    key, value = pair
    if pairs is None or pairs.item_of(first) == pairs.item_of(start):
        yield kernel(query, key, value, None)
        return
    opened = pairs.num_open
    if first < pairs.num_target:
        weights = pairs.weights[:, start - opened : start - opened + key.shape[2]]
        item = pairs.item_of(start)
        if pairs.even[item]:
            yield _weighted(kernel(query, key, value, None), weights[:, :1])
        elif (alike := pairs.alike[item]) is None or key.shape[2] != pairs.isolated[item]:
            yield kernel(query, key, value, weights)
        else:
            for number, chosen in enumerate(alike):
                if len(chosen):
                    own_key, own_value = (side.index_select(2, chosen) for side in (key, value))
                    own = weights.index_select(1, chosen)
                    common = number == 0
                    piece = kernel(query, own_key, own_value, None if common else own)
                    yield _weighted(piece, own[:, :1]) if common else piece
    elif start < pairs.num_target:
        weights = pairs.weights[:, first - opened : first - opened + query.shape[2]]
        yield _weighted(kernel(query, key, value, None), weights)


def _weighted(piece: Piece, weights: Float[Tensor, "b _"]) -> Piece:
    """Weigh all keys of a piece: by one weight, or for each query by its own."""
    mixed, sums = piece
    return mixed, sums + weights.log()[:, None]  # minus infinity, where it is 0, leaves the piece no share


def _rows_widened(query: Tensor, key: Tensor, value: Tensor, pairs: PairWeights) -> Iterator[Tensor]:
    """Attend from the target, then from each isolated item that asks, all weights in columns."""
    target, opened, asked = pairs.num_target, pairs.num_open, query.shape[2]
    logs = kernels.column_parts(pairs.weights, query)
    long_key = torch.cat([key, F.pad(logs, (0, 0, opened, 0))], dim=-1)
    yield kernels.widened(kernels.plain, kernels.with_ones(query[:, :, :target]), long_key, value)[0]
    if opened > target and asked > target:
        others = query[:, :, target:opened]
        yield F.scaled_dot_product_attention(others, key[:, :, :opened], value[:, :, :opened])
    for start, end in pairs.spans:
        if asked <= start:
            break
        stop = min(end, asked)
        long_query = torch.cat([query[:, :, start:stop], logs[:, :, start - opened : stop - opened]], dim=-1)
        own_key = F.pad(key[:, :, start:end], (0, kernels.NUM_COLUMNS))
        seen_key = torch.cat([kernels.with_ones(key[:, :, :target]), own_key], dim=2)
        seen_value = torch.cat([value[:, :, :target], value[:, :, start:end]], dim=2)
        yield kernels.widened(kernels.plain, long_query, seen_key, seen_value)[0]


def _merged(pieces: list[Piece]) -> Float[Tensor, "b k q d"]:
    """Merge what was attended to piece by piece."""
    if len(pieces) == 1:
        return pieces[0][0]
    shares = torch.stack([sums for _, sums in pieces]).softmax(dim=0)[..., None]
    first, *others = (share * mixed for share, (mixed, _) in zip(shares, pieces, strict=True))
    merged: Tensor = sum(others, start=first)
    return merged.to(pieces[0][0].dtype)
