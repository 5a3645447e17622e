"""The LTX-2 transformer with appended tokens in its forward.

The modules are those of diffusers' ``LTX2VideoTransformer3DModel`` (2.0 and 2.3 forms); the forward is ours:

    video tokens ── self ── text ──┬── audio ── feed-forward ──► velocity
    (target, appended)             │     ▲
    audio tokens ── self ── text ──┴── video ── feed-forward ──► velocity

Each token has its own noise level, ``sigma * mask``: it sets the token's modulation, in the audio/video
attention too. The plain sigma modulates the prompt, and gates what the *other* stream hears.

Source: the design of Lightricks LTX-2, ``ltx_core``: ``model/transformer``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from iclora.attention import PairWeights, attend, pair_weights
from iclora.reference import TokenSequence
from iclora.transformer.modulation import Modulation, modulate, runs_of

Kind = Literal["video", "audio"]
Rotary = tuple[Tensor, Tensor]

# What a stream exchanges through, by diffusers' names: the gate on what it takes in, its angles in time.
_EXCHANGE: dict[Kind, tuple[str, str]] = {
    "video": ("av_cross_attn_video_a2v_gate", "cross_attn_rope"),
    "audio": ("av_cross_attn_audio_v2a_gate", "cross_attn_audio_rope"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """What one forward needs of one stream, video or audio.

    Attributes:
        latents: Noisy tokens of the whole sequence ``[b, s, c]``.
        sequence: Their positions, mask and attention weights.
        sigma: Noise level of each batch element ``[b]``, 0 to 1, float32.
        context: Encoded prompt for this stream ``[b, t, d]``.
        context_mask: True where a prompt token counts ``[b, t]``; None means all do.
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
class _Conditions:
    """Everything of one stream that stays the same through the blocks."""

    kind: Kind
    context: Tensor
    context_mask: Tensor | None
    rotary: Rotary
    modulation: Modulation
    prompt_modulation: Modulation | None
    pairs: PairWeights | None
    cross_rotary: Rotary | None = None
    cross_modulation: Modulation | None = None
    cross_gate: Modulation | None = None

    @property
    def num_tokens(self) -> int:
        return self.rotary[0].shape[-2]

    def first(self, count: int) -> _Conditions:
        """The conditions of the first tokens, for what treats each token alone."""
        if count == self.num_tokens:
            return self
        cos, sin = (angle[..., :count, :] for angle in self.rotary)
        return replace(self, rotary=(cos, sin), modulation=self.modulation.first(count))


def velocity(
    transformer: nn.Module,
    video: Stream,
    audio: Stream | None = None,
    *,
    perturbation: Perturbation | None = None,
    clean_too: bool = False,
) -> tuple[Float[Tensor, "b s c"], Float[Tensor, "b a c_a"] | None]:
    """Run the transformer once.

    Without audio, items whose attention weights are all 0 are left out of the forward, since nothing sees
    them; their velocity is 0. With audio they stay: the audio attends to them whatever the weights are.
    Of clean items at the end of the sequence the last block computes only what others look at: clean tokens
    do not move, so their velocity is 0 too.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``, with or without adapters.
        video: The video stream, target and appended tokens.
        audio: The audio stream; None skips it and all attention between the two.
        perturbation: What a guidance pass leaves out.
        clean_too: Whether to compute the velocity of clean appended tokens too, which nothing needs.

    Returns:
        Velocity ``noise - clean`` of every video token, and of every audio token or None; differentiable.
    """
    if audio is not None:
        return _forward(transformer, video, audio, perturbation or Perturbation(), clean_too)
    seen = video.sequence.visible()
    if seen is None:
        return _forward(transformer, video, None, perturbation or Perturbation(), clean_too)
    kept, sequence = seen
    stream = Stream(
        latents=video.latents[:, kept],
        sequence=sequence,
        sigma=video.sigma,
        context=video.context,
        context_mask=video.context_mask,
    )
    moved, _ = _forward(transformer, stream, None, perturbation or Perturbation(), clean_too)
    return torch.zeros_like(video.latents, dtype=moved.dtype).index_copy(1, kept, moved), None


