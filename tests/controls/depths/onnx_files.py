"""A depth network in an ONNX file, written by hand: the mean of the channels."""

from pathlib import Path

FLOAT = 1


def _field(number: int, value: bytes | int | str) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _picture(name: str, shape: tuple[int | str, ...]) -> bytes:
    """A ValueInfo: name, and a tensor of floats of this shape; a word is a size left open."""
    sizes = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, sizes)))


def write_mean(path: Path, *, height: int | str = "h", width: int | str = "w", channels: int = 3) -> Path:
    """Write a network whose answer is the mean over the channels of its one input `1 channels h w`."""
    axes = _field(1, "axes") + _field(8, 1) + _field(20, 7)  # attribute: ints [1]
    keep = _field(1, "keepdims") + _field(3, 0) + _field(20, 2)
    node = _field(1, "x") + _field(2, "y") + _field(4, "ReduceMean") + _field(5, axes) + _field(5, keep)
    graph = _field(1, node) + _field(2, "mean")
    graph += _field(11, _picture("x", (1, channels, height, width)))
    graph += _field(12, _picture("y", (1, height, width)))
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path
