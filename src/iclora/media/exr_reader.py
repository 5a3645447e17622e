"""OpenEXR pictures as renderers write depth: one part, scan lines, any named channel.

The OpenCV wheel is built without EXR, and FFmpeg reads colours only, not a channel `Z`; so it is read here,
and what is not (PIZ and other compressions, tiles, several parts) by `exr_library`:

    magic, version | attributes: name 0 type 0 size value | 0 | offsets of the blocks | blocks of lines

Source: "OpenEXR File Layout" and "Technical Introduction" of the OpenEXR project.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.errors import MediaError
from iclora.media.exr_library import Window, read_by_library

_MAGIC = 20000630
_OTHER_LAYOUTS = 0x200 | 0x800 | 0x1000
"""Flags of the version: tiles, deep data, several parts."""
_LINES = {0: 1, 1: 1, 2: 1, 3: 16}
"""Lines of a block by compression: none, RLE, ZIPS, ZIP."""
_COMPRESSIONS = ("none", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB")
_TYPES: dict[int, np.dtype] = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}
_MAX_PIXELS = 2**28
_ADVICE = (
    "to read that install OpenEXR (pip install 'iclora[exr]'), or save it as one part of scan lines, "
    "compressed with ZIP, ZIPS, RLE or not at all"
)


class _OtherKind(Exception):
    """A layout or compression that is not read here; the text says which."""


@dataclass(frozen=True, kw_only=True)
class _Header:
    channels: tuple[tuple[str, np.dtype], ...]
    compression: int
    window: Window
    """What is stored."""
    shown: Window
    """The whole picture."""
    end: int


def read_exr(content: bytes, name: str) -> Float32[np.ndarray, "h w"]:
    """Read the depth of an OpenEXR picture.

    Args:
        content: The file.
        name: What to call it in messages.

    Returns:
        The values of the channel that holds depth: `Z`, one that ends in `.Z` or speaks of depth, else `Y`,
        `V` or `R`, else the only one. What lies outside the stored window is infinite.

    Raises:
        MediaError: If it is damaged, or no channel holds depth.
        MissingDependencyError: If it is of a layout or compression that only OpenEXR reads, which is missing.
    """
    try:
        header = _header(content, name)
        chosen = _depth_channel([channel for channel, _ in header.channels], name)
        stored, window, shown = _stored(content, header, chosen), header.window, header.shown
    except _OtherKind as kind:
        stored, window, shown = read_by_library(
            content,
            name,
            choose=lambda names: _depth_channel(list(names), name),
            otherwise=f"{name} {kind}; {_ADVICE}.",
        )
    except (struct.error, zlib.error, ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise MediaError(f"{name} is a damaged EXR picture ({error}); render it again.") from error
    return _placed(stored, window, shown)


def _placed(stored: Float32[np.ndarray, "y x"], window: Window, shown: Window) -> Float32[np.ndarray, "h w"]:
    """Put what is stored into the whole picture, infinite elsewhere."""
    left, top, right, bottom = shown
    whole = np.full((bottom - top + 1, right - left + 1), np.inf, np.float32)
    x, y = window[0] - left, window[1] - top
    height, width = stored.shape
    inside = np.s_[max(0, -y) : max(0, whole.shape[0] - y), max(0, -x) : max(0, whole.shape[1] - x)]
    part = stored[inside]
    y, x = max(0, y), max(0, x)
    whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    return whole


def _header(content: bytes, name: str) -> _Header:
    magic, version = struct.unpack_from("<II", content, 0)
    if magic != _MAGIC:
        raise ValueError("it does not begin as one")
    if version & _OTHER_LAYOUTS:
        raise _OtherKind("has tiles, several parts or deep pixels")
    place, found = 8, {}
    while content[place] != 0:
        word, place = _word(content, place)
        _, place = _word(content, place)
        (size,) = struct.unpack_from("<I", content, place)
        found[word] = content[place + 4 : place + 4 + size]
        place += 4 + size
    compression = found["compression"][0]
    if compression not in _LINES:
        known = _COMPRESSIONS[compression] if compression < len(_COMPRESSIONS) else str(compression)
        raise _OtherKind(f"is compressed with {known}")
    window, shown = (struct.unpack("<4i", found[key]) for key in ("dataWindow", "displayWindow"))
    for left, top, right, bottom in (window, shown):
        if not (right >= left and bottom >= top and (right - left + 1) * (bottom - top + 1) <= _MAX_PIXELS):
            raise ValueError(f"its window is {left},{top} to {right},{bottom}")
    channels = _channels(found["channels"], name)
    return _Header(channels=channels, compression=compression, window=window, shown=shown, end=place + 1)


def _word(content: bytes, place: int) -> tuple[str, int]:
    end = content.index(b"\0", place)
    return content[place:end].decode(), end + 1


def _channels(value: bytes, name: str) -> tuple[tuple[str, np.dtype], ...]:
    channels: list[tuple[str, np.dtype]] = []
    place = 0
    while value[place] != 0:
        channel, place = _word(value, place)
        kind, _, across, down = struct.unpack_from("<IIII", value, place)
        if (across, down) != (1, 1):
            raise MediaError(
                f"The channel {channel} of {name} is stored at a lower resolution; store all of them whole."
            )
        channels.append((channel, _TYPES[kind]))
        place += 16
    return tuple(channels)


def _depth_channel(names: list[str], name: str) -> str:
    lower = [one.lower() for one in names]
    for wanted in (
        [one == "z" for one in lower],
        [one.endswith(".z") for one in lower],
        ["depth" in one for one in lower],
        *([one.rsplit(".", 1)[-1] == plain for one in lower] for plain in ("y", "v", "r")),
        [len(names) == 1],
    ):
        if any(wanted):
            return names[wanted.index(True)]
    raise MediaError(f"{name} has no channel for depth, only {', '.join(names)}; write it as Z.")


def _stored(content: bytes, header: _Header, chosen: str) -> Float32[np.ndarray, "h w"]:
    """The chosen channel within the stored window."""
    left, top, right, bottom = header.window
    height, width = bottom - top + 1, right - left + 1
    starts = np.cumsum([0, *(width * dtype.itemsize for _, dtype in header.channels)])
    names = [channel for channel, _ in header.channels]
    place, dtype = int(starts[names.index(chosen)]), dict(header.channels)[chosen]
    lines = _LINES[header.compression]
    num_blocks = -(-height // lines)
    out = np.empty((height, width), np.float32)
    for offset in struct.unpack_from(f"<{num_blocks}Q", content, header.end):
        y, size = struct.unpack_from("<iI", content, offset)
        first = y - top
        count = min(lines, height - first)
        block = content[offset + 8 : offset + 8 + size]
        data = _unpacked(block, header.compression, int(starts[-1]) * count)
        rows = np.frombuffer(data, np.uint8).reshape(count, int(starts[-1]))
        row = rows[:, place : place + width * dtype.itemsize]
        out[first : first + count] = np.ascontiguousarray(row).view(dtype)
    return out


def _unpacked(block: bytes, compression: int, size: int) -> bytes:
    """Undo a block's compression; one that would not have shrunk is stored as it is."""
    if compression == 0 or len(block) == size:
        return block
    mixed = np.frombuffer(_runs(block) if compression == 1 else zlib.decompress(block), np.uint8)
    if len(mixed) != size:
        raise ValueError(f"a block holds {len(mixed)} bytes and should hold {size}")
    return _in_order(mixed)


def _in_order(mixed: UInt8[np.ndarray, " n"]) -> bytes:
    """Undo what goes before the compression: differences of bytes, even places before odd ones."""
    steps = mixed.astype(np.int64)
    steps[1:] -= 128
    plain = np.cumsum(steps).astype(np.uint8)
    out, half = np.empty_like(plain), (len(plain) + 1) // 2
    out[0::2], out[1::2] = plain[:half], plain[half:]
    return out.tobytes()


def _runs(block: bytes) -> bytes:
    """Undo run lengths: a count below 0 goes before so many bytes, one from 0 up before a byte to repeat."""
    out, place = bytearray(), 0
    while place < len(block):
        count = block[place] - 256 if block[place] > 127 else block[place]
        if count < 0:
            out += block[place + 1 : place + 1 - count]
            place += 1 - count
        else:
            out += block[place + 1 : place + 2] * (count + 1)
            place += 2
    return bytes(out)