def _forward(
    transformer: Any, video: Stream, audio: Stream | None, perturbation: Perturbation, clean_too: bool
) -> tuple[Tensor, Tensor | None]:
    streams: dict[Kind, Stream] = {"video": video} if audio is None else {"video": video, "audio": audio}
    with_cross = audio is not None and perturbation.cross_modal
    conditions: dict[Kind, _Conditions] = {}
    hidden: dict[Kind, Tensor] = {}
    embedded: dict[Kind, Modulation] = {}
    for kind, stream in streams.items():
        other = streams["audio" if kind == "video" else "video"] if with_cross else None
        hidden[kind] = _part(transformer, kind, "proj_in")(stream.latents)
        conditions[kind], embedded[kind] = _prepare(transformer, kind, stream, other)
    count = video.latents.shape[1] if clean_too else _num_moving(video.sequence)
    moving = conditions
    if count < video.latents.shape[1]:
        moving = conditions | {"video": conditions["video"].first(count)}
    last = len(transformer.transformer_blocks) - 1
    for index, block in enumerate(transformer.transformer_blocks):
        asked = moving if index == last else conditions
        values_only = index in perturbation.values_only_blocks
        run = _compiled_block() if block._compiled_call_impl is not None else _block
        if transformer.gradient_checkpointing and torch.is_grad_enabled():
            hidden = checkpoint(run, block, hidden, conditions, asked, values_only, use_reentrant=False)
        else:
            hidden = run(block, hidden, conditions, asked, values_only)
    embedded["video"] = embedded["video"].first(count)
    outputs = {kind: _head(transformer, kind, state, embedded[kind]) for kind, state in hidden.items()}
    return F.pad(outputs["video"], (0, 0, 0, video.latents.shape[1] - count)), outputs.get("audio")


def _num_moving(sequence: TokenSequence) -> int:
    """Count the tokens up to the last one that moves, the target at least."""
    moving = (sequence.mask > 0).any(dim=0).nonzero()
    return max(sequence.num_target, int(moving[-1]) + 1 if len(moving) else 0)


def _prepare(
    transformer: Any, kind: Kind, stream: Stream, other: Stream | None
) -> tuple[_Conditions, Modulation]:
    """Compute a stream's modulation, rotary angles and context; ``other`` is the stream it exchanges with."""
    config = transformer.config
    dtype = stream.latents.dtype
    scale = config.timestep_scale_multiplier
    levels, lengths = runs_of(stream.sigma[:, None] * stream.sequence.mask)
    modulation, embedded = modulate(_part(transformer, kind, "time_embed"), levels * scale, lengths, dtype)
    prompt = None
    if transformer.prompt_modulation and config.use_prompt_adaln_single:
        module = _part(transformer, kind, "prompt_adaln")
        prompt, _ = modulate(module, stream.sigma[:, None] * scale, (1,), dtype)
    context = stream.context
    if config.use_prompt_embeddings:
        context = _part(transformer, kind, "caption_projection")(context)
    cross: dict[str, Any] = {}
    if other is not None:
        time = stream.sequence.positions[:, :1]
        shift = getattr(transformer, f"av_cross_attn_{kind}_scale_shift")
        gate, rope = _EXCHANGE[kind]
        heard = other.sigma[:, None] * config.cross_attn_timestep_scale_multiplier
        cross["cross_rotary"] = getattr(transformer, rope)(time)
        cross["cross_modulation"], _ = modulate(shift, levels * scale, lengths, dtype)
        cross["cross_gate"], _ = modulate(getattr(transformer, gate), heard, (1,), dtype)
    conditions = _Conditions(
        kind=kind,
        context=context,
        context_mask=_key_mask(stream.context_mask),
        rotary=_part(transformer, kind, "rope")(stream.sequence.positions),
        modulation=modulation,
        prompt_modulation=prompt,
        pairs=pair_weights(stream.sequence),
        **cross,
    )
    return conditions, embedded


