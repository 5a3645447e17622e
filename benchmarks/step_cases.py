"""What `step.py` times: a transformer with random weights, its inputs, and the forwards over them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import LTX2VideoTransformer3DModel
from torch import Tensor, nn

from iclora.geometry import LatentFactors, LatentGrid, audio_positions, latent_grid
from iclora.reference import TokenSequence, assemble, audio_sequence, reference_tokens, target_sequence
from iclora.transformer import CachePolicy, ReferenceCache, Stream, velocity

FACTORS = LatentFactors(time=8, height=32, width=32)
FPS = 24.0
LAYOUTS: dict[str, tuple[int, ...]] = {"none": (), "half": (2,), "full": (1,), "two": (2, 2)}
"""The downscale factors of the references of each case."""
KEEP_ALL_STEPS = CachePolicy(every=1000)
FORM_2_3 = {
    "rope_type": "split",
    "use_prompt_embeddings": False,
    **dict.fromkeys(("gated_attn", "cross_attn_mod", "audio_gated_attn", "audio_cross_attn_mod"), True),
    "perturbed_attn": True,
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """A model and what it is run on.

    Attributes:
        model: Arguments of the transformer that differ from those of LTX-2.3.
        pixels: Frames, height and width of the video.
        num_text: Prompt tokens.
        num_audio: Audio tokens.
        dtype: Type of weights and tokens.
    """

    model: dict[str, Any] = field(default_factory=dict)
    pixels: tuple[int, int, int]
    num_text: int
    num_audio: int
    dtype: torch.dtype = torch.float32

    @property
    def grid(self) -> LatentGrid:
        """The target's latent grid."""
        return latent_grid(*self.pixels, FACTORS)


def _narrow(heads: int, width: int, num_layers: int) -> dict[str, int]:
    return {
        "num_attention_heads": heads,
        "attention_head_dim": width,
        "cross_attention_dim": heads * width,
        "audio_num_attention_heads": heads,
        "audio_attention_head_dim": width // 2,
        "audio_cross_attention_dim": heads * width // 2,
        "num_layers": num_layers,
    }


SIZES = {
    "full": Size(pixels=(121, 704, 1216), num_text=1024, num_audio=126, dtype=torch.bfloat16),
    # As wide a head as the full model, and about as large a share of attention in the step.
    "small": Size(model=_narrow(2, 128, 2), pixels=(57, 384, 384), num_text=128, num_audio=60),
    "micro": Size(model=_narrow(2, 16, 1), pixels=(9, 64, 128), num_text=4, num_audio=5),
}


Run = Callable[[float], object]
"""One forward at a noise level."""


def build(size: Size, num_layers: int | None, device: torch.device) -> Any:
    """Build a transformer with random weights, made on the device itself."""
    changes = {} if num_layers is None else {"num_layers": num_layers}
    with torch.device("meta"):
        model = LTX2VideoTransformer3DModel(**(FORM_2_3 | size.model | changes))
    assert not list(model.buffers()), "a buffer would need its values"
    # Not `model.to`: diffusers' own warns of modules it would keep in float32, of which there are none.
    model = nn.Module.to(model, size.dtype).to_empty(device=device).eval()
    for name, parameter in model.named_parameters():
        nn.init.ones_(parameter) if "norm" in name else nn.init.normal_(parameter, std=0.02)
    return model


def sequence_of(size: Size, layout: str, weighting: str, device: torch.device) -> TokenSequence:
    """Lay out target and references of a case.

    A mask rises from 0.1 at the left to 1 at the right; a region is 1 in the right half and 0 elsewhere.
    """
    grid, channels = size.grid, 128
    target = target_sequence(
        torch.zeros(1, channels, *grid.shape, device=device, dtype=size.dtype), factors=FACTORS, fps=FPS
    )
    rows = {"mask": torch.linspace(0.1, 1, 64), "region": (torch.arange(64) > 31).float()}
    mask = rows[weighting].expand(64, 64) if weighting in rows else None
    references = [
        reference_tokens(
            torch.randn(
                1,
                channels,
                grid.frames,
                grid.height // downscale,
                grid.width // downscale,
                device=device,
                dtype=size.dtype,
            ),
            factors=FACTORS,
            fps=FPS,
            attention_strength=1.0 if weighting in rows else float(weighting),
            attention_mask=mask,
            downscale=downscale,
        )
        for downscale in LAYOUTS[layout]
    ]
    return assemble(target, references)


def inputs_of(model: Any, size: Size, sequence: TokenSequence) -> tuple[Stream, Stream]:
    """Draw the noisy tokens and the prompts of both streams, at noise level 1."""
    device, config = sequence.clean.device, model.config
    audio_clean = torch.zeros(1, size.num_audio, config.audio_in_channels, device=device, dtype=size.dtype)
    audio = audio_sequence(audio_clean, audio_positions(size.num_audio))
    widths = (config.cross_attention_dim, config.audio_cross_attention_dim)
    video_stream, audio_stream = (
        Stream(
            latents=torch.randn_like(part.clean),
            sequence=part,
            sigma=torch.ones(1, device=device),
            context=torch.randn(1, size.num_text, width, device=device, dtype=size.dtype),
        )
        for part, width in zip((sequence, audio), widths, strict=True)
    )
    return video_stream, audio_stream


@dataclass(frozen=True, kw_only=True)
class Ours:
    """This project's forward.

    Attributes:
        model: The transformer.
        video: The video stream.
        audio: The audio stream, or None.
        kept: The cache of references, in a list that is emptied for a new video; None computes them always.
    """

    model: Any
    video: Stream
    audio: Stream | None
    kept: list[ReferenceCache] | None = None

    def __call__(self, sigma: float) -> object:
        """Run at a noise level; at 1 a video begins, and its references are computed."""
        for stream in (self.video, self.audio):
            if stream is not None:
                stream.sigma.fill_(sigma)
        if self.kept is None:
            return velocity(self.model, self.video, self.audio)
        if sigma == 1:
            self.kept.clear()
            self.kept.append(ReferenceCache(KEEP_ALL_STEPS))
        return velocity(self.model, self.video, self.audio, cache=self.kept[0])

    @property
    def kept_bytes(self) -> int | None:
        """Memory of what is kept; None without a cache."""
        return None if self.kept is None else sum(cache.num_bytes for cache in self.kept)


def diffusers_run(model: Any, video: Stream, audio: Stream, mask: Tensor | None) -> Run:
    """Return diffusers' own forward on the same tokens; it always runs the audio stream."""

    def at(sigma: float) -> object:
        level = torch.full_like(video.sigma, sigma * 1000)
        return model(
            hidden_states=video.latents,
            audio_hidden_states=audio.latents,
            encoder_hidden_states=video.context,
            audio_encoder_hidden_states=audio.context,
            timestep=video.sequence.mask * level,
            audio_timestep=level,
            sigma=level,
            audio_sigma=level,
            video_coords=video.sequence.positions,
            audio_coords=audio.sequence.positions,
            video_self_attention_mask=mask,
            return_dict=False,
        )

    return at
