"""What is left to chance: the noise levels by their formula, shares by counting."""

import math

import numpy as np
import pytest

from iclora.sampling import DISTILLED_SIGMAS
from iclora.training.chance import MASK_SIZE, Chance, chance_of, noise_levels, random_mask, shift_of
from iclora.training.config import ConditioningSettings, NoiseSettings


def drawn(count: int = 4000, seed: int = 0, **conditioning: object) -> Chance:
    return chance_of(
        np.random.default_rng(seed),
        count,
        ConditioningSettings(**conditioning),
        NoiseSettings(),
        num_tokens=1024,
        schedule=DISTILLED_SIGMAS,
    )


@pytest.mark.parametrize(("tokens", "shift"), [(1024, 0.95), (4096, 2.05), (2560, 1.5), (1280, 1.0416667)])
def test_more_tokens_want_more_noise(tokens: int, shift: float) -> None:
    assert shift_of(tokens) == pytest.approx(shift)


def test_noise_levels_are_logit_normal_stretched_over_0_to_1() -> None:
    rng = np.random.default_rng(1)
    levels = noise_levels(rng, 20_000, NoiseSettings(uniform=0), num_tokens=1024, schedule=DISTILLED_SIGMAS)
    low, high = (1 / (1 + math.exp(-(0.95 + d))) for d in (-2.5758, 3.0902))
    middle = (1 / (1 + math.exp(-0.95)) - low) / (high - low)
    assert np.median(levels) == pytest.approx(middle, abs=0.01)
    assert levels.min() >= 1e-3 and levels.max() <= 1


def test_some_levels_are_even_and_some_of_the_schedule() -> None:
    rng = np.random.default_rng(2)
    even = noise_levels(rng, 20_000, NoiseSettings(uniform=1), num_tokens=9000, schedule=DISTILLED_SIGMAS)
    assert np.mean(even < 0.25) == pytest.approx(0.25, abs=0.02)
    steps = noise_levels(rng, 500, NoiseSettings(on_schedule=1), num_tokens=1024, schedule=DISTILLED_SIGMAS)
    assert {round(float(step), 6) for step in steps} == {round(step, 6) for step in DISTILLED_SIGMAS[:-1]}


def test_shares_are_kept() -> None:
    chance = drawn(first_frame=0.2, prompt_dropout=0.1)
    assert chance.first_frame.mean() == pytest.approx(0.2, abs=0.03)
    assert chance.silent.mean() == pytest.approx(0.1, abs=0.02)
    assert chance.strengths is None and chance.masks is None and not chance.strangers.any()
    batches = [drawn(1, seed, reference_dropout=0.3).with_references for seed in range(400)]
    assert np.mean(batches) == pytest.approx(0.7, abs=0.06)


def test_a_weak_reference_is_another_clips_as_often_as_it_is_weak() -> None:
    chance = drawn(attention_strength=(0.2, 0.6), strength_dropout=0.5)
    assert chance.strengths is not None
    full = chance.strengths == 1
    assert full.mean() == pytest.approx(0.5, abs=0.03) and not chance.strangers[full].any()
    weak = chance.strengths[~full]
    assert weak.min() >= 0.2 and weak.max() <= 0.6
    assert chance.strangers[~full].mean() == pytest.approx(1 - 0.4, abs=0.03)


def test_masks_are_halves_and_boxes_and_half_of_the_clips_have_none() -> None:
    chance = drawn(60, attention_masks=True)
    assert chance.masks is not None and chance.masks.shape == (60, MASK_SIZE, MASK_SIZE)
    whole = [bool((mask == 1).all()) for mask in chance.masks]
    assert 15 < sum(whole) < 45
    shares = [random_mask(np.random.default_rng(seed)).mean() for seed in range(50)]
    assert min(shares) > 0 and max(shares) < 1 and np.mean(shares) == pytest.approx(0.5, abs=0.15)


def test_the_same_seed_draws_the_same() -> None:
    one, other = drawn(5, 3), drawn(5, 3)
    assert one.noise_seed == other.noise_seed and (one.sigma == other.sigma).all()
