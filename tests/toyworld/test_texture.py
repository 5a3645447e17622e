"""Patterns and noise tiles."""

import pytest
import torch

from toyworld.texture import PATTERNS, noise, pattern


def grid(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    line = torch.arange(size) / 16 + 0.01
    return line[None, None, :].expand(1, size, size), line[None, :, None].expand(1, size, size)


def number(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1), value)


def test_noise_repeats_after_one_unit_and_stays_in_range() -> None:
    p, q = grid()
    first, second = noise(p, q, number(5)), noise(p + 1, q - 2, number(5))
    assert torch.allclose(first, second, atol=2e-3)
    assert 0 <= float(first.min()) and float(first.max()) <= 1
    assert 0.3 < float(first.mean()) < 0.7


def test_rough_tiles_vary_faster_than_smooth_ones() -> None:
    p, q = grid()
    rough, smooth = (noise(p / 16, q / 16, number(tile)).diff(dim=2).abs().mean() for tile in (0, 11))
    assert float(rough) > 2 * float(smooth)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_mix_between_zero_and_one(name: str) -> None:
    kind = PATTERNS.index(name)
    mix = pattern(number(kind), [kind], grid(), number(4), number(0.1))
    assert 0 <= float(mix.min()) and float(mix.max()) <= 1
    assert (float(mix.max()) > 0.5) == (name != "solid")


def test_checker_by_hand() -> None:
    p = torch.tensor([[[0.5, 1.5]]])
    q = torch.tensor([[[0.5, 0.5]]])
    mix = pattern(number(1), [1], (p, q), number(0), number(0.1))
    assert mix[0, 0].tolist() == [1, 0]


def test_mixed_kinds_keep_to_their_pictures() -> None:
    p, q = (part.expand(2, -1, -1) for part in grid(8))
    kinds = torch.tensor([0.0, 1.0])[:, None, None]
    mix = pattern(kinds, [0, 1], (p, q), kinds * 0, kinds * 0 + 0.1)
    assert not mix[0].any()
    assert mix[1].any()