def _key_mask(mask: Tensor | None) -> Tensor | None:
    """Shape a prompt mask for attention; none where all tokens count, to keep the unmasked kernels in use."""
    return None if mask is None or bool(mask.all()) else mask[:, None, None]


def _block(
    block: Any,
    hidden: dict[Kind, Tensor],
    conditions: dict[Kind, _Conditions],
    asked: dict[Kind, _Conditions],
    values_only: bool,
) -> dict[Kind, Tensor]:
    """One transformer block over the streams there are; computes the tokens that are asked for."""
    states: dict[Kind, Tensor] = {}
    with_cross = conditions["video"].cross_gate is not None
    for kind, condition in conditions.items():
        asking = condition if with_cross else asked[kind]  # the audio listens to all of the video
        state = _self_attention(block, hidden[kind], condition, asking, values_only)
        states[kind] = _text_attention(block, state, asking)
    if with_cross:
        states = _cross_attention(block, states, conditions)
    return {kind: _feed_forward(block, states[kind][:, : own.num_tokens], own) for kind, own in asked.items()}


@cache
def _compiled_block() -> Any:
    """`_block` compiled: what runs once ``transformer.compile_repeated_blocks()`` was called."""
    return torch.compile(_block)


def _self_attention(
    block: Any, hidden: Tensor, condition: _Conditions, asking: _Conditions, values_only: bool
) -> Tensor:
    """Self-attention of the first tokens, those of ``asking``, to all."""
    kind = condition.kind
    shift, scale, gate = condition.modulation.parts(_part(block, kind, "scale_shift_table"), 0, 3)
    normed = _part(block, kind, "norm1")(hidden) * (1 + scale) + shift
    module = _part(block, kind, "attn1")
    value = module.to_v(normed)
    count = asking.num_tokens
    own, hidden, gate = normed[:, :count], hidden[:, :count], gate[:, :count]
    if values_only:
        return hidden + _mixed_out(module, own, value[:, :count]) * gate
    query = _rotate(module.norm_q(module.to_q(own)), asking.rotary, module, value.dtype)
    key = _rotate(module.norm_k(module.to_k(normed)), condition.rotary, module, value.dtype)
    mixed = attend(query, key, _heads(value, module), condition.pairs)
    return hidden + _mixed_out(module, own, rearrange(mixed, "b k s d -> b s (k d)")) * gate


def _text_attention(block: Any, hidden: Tensor, condition: _Conditions) -> Tensor:
    kind, context = condition.kind, condition.context
    normed = _part(block, kind, "norm2")(hidden)
    gate: Tensor | float = 1.0
    if getattr(block, f"{kind}_cross_attn_adaln"):
        table = _part(block, kind, "scale_shift_table")
        shift, scale, gate = condition.modulation.parts(table, 6, 9)
        normed = normed * (1 + scale) + shift
    if block.cross_attn_adaln:
        table = _part(block, kind, "prompt_scale_shift_table")
        if condition.prompt_modulation is None:
            shift, scale = table.to(context.dtype)
        else:
            shift, scale = condition.prompt_modulation.parts(table)
        context = context * (1 + scale) + shift
    module = _part(block, kind, "attn2")
    query = _heads(module.norm_q(module.to_q(normed)), module)
    key = _heads(module.norm_k(module.to_k(context)), module)
    value = _heads(module.to_v(context), module)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=condition.context_mask)
    return hidden + _mixed_out(module, normed, rearrange(mixed, "b k s d -> b s (k d)")) * gate


