"""One-way references: against the plain formula, and what they must not look at."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from iclora.attention import PairWeights, dense_weights, pair_weights
from iclora.reference import TokenSequence, assemble
from iclora.transformer import Stream, layers, velocity
from tests.small_models import (
    audio_target,
    contexts,
    control,
    keyframe,
    stream,
    transformer,
    video_target,
)

MODEL = transformer()
LAYOUTS: list[dict[str, Any]] = [
    {"items": [control()]},
    {"items": [control(seed=1), control(seed=2)]},
    {"items": [control(seed=1), control(seed=2)], "isolate": True},
    {"items": [control(seed=1), control(seed=2, attention_strength=0.4), control(seed=3)]},
    {"items": [control(seed=1, attention_mask=torch.tensor([[0.0, 0.3, 1.0]])), control(seed=2)]},
    {"items": [control(seed=1), control(seed=2, attention_strength=0.4)], "isolate": False},
    {"items": [keyframe(), control()]},
    {"items": [keyframe(), control(attention_strength=0.4)]},
    {"items": [keyframe(strength=0.5), control(seed=1), control(seed=2, strength=0.5)]},
    {"items": [keyframe(), control(seed=1, attention_strength=0.4), control(seed=2)], "isolate": True},
    {"items": [keyframe(), control(seed=1, attention_strength=0.4), control(seed=2)], "isolate": False},
]


def laid_out(items: list[Any], *, isolate: bool | None = None) -> TokenSequence:
    """A target with a first frame, keyframes, and one-way references."""
    target = video_target()
    target.mask[:, :6] = 0
    pictures = sum(item.latents.shape[1] == 6 for item in items)
    return assemble(target, items, isolate=isolate, num_one_way=len(items) - pictures)


def dense_attention(sequence: TokenSequence) -> Callable[..., Tensor]:
    """The plain formula: all weights as a matrix, the one-way rows blind to what is before them."""
    total, first = sequence.clean.shape[1], sequence.num_two_way
    two_way = replace(sequence, num_one_way=0)
    pairs = pair_weights(two_way)
    matrix = torch.ones(1, total, total) if pairs is None else dense_weights(pairs)
    matrix[:, first:, :first] = 0

    def attend(*parts: list[Tensor] | PairWeights | None) -> Tensor:
        query, key, value = (torch.cat(side, dim=2) for side in parts[:3])
        assert query.shape[2] == total
        return scaled_dot_product_attention(query, key, value, attn_mask=matrix.log()[:, None])

    return attend


@pytest.mark.parametrize("form", ["2.3", "2.0"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_the_plain_formula(form: str, layout: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the prompt is not modulated, who sees whom is all there is to one-way."""
    model = transformer(form, use_prompt_adaln_single=False)
    sequence = laid_out(**layout)
    video = stream(sequence, contexts(model)[0])
    weight = model.transformer_blocks[0].attn1.to_k.weight
    ours, _ = velocity(model, video, clean_too=True)
    (gradient,) = torch.autograd.grad(ours.square().mean(), weight)
    monkeypatch.setattr(layers, "attend_parts", dense_attention(sequence))
    plain = replace(video, sequence=replace(sequence, num_one_way=0))
    theirs, _ = velocity(model, plain, clean_too=True)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    (expected,) = torch.autograd.grad(theirs.square().mean(), weight)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)


def test_references_look_at_nothing_but_themselves_and_the_prompt() -> None:
    sequence = laid_out([keyframe(), control(seed=1), control(seed=2)])
    context, audio_context = contexts(MODEL)
    video = stream(sequence, context)
    audio = stream(audio_target(), audio_context, seed=6)
    lead = sequence.num_two_way
    other = video.latents.clone()
    other[:, :lead] = 3.0
    with torch.inference_mode():
        before, heard = velocity(MODEL, video, audio, clean_too=True)
        changed: list[tuple[Stream, Stream | None]] = [
            (replace(video, latents=other), audio),
            (replace(video, sigma=torch.tensor([0.1])), audio),
            (video, replace(audio, latents=-audio.latents, sigma=torch.tensor([0.1]))),
            (video, None),
        ]
        for streams in changed:
            after, _ = velocity(MODEL, *streams, clean_too=True)
            assert torch.equal(after[:, lead:], before[:, lead:])
            assert not torch.allclose(after[:, :lead], before[:, :lead], rtol=1e-3)
        turned = velocity(MODEL, replace(video, context=-context), audio, clean_too=True)[0]
        assert not torch.allclose(turned[:, lead:], before[:, lead:], rtol=1e-3)
        unlike = video.latents.clone()
        unlike[:, lead:] = 3.0
        moved, listened = velocity(MODEL, replace(video, latents=unlike), audio)
    assert heard is not None and listened is not None
    assert not torch.allclose(moved[:, :lead], before[:, :lead], rtol=1e-3)
    assert not torch.allclose(listened, heard, rtol=1e-3)


@pytest.mark.parametrize("with_audio", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_nobody_reads_is_not_computed(layout: dict[str, Any], *, with_audio: bool) -> None:
    sequence = laid_out(**layout)
    context, audio_context = contexts(MODEL)
    audio = stream(audio_target(), audio_context, seed=6) if with_audio else None
    with torch.inference_mode():
        short = velocity(MODEL, stream(sequence, context), audio)
        whole = velocity(MODEL, stream(sequence, context), audio, clean_too=True)
    moving = sequence.mask > 0
    moving[:, :12] = True
    torch.testing.assert_close(short[0][moving], whole[0][moving], rtol=1e-5, atol=1e-6)
    assert short[0].shape == whole[0].shape and whole[0].all(dim=-1).all()
    if short[1] is not None and whole[1] is not None:
        torch.testing.assert_close(short[1], whole[1], rtol=1e-5, atol=1e-6)


def test_references_of_weight_0_are_left_out() -> None:
    shown = laid_out([keyframe(), control(seed=1)], isolate=True)  # as those after a weighted item are
    hidden = laid_out([keyframe(), control(seed=2, attention_strength=0.0), control(seed=1)])
    latents = stream(hidden, contexts(MODEL)[0]).latents
    kept = torch.cat([latents[:, :18], latents[:, 30:]], dim=1)
    with torch.inference_mode():
        moved, _ = velocity(MODEL, stream(hidden, contexts(MODEL)[0]))
        expected, _ = velocity(MODEL, replace(stream(shown, contexts(MODEL)[0]), latents=kept))
    assert torch.equal(moved[:, :18], expected[:, :18])
    seen = hidden.visible
    assert seen is not None and seen[1].num_one_way == 1 and seen[1].num_two_way == 18


def test_gradients_are_the_same_with_checkpointing() -> None:
    model = transformer()
    sequence = laid_out([control(attention_strength=0.5)])
    context, audio_context = contexts(model)

    def gradients() -> tuple[Tensor, ...]:
        video = stream(sequence, context)
        video.latents.requires_grad_()
        moved, heard = velocity(model, video, stream(audio_target(), audio_context))
        assert heard is not None
        loss = moved[:, :12].square().mean() + heard.square().mean()
        wanted = [model.transformer_blocks[0].attn1.to_q.weight, video.latents]
        return torch.autograd.grad(loss, wanted)

    plain = gradients()
    model.enable_gradient_checkpointing()
    torch.testing.assert_close(gradients(), plain)
    assert plain[0].norm() > 0 and plain[1][:, 12:].norm() > 0
