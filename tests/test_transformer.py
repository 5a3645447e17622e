"""The forward: against diffusers' own where both agree, and the properties references must have."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from iclora.reference import TokenSequence, assemble
from iclora.transformer import Perturbation, Stream, running, velocity
from tests.small_models import (
    CHANNELS,
    audio_target,
    contexts,
    control,
    keyframe,
    stream,
    transformer,
    video_target,
)

MODEL = transformer()


def silent(sequence: TokenSequence, latents: Tensor, model: Any = MODEL) -> Tensor:
    context, _ = contexts(model, batch=len(latents))
    return velocity(model, replace(stream(sequence, context), latents=latents))[0]


def marked(sequence: TokenSequence, batch: int) -> Tensor:
    """Mark the first latent frame of the target as the official code does, for diffusers' forward."""
    tokens = torch.arange(sum(sequence.lengths))
    return (tokens < 6).float()[None, :, None].expand(batch, -1, -1)


def diffusers_forward(model: Any, video: Stream, audio: Stream, **settings: Any) -> tuple[Tensor, Tensor]:
    return model(  # type: ignore[no-any-return]
        hidden_states=video.latents,
        audio_hidden_states=audio.latents,
        encoder_hidden_states=video.context,
        audio_encoder_hidden_states=audio.context,
        timestep=1000 * video.sigma[:, None] * video.sequence.mask,
        audio_timestep=1000 * audio.sigma[:, None] * audio.sequence.mask,
        sigma=1000 * video.sigma,
        audio_sigma=1000 * audio.sigma,
        video_coords=video.sequence.positions,
        audio_coords=audio.sequence.positions,
        use_cross_timestep=True,
        video_keyframes_mask=marked(video.sequence, len(video.latents)),
        return_dict=False,
        **settings,
    )


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ("2.3", {}),
        ("2.0", {}),
        ("2.5", {}),
        ("2.0", {"rope_type": "interleaved"}),
        ("2.3", {"use_prompt_adaln_single": False, "ff_bias": False}),
        ("2.3", {"cross_attn_timestep_scale_multiplier": 1}),
    ],
)
def test_without_references_it_is_the_forward_of_diffusers(form: str, changes: dict[str, Any]) -> None:
    model = transformer(form, **changes)
    context, audio_context = contexts(model, batch=2)
    video = stream(video_target(batch=2), context, [0.7, 0.2])
    audio = stream(audio_target(batch=2), audio_context, [0.7, 0.2], seed=6)
    with torch.inference_mode():
        ours = velocity(model, video, audio)
        theirs = diffusers_forward(model, video, audio)
    torch.testing.assert_close(ours, tuple(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_one_way", [0, 1])
def test_the_first_frame_alone_is_marked(num_one_way: int) -> None:
    model = transformer("2.5")
    sequence = assemble(video_target(), [keyframe(), control()], num_one_way=num_one_way)
    audio = stream(audio_target(), contexts(model)[1], seed=6)
    video = stream(sequence, contexts(model)[0])
    plain = replace(video, sequence=replace(sequence, num_first=0))
    apart = Perturbation(cross_modal=False)
    with torch.inference_mode():
        ours = velocity(model, video, audio, perturbation=apart, clean_too=True)
        unmarked = velocity(model, plain, audio, perturbation=apart, clean_too=True)
        theirs = diffusers_forward(model, video, audio, isolate_modalities=True)
        model.keyframes_abs_pos_embedding.zero_()
        without = velocity(model, video, audio, perturbation=apart, clean_too=True)
    if not num_one_way:
        torch.testing.assert_close(ours, tuple(theirs), rtol=1e-4, atol=1e-5)
    assert torch.equal(without[0], unmarked[0])
    changed = (ours[0] - unmarked[0]).abs().amax(dim=(0, 2)) > 1e-4
    assert changed.tolist() == [True] * 18 + [num_one_way == 0] * 12


def test_own_noise_levels_shift_and_scale_and_the_others_sigma_gates() -> None:
    # With one sigma for both streams this is seen by the golden figures; here they differ.
    model, seen = transformer(), {}

    def watch(name: str) -> None:
        def keep(module: Any, arguments: Any, result: Any) -> None:
            seen[name] = arguments[0].tolist()

        model.get_submodule(name).register_forward_hook(keep)

    cross = ("video_scale_shift", "audio_scale_shift", "video_a2v_gate", "audio_v2a_gate")
    for name in ("time_embed", "prompt_adaln", "audio_prompt_adaln", *(f"av_cross_attn_{c}" for c in cross)):
        watch(name)
    context, audio_context = contexts(model)
    held = video_target()
    held.mask[:, :6] = 0.5  # a first frame
    sequence = assemble(held, [control(strength=0.75)])
    with torch.inference_mode():
        velocity(model, stream(sequence, context, 0.5), stream(audio_target(), audio_context, 0.125, seed=6))
    assert seen == {
        "time_embed": [250, 500, 125],
        "av_cross_attn_video_scale_shift": [250, 500, 125],
        "av_cross_attn_audio_scale_shift": [125],
        "av_cross_attn_video_a2v_gate": [125],
        "av_cross_attn_audio_v2a_gate": [500],
        "prompt_adaln": [500],
        "audio_prompt_adaln": [125],
    }


@pytest.mark.parametrize(
    ("perturbation", "settings_of_diffusers"),
    [
        (Perturbation(cross_modal=False), {"isolate_modalities": True}),
        (Perturbation(values_only_blocks=(1,)), {"spatio_temporal_guidance_blocks": [1]}),
    ],
)
def test_perturbations_are_those_of_diffusers(
    perturbation: Perturbation, settings_of_diffusers: dict[str, Any]
) -> None:
    model = transformer(perturbed_attn=True)
    context, audio_context = contexts(model)
    video, audio = stream(video_target(), context), stream(audio_target(), audio_context, seed=6)
    with torch.inference_mode():
        ours = velocity(model, video, audio, perturbation=perturbation)
        theirs = diffusers_forward(model, video, audio, **settings_of_diffusers)
        plain = velocity(model, video, audio)
    torch.testing.assert_close(ours, tuple(theirs), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours[0], plain[0], rtol=1e-3)


def test_without_audio_the_video_hears_nothing() -> None:
    context, audio_context = contexts(MODEL)
    video, audio = stream(video_target(), context), stream(audio_target(), audio_context)
    with torch.inference_mode():
        alone, nothing = velocity(MODEL, video)
        apart, _ = velocity(MODEL, video, audio, perturbation=Perturbation(cross_modal=False))
    assert nothing is None
    assert torch.equal(alone, apart)


def test_batch_elements_do_not_meet() -> None:
    sequence = assemble(video_target(batch=2), [control(batch=2, attention_strength=0.5, strength=0.8)])
    context, _ = contexts(MODEL, batch=2)
    both = stream(sequence, context, [0.9, 0.3])
    second = TokenSequence(
        clean=sequence.clean[1:],
        positions=sequence.positions[1:],
        mask=sequence.mask[1:],
        lengths=sequence.lengths,
        weights=tuple(weights[1:] for weights in sequence.weights if weights is not None),
    )
    one = Stream(latents=both.latents[1:], sequence=second, sigma=both.sigma[1:], context=context[1:])
    with torch.inference_mode():
        torch.testing.assert_close(
            velocity(MODEL, both)[0][1:], velocity(MODEL, one)[0], rtol=1e-4, atol=1e-5
        )


def test_tokens_of_a_batch_may_be_clean_in_one_element_alone() -> None:
    sequence = video_target(batch=2)
    mask = torch.ones(2, 12)
    mask[1, 3:7] = 0.25
    sequence = replace(sequence, mask=mask)
    context, _ = contexts(MODEL, batch=2)
    both = stream(sequence, context, [0.9, 0.9])
    with torch.inference_mode():
        moved, _ = velocity(MODEL, both)
        for index in range(2):
            own = slice(index, index + 1)
            part = replace(
                sequence, clean=sequence.clean[own], positions=sequence.positions[own], mask=mask[own]
            )
            one = Stream(
                latents=both.latents[own], sequence=part, sigma=both.sigma[own], context=context[own]
            )
            torch.testing.assert_close(moved[own], velocity(MODEL, one)[0], rtol=1e-4, atol=1e-5)


def test_prompt_mask_hides_tokens() -> None:
    context, _ = contexts(MODEL)
    video = stream(video_target(), context)
    with torch.inference_mode():
        masked, _ = velocity(MODEL, replace(video, context_mask=torch.tensor([[True, True, False]])))
        shorter, _ = velocity(MODEL, replace(video, context=context[:, :2]))
    torch.testing.assert_close(masked, shorter, rtol=1e-4, atol=1e-5)


def test_attention_strength_0_is_the_run_without_the_reference() -> None:
    alone = video_target()
    hidden = assemble(video_target(), [control(attention_strength=0.0)])
    latents = torch.randn(1, 24, CHANNELS, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        moved = silent(hidden, latents)
        assert torch.equal(moved[:, :12], silent(alone, latents[:, :12]))
        assert torch.equal(moved[:, 12:], torch.zeros_like(moved[:, 12:]))


def test_the_target_never_looks_at_tokens_of_weight_0_inside_a_reference() -> None:
    model = transformer(num_layers=1)  # in later blocks the reference's other tokens tell of what they saw
    mask = torch.tensor([[0.0, 0.3, 1.0], [0.0, 0.0, 0.7]])
    sequence = assemble(video_target(), [control(attention_mask=mask)])
    unseen = (sequence.weights[0] == 0)[0]
    hidden, seen = (12 + mask.nonzero()[:, 0] for mask in (unseen, ~unseen))
    assert len(hidden) == len(seen) == 6
    latents = torch.randn(1, 24, CHANNELS, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = silent(sequence, latents, model)
        after = silent(sequence, latents.index_fill(1, hidden, 5.0), model)
        other = silent(sequence, latents.index_fill(1, seen, 5.0), model)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.equal(before[:, :12], other[:, :12])


def test_a_clean_item_after_a_moving_one_may_see_it() -> None:
    items = [control(seed=1, strength=0.5, attention_strength=0.5), control(seed=2)]
    sequence = assemble(video_target(), items, isolate=False)
    video = stream(sequence, contexts(MODEL)[0])
    with torch.inference_mode():
        short, _ = velocity(MODEL, video)
        whole, _ = velocity(MODEL, video, clean_too=True)
    torch.testing.assert_close(short[:, :24], whole[:, :24], rtol=1e-5, atol=1e-6)
    assert not short[:, 24:].any() and whole[:, 24:].any()


@pytest.mark.parametrize("form", ["2.3", "2.0"])
@pytest.mark.parametrize("with_audio", [False, True])
@pytest.mark.parametrize("values_only", [(), (1,)])
@pytest.mark.parametrize(
    ("items", "moving"),
    [
        ([{}], 12),
        ([{"attention_strength": 0.3}], 12),
        ([{}, {"attention_strength": 0.3}], 12),
        ([{"strength": 0.5}, {"attention_strength": 0.3}], 24),
        ([{"attention_strength": 0.3}, {"strength": 0.5, "attention_strength": 0.6}, {}], 36),
    ],
)
def test_what_nobody_reads_is_not_computed_and_changes_nothing(
    *,
    form: str,
    with_audio: bool,
    values_only: tuple[int, ...],
    items: list[dict[str, float]],
    moving: int,
) -> None:
    model = transformer(form)
    context, audio_context = contexts(model)
    target = video_target()
    target.mask[:, :6] = 0  # a first frame
    sequence = assemble(target, [control(seed=seed, **item) for seed, item in enumerate(items)])
    audio = stream(audio_target(), audio_context, seed=6) if with_audio else None
    through, widths = Perturbation(values_only_blocks=values_only), []
    model.transformer_blocks[-1].ff.register_forward_hook(lambda *call: widths.append(call[2].shape[1]))
    with torch.inference_mode():
        short = velocity(model, stream(sequence, context), audio, perturbation=through)
        whole = velocity(model, stream(sequence, context), audio, perturbation=through, clean_too=True)
    assert widths == [moving, 12 + 12 * len(items)]
    torch.testing.assert_close(short[0][:, :moving], whole[0][:, :moving], rtol=1e-5, atol=1e-6)
    assert not short[0][:, moving:].any() and whole[0][:, moving:].any() == (moving < widths[1])
    if short[1] is not None and whole[1] is not None:
        torch.testing.assert_close(short[1], whole[1], rtol=1e-5, atol=1e-6)


def test_a_mask_of_zeros_but_one_is_close_to_the_run_without() -> None:
    mask = torch.zeros(2, 3)
    mask[0, 0] = 1e-6
    sequence = assemble(video_target(), [control(attention_mask=mask)])
    latents = torch.randn(1, 24, CHANNELS, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        alone = silent(video_target(), latents[:, :12])
        torch.testing.assert_close(silent(sequence, latents)[:, :12], alone, rtol=1e-3, atol=1e-4)


def test_a_reference_is_looked_at() -> None:
    latents = torch.randn(1, 24, CHANNELS, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        results = [
            silent(assemble(video_target(), [control(attention_strength=strength)]), latents)[:, :12]
            for strength in (0.0, 0.5, 1.0)
        ]
    assert (results[0] - results[1]).norm() > 1e-3
    assert (results[1] - results[2]).norm() > 1e-3


@settings(max_examples=10, deadline=None)
@given(st.permutations([0, 1, 2]), st.sampled_from([(1.0, 1.0, 1.0), (0.5, 0.5, 0.3), (0.2, 0.0, 0.9)]))
def test_permuting_references_permutes_nothing_else(order: list[int], strengths: tuple[float, ...]) -> None:
    items = [control(seed=seed, attention_strength=value) for seed, value in enumerate(strengths)]
    latents = torch.randn(1, 48, CHANNELS, generator=torch.Generator().manual_seed(0))
    parts = latents.split(12, dim=1)
    shuffled = torch.cat([parts[0], *(parts[1 + index] for index in order)], dim=1)
    with torch.inference_mode():
        before = silent(assemble(video_target(), items), latents).split(12, dim=1)
        after = silent(assemble(video_target(), [items[index] for index in order]), shuffled).split(12, dim=1)
    torch.testing.assert_close(after[0], before[0], rtol=1e-4, atol=1e-5)
    for place, index in enumerate(order):
        torch.testing.assert_close(after[1 + place], before[1 + index], rtol=1e-4, atol=1e-5)


def test_gradients_are_the_same_with_checkpointing() -> None:
    model = transformer()
    sequence = assemble(video_target(), [control(attention_strength=0.5)])
    context, audio_context = contexts(model)

    def gradient() -> Tensor:
        moved, heard = velocity(model, stream(sequence, context), stream(audio_target(), audio_context))
        assert heard is not None
        loss = moved[:, :12].square().mean() + heard.square().mean()
        return torch.autograd.grad(loss, model.transformer_blocks[0].attn1.to_q.weight)[0]

    plain = gradient()
    model.enable_gradient_checkpointing()
    torch.testing.assert_close(gradient(), plain)
    assert plain.norm() > 0


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # PyTorch looks, and says so
@pytest.mark.usefixtures("unchecked_shapes")
def test_compiled_blocks_share_a_graph_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, graphs = transformer(), []
    sequence = assemble(video_target(), [control(attention_strength=0.5)])
    context, audio_context = contexts(model)

    def results() -> tuple[Tensor, ...]:
        moved, heard = velocity(model, stream(sequence, context), stream(audio_target(), audio_context))
        assert heard is not None
        weights = [block.attn1.to_q.weight for block in model.transformer_blocks]
        return moved, heard, *torch.autograd.grad(moved.square().mean() + heard.square().mean(), weights)

    def captured(graph: Any, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    eager = results()
    torch.compiler.reset()  # of what other tests compiled
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=captured, fullgraph=True))
    monkeypatch.setattr(running, "_compiled_block", cache(running._compiled_block.__wrapped__))
    model.compile_repeated_blocks()
    torch.testing.assert_close(results(), eager, rtol=1e-5, atol=1e-5)
    assert len(graphs) == 2  # of all blocks but the last, and of that


def test_streams_may_have_different_numbers_of_heads() -> None:
    model = transformer(audio_num_attention_heads=4, audio_attention_head_dim=4)
    context, audio_context = contexts(model)
    video, audio = stream(video_target(), context), stream(audio_target(), audio_context)
    with torch.inference_mode():
        wide, _ = velocity(model, video, audio)
        model.cross_attn_rope.num_attention_heads = 4
        same, _ = velocity(model, video, audio)
    torch.testing.assert_close(wide, same)
