"""OpenEXR files written by hand, after the layout the OpenEXR project publishes."""

import struct
import zlib
from pathlib import Path

import numpy as np

NONE, RLE, ZIPS, ZIP, PIZ = range(5)
_KINDS = {np.dtype(np.uint32): 0, np.dtype(np.float16): 1, np.dtype(np.float32): 2}


def _attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def _mixed(block: bytes) -> bytes:
    """Even places before odd ones, then differences of bytes."""
    plain = np.frombuffer(block, np.uint8)
    mixed = np.concatenate([plain[0::2], plain[1::2]]).astype(np.int64)
    return np.concatenate([mixed[:1], np.diff(mixed) + 128]).astype(np.uint8).tobytes()


def _packed(block: bytes, compression: int) -> bytes:
    if compression == NONE:
        return block
    mixed = _mixed(block)
    if compression != RLE:
        small = zlib.compress(mixed)
    else:
        small, place = b"", 0
        while place < len(mixed):  # runs of the same byte, and single bytes
            end = place
            while end < len(mixed) and mixed[end] == mixed[place] and end - place < 127:
                end += 1
            count = end - place
            small += bytes([count - 1, mixed[place]]) if count > 1 else bytes([255, mixed[place]])
            place = end
    return small if len(small) < len(block) else block


def write_exr(
    path: Path,
    channels: dict[str, np.ndarray],
    *,
    compression: int = ZIP,
    at: tuple[int, int] = (0, 0),
    shown: tuple[int, int] | None = None,
    version: int = 2,
) -> Path:
    """Write channels of one shape; `at` is left and top of the stored window, `shown` width and height."""
    names = sorted(channels)
    height, width = channels[names[0]].shape
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<IIII", _KINDS[channels[name].dtype], 0, 1, 1) for name in names
    )
    right, bottom = (width, height) if shown is None else shown
    content = struct.pack("<II", 20000630, version)
    content += _attribute("channels", "chlist", listed + b"\0")
    content += _attribute("compression", "compression", bytes([compression]))
    window = struct.pack("<4i", at[0], at[1], at[0] + width - 1, at[1] + height - 1)
    content += _attribute("dataWindow", "box2i", window)
    content += _attribute("displayWindow", "box2i", struct.pack("<4i", 0, 0, right - 1, bottom - 1))
    content += _attribute("lineOrder", "lineOrder", b"\0") + b"\0"
    lines = 16 if compression == ZIP else 1
    blocks = []
    for top in range(0, height, lines):
        rows = range(top, min(top + lines, height))
        block = b"".join(channels[name][row].tobytes() for row in rows for name in names)
        small = _packed(block, compression)
        blocks.append(struct.pack("<iI", top + at[1], len(small)) + small)
    place = len(content) + 8 * len(blocks)
    offsets = b""
    for block in blocks:
        offsets += struct.pack("<Q", place)
        place += len(block)
    path.write_bytes(content + offsets + b"".join(blocks))
    return path
