"""Encoded clips in memory, and the batches drawn from them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from iclora.pipeline import tokenise
from tests.toyworld.runs import CAPTIONS
from toyworld.architecture import MICRO, build
from toyworld.batches import Bank, draw, read_captions, shorten
from toyworld.latents import views_of


def numbered_bank(count: int = 6) -> Bank:
    """View i has the tokens i, the target i, the control i / 2 and the hint -i, all over; no words are -1."""
    numbers = torch.arange(count, dtype=torch.float16).view(-1, 1, 1, 1, 1)
    target = numbers.expand(-1, 8, 2, 4, 4)
    small = target[..., ::2, ::2]
    return Bank(
        latents={"target": target, "small": small, "control": small / 2, "hint": -small},
        captions=[f"clip {number}" for number in range(count)],
        tokens=torch.tensor([*range(count), -1])[:, None, None].expand(-1, 2, 3),
    )


def test_a_bank_holds_the_views_of_all_that_is_encoded(bank: Path, tmp_path: Path) -> None:
    for number in range(2):
        shutil.copytree(bank, tmp_path / str(number))
    (tmp_path / "1" / "captions.json").write_text(json.dumps(["panning left"]))
    (tmp_path / "1" / "encoded.txt").write_text("1")
    opened = Bank.open(tmp_path)
    assert opened.captions == [*views_of(CAPTIONS), *views_of(["panning left"])]
    assert opened.latents["target"].shape == (8, 8, 2, 4, 4)
    for kind, held in opened.latents.items():
        stored = np.load(bank / f"{kind}.npy")
        assert held.dtype == torch.float16
        assert np.array_equal(held[3], stored[1, 1]) and np.array_equal(held[7], stored[0, 1])
    assert list(Bank.open(tmp_path, kinds=("small",)).latents) == ["small"]


@pytest.mark.parametrize(
    ("kind", "shown", "factor"),
    [("target", "control", 0.5), ("target", "hint", -1), ("small", None, None)],
)
def test_what_is_made_what_is_shown_and_caption_belong_together(
    kind: str, shown: str | None, factor: float | None
) -> None:
    bank = numbered_bank()
    drawn = draw(bank, np.random.default_rng(0), count=40, kind=kind, shown=shown)
    made, reference, tokens = drawn.target, drawn.reference, drawn.tokens
    assert drawn.lines is None
    assert made.shape[1:] == bank.latents[kind].shape[1:] and made.dtype == torch.float32
    numbers = made[:, 0, 0, 0, 0].tolist()
    assert set(numbers) == {0, 1, 2, 3, 4, 5}
    for number, clip, said in zip(numbers, made, tokens, strict=True):
        assert bool((clip == number).all()) and said.shape == (2, 3) and said[0, 0].item() in (-1, number)
    if factor is None:
        assert reference is None
        return
    assert reference is not None and reference.shape == (40, 8, 2, 2, 2) and reference.dtype == torch.float32
    for number, small in zip(numbers, reference, strict=True):
        assert bool((small == number * factor).all())


def test_lines_are_those_of_what_is_made() -> None:
    bank = numbered_bank()
    numbers = torch.arange(6, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 9, 4, 2)
    lines = draw(
        replace(bank, latents=bank.latents | {"lines": numbers}),
        np.random.default_rng(0),
        count=40,
        kind="target",
    )
    assert lines.lines is not None and lines.lines.shape == (40, 9, 4, 16)
    for number, clip in zip(lines.target[:, 0, 0, 0, 0].int().tolist(), lines.lines, strict=True):
        bits = [float(bit) for bit in f"{number:08b}"] * 2
        assert clip[8, 3].tolist() == bits


def test_a_tenth_of_the_captions_is_dropped() -> None:
    tokens = draw(numbered_bank(), np.random.default_rng(0), count=2000, kind="small").tokens
    assert 0.08 < (tokens[:, 0, 0] == -1).float().mean() < 0.12


def test_captions_become_tokens_and_the_last_row_has_no_words(bank: Path) -> None:
    opened = Bank.open(bank)
    parts = build(opened.captions, MICRO)
    tokens = read_captions(opened, parts, "cpu").tokens
    assert tokens is not None and len(tokens) == len(opened.captions) + 1
    assert torch.equal(tokens, tokenise(parts, *opened.captions, ""))
    assert tokens[:, 1].sum(dim=1)[-1] == 1 < tokens[:, 1].sum(dim=1)[0]  # <bos> alone


def test_captions_lose_the_words_that_do_not_fit() -> None:
    words = "one red ball rolling and two blue boxes falling past four small trees by the lake".split()
    parts = build(words, MICRO)
    fits = " ".join(words[:15])  # 16 tokens with <bos>
    assert len(parts.tokenizer(fits).input_ids) == 16
    assert shorten(["", fits, " ".join(words)], parts) == ["", fits, fits]


def test_a_caption_may_lose_all_of_its_words() -> None:
    parts = build(["no word of the captions"], MICRO)  # so each letter is a token
    assert shorten(["abcdefghijklmnopqrstuvwxyz"], parts) == [""]
