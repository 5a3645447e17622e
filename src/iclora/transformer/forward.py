"""The LTX-2 transformer with appended tokens in its forward.

The modules are those of diffusers' ``LTX2VideoTransformer3DModel`` (2.0, 2.3 and 2.5 forms); the forward is
ours:

    video tokens ── self ── text ──┬── audio ── feed-forward ──► velocity
    (target, appended)             │     ▲
    audio tokens ── self ── text ──┴── video ── feed-forward ──► velocity

References that are a stream of their own (one-way) go through each block before the others: they look at
nothing but themselves, and the video and the audio look at their keys and values. So nothing of them changes
between steps while they are clean. With a `ReferenceCache`, keys and values of clean tokens at the end of the
sequence are kept, and in most steps only the tokens before them go through the blocks.

Each token has its own noise level, ``sigma * mask``: it sets the token's modulation, in the audio/video
attention too. The plain sigma modulates the prompt (for one-way tokens sigma 0 does, else they would change
with each step), and gates what the *other* stream hears.

Source: the design of Lightricks LTX-2, ``ltx_core``: ``model/transformer``; ``tools.py`` for what the 2.5
form marks: the first latent frame of the target, whether or not an image stands there, and nothing appended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from iclora.attention import one_way_groups, pair_weights
from iclora.errors import RequestError
from iclora.reference import TokenSequence
from iclora.transformer.cache import ReferenceCache, keepable_of
from iclora.transformer.layers import (
    Conditions,
    Kept,
    Kind,
    angles,
    cross_attention,
    feed_forward,
    heard_keys,
    own_keys,
    part,
    self_attention,
    text_attention,
)
from iclora.transformer.modulation import Modulation, levels_of, modulate
from iclora.transformer.running import runner
from iclora.transformer.split import split_of

# What a stream exchanges through, by diffusers' names: its own scale and shift, the gate on what it takes in,
# its angles in time.
_EXCHANGE: dict[Kind, tuple[str, str, str]] = {
    "video": ("av_cross_attn_video_scale_shift", "av_cross_attn_video_a2v_gate", "cross_attn_rope"),
    "audio": ("av_cross_attn_audio_scale_shift", "av_cross_attn_audio_v2a_gate", "cross_attn_audio_rope"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """What one forward needs of one stream, video or audio.

    Attributes:
        latents: Noisy tokens of the whole sequence ``[b, s, c]``.
        sequence: Their positions, mask and attention weights.
        sigma: Noise level of each batch element ``[b]``, 0 to 1, float32.
        context: Encoded prompt for this stream ``[b, t, d]``.
        context_mask: True where a prompt token counts ``[b, t]``; None means all do, and keeps the unmasked
            kernels in use.
    """

    latents: Float[Tensor, "b s c"]
    sequence: TokenSequence
    sigma: Float[Tensor, " b"]
    context: Float[Tensor, "b t d"]
    context_mask: Bool[Tensor, "b t"] | None = None


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """What a guidance pass leaves out.

    Attributes:
        values_only_blocks: Blocks whose self-attention passes its values through.
        cross_modal: Whether video and audio attend to each other.
    """

    values_only_blocks: Collection[int] = ()
    cross_modal: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """Tokens that go through the blocks together: those of a stream, or one-way ones.

    Attributes:
        latents: The noisy tokens ``[b, s, c]``.
        conditions: Their conditions.
        embedded: Their noise levels, embedded.
        wanted: How many of the first ones have a velocity that is wanted.
        marked: How many of the first ones stand for one pixel frame alone, which the 2.5 form marks.
    """

    latents: Tensor
    conditions: Conditions
    embedded: Modulation
    wanted: int
    marked: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """What is asked of a forward.

    Attributes:
        perturbation: What is left out.
        clean_too: Whether the velocity of clean appended tokens is wanted.
        cache: Where keys and values are kept; None where nothing is.
        num_kept: Tokens at the end that are kept.
        fresh: Whether these have to be computed; else they do not go through the blocks.
    """

    perturbation: Perturbation
    clean_too: bool
    cache: ReferenceCache | None = None
    num_kept: int = 0
    fresh: bool = True


def velocity(
    transformer: nn.Module,
    video: Stream,
    audio: Stream | None = None,
    *,
    perturbation: Perturbation | None = None,
    clean_too: bool = False,
    cache: ReferenceCache | None = None,
) -> tuple[Float[Tensor, "b s c"], Float[Tensor, "b a c_a"] | None]:
    """Run the transformer once.

    Without audio, items whose attention weights are all 0 are left out of the forward, since nothing sees
    them; their velocity is 0. With audio they stay, which attends to them whatever the weights are, and so
    they do where appended items are made to see each other.
    Of clean items at the end of the sequence the last block computes only what others look at: clean tokens
    do not move, so their velocity is 0 too.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``, with or without adapters.
        video: The video stream, target and appended tokens.
        audio: The audio stream; None skips it and all attention between the two.
        perturbation: What a guidance pass leaves out.
        clean_too: Whether to compute the velocity of clean appended tokens too, which nothing needs.
        cache: Keeps keys and values of clean appended tokens from step to step, for one video and guidance
            pass. None computes them anew.

    Returns:
        Velocity ``noise - clean`` of every video token, and of every audio token or None; differentiable.

    Raises:
        RequestError: There is a cache, but gradients or the velocity of clean tokens are wanted.
    """
    if cache is not None and (clean_too or torch.is_grad_enabled()):
        raise RequestError(
            "A reference cache serves sampling alone: kept references have no gradients and no velocity. "
            "Call under torch.inference_mode() and without clean_too, or leave the cache out."
        )
    seen = None if audio is not None else video.sequence.visible
    stream = video if seen is None else replace(video, latents=video.latents[:, seen[0]], sequence=seen[1])
    asked = _Asked(perturbation=perturbation or Perturbation(), clean_too=clean_too)
    keepable = 0 if cache is None else keepable_of(cache.policy, stream.sequence)
    if cache is not None and keepable:
        asked = replace(asked, cache=cache, num_kept=keepable, fresh=cache.begin())
    moved, moved_audio = _forward(transformer, stream, audio, asked)
    if seen is None:
        return moved, moved_audio
    return torch.zeros_like(video.latents, dtype=moved.dtype).index_copy(1, seen[0], moved), None


def _forward(
    transformer: Any, video: Stream, audio: Stream | None, asked: _Asked
) -> tuple[Tensor, Tensor | None]:
    parts, reference = _parts(transformer, video, audio, asked)
    hidden, reference_hidden = _through_blocks(transformer, parts, reference, asked)
    outputs = {kind: _head(transformer, kind, state, parts[kind]) for kind, state in hidden.items()}
    moved = outputs["video"]
    if reference is not None and reference_hidden is not None:
        own = _head(transformer, "video", reference_hidden, reference)
        moved = torch.cat([_padded(moved, video.sequence.num_two_way), own], dim=1)
    return _padded(moved, video.latents.shape[1]), outputs.get("audio")


def _parts(
    transformer: Any, video: Stream, audio: Stream | None, asked: _Asked
) -> tuple[dict[Kind, _Part], _Part | None]:
    """Prepare the streams, and apart from them the one-way tokens that have to be computed."""
    sequence, total = video.sequence, video.latents.shape[1]
    apart = total - sequence.num_two_way
    lead = total - (apart or (0 if asked.fresh else asked.num_kept))
    hears = asked.perturbation.cross_modal
    prepare = partial(_prepare, transformer, "video", video, audio if hears else None)
    wanted = lead if asked.clean_too else min(sequence.num_moving, lead)
    parts: dict[Kind, _Part] = {"video": prepare(slice(0, lead), wanted)}
    if audio is not None:
        tokens = slice(0, audio.latents.shape[1])
        other = video if hears else None
        parts["audio"] = _prepare(transformer, "audio", audio, other, tokens, tokens.stop)
    if not (apart and asked.fresh):
        return parts, None
    wanted = apart if asked.clean_too or sequence.num_moving > lead else 0
    return parts, prepare(slice(lead, total), wanted, one_way=True)


def _through_blocks(
    transformer: Any, parts: dict[Kind, _Part], reference: _Part | None, asked: _Asked
) -> tuple[dict[Kind, Tensor], Tensor | None]:
    """Run all blocks; return the tokens whose velocity is wanted, those of the one-way part by themselves."""
    hidden = {kind: _projected(transformer, kind, its) for kind, its in parts.items()}
    conditions = {kind: its.conditions for kind, its in parts.items()}
    wanted = conditions  # the very same where all is wanted, for compiled blocks to be the same too
    if conditions["video"].split is None and parts["video"].wanted < conditions["video"].num_tokens:
        wanted = conditions | {"video": conditions["video"].first(parts["video"].wanted)}
    state = None if reference is None else _projected(transformer, "video", reference)
    keeps = asked.cache if asked.fresh else None
    num_found = 0 if keeps is None or reference is not None else asked.num_kept
    stored, last = [], len(transformer.transformer_blocks) - 1
    for index, block in enumerate(transformer.transformer_blocks):
        values_only = index in asked.perturbation.values_only_blocks
        kept = None
        if reference is not None:
            run = runner(transformer, block, _one_way_block)
            whole = index != last or reference.wanted > 0
            state, kept = run(block, state, reference.conditions, values_only, whole)
        elif asked.cache is not None and not asked.fresh:
            kept = asked.cache.load(index)
        run = runner(transformer, block, _block)
        asking = wanted if index == last else conditions
        hidden, found = run(block, hidden, conditions, asking, values_only, kept, num_found)
        if keeps is not None:
            stored.append(keeps.pack(found if kept is None else kept))
    if keeps is not None:
        keeps.fill(stored)
    return hidden, state


def _prepare(
    transformer: Any,
    kind: Kind,
    stream: Stream,
    other: Stream | None,
    tokens: slice,
    wanted: int,
    *,
    one_way: bool = False,
) -> _Part:
    """Compute modulation, rotary angles and context; ``other`` is the stream that is exchanged with."""
    config = transformer.config
    split = split_of(transformer, tokens.stop - tokens.start) if kind == "video" else None
    tokens = tokens if split is None else split.own(tokens)
    dtype = stream.latents.dtype
    scale = config.timestep_scale_multiplier
    positions = stream.sequence.positions[:, :, tokens]
    if positions.stride(0) == 0:  # one for the whole batch
        positions = positions[:1]
    levels, lengths = levels_of(stream.sequence, stream.sigma, tokens)
    modulation, embedded = modulate(part(transformer, kind, "time_embed"), levels * scale, lengths, dtype)
    prompt = None
    if transformer.prompt_modulation and config.use_prompt_adaln_single:
        level = torch.zeros_like(stream.sigma) if one_way else stream.sigma
        prompt, _ = modulate(part(transformer, kind, "prompt_adaln"), level[:, None] * scale, (1,), dtype)
    context = stream.context
    if config.use_prompt_embeddings:
        context = part(transformer, kind, "caption_projection")(context)
    cross: dict[str, Any] = {}
    if other is not None:
        shift, gate, rope = (getattr(transformer, name) for name in _EXCHANGE[kind])
        heard = other.sigma[:, None] * config.cross_attn_timestep_scale_multiplier
        cross["cross_rotary"] = angles(rope, positions[:, :1])
        cross["cross_modulation"], _ = modulate(shift, levels * scale, lengths, dtype)
        cross["cross_gate"], _ = modulate(gate, heard, (1,), dtype)
    pairs = pair_weights(stream.sequence)
    conditions = Conditions(
        kind=kind,
        context=context,
        context_mask=None if stream.context_mask is None else stream.context_mask[:, None, None],
        rotary=angles(part(transformer, kind, "rope"), positions),
        modulation=modulation,
        prompt_modulation=prompt,
        pairs=None if one_way else pairs,
        groups=one_way_groups(stream.sequence, pairs) if one_way else (),
        split=split,
        **cross,
    )
    latents = stream.latents[:, tokens]
    marked = max(0, min(stream.sequence.num_first, tokens.stop) - tokens.start)
    return _Part(latents=latents, conditions=conditions, embedded=embedded, wanted=wanted, marked=marked)


def _projected(transformer: Any, kind: Kind, its: _Part) -> Tensor:
    """Bring tokens to the width of the blocks; the 2.5 form marks those that stand for one pixel frame."""
    hidden: Tensor = part(transformer, kind, "proj_in")(its.latents)
    if not (its.marked and transformer.config.use_keyframes_abs_pos_embedding):
        return hidden
    mark = transformer.keyframes_abs_pos_embedding.to(hidden.dtype)
    return torch.cat([hidden[:, : its.marked] + mark, hidden[:, its.marked :]], dim=1)


def _block(
    block: Any,
    hidden: dict[Kind, Tensor],
    conditions: dict[Kind, Conditions],
    asked: dict[Kind, Conditions],
    values_only: bool,
    kept: Kept | None = None,
    num_found: int = 0,
) -> tuple[dict[Kind, Tensor], Kept | None]:
    """One transformer block over the streams there are; computes the tokens that are asked for.

    With them, the keys and values of the last ``num_found`` video tokens are returned.
    """
    states: dict[Kind, Tensor] = {}
    with_cross = conditions["video"].cross_gate is not None
    own = heard = None
    for kind, condition in conditions.items():
        asking = condition if with_cross else asked[kind]  # the audio listens to all of the video
        joins: dict[str, Any] = {"values_only": values_only}
        if kind == "video":
            joins |= {"others": None if kept is None else kept.own, "num_found": num_found}
        state, pair = self_attention(block, hidden[kind], condition, asking, **joins)
        states[kind] = text_attention(block, state, asking)
        own = own if pair is None else pair
    if with_cross:
        others = None if kept is None else kept.heard
        states, heard = cross_attention(block, states, conditions, others, num_found)
    done = {kind: feed_forward(block, states[kind][:, : it.num_tokens], it) for kind, it in asked.items()}
    return done, Kept(own=own, heard=heard) if num_found else None


def _one_way_block(
    block: Any, hidden: Tensor, condition: Conditions, values_only: bool, whole: bool
) -> tuple[Tensor | None, Kept]:
    """One transformer block over one-way tokens: they look at themselves and the prompt, and hear nothing.

    Where the tokens themselves are not wanted (not ``whole``), only what others look at is computed.
    """
    with_cross = condition.cross_modulation is not None
    if not whole and not with_cross:
        return None, Kept(own=None if values_only else own_keys(block, hidden, condition))
    count = condition.num_attended
    state, own = self_attention(block, hidden, condition, condition, values_only=values_only, num_found=count)
    state = text_attention(block, state, condition)
    heard = heard_keys(block, state, condition) if with_cross else None
    return feed_forward(block, state, condition) if whole else None, Kept(own=own, heard=heard)


def _head(transformer: Any, kind: Kind, hidden: Tensor, done: _Part) -> Tensor:
    """Return the velocity of the tokens that are wanted."""
    embedded = done.embedded.first(hidden.shape[1])
    shift, scale = embedded.parts(part(transformer, kind, "scale_shift_table"))
    normed = part(transformer, kind, "norm_out")(hidden) * (1 + scale) + shift
    output: Tensor = part(transformer, kind, "proj_out")(normed)
    split = done.conditions.split
    return output if split is None else split.all_tokens(output)[:, : done.wanted]


def _padded(moved: Tensor, num_tokens: int) -> Tensor:
    """Append tokens that do not move."""
    return F.pad(moved, (0, 0, 0, num_tokens - moved.shape[1]))
