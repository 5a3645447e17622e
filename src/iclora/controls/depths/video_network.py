"""The network of Video Depth Anything: Depth Anything V2's, and four places where frames see each other.

```
 frames, each by itself ─► four maps, from fine to coarse
    1 ─────────────────────────────► fused ─► nearness, each frame by itself
    2 ───────────────────► fused ─────┘
    3 ─► in time ─► fused ──┘ in time
    4 ─► in time ────┘ in time
```

Source: S. Chen et al., "Video Depth Anything", 2025; the names and shapes of its released weights.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as functional
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config
from transformers.models.dinov2.modeling_dinov2 import Dinov2Embeddings

from iclora.controls.bars import without_bars
from iclora.errors import ModelError

WINDOW = 32
"""Frames the network was trained on at a time."""
PATCH = 14
_FEW = 4
"""Frames whose fine maps are held at once."""
_NUM_HEADS, _NUM_GROUPS, _HEAD_WIDTH = 8, 32, 64
_STAGES = {12: (3, 6, 9, 12), 24: (5, 12, 18, 24)}
"""By the number of layers: those after which the backbone is listened to."""
_BACKBONE, _NECK = "backbone.encoder.layer.", "neck.fusion_stage.layers."
_STILL_NAMES = (
    (r"pretrained\.(cls_token|mask_token)", r"backbone.embeddings.\1"),
    (r"pretrained\.pos_embed", "backbone.embeddings.position_embeddings"),
    (r"pretrained\.patch_embed\.proj\.", "backbone.embeddings.patch_embeddings.projection."),
    (r"pretrained\.norm\.", "backbone.layernorm."),
    (r"pretrained\.blocks\.(\d+)\.ls(\d)\.gamma", rf"{_BACKBONE}\1.layer_scale\2.lambda1"),
    (r"pretrained\.blocks\.(\d+)\.attn\.proj\.", rf"{_BACKBONE}\1.attention.output.dense."),
    (r"pretrained\.blocks\.(\d+)\.(norm|mlp)", rf"{_BACKBONE}\1.\2"),
    (r"head\.projects\.(\d)\.", r"neck.reassemble_stage.layers.\1.projection."),
    (r"head\.resize_layers\.(\d)\.", r"neck.reassemble_stage.layers.\1.resize."),
    (r"head\.scratch\.output_conv1\.", "head.conv1."),
    (r"head\.scratch\.output_conv2\.0\.", "head.conv2."),
    (r"head\.scratch\.output_conv2\.2\.", "head.conv3."),
    *((rf"head\.scratch\.layer{i}_rn\.", f"neck.convs.{i - 1}.") for i in (1, 2, 3, 4)),
    *((rf"head\.scratch\.refinenet{i}\.out_conv\.", f"{_NECK}{4 - i}.projection.") for i in (1, 2, 3, 4)),
    *(
        (
            rf"head\.scratch\.refinenet{i}\.resConfUnit(\d)\.conv",
            rf"{_NECK}{4 - i}.residual_layer\1.convolution",
        )
        for i in (1, 2, 3, 4)
    ),
)
"""What the released files call a weight, and what `transformers` calls it."""
_MOTION = "head.motion_modules."
_IN_TIME_NAMES = (
    ("temporal_transformer.", ""),
    ("transformer_blocks.0.", ""),
    ("ff.net.0.proj.", "ff_in."),
    ("ff.net.2.", "ff_out."),
    ("to_out.0.", "to_out."),
    ("pos_encoder.pe", "when"),
)
"""Likewise of the parts that see time, here."""
_DAMAGED = (
    *(OSError, EOFError, pickle.UnpicklingError, RuntimeError, ValueError, KeyError, IndexError),
    *(AttributeError, TypeError, ArithmeticError),
)
"""What a file of another form ends in: its names, kinds and shapes are taken as released until they fail."""


class Embeddings(Dinov2Embeddings):  # type: ignore[misc]  # transformers is untyped here
    """Patches and their places, which other shapes than the learnt one stretch as the released code does."""

    def interpolate_pos_encoding(
        self, embeddings: Float[Tensor, "t p d"], height: int, width: int
    ) -> Float[Tensor, "1 p d"]:
        """Stretch the learnt places by a hair more than the picture asks: a tenth of a patch."""
        rows, columns = height // PATCH, width // PATCH
        first, learnt = self.position_embeddings[:, :1], self.position_embeddings[:, 1:]
        side = math.isqrt(learnt.shape[1])
        if rows == columns == side:
            return torch.as_tensor(self.position_embeddings)
        grid = rearrange(learnt, "1 (h w) d -> 1 d h w", h=side)
        scale = ((rows + 0.1) / side, (columns + 0.1) / side)
        grid = functional.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([first, rearrange(grid, "1 d h w -> 1 (h w) d")], dim=1)


class AttentionInTime(nn.Module):
    """Attention between frames, told when they are.

    Args:
        channels: Of each frame.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels, bias=False) for _ in "qkv")
        self.to_out = nn.Linear(channels, channels)
        self.register_buffer("when", torch.zeros(1, WINDOW, channels))

    def forward(self, x: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        """Look at all frames from each."""
        x = x + self.get_buffer("when")[:, : x.shape[1]]
        q, k, v = (
            rearrange(part(x), "n t (k d) -> n k t d", k=_NUM_HEADS)
            for part in (self.to_q, self.to_k, self.to_v)
        )
        seen = functional.scaled_dot_product_attention(q, k, v)
        return torch.as_tensor(self.to_out(rearrange(seen, "n k t d -> n t (k d)")))


class InTime(nn.Module):
    """Lets each place of a map see the same place in all frames.

    Args:
        channels: Of the map, a multiple of 32.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_NUM_GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.attention_blocks = nn.ModuleList(AttentionInTime(channels) for _ in range(2))
        self.ff_norm = nn.LayerNorm(channels)
        self.ff_in = nn.Linear(channels, 8 * channels)
        self.ff_out = nn.Linear(4 * channels, channels)
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, maps: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c h w"]:
        """Add what the other frames tell; there are at most `WINDOW` of them."""
        x = self.proj_in(rearrange(self.norm(maps), "t c h w -> (h w) t c"))
        for norm, attention in zip(self.norms, self.attention_blocks, strict=True):
            x = x + attention(norm(x))
        values, gates = self.ff_in(self.ff_norm(x)).chunk(2, dim=-1)
        x = x + self.ff_out(values * functional.gelu(gates))
        return torch.add(maps, rearrange(self.proj_out(x), "(h w) t c -> t c h w", h=maps.shape[2]))


class VideoDepthNetwork(nn.Module):
    """Frames in, nearness out.

    Args:
        still: The parts that see one frame.
    """

    def __init__(self, still: DepthAnythingForDepthEstimation) -> None:
        super().__init__()
        self.still = still
        sizes, fused = still.config.neck_hidden_sizes, still.config.fusion_hidden_size
        self.in_time = nn.ModuleList(InTime(channels) for channels in (*sizes[2:], fused, fused))

    def forward(self, frames: Float[Tensor, "t 3 H W"], *, length: int = 0) -> Float[Tensor, "t H W"]:
        """Guess the nearness in frames that follow each other.

        Args:
            frames: Of ImageNet's mean and spread, height and width multiples of 14; at most `WINDOW`.
            length: For how many frames the film goes on, its last one standing, if that is more: they are
                seen where frames see each other, which costs little.

        Returns:
            Nearness up to a scale and a shift, at least 0.
        """
        rows, columns = (side // PATCH for side in frames.shape[2:])
        neck = self.still.neck
        seen = (self._maps(few, rows, columns) for few in torch.split(frames, _FEW))
        fine, middle, coarse, coarsest = (torch.cat(maps) for maps in zip(*seen, strict=True))
        standing = [len(frames) - 1] * (length - len(frames))
        coarse, coarsest = (
            neck.convs[2 + i](self.in_time[i](torch.cat([maps, maps[standing]])))
            for i, maps in enumerate((coarse, coarsest))
        )
        fuse, size = neck.fusion_stage.layers, middle.shape[2:]
        fused = self.in_time[2](fuse[0](coarsest, size=coarse.shape[2:]))
        fused = self.in_time[3](fuse[1](fused, coarse, size=size))
        found = []
        fused = fused[: len(frames)]
        for few in zip(*(torch.split(maps, _FEW) for maps in (fused, middle, fine)), strict=True):
            finer = fuse[2](few[0], neck.convs[1](few[1]), size=fine.shape[2:])
            finest = fuse[3](finer, neck.convs[0](few[2]))
            found.append(self.still.head([finest], rows, columns))
        return torch.cat(found)

    def _maps(self, frames: Tensor, rows: int, columns: int) -> list[Tensor]:
        """The four maps of frames, from fine to coarse."""
        seen = self.still.backbone(frames).feature_maps
        return list(self.still.neck.reassemble_stage(seen, rows, columns))


def read_network(path: Path) -> VideoDepthNetwork:
    """Read released weights of any size.

    Args:
        path: A `.pth` of the release, whose names and shapes say the size; nothing but numbers is taken.

    Returns:
        The network, in float32, on the CPU.

    Raises:
        ModelError: If the file is damaged or of another kind.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        table = weights.items() if isinstance(weights, dict) else [(None, weights)]
        if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in table):
            raise ValueError("it holds no table of weights by their names")
        still, in_time = _sorted_out(weights)
        network = VideoDepthNetwork(_still_network(_config(weights), still))
        network.in_time.load_state_dict(in_time)
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{path} does not hold Video Depth Anything ({reason}); delete it and run again."
        ) from error
    return network.float().eval()


