"""The dials of controls by name: what each control takes beside its clip, read from words and checked.

A dial is a keyword of the control's function, so the commands of `iclora control`, the words after
`--control KIND=IN`, the settings of adapters and `Reference(.., dials=..)` all have the same ones.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from iclora import media
from iclora.clip import Clip
from iclora.controls.canny import canny
from iclora.controls.depth import depth
from iclora.controls.depths.value import Depths
from iclora.controls.plain import blocks, blur, green, grey
from iclora.controls.pose import pose
from iclora.controls.shades import line_art, normals, soft_edges
from iclora.controls.tracks import tracks
from iclora.errors import RequestError

CONTROLS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "blocks": blocks,
        "blur": blur,
        "canny": canny,
        "depth": depth,
        "green": green,
        "grey": grey,
        "line-art": line_art,
        "normals": normals,
        "pose": pose,
        "soft-edges": soft_edges,
        "tracks": tracks,
    }
)
CACHED = ("depth", "pose", "tracks")
"""Controls that take a `cache`, as what they find takes long."""
READING: Mapping[str, Mapping[str, type]] = MappingProxyType(
    {"depth": {"render": bool}, "tracks": {"canvas": str, "keypoints": bool}}
)
"""Dials that say how a file is read, beside those of the control's function; see `iclora control KIND`."""
FILES = ("body", "mask")
"""Dials that name a file to read."""
_TRUTHS = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


def dials_of(kind: str) -> tuple[str, ...]:
    """Name the dials of a control.

    Args:
        kind: A name in `CONTROLS`.

    Returns:
        The names, those that say how a file is read last.
    """
    return tuple(_kinds(kind))


def read_dials(kind: str, said: Mapping[str, str]) -> dict[str, Any]:
    """Read dials from words, and check them.

    Args:
        kind: A name in `CONTROLS`.
        said: The text for each dial; `-` and `_` are the same in its name.

    Returns:
        The values. A dial that names a picture has its path.

    Raises:
        RequestError: If there is no such dial, or its value is of another kind or out of its range.
        IcloraError: If a file it names cannot be read, or what it needs is not installed.
    """
    words = {name.replace("-", "_"): text for name, text in said.items()}
    kinds = _kinds(kind)
    return _checked(kind, {name: _read(name, text, kinds.get(name, ())) for name, text in words.items()})


def check_dials(kind: str, dials: Mapping[str, Any]) -> dict[str, Any]:
    """Check dials of a clip, before anything is drawn with them.

    Args:
        kind: A name in `CONTROLS`.
        dials: Their values.

    Returns:
        The same, whole numbers made floats where the dial is one, and NumPy's numbers Python's own.

    Raises:
        RequestError: If there is no such control or dial, a value is of another kind or out of its range, or
            a dial says how a file is read.
        IcloraError: If a file it names cannot be read, or what it needs is not installed.
    """
    if kind not in CONTROLS:
        raise RequestError(f"There is no control {kind!r}; choose one of {', '.join(CONTROLS)}.")
    for name in READING.get(kind, {}).keys() & dials.keys():
        raise RequestError(
            f"The dial {name!r} of the control {kind} says how a file is read, and this is a clip; leave it "
            "out, or draw what the file holds first and give that without control=."
        )
    return _checked(kind, dials)


def _checked(kind: str, dials: Mapping[str, Any]) -> dict[str, Any]:
    kinds, checked = _kinds(kind), {}
    for name, value in dials.items():
        if name not in kinds:
            known = ", ".join(kinds) or "none"
            raise RequestError(f"The control {kind} has no dial {name!r}; it has: {known}.")
        value = _plain(value)
        if not _fits(value, kinds[name]):
            raise RequestError(f"{name}={value!r} of the control {kind} is not {_in_words(kinds[name])}.")
        whole = isinstance(value, int) and not isinstance(value, bool)
        checked[name] = float(value) if whole and int not in kinds[name] else value
    if isinstance(mask := checked.get("mask"), str):
        media.read(mask, max_frames=1)
    # Drawing one small frame refuses what is out of its range, and costs next to nothing.
    small: Clip | Depths = Clip(frames=np.zeros((1, 8, 8, 3), np.uint8), fps=1.0)
    if checked.get("render"):
        small = Depths(nearness=np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8), fps=1.0)
    CONTROLS[kind](small, **{name: value for name, value in drawing(kind, checked).items() if name != "mask"})
    return checked


def drawing(kind: str, dials: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the dials that the control's function takes.

    Args:
        kind: A name in `CONTROLS`.
        dials: Dials, of any control.

    Returns:
        Those it has, but for those that say how a file is read.
    """
    own = set(dials_of(kind)) - set(READING.get(kind, ()))
    return {name: value for name, value in dials.items() if name in own}


@cache
def _kinds(kind: str) -> Mapping[str, tuple[Any, ...]]:
    """The types that each dial of a control may have."""
    hints = typing.get_type_hints(CONTROLS[kind])
    others = ("clip", "cache", "progress")
    names = [name for name in inspect.signature(CONTROLS[kind]).parameters if name not in others]
    own = {name: _members(hints[name]) for name in names}
    return own | {name: (what,) for name, what in READING.get(kind, {}).items()}


def _members(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(typing.get_origin(one) or one for one in typing.get_args(hint))
    return (typing.get_origin(hint) or hint,)


def _read(name: str, text: str, kinds: tuple[Any, ...]) -> Any:
    """Make a value of a text; a text that is none stays one, to be refused with its name."""
    try:
        if bool in kinds:
            return _TRUTHS.get(text.lower(), text)
        if tuple in kinds:
            across, down = text.split(",")
            return (float(across), float(down))
        if float in kinds or int in kinds:
            return int(text) if int in kinds and text.strip().lstrip("+-").isdigit() else float(text)
    except ValueError:
        return text
    return text


def _plain(value: Any) -> Any:
    """Make Python's own values of NumPy's scalars; anything else stays as it is."""
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value


def _fits(value: Any, kinds: tuple[Any, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, float):
        return float in kinds
    if isinstance(value, int):
        return int in kinds or float in kinds
    if isinstance(value, str):
        return str in kinds or Clip in kinds
    if isinstance(value, (tuple, list)):
        return tuple in kinds and len(value) == 2 and all(_fits(one, (float,)) for one in value)
    # Clips, estimators and paths: Python's own callers know what they hand over.
    return any(what not in (bool, int, float, str, tuple) for what in kinds)


def _in_words(kinds: tuple[Any, ...]) -> str:
    if bool in kinds:
        return "yes or no"
    if tuple in kinds:
        return "two numbers X,Y"
    if int in kinds and float not in kinds:
        return "a whole number"
    return "a number" if float in kinds else "text"
