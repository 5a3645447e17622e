"""The layers of one transformer block, each over the tokens of one stream.

The modules are diffusers'. Keys and values of tokens that do not go through a block with the others, those
of references that are a stream of their own or were kept from an earlier step, join where the video's are
looked at: by the video itself, and by the audio.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from iclora.attention import KeyValue, PairWeights, attend_apart, attend_parts, part_sizes
from iclora.transformer.modulation import Modulation
from iclora.transformer.split import Split

Kind = Literal["video", "audio"]
_InParts = tuple[list[Tensor], list[Tensor]]
"""Keys and values of consecutive tokens, in parts of the same sizes."""
Rotary = tuple[Tensor, Tensor]
"""Cosine and sine of each token's angles, laid out as projections are: ``[b | 1, s, d]``, d/2 where split."""


class Kept(NamedTuple):
    """Keys and values of reference tokens in one block: what compiled blocks take and return.

    Attributes:
        own: Those the video looks at; None where the block's self-attention is left out.
        heard: Those the audio looks at; None where it does not.
    """

    own: KeyValue | None
    heard: KeyValue | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """Everything of one stream that stays the same through the blocks."""

    kind: Kind
    context: Tensor
    context_mask: Tensor | None
    rotary: Rotary
    modulation: Modulation
    prompt_modulation: Modulation | None
    pairs: PairWeights | None
    groups: tuple[int, ...] = ()
    cross_rotary: Rotary | None = None
    cross_modulation: Modulation | None = None
    cross_gate: Modulation | None = None
    split: Split | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens of the stream, those on this GPU."""
        return self.rotary[0].shape[1]

    @property
    def num_attended(self) -> int:
        """Tokens of the stream on all GPUs."""
        return self.num_tokens if self.split is None else sum(self.split.counts)

    def first(self, count: int) -> Conditions:
        """The conditions of the first tokens, for what treats each token alone."""
        if count == self.num_tokens:
            return self
        cos, sin = (angle[:, :count] for angle in self.rotary)
        return replace(self, rotary=(cos, sin), modulation=self.modulation.first(count))


def self_attention(
    block: Any,
    hidden: Float[Tensor, "b s d"],
    condition: Conditions,
    asking: Conditions,
    *,
    values_only: bool,
    others: KeyValue | None = None,
    num_found: int = 0,
) -> tuple[Float[Tensor, "b q d"], KeyValue | None]:
    """Self-attention of the first tokens, those of ``asking``, to all, and to others that are not here.

    Args:
        block: A block.
        hidden: All tokens of the stream.
        condition: Their conditions.
        asking: The conditions of the tokens that are computed.
        values_only: Whether each token passes its own value through instead.
        others: Keys and values of tokens that follow those of the stream; of one's own heads on several GPUs.
        num_found: Of how many of the stream's last tokens keys and values are returned.

    Returns:
        The tokens that are computed; keys and values, None of no token or where each passes its own through.
    """
    module = part(block, condition.kind, "attn1")
    normed, gate = _self_input(block, hidden, condition)
    count = asking.num_tokens
    own, hidden, gate = normed[:, :count], hidden[:, :count], gate[:, :count]
    if values_only:
        return hidden + _mixed_out(module, own, module.to_v(own)) * gate, None
    split, pairs = condition.split, condition.pairs
    sizes = part_sizes(pairs, 0, condition.num_attended)
    asks = sizes if split is not None else part_sizes(pairs, 0, count)
    pair = _keys_and_values(module, normed, condition.rotary, split, sizes)
    query = _rotated(module.norm_q, module.to_q(own), asking.rotary, module, split, asks)
    if condition.groups:
        mixed = attend_apart(query[0], pair[0][0], pair[1][0], condition.groups)
    else:
        mixed = attend_parts(query, *_joined(pair, others, pairs), pairs)
    if split is not None:
        mixed = split.by_tokens(mixed)
    return hidden + _mixed_out(module, own, rearrange(mixed, "b k s d -> b s (k d)")) * gate, _last_of(
        pair, num_found
    )


def angles(rope: Any, positions: Tensor) -> Rotary:
    """Angles of tokens at their positions, from one of the transformer's own modules."""
    cos, sin = rope(positions)
    if cos.ndim == 4:  # split: by heads
        cos, sin = (rearrange(angle, "b k s d -> b s (k d)") for angle in (cos, sin))
    return cos, sin