def _sorted_out(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of what sees one frame, named as `transformers` does, and of what sees time, as here."""
    still: dict[str, Tensor] = {}
    in_time: dict[str, Tensor] = {}
    for name, value in weights.items():
        qkv = re.fullmatch(r"pretrained\.blocks\.(\d+)\.attn\.qkv\.(\w+)", name)
        if qkv:
            for part, one in zip(("query", "key", "value"), value.chunk(3), strict=True):
                still[f"{_BACKBONE}{qkv[1]}.attention.attention.{part}.{qkv[2]}"] = one
        elif not name.startswith(_MOTION):
            still[_still_name(name)] = value
        else:
            short = name.removeprefix(_MOTION)
            for old, new in _IN_TIME_NAMES:
                short = short.replace(old, new)
            in_time[short] = value
    return still, in_time


def _still_name(name: str) -> str:
    for old, new in _STILL_NAMES:
        if re.match(old, name):
            return re.sub(old, new, name, count=1)
    raise ValueError(f"it has {name}, which the network has not")


def _config(weights: Mapping[str, Tensor]) -> DepthAnythingConfig:
    """The size of the network, by the shapes of its weights."""
    width = weights["pretrained.cls_token"].shape[-1]
    num_layers = sum(
        re.fullmatch(r"pretrained\.blocks\.\d+\.norm1\.bias", name) is not None for name in weights
    )
    if num_layers not in _STAGES:
        raise ValueError(f"it has {num_layers} layers, and the released ones have 12 or 24")
    backbone = Dinov2Config(
        hidden_size=width,
        num_hidden_layers=num_layers,
        num_attention_heads=width // _HEAD_WIDTH,
        image_size=PATCH * math.isqrt(weights["pretrained.pos_embed"].shape[1] - 1),
        patch_size=PATCH,
        out_features=[f"stage{stage}" for stage in _STAGES[num_layers]],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    return DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=PATCH,
        reassemble_hidden_size=width,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[weights[f"head.projects.{index}.weight"].shape[0] for index in range(4)],
        fusion_hidden_size=weights["head.scratch.layer1_rn.weight"].shape[0],
        head_hidden_size=weights["head.scratch.output_conv2.0.weight"].shape[0],
    )


def _still_network(
    config: DepthAnythingConfig, weights: dict[str, Tensor]
) -> DepthAnythingForDepthEstimation:
    """The part that sees one frame, every weight accounted for."""
    with without_bars():
        network, told = DepthAnythingForDepthEstimation.from_pretrained(
            None, config=config, state_dict=weights, output_loading_info=True
        )
    left = sorted({*told["missing_keys"], *told["unexpected_keys"], *map(str, told["mismatched_keys"])})
    if left:
        raise ValueError(f"these are too few, too many or of another shape: {', '.join(left[:3])}")
    embeddings = Embeddings(config.backbone_config)
    embeddings.load_state_dict(network.backbone.embeddings.state_dict())
    network.backbone.embeddings = embeddings
    return network
