"""Who sees whom, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from iclora.reference import TokenSequence


@dataclass(frozen=True, kw_only=True, eq=False)
class PairWeights:
    """Who sees whom, and how much.

    Attributes:
        num_target: Target tokens.
        num_open: Target tokens and the appended ones that see all of each other.
        isolated: Tokens of each further item; an item sees the target and itself.
        weights: Weight of each token after the open ones, ``[b, r]``, 0 to 1.
        even: For each further item whether its tokens have one weight (each batch element its own).
        alike: For each further item its tokens of the commonest weight, and those of other weights above 0;
            None where they are not told apart.
    """

    num_target: int
    num_open: int
    isolated: tuple[int, ...]
    weights: Float[Tensor, "b r"]
    even: tuple[bool, ...]
    alike: tuple[tuple[Int[Tensor, " _"], Int[Tensor, " _"]] | None, ...]

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
    isolated, even, alike = lengths[first:], sequence.even[first:], sequence.alike[first:]
    if sequence.isolate is False and len(lengths) > 1:
        isolated, even, alike = (sum(lengths),), (False,), (None,)
    return PairWeights(
        num_target=sequence.num_target,
        num_open=sequence.num_target + sum(lengths[:first]),
        isolated=isolated,
        weights=torch.cat(columns, dim=1),
        even=even,
        alike=alike,
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
