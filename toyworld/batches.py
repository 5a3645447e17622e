"""Encoded clips in memory, and training batches drawn from them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iclora.checkpoints import Components
from iclora.pipeline import tokenise
from toyworld.bank import shards
from toyworld.latents import KINDS, views_of

CAPTION_DROPOUT = 0.1


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A batch.

    Attributes:
        target: Latents to make, `b c f h w`.
        reference: Latents of half the size that are shown, or None.
        tokens: Of the captions, `b 2 t`.
        lines: Edges one pixel wide, 0 or 1, `b f h w`; None where the bank holds none.
    """

    target: Tensor
    reference: Tensor | None
    tokens: Tensor
    lines: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Encoded views of clips, float16, and a caption each.

    Attributes:
        latents: By kind: `target` `n c f h w`, and at half size `small`, `hint` and `control`; or `lines`,
            the edges one pixel wide, a bit each, `n f h w/8` uint8.
        captions: `n` texts.
        tokens: Those of the captions and of no words at all, `n+1 2 t`, once `read_captions` made them.
    """

    latents: dict[str, Tensor]
    captions: list[str]
    tokens: Tensor | None = None

    @classmethod
    def open(cls, folder: Path, device: str = "cpu", *, kinds: tuple[str, ...] = KINDS) -> "Bank":
        """Opens a bank that `toyworld.latents` has encoded, all of its shards as one."""
        captions: list[str] = []
        parts: dict[str, list[Tensor]] = {kind: [] for kind in kinds}
        for shard in shards(folder):
            count = int((shard / "encoded.txt").read_text())
            captions += views_of(json.loads((shard / "captions.json").read_text())[:count])
            for kind, arrays in parts.items():
                array = np.load(shard / f"{kind}.npy", mmap_mode="r")[:count]
                arrays.append(torch.from_numpy(np.array(array)).flatten(0, 1).to(device))
        return cls(captions=captions, latents={kind: torch.cat(arrays) for kind, arrays in parts.items()})


def draw(bank: Bank, rng: np.random.Generator, *, count: int, kind: str, shown: str | None = None) -> Drawn:
    """Draws a batch.

    Args:
        bank: Where from.
        rng: Source of chance.
        count: Clips.
        kind: What is to be made of each clip, a kind of the bank.
        shown: What of it is the reference, a kind of half the size; None: there is none.

    Returns:
        The batch.
    """
    assert bank.tokens is not None
    chosen = rng.integers(len(bank.captions), size=count)
    silent = rng.random(count) < CAPTION_DROPOUT
    # In one small piece: larger ones wait until the device has done all it has to do.
    both = torch.from_numpy(np.stack([chosen, np.where(silent, len(bank.captions), chosen)]))
    indices, said = both.to(bank.latents[kind].device)
    reference = None if shown is None else bank.latents[shown][indices].float()
    lines = unpacked(bank.latents["lines"][indices]) if "lines" in bank.latents else None
    return Drawn(
        target=bank.latents[kind][indices].float(), reference=reference, tokens=bank.tokens[said], lines=lines
    )


def unpacked(bits: Tensor) -> Tensor:
    """Unpacks pixels of one bit, the first one the highest of its byte: `... w/8` uint8 to `... w` float."""
    places = torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
    return (bits[..., None] >> places & 1).flatten(-2).float()


def read_captions(bank: Bank, parts: Components, device: str) -> Bank:
    """Turns captions into tokens, as much of each as the model takes.

    Args:
        bank: The bank.
        parts: The model.
        device: Where to keep the tokens.

    Returns:
        The bank with its tokens.
    """
    captions = shorten(bank.captions, parts)
    return replace(bank, captions=captions, tokens=tokenise(parts, *captions, "").to(device))


def shorten(captions: list[str], parts: Components) -> list[str]:
    """Drops words from the end of captions until the model takes them.

    Args:
        captions: What the clips show.
        parts: The model.

    Returns:
        As much of each caption as fits.
    """
    most = parts.recipe.max_prompt_tokens
    short = []
    for caption in captions:
        while caption and len(parts.tokenizer(caption).input_ids) > most:
            caption = caption.rpartition(" ")[0]
        short.append(caption)
    return short
