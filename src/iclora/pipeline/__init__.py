"""The one composition: from a prompt and references to a clip.

plan ─► prompt ─► contexts ─┐
        references ─► VAE ──┼─► token sequence ─► noise ─► sampling ─► VAE ─► Clip
        pictures ────► VAE ─┘
"""

from iclora.pipeline.coding import (
    decode_frames,
    encode_features,
    encode_frames,
    encode_prompt,
    encode_tokens,
    pixels_of,
    tokenise,
)
from iclora.pipeline.fitting import (
    Drawable,
    draw_reference,
    extract_control,
    fit_reference,
    lay_over,
    shrink_reference,
)
from iclora.pipeline.run import Image, Pipeline, Progress, Result, load, load_planned

__all__ = [
    "Drawable",
    "Image",
    "Pipeline",
    "Progress",
    "Result",
    "decode_frames",
    "draw_reference",
    "encode_features",
    "encode_frames",
    "encode_prompt",
    "encode_tokens",
    "extract_control",
    "fit_reference",
    "lay_over",
    "load",
    "load_planned",
    "pixels_of",
    "shrink_reference",
    "tokenise",
]
