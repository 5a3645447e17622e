"""OpenEXR pictures of all layouts and compressions, through the OpenEXR project's own package.

It is optional: what renderers write by default is read by `exr_reader` without it.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from iclora.errors import MediaError, MissingDependencyError

Window = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, inclusive."""


def read_by_library(
    content: bytes, name: str, *, choose: Callable[[Sequence[str]], str], otherwise: str
) -> tuple[Float32[np.ndarray, "h w"], Window, Window]:
    """Read one channel with OpenEXR.

    Args:
        content: The file.
        name: What to call it in messages.
        choose: Names the channel to read, of those of all parts.
        otherwise: What to say where OpenEXR is not installed.

    Returns:
        Its numbers, the window they are stored in, and the window of the whole picture.

    Raises:
        MediaError: If the file is damaged, or holds deep pixels.
        MissingDependencyError: If OpenEXR is not installed.
    """
    try:
        library: Any = importlib.import_module("OpenEXR")
    except ImportError:
        raise MissingDependencyError(otherwise) from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.exr"
        path.write_bytes(content)
        try:
            file = library.File(str(path), separate_channels=True)
            channels = [file.channels(number) for number in range(len(file.parts))]
            headers = [file.header(number) for number in range(len(file.parts))]
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).replace(str(path), name).split())
            raise MediaError(f"{name} is a damaged EXR picture ({reason}); render it again.") from error
    if not channels:
        raise MediaError(f"{name} is a damaged EXR picture (nothing in it can be read); render it again.")
    chosen = choose([channel for part in channels for channel in part])
    number = next(number for number, part in enumerate(channels) if chosen in part)
    values = np.asarray(channels[number][chosen].pixels)
    if values.ndim != 2 or values.dtype == object:
        raise MediaError(f"{name} has deep pixels, which are not read; flatten it.")
    stored, shown = (_window(headers[number][key]) for key in ("dataWindow", "displayWindow"))
    if values.shape != (stored[3] - stored[1] + 1, stored[2] - stored[0] + 1):
        raise MediaError(f"The channel {chosen} of {name} is stored at a lower resolution; store it whole.")
    return np.asarray(values, np.float32), stored, shown


def _window(corners: Any) -> Window:
    (left, top), (right, bottom) = corners
    return int(left), int(top), int(right), int(bottom)