def _cross_attention(
    block: Any, hidden: dict[Kind, Tensor], conditions: dict[Kind, _Conditions]
) -> dict[Kind, Tensor]:
    """Let video and audio attend to each other; both look at the other as it was before."""
    video, audio = conditions["video"], conditions["audio"]
    normed: dict[Kind, Tensor] = {
        "video": block.audio_to_video_norm(hidden["video"]),
        "audio": block.video_to_audio_norm(hidden["audio"]),
    }
    rows, gates = {}, {}
    for kind, condition in conditions.items():
        table = getattr(block, f"{kind}_a2v_cross_attn_scale_shift_table")
        assert condition.cross_modulation is not None and condition.cross_gate is not None
        rows[kind] = condition.cross_modulation.parts(table[:4])
        gates[kind] = condition.cross_gate.parts(table[4:])[0]
    # Rows 0 and 1 are scale and shift for audio-to-video, rows 2 and 3 for video-to-audio.
    towards = {kind: [normed[kind] * (1 + row[i]) + row[i + 1] for i in (0, 2)] for kind, row in rows.items()}
    rotaries = (video.cross_rotary, audio.cross_rotary)
    heard = _exchange(block.audio_to_video_attn, towards["video"][0], towards["audio"][0], rotaries)
    seen = _exchange(block.video_to_audio_attn, towards["audio"][1], towards["video"][1], rotaries[::-1])
    return {
        "video": hidden["video"] + gates["video"] * heard,
        "audio": hidden["audio"] + gates["audio"] * seen,
    }


def _exchange(module: Any, hidden: Tensor, other: Tensor, rotaries: tuple[Any, ...]) -> Tensor:
    value = module.to_v(other)
    query = _rotate(module.norm_q(module.to_q(hidden)), rotaries[0], module, value.dtype)
    key = _rotate(module.norm_k(module.to_k(other)), rotaries[1], module, value.dtype)
    mixed = F.scaled_dot_product_attention(query, key, _heads(value, module))
    return _mixed_out(module, hidden, rearrange(mixed, "b k s d -> b s (k d)"))


def _feed_forward(block: Any, hidden: Tensor, condition: _Conditions) -> Tensor:
    kind = condition.kind
    shift, scale, gate = condition.modulation.parts(_part(block, kind, "scale_shift_table"), 3, 6)
    normed = _part(block, kind, "norm3")(hidden) * (1 + scale) + shift
    change: Tensor = _part(block, kind, "ff")(normed) * gate
    return hidden + change


def _head(transformer: Any, kind: Kind, hidden: Tensor, embedded: Modulation) -> Tensor:
    shift, scale = embedded.parts(_part(transformer, kind, "scale_shift_table"))
    normed = _part(transformer, kind, "norm_out")(hidden) * (1 + scale) + shift
    output: Tensor = _part(transformer, kind, "proj_out")(normed)
    return output


def _mixed_out(module: Any, hidden: Tensor, mixed: Tensor) -> Tensor:
    """Gate the mixed values head by head, where the model has gates, and project them."""
    if module.to_gate_logits is not None:
        gates = 2 * torch.sigmoid(module.to_gate_logits(hidden))
        by_head = rearrange(mixed, "b s (k d) -> b s k d", k=module.heads) * gates[..., None]
        mixed = rearrange(by_head, "b s k d -> b s (k d)")
    output: Tensor = module.to_out[1](module.to_out[0](mixed))
    return output


def _heads(projected: Tensor, module: Any) -> Tensor:
    heads: Tensor = rearrange(projected, "b s (k d) -> b k s d", k=module.heads)
    return heads


def _rotate(projected: Tensor, rotary: Rotary, module: Any, dtype: torch.dtype) -> Tensor:
    """Rotate queries or keys by their positions, in float32, and split them into heads of a dtype."""
    cos, sin = rotary
    if module.rope_type == "interleaved":
        wide = projected.float()
        turned = torch.stack([-wide[..., 1::2], wide[..., 0::2]], dim=-1).flatten(-2)
        return _heads((wide * cos + turned * sin).to(dtype), module)
    if cos.shape[1] != module.heads:
        cos, sin = (rearrange(angle, "b k s d -> b s (k d)") for angle in (cos, sin))
        cos, sin = (rearrange(angle, "b s (k d) -> b k s d", k=module.heads) for angle in (cos, sin))
    first, second = _heads(projected, module).float().chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(dtype)


def _part(module: Any, kind: Kind, name: str) -> Any:
    """Return a module of one stream: diffusers prefixes those of audio."""
    return getattr(module, name if kind == "video" else f"audio_{name}")
