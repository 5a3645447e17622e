"""All at once: every kind of item with dials of its own, a batch, and every pass of guidance."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from iclora.attention import dense_weights
from iclora.checkpoints import MoreGuidance
from iclora.pipeline.guiding import guided_by
from iclora.plan import Plan, Request, make_plan
from iclora.reference import TokenSequence, assemble, keyframe_tokens, reference_tokens, target_sequence
from iclora.sampling import Latents, Prompt, sample, start
from iclora.transformer import layers
from tests.small_models import CHANNELS, FACTORS, audio_target, contexts, transformer

FULL = MoreGuidance(audio_scale=7.0, stg_scale=1.0, stg_blocks=(1,), modality_scale=3.0, rescale=0.7)
MODEL = transformer("2.5")
SIGMAS = (1.0, 0.7, 0.3, 0.0)
BOTH = slice(0, 2)


@pytest.fixture(scope="module")
def plan(micro_model: Path) -> Plan:
    plan = make_plan(Request(prompt="", model=str(micro_model)))
    return replace(plan, guidance_scale=3.0, more_guidance=FULL)


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def everything() -> TokenSequence:
    """Two videos: a first frame, a keyframe, references of half size, of half the rate, and plain."""
    place: dict[str, Any] = {"factors": FACTORS, "fps": 24.0}
    first: dict[str, Any] = {
        "first_frame": noise(2, CHANNELS, 1, 2, 4, seed=1),
        "first_frame_strength": 0.8,
    }
    small = {"downscale": 2, "strength": 0.9, "attention_mask": torch.tensor([[0.0, 0.4, 1.0, 1.0]])}
    moving = torch.linspace(0, 1, 17)[:, None, None]
    rare = {"temporal_factor": 2, "attention_strength": 0.5, "attention_mask": moving}
    items = [
        keyframe_tokens(noise(2, CHANNELS, 1, 2, 4, seed=2), frame=9, strength=0.7, **place),
        reference_tokens(noise(2, CHANNELS, 3, 1, 2, seed=3), **small, **place),
        reference_tokens(noise(2, CHANNELS, 2, 2, 4, seed=4), **rare, **place),
        reference_tokens(noise(2, CHANNELS, 3, 2, 4, seed=5), **place),
    ]
    return assemble(target_sequence(torch.zeros(2, CHANNELS, 3, 2, 4), **first, **place), items)


def alone(sequence: TokenSequence, index: int) -> TokenSequence:
    """One video of a batch."""
    own = slice(index, index + 1)
    weights = tuple(None if one is None else one[own] for one in sequence.weights)
    parts: dict[str, Any] = {name: getattr(sequence, name)[own] for name in ("clean", "positions", "mask")}
    return replace(sequence, weights=weights, **parts)


def made(plan: Plan, video: TokenSequence, audio: TokenSequence, own: slice) -> Latents:
    texts = [contexts(MODEL, batch=2, seed=seed) for seed in (11, 12)]
    prompts = [Prompt(video=one[own], audio=other[own]) for one, other in texts]
    drawn, hiss = noise(2, *video.clean.shape[1:], seed=6), noise(2, *audio.clean.shape[1:], seed=7)
    noisy = Latents(video=start(video, drawn[own]), audio=start(audio, hiss[own]))
    with torch.inference_mode():
        return sample(guided_by(plan, MODEL, prompts, video, audio), noisy, video, audio, sigmas=SIGMAS)


def check_close(one: Latents, other: Latents) -> None:
    assert one.audio is not None and other.audio is not None
    for left, right in ((one.video, other.video), (one.audio, other.audio)):
        assert float((left - right).norm() / right.norm()) < 1e-4


def test_all_at_once_is_the_plain_formula(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = made(plan, everything(), audio_target(batch=2), BOTH)

    def plain(*tokens: Any) -> Tensor:
        pairs = tokens[3] if len(tokens) > 3 else None
        query, key, value = (torch.cat(list(one), dim=2) for one in tokens[:3])
        scores = query @ key.mT * query.shape[-1] ** -0.5
        if pairs is not None:
            scores = scores + dense_weights(pairs)[:, None, : query.shape[2]].log()
        return scores.softmax(dim=-1) @ value

    monkeypatch.setattr(layers, "attend_parts", plain)
    check_close(fast, made(plan, everything(), audio_target(batch=2), BOTH))


def test_videos_of_a_batch_do_not_meet(plan: Plan) -> None:
    together = made(plan, everything(), audio_target(batch=2), BOTH)
    assert together.audio is not None
    for index in range(2):
        own = slice(index, index + 1)
        part = Latents(video=together.video[own], audio=together.audio[own])
        check_close(part, made(plan, alone(everything(), index), audio_target(), own))


@pytest.mark.parametrize(
    "less",
    [
        {"guidance_scale": 1.0, "more_guidance": replace(FULL, audio_scale=1.0)},
        {"more_guidance": replace(FULL, stg_scale=0.0)},
        {"more_guidance": replace(FULL, modality_scale=1.0)},
        {"more_guidance": replace(FULL, rescale=0.0)},
    ],
    ids=["prompt", "stg", "modality", "rescale"],
)
def test_each_part_of_guidance_tells(plan: Plan, less: dict[str, Any]) -> None:
    video, first = alone(everything(), 0), slice(0, 1)
    full, other = (made(one, video, audio_target(), first) for one in (plan, replace(plan, **less)))
    assert float((full.video - other.video).norm() / full.video.norm()) > 1e-2
    assert full.audio is not None and other.audio is not None and not torch.equal(full.audio, other.audio)
