"""Depth networks in ONNX files, written by hand: the mean of the channels, or that scaled over a window."""

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


def _node(kind: str, inputs: str, output: str, *attributes: bytes) -> bytes:
    """A node; inputs are letters."""
    named = b"".join(_field(1, name) for name in inputs)
    return named + _field(2, output) + _field(4, kind) + b"".join(_field(5, one) for one in attributes)


def _write(
    path: Path, nodes: list[bytes], given: tuple[int | str, ...], found: tuple[int | str, ...]
) -> Path:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "depth")
    graph += _field(11, _picture("x", given)) + _field(12, _picture("y", found))
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path


def _axes(axis: int) -> tuple[bytes, bytes]:
    """Attributes of a reduction: over one axis, which goes away."""
    axes = _field(1, "axes") + _field(8, axis) + _field(20, 7)
    return axes, _field(1, "keepdims") + _field(3, 0) + _field(20, 2)


def write_mean(
    path: Path,
    *,
    number: int | str = 1,
    height: int | str = "h",
    width: int | str = "w",
    channels: int = 3,
) -> Path:
    """Write a network whose answer is the mean over the channels of its one input `number channels h w`."""
    nodes = [_node("ReduceMean", "x", "y", *_axes(1))]
    return _write(path, nodes, (number, channels, height, width), (number, height, width))


def write_mean_of_one(path: Path, *, side: int = 14) -> Path:
    """Write a network that says it takes any number of pictures, and gives one answer for all of them."""
    axes = _field(1, "axes") + _field(8, 0) + _field(8, 1) + _field(20, 7)
    nodes = [_node("ReduceMean", "x", "y", axes, _axes(0)[1])]
    return _write(path, nodes, ("n", 3, side, side), (side, side))


def write_window(path: Path, *, length: int | str = "t", side: int = 14) -> Path:
    """Write a network of `1 length 3 side side` whose mean over the channels goes from 0 to 1 in each window.

    So it is up to a scale and a shift that differ from window to window, as such networks' answers are.
    """
    nodes = [
        _node("ReduceMean", "x", "m", *_axes(2)),
        _node("ReduceMin", "m", "l"),
        _node("ReduceMax", "m", "h"),
        _node("Sub", "ml", "a"),
        _node("Sub", "hl", "b"),
        _node("Div", "ab", "y"),
    ]
    return _write(path, nodes, (1, length, 3, side, side), (1, length, side, side))
