"""Attention strengths and masks as attention weights.

The softmax weight of a pair (target token, reference token j) is multiplied by ``w_j``: ``log w_j`` is
added to the score, in both directions. Items that do not see each other are pairs of weight 0:

                  keys:  target+open     item 1        item 2
    queries:  target        1             w_1           w_2
              open          1              0             0
              item 1   w_1 (target)        1             0
              item 2   w_2 (target)        0             1

*Open* are the items appended before the first weighted one: all of them see each other (official rule).

For one row of that table, what is added to a score is a number of the query times a number of the key. So
a few more query/key columns carry it through an unmasked kernel (three, so that half precision holds all
digits of the logarithm), and no tensor of tokens x tokens is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from iclora.reference import TokenSequence

# exp() of this is exactly 0 in float32; divided by the score's scale it is still finite in half precision.
LOG_ZERO = -1e3
# Columns added to queries and keys: three are used, but kernels want head sizes in multiples of 8.
_NUM_COLUMNS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class PairWeights:
    """Who sees whom, and how much.

    Attributes:
        num_target: Target tokens.
        num_open: Target tokens and the appended ones that see all of each other.
        isolated: Tokens of each further item; an item sees the target and itself.
        weights: Weight of each token after the open ones, ``[b, r]``, 0 to 1.
    """

    num_target: int
    num_open: int
    isolated: tuple[int, ...]
    weights: Float[Tensor, "b r"]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and past-the-last token of each isolated item."""
        return list(pairwise(accumulate(self.isolated, initial=self.num_open)))


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
    isolated = lengths[first:] if sequence.isolate is not False else (sum(lengths),)
    return PairWeights(
        num_target=sequence.num_target,
        num_open=sequence.num_target + sum(lengths[:first]),
        isolated=isolated,
        weights=torch.cat(columns, dim=1),
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
    if pairs is None:
        return F.scaled_dot_product_attention(query, key, value)
    target, opened, asked = pairs.num_target, pairs.num_open, query.shape[2]
    logs = _column_parts(pairs.weights, query)
    ones = _column_ones(query)
    long_key = torch.cat([key, F.pad(logs, (0, 0, opened, 0))], dim=-1)
    long_query = torch.cat([query[:, :, :target], ones[:, :, :target]], dim=-1)
    mixed = [_attend_long(long_query, long_key, value)]
    if opened > target and asked > target:
        seen = slice(None, opened)
        others = query[:, :, target:opened]
        mixed.append(F.scaled_dot_product_attention(others, key[:, :, seen], value[:, :, seen]))
    for start, end in pairs.spans:
        if asked <= start:
            break
        stop = min(end, asked)
        item = slice(start, end)
        target_key = torch.cat([key[:, :, :target], ones[:, :, :target]], dim=-1)
        own_key = F.pad(key[:, :, item], (0, _NUM_COLUMNS))
        long_query = torch.cat([query[:, :, start:stop], logs[:, :, start - opened : stop - opened]], dim=-1)
        mixed.append(
            _attend_long(
                long_query,
                torch.cat([target_key, own_key], dim=2),
                torch.cat([value[:, :, :target], value[:, :, item]], dim=2),
            )
        )
    return torch.cat(mixed, dim=2)


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


def _attend_long(
    query: Float[Tensor, "b k i e"], key: Float[Tensor, "b k j e"], value: Float[Tensor, "b k j d"]
) -> Float[Tensor, "b k i d"]:
    """Attend with added columns, the scale that of the true head size."""
    width = value.shape[-1]
    padded = F.pad(value, (0, _NUM_COLUMNS))
    return F.scaled_dot_product_attention(query, key, padded, scale=1 / math.sqrt(width))[..., :width]


def _column_parts(weights: Float[Tensor, "b r"], like: Float[Tensor, "b k s d"]) -> Float[Tensor, "b k r e"]:
    """Return the columns that add ``log w`` to a score when multiplied with `_column_ones`."""
    logs = torch.where(weights > 0, weights.log(), LOG_ZERO)
    rest = logs * math.sqrt(like.shape[-1])
    parts = []
    for _ in range(3):
        part = rest.to(like.dtype)
        parts.append(part)
        rest = rest - part.float()
    columns = F.pad(torch.stack(parts, dim=-1), (0, _NUM_COLUMNS - len(parts)))
    return columns[:, None].expand(-1, like.shape[1], -1, -1)


def _column_ones(like: Float[Tensor, "b k s d"]) -> Float[Tensor, "b k s e"]:
    return like.new_ones(1, 1, 1, _NUM_COLUMNS).expand(*like.shape[:3], -1)