def own_keys(block: Any, hidden: Float[Tensor, "b s d"], condition: Conditions) -> KeyValue:
    """Keys and values of self-attention alone, for tokens that nothing else is needed of."""
    normed, _ = _self_input(block, hidden, condition)
    module = part(block, condition.kind, "attn1")
    pair = _keys_and_values(module, normed, condition.rotary, condition.split, [condition.num_attended])
    return _of_one_layout(pair[0][0], pair[1][0])


def text_attention(
    block: Any, hidden: Float[Tensor, "b s d"], condition: Conditions
) -> Float[Tensor, "b s d"]:
    """Attention to the prompt."""
    kind, context = condition.kind, condition.context
    normed = part(block, kind, "norm2")(hidden)
    gate: Tensor | float = 1.0
    if getattr(block, f"{kind}_cross_attn_adaln"):
        table = part(block, kind, "scale_shift_table")
        shift, scale, gate = condition.modulation.parts(table, 6, 9)
        normed = normed * (1 + scale) + shift
    if block.cross_attn_adaln:
        table = part(block, kind, "prompt_scale_shift_table")
        if condition.prompt_modulation is None:
            shift, scale = table.to(context.dtype)
        else:
            shift, scale = condition.prompt_modulation.parts(table)
        context = context * (1 + scale) + shift
    module = part(block, kind, "attn2")
    query = _heads(module.norm_q(module.to_q(normed)), module)
    key = _heads(module.norm_k(module.to_k(context)), module)
    value = _heads(module.to_v(context), module)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=condition.context_mask)
    return hidden + _mixed_out(module, normed, rearrange(mixed, "b k s d -> b s (k d)")) * gate


def cross_attention(
    block: Any,
    hidden: dict[Kind, Tensor],
    conditions: dict[Kind, Conditions],
    others: KeyValue | None = None,
    num_found: int = 0,
) -> tuple[dict[Kind, Tensor], KeyValue | None]:
    """Let video and audio attend to each other; both look at the other as it was before.

    Args:
        block: A block.
        hidden: All tokens of both streams.
        conditions: Their conditions.
        others: Keys and values of video tokens that are not here, which the audio looks at as well.
        num_found: Of how many of the last video tokens keys and values are returned.

    Returns:
        The tokens, and keys and values that the audio looked at, None of no token.
    """
    video, audio = conditions["video"], conditions["audio"]
    towards = {kind: _towards(block, hidden[kind], condition) for kind, condition in conditions.items()}
    into_video, into_audio = block.audio_to_video_attn, block.video_to_audio_attn
    pair = _keys_and_values(into_video, towards["audio"][0], audio.cross_rotary, None, [audio.num_tokens])
    heard = _exchange(into_video, towards["video"][0], video, pair)
    sizes = [video.num_attended]
    pair = _keys_and_values(into_audio, towards["video"][1], video.cross_rotary, video.split, sizes)
    seen = _exchange(into_audio, towards["audio"][1], audio, _joined(pair, others), video.split)
    found = _last_of(pair, num_found)
    del pair, towards  # memory is at its peak from here on
    return {
        "video": hidden["video"] + _cross_gate(block, video) * heard,
        "audio": hidden["audio"] + _cross_gate(block, audio) * seen,
    }, found


def heard_keys(block: Any, hidden: Float[Tensor, "b s d"], condition: Conditions) -> KeyValue:
    """Keys and values of video tokens that the audio looks at, for tokens that hear no audio themselves."""
    module = block.video_to_audio_attn
    towards, sizes = _towards(block, hidden, condition)[1], [condition.num_attended]
    pair = _keys_and_values(module, towards, condition.cross_rotary, condition.split, sizes)
    return _of_one_layout(pair[0][0], pair[1][0])


def feed_forward(block: Any, hidden: Float[Tensor, "b s d"], condition: Conditions) -> Float[Tensor, "b s d"]:
    """The feed-forward layer."""
    kind = condition.kind
    shift, scale, gate = condition.modulation.parts(part(block, kind, "scale_shift_table"), 3, 6)
    normed = part(block, kind, "norm3")(hidden) * (1 + scale) + shift
    change: Tensor = part(block, kind, "ff")(normed) * gate
    return hidden + change


def part(module: Any, kind: Kind, name: str) -> Any:
    """Return a module of one stream: diffusers prefixes those of audio."""
    return getattr(module, name if kind == "video" else f"audio_{name}")


def _self_input(block: Any, hidden: Tensor, condition: Conditions) -> tuple[Tensor, Tensor]:
    table = part(block, condition.kind, "scale_shift_table")
    shift, scale, gate = condition.modulation.parts(table, 0, 3)
    return part(block, condition.kind, "norm1")(hidden) * (1 + scale) + shift, gate


