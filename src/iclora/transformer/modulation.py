"""AdaLN parameters of a sequence, computed once for each run of equal noise levels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from iclora.reference import TokenSequence


@dataclass(frozen=True, kw_only=True, eq=False)
class Modulation:
    """AdaLN parameters of a sequence: one set for each run of equal noise levels."""

    values: Float[Tensor, "b g p d"]
    lengths: tuple[int, ...]

    def parts(
        self, table: Float[Tensor, "p d"], first: int = 0, last: int | None = None
    ) -> tuple[Tensor, ...]:
        """Add a table and lay rows ``first`` to ``last`` out over the tokens, ``[b, s | 1, d]`` each."""
        rows = (table[first:last] + self.values[:, :, first:last]).unbind(dim=2)
        if len(self.lengths) == 1:
            return rows
        return tuple(self._laid_out(row) for row in rows)

    def first(self, count: int) -> Modulation:
        """The parameters of the first tokens."""
        if len(self.lengths) == 1:
            return self
        ends = accumulate(self.lengths)
        kept = [min(length, count - (end - length)) for length, end in zip(self.lengths, ends, strict=True)]
        lengths = tuple(length for length in kept if length > 0)
        return replace(self, values=self.values[:, : len(lengths)], lengths=lengths)

    def _laid_out(self, row: Float[Tensor, "b g d"]) -> Float[Tensor, "b s d"]:
        runs = [row[:, i : i + 1].expand(-1, length, -1) for i, length in enumerate(self.lengths)]
        return torch.cat(runs, dim=1)


def levels_of(
    sequence: TokenSequence, sigma: Float[Tensor, " b"], tokens: slice
) -> tuple[Float[Tensor, "b g"], tuple[int, ...]]:
    """Return the noise level of each run of equal ones among some tokens of a sequence, and its length."""
    runs = pairwise(accumulate(sequence.runs, initial=0))
    clipped = [(max(start, tokens.start), min(end, tokens.stop)) for start, end in runs]
    spans = [(start, end) for start, end in clipped if start < end]
    # Not by a list of indices: they would be copied to the device, which waits for all it has to do.
    mask = torch.stack([sequence.mask[:, start] for start, _ in spans], dim=1)
    return sigma[:, None] * mask, tuple(end - start for start, end in spans)


def modulate(
    module: Any, timesteps: Float[Tensor, "b g"], lengths: tuple[int, ...], dtype: torch.dtype
) -> tuple[Modulation, Modulation]:
    """Return an AdaLN module's parameters for each run, and the embedding they were made from."""
    batch = timesteps.shape[0]
    values, embedded = module(timesteps.flatten(), hidden_dtype=dtype)
    values = rearrange(values, "(b g) (p d) -> b g p d", b=batch, p=module.num_mod_params)
    embedded = rearrange(embedded, "(b g) d -> b g 1 d", b=batch)
    return Modulation(values=values, lengths=lengths), Modulation(values=embedded, lengths=lengths)
