"""Encoded clips in memory, and training batches drawn from them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iclora.checkpoints import Components
from toyworld.bank import shards
from toyworld.latents import VIEWS, views_of

CAPTION_DROPOUT = 0.1
LINE_WORDS = "white lines on black"
Drawn = tuple[Tensor, Tensor | None, list[str]]


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Encoded views of clips, float16: `target` `n c f h w`, `control` (half-size edges) `n c f h/2 w/2`, one
    caption each, and `lines` (full-size edges) of the first of each `VIEWS`, `n/3 c f h w`."""

    target: Tensor
    control: Tensor
    lines: Tensor
    captions: list[str]

    @classmethod
    def open(cls, folder: Path, device: str = "cpu") -> "Bank":
        """Opens a bank that `toyworld.latents` has encoded, all of its shards as one."""
        captions: list[str] = []
        parts: dict[str, list[Tensor]] = {name: [] for name in ("target", "control", "lines")}
        for shard in shards(folder):
            count = int((shard / "encoded.txt").read_text())
            captions += views_of(json.loads((shard / "captions.json").read_text())[:count])
            for name, arrays in parts.items():
                array = np.load(shard / f"{name}.npy", mmap_mode="r")[:count]
                arrays.append(torch.from_numpy(np.array(array)).flatten(0, 1).to(device))
        return cls(captions=captions, **{name: torch.cat(arrays) for name, arrays in parts.items()})


def draw(bank: Bank, rng: np.random.Generator, *, count: int, lines: bool = False) -> Drawn:
    """Draws a batch.

    Args:
        bank: Where from.
        rng: Source of chance.
        count: Clips.
        lines: Whether the clips are shown as line drawings.

    Returns:
        Target latents `b c f h w`, control latents `b c f h/2 w/2` and captions.
    """
    chosen = rng.integers(len(bank.captions), size=count)
    silent = rng.random(count) < CAPTION_DROPOUT
    if lines:
        chosen -= chosen % VIEWS
    captions = [f"{LINE_WORDS}, " * lines + bank.captions[i] for i in chosen]
    captions = ["" if drop else caption for caption, drop in zip(captions, silent, strict=True)]
    indices = torch.from_numpy(chosen).to(bank.target.device)
    target = bank.lines[indices // VIEWS] if lines else bank.target[indices]
    return target.float(), bank.control[indices].float(), captions


def shorten(captions: list[str], parts: Components) -> list[str]:
    """Drops words from the end of captions until the model takes them, as line drawings too.

    Args:
        captions: What the clips show.
        parts: The model.

    Returns:
        As much of each caption as fits.
    """
    most = parts.recipe.max_prompt_tokens
    short = []
    for caption in captions:
        while caption and len(parts.tokenizer(f"{LINE_WORDS}, {caption}").input_ids) > most:
            caption = caption.rpartition(" ")[0]
        short.append(caption)
    return short
