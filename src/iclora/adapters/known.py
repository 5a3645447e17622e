"""Released adapters, known by the names of their files: what they follow, where the file itself does not say.

    ltx-2.3-22b-ic-lora-union-control-ref0.5.safetensors
    base ──────         what it follows

Source: the model cards and workflows of Lightricks' releases of LTX-2 and LTX-2.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

UNION = ("canny", "depth", "pose")
"""What a `union` adapter follows, any one at a time."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a released adapter.

    Attributes:
        controls: Kinds of control it follows, any of which will do; `film` is the filmed clip as it is. Empty
            where it is none of these.
        conventions: How depth may be drawn for it; the first is how it is drawn.
        distilled: Whether its maker runs it with the schedule of a distilled model; None: with others too.
    """

    controls: tuple[str, ...] = ()
    conventions: tuple[str, ...] = ()
    distilled: bool | None = True


_FILM = Known(controls=("film",))
# The maker's workflows feed the union adapters grey depth, the maker's desktop application INFERNO.
_UNION = Known(controls=UNION, conventions=("near-white", "inferno"))
_RELEASED: Mapping[str, Known] = MappingProxyType(
    {
        "union": _UNION,
        "canny-control": Known(controls=("canny",)),
        "depth-control": Known(controls=("depth",), conventions=("near-white",)),
        "pose-control": Known(controls=("pose",)),
        "detailer": Known(controls=("film",), distilled=None),
        "motion-track-control": Known(controls=("tracks",)),
        "in-outpainting": Known(controls=("green",)),
        "colorization": Known(controls=("grey",)),
        "ingredients": Known(distilled=None),
        # Latents of their own, sound, or a lit ball in the picture: no control of ours, nor the film alone.
        **dict.fromkeys(("hdr", "lipdub", "dubit", "relight"), Known()),
        **dict.fromkeys(
            (
                *("pixel-spatial-upscaler", "decompression", "deblur", "water-simulation", "instant-shave"),
                *("day-to-night", "cross-eyed", "clean-plate"),
            ),
            _FILM,
        ),
    }
)
"""By the beginning of what comes after `ic-lora-` in the name."""
_BASES: Mapping[str, str] = MappingProxyType(
    {"ltx-2-19b-": "ltx-2.0", "ltx-2.3-22b-": "ltx-2.3", "ltx-2.5-22b-": "ltx-2.5"}
)


def known(name: str) -> Known | None:
    """Look an adapter up.

    Args:
        name: The name of its file, without folder and suffix.

    Returns:
        What is known of it; None for any other name.
    """
    start, _, rest = name.lower().partition("ic-lora-")
    if start not in _BASES:
        return None
    return next((one for beginning, one in _RELEASED.items() if rest.startswith(beginning)), None)


def known_base(name: str) -> str | None:
    """Tell the base that a released LoRA was trained on; camera LoRAs and the like have one as well.

    Args:
        name: The name of its file, without folder and suffix.

    Returns:
        The base as recipes call it; None for any other name.
    """
    return next((base for start, base in _BASES.items() if name.lower().startswith(start)), None)
