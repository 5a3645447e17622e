"""Encoded clips in memory, and the batches drawn from them."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from tests.toyworld.runs import CAPTIONS
from toyworld.architecture import MICRO, build
from toyworld.batches import LINE_WORDS, Bank, draw, shorten


def numbered_bank(count: int = 6) -> Bank:
    """View i, called `clip i`, has the target i and the control i / 2, all over; drawn, each third is -i."""
    numbers = torch.arange(count, dtype=torch.float16).view(-1, 1, 1, 1, 1)
    target = numbers.expand(-1, 8, 2, 4, 4)
    return Bank(
        target=target,
        lines=-target[::3],
        control=target[..., ::2, ::2] / 2,
        captions=[f"clip {number}" for number in range(count)],
    )


def test_a_bank_holds_the_views_of_all_that_is_encoded(bank: Path, tmp_path: Path) -> None:
    for number in range(2):
        shutil.copytree(bank, tmp_path / str(number))
    (tmp_path / "1" / "captions.json").write_text(json.dumps(["panning left"]))
    (tmp_path / "1" / "encoded.txt").write_text("1")
    opened = Bank.open(tmp_path)
    assert opened.captions == [
        *(caption for caption in CAPTIONS for _ in range(3)),
        *("panning left", "panning right", "panning left"),
    ]
    assert opened.target.shape == (12, 8, 2, 4, 4) and opened.lines.shape == (4, 8, 2, 4, 4)
    for name in ("target", "control"):
        stored, held = np.load(bank / f"{name}.npy"), getattr(opened, name)
        assert held.dtype == torch.float16
        assert np.array_equal(held[4], stored[1, 1]) and np.array_equal(held[11], stored[0, 2])
    assert np.array_equal(opened.lines, np.load(bank / "lines.npy")[[0, 1, 2, 0], 0])


def test_target_control_and_caption_belong_together() -> None:
    target, control, captions = draw(numbered_bank(), np.random.default_rng(0), count=40)
    assert target.shape == (40, 8, 2, 4, 4) and control.shape == (40, 8, 2, 2, 2)
    assert target.dtype == control.dtype == torch.float32
    numbers = target[:, 0, 0, 0, 0].tolist()
    assert set(numbers) == {0, 1, 2, 3, 4, 5}
    for number, clip, small, caption in zip(numbers, target, control, captions, strict=True):
        assert bool((clip == number).all()) and bool((small == number / 2).all())
        assert caption in ("", f"clip {int(number)}")


def test_line_drawings_come_with_the_control_and_the_caption_of_their_clip() -> None:
    target, control, captions = draw(numbered_bank(), np.random.default_rng(0), count=40, lines=True)
    numbers = target[:, 0, 0, 0, 0].tolist()
    assert set(numbers) == {0, -3}  # the first view of each clip
    for number, small, caption in zip(numbers, control[:, 0, 0, 0, 0].tolist(), captions, strict=True):
        assert small == -number / 2 and caption in ("", f"{LINE_WORDS}, clip {int(-number)}")


def test_a_tenth_of_the_captions_is_dropped() -> None:
    _, _, captions = draw(numbered_bank(), np.random.default_rng(0), count=2000)
    assert 0.08 < captions.count("") / len(captions) < 0.12


def test_captions_lose_the_words_that_do_not_fit() -> None:
    words = "one red ball rolling and two blue boxes falling past four trees".split()
    parts = build([*words, LINE_WORDS], MICRO)
    assert len(parts.tokenizer(f"{LINE_WORDS},").input_ids) == 6  # <bos>, four words and a comma
    fits = " ".join(words[:10])  # 16 tokens in all
    assert shorten(["", fits, " ".join(words)], parts) == ["", fits, fits]


def test_a_caption_may_lose_all_of_its_words() -> None:
    parts = build(["no word of the captions"], MICRO)  # so each letter is a token
    assert shorten(["a ball"], parts) == [""]
