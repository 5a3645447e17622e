"""Whatever is combined: the forward of random layouts is the plain formula, in each way and type it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from iclora.attention import PairWeights, dense_weights, kernels
from iclora.reference import ReferenceTokens, TokenSequence, assemble, reference_tokens
from iclora.transformer import CachePolicy, Perturbation, ReferenceCache, layers, velocity
from tests.small_models import (
    CHANNELS,
    FACTORS,
    audio_target,
    contexts,
    control,
    keyframe,
    stream,
    transformer,
    video_target,
)

PERTURBATIONS = (None, Perturbation(values_only_blocks=(1,)), Perturbation(cross_modal=False))
model_of = cache(transformer)
clean_or_not = st.sampled_from([1.0, 1.0, 0.6])
dials = st.fixed_dictionaries(
    {
        "strength": clean_or_not,
        "attention_strength": st.sampled_from([1.0, 1.0, 0.4, 0.0]),
        "downscale": st.integers(1, 2),
        "temporal_factor": st.integers(1, 2),
    }
)
references = st.fixed_dictionaries(
    {
        "size": st.sampled_from([(2, 2, 3), (1, 1, 2), (3, 1, 1)]),
        "mask": st.sampled_from(["none", "h w", "f h w", "for each video"]),
        "seed": st.integers(0, 99),
        "dials": dials,
    }
)
sequences = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 2),
        "first_frame": st.sampled_from([1.0, 0.0, 0.3]),
        "pictures": st.lists(clean_or_not, max_size=2),
        "items": st.lists(references, max_size=3),
        "one_way": st.booleans(),
        "isolate": st.sampled_from([None, None, True, False]),
    }
)


def reference_of(
    batch: int, *, size: tuple[int, int, int], mask: str, seed: int, dials: dict[str, Any]
) -> ReferenceTokens:
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(batch, CHANNELS, *size, generator=generator)
    # Zeros and ones among the weights, which are handled apart from others.
    levels = (1.6 * torch.rand(max(batch, size[0]), *size[1:], generator=generator) - 0.3).clamp(0, 1)
    pixels = {"h w": levels[0], "f h w": levels[: size[0]]}.get(mask)
    made = reference_tokens(latent, factors=FACTORS, fps=24.0, attention_mask=pixels, **dials)
    own = levels[:batch].flatten(1).repeat(1, size[0])
    return replace(made, weights=own) if mask == "for each video" else made


def sequence_of(
    *,
    batch: int,
    first_frame: float,
    pictures: list[float],
    items: list[dict[str, Any]],
    one_way: bool,
    isolate: bool | None,
) -> TokenSequence:
    target = video_target(batch=batch)
    target.mask[:, :6] = first_frame
    appended = [keyframe(batch=batch, strength=strength) for strength in pictures]
    appended += [reference_of(batch, **item) for item in items]
    return assemble(target, appended, isolate=isolate, num_one_way=len(items) if one_way else 0)


def plain(*parts: Any) -> Tensor:
    """The plain formula, with all weights written out."""
    query, key, value = (torch.cat(list(side), dim=2) for side in parts[:3])
    pairs: PairWeights | None = parts[3] if len(parts) > 3 else None
    scores = query @ key.mT * query.shape[-1] ** -0.5
    if pairs is not None:
        scores = scores + dense_weights(pairs)[:, None, : query.shape[2]].log()
    return scores.softmax(dim=-1) @ value


@contextmanager
def by(way: str) -> Iterator[dict[str, Any]]:
    """Run in one of the ways; gives what `velocity` takes for it."""
    swapped = {"plain": (layers, "attend_parts", plain), "no kernel": (kernels, "kernel_of", lambda *_: None)}
    module, name, function = swapped.get(way, (kernels, "kernel_of", kernels.kernel_of))
    with patch.object(module, name, function), torch.inference_mode(way != "gradients"):
        yield {"clean_too": way == "plain"}


@settings(max_examples=60)
@given(
    sequences,
    st.sampled_from(["2.0", "2.3", "2.5"]),
    st.booleans(),
    st.sampled_from(PERTURBATIONS),
    st.sampled_from(["kernels", "no kernel", "gradients", "kept"]),
)
def test_any_layout_is_the_plain_formula(
    layout: dict[str, Any], form: str, with_audio: bool, perturbation: Perturbation | None, way: str
) -> None:
    model, batch, sequence = model_of(form), layout["batch"], sequence_of(**layout)
    context, audio_context = contexts(model, batch=batch)
    video = stream(sequence, context, [0.7, 0.3][:batch])
    audio = stream(audio_target(batch=batch), audio_context, [0.6, 0.2][:batch], 6) if with_audio else None
    with by(way) as settings:
        if way == "kept":  # of the step before, where nothing changed
            settings["cache"] = ReferenceCache(CachePolicy(every=9))
            velocity(model, video, audio, perturbation=perturbation, **settings)
        ours = velocity(model, video, audio, perturbation=perturbation, **settings)
    with by("plain") as settings:
        expected = velocity(model, video, audio, perturbation=perturbation, **settings)
    moves = (sequence.mask > 0).any(dim=0)
    ends = torch.tensor(sequence.lengths).cumsum(0)
    for end, length, seen in zip(ends[1:], sequence.lengths[1:], sequence.seen, strict=True):
        moves[end - length : end] &= seen or with_audio  # what nobody sees is left out
    torch.testing.assert_close(ours[0][:, moves], expected[0][:, moves], rtol=1e-4, atol=1e-5)
    if ours[1] is not None and expected[1] is not None:
        torch.testing.assert_close(ours[1], expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("with_gradients", [False, True])
def test_half_precision(dtype: torch.dtype, *, with_gradients: bool) -> None:
    """Video, sound and gradients, with a picture, a strength, and a mask that hides what it can."""
    model = transformer()
    mask = torch.tensor([[0.0, 0.3, 1.0], [0.0, 0.0, 0.7]])
    items = [keyframe(), control(attention_strength=0.5), control(seed=3, attention_mask=mask)]
    sequence = assemble(video_target(), items)

    def results(dtype: torch.dtype) -> tuple[Tensor, ...]:
        context, audio_context = contexts(model)
        streams = (
            replace(one, latents=one.latents.to(dtype), context=one.context.to(dtype))
            for one in (stream(sequence, context), stream(audio_target(), audio_context, seed=6))
        )
        with torch.inference_mode(not with_gradients):
            moved, heard = velocity(model.to(dtype), *streams)
        assert heard is not None
        if not with_gradients:
            return moved, heard
        weights = [
            model.transformer_blocks[0].attn1.to_k.weight,
            model.transformer_blocks[1].attn1.to_q.weight,
        ]
        return torch.autograd.grad(moved.square().mean() + heard.square().mean(), weights)

    for full, half in zip(results(torch.float32), results(dtype), strict=True):
        assert half.dtype == dtype
        assert (half.float() - full).norm() / full.norm() < 0.03