def _keys_and_values(
    module: Any, normed: Tensor, rotary: Rotary | None, split: Split | None, sizes: list[int]
) -> _InParts:
    """Keys and values of tokens in parts; with a split of one's own heads of all tokens."""
    assert rotary is not None
    value = _heads(module.to_v(normed), module)
    key = _rotated(module.norm_k, module.to_k(normed), rotary, module, split, sizes)
    return key, list(torch.split(value if split is None else split.by_heads(value), sizes, dim=2))


def _rotated(
    norm: Any, projected: Tensor, rotary: Rotary, module: Any, split: Split | None, sizes: list[int]
) -> list[Tensor]:
    """Queries or keys in parts, each rotated by itself: so compiled blocks write it once, for the kernel."""
    if split is not None:
        turned = _rotate(norm(projected), rotary, module, projected.dtype)
        return list(torch.split(split.by_heads(turned), sizes, dim=2))
    parts = zip(*(torch.split(side, sizes, dim=1) for side in (projected, *rotary)), strict=True)
    return [_rotate(norm(part), (cos, sin), module, projected.dtype) for part, cos, sin in parts]


def _last_of(pair: _InParts, count: int) -> KeyValue | None:
    """The last tokens of all parts."""
    if not count:
        return None
    wholes = (side[-1] if side[-1].shape[2] >= count else torch.cat(side, dim=2) for side in pair)
    key, value = (whole[:, :, -count:] for whole in wholes)
    return _of_one_layout(key, value)


def _of_one_layout(key: Tensor, value: Tensor) -> KeyValue:
    """Lay keys and values that are handed on out alike, so that blocks are compiled for one layout."""
    return key.contiguous(), value.contiguous()


def _joined(pair: _InParts, others: KeyValue | None, pairs: PairWeights | None = None) -> _InParts:
    """Let others follow, in parts too."""
    if others is None:
        return pair
    first = sum(part.shape[2] for part in pair[0])
    sizes = part_sizes(pairs, first, first + others[0].shape[2])
    key, value = (
        [*side, *torch.split(other, sizes, dim=2)] for side, other in zip(pair, others, strict=True)
    )
    return key, value


def _towards(block: Any, hidden: Tensor, condition: Conditions) -> tuple[Tensor, Tensor]:
    """A stream's side of audio-to-video and of video-to-audio attention."""
    assert condition.cross_modulation is not None
    # Rows 0 and 1 of the table are scale and shift for audio-to-video, rows 2 and 3 for video-to-audio.
    table = getattr(block, f"{condition.kind}_a2v_cross_attn_scale_shift_table")
    norm = block.audio_to_video_norm if condition.kind == "video" else block.video_to_audio_norm
    normed, row = norm(hidden), condition.cross_modulation.parts(table[:4])
    return normed * (1 + row[0]) + row[1], normed * (1 + row[2]) + row[3]


def _cross_gate(block: Any, condition: Conditions) -> Tensor:
    assert condition.cross_gate is not None
    table = getattr(block, f"{condition.kind}_a2v_cross_attn_scale_shift_table")
    return condition.cross_gate.parts(table[4:])[0]


def _exchange(
    module: Any, hidden: Tensor, condition: Conditions, pair: _InParts, split: Split | None = None
) -> Tensor:
    """Attend to the other stream; with a split, its keys and values are of one's own heads alone."""
    assert condition.cross_rotary is not None
    query = _rotate(module.norm_q(module.to_q(hidden)), condition.cross_rotary, module, pair[1][0].dtype)
    if split is not None:
        query = split.own_heads(query)
    mixed = attend_parts([query], *pair)
    if split is not None:
        mixed = split.all_heads(mixed)
    return _mixed_out(module, hidden, rearrange(mixed, "b k s d -> b s (k d)"))


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
    wide = projected.float()
    if module.rope_type == "interleaved":
        turned = torch.stack([-wide[..., 1::2], wide[..., 0::2]], dim=-1).flatten(-2)
        return _heads((wide * cos + turned * sin).to(dtype), module)
    cos, sin = (rearrange(angle, "b s (k d) -> b s k d", k=module.heads) for angle in rotary)
    first, second = rearrange(wide, "b s (k two d) -> two b s k d", two=2, k=module.heads)
    # Tokens stay before heads in memory, as the projections have them and the kernels take them.
    turned = torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-2)
    return rearrange(turned.to(dtype), "b s k two d -> b k s (two d)")
