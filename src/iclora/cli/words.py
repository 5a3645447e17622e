"""The words of the command line: small grammars such as `CLIP,strength=0.8`, and options kept in a class.

One class of options serves several commands (`generate` and `plan` share all their words), and the body of a
command gets one value instead of twenty parameters.
"""

import dataclasses
import inspect
import os
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from iclora.errors import RequestError

Words = TypeVar("Words")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReferenceWords:
    """One `--reference CLIP[,strength=..][,attention=..][,mask=..]..` or `--control KIND=CLIP[,..]`.

    Attributes:
        path: The clip.
        control: The control to extract from it; None: it is used as it is.
        dials: What was said of how the control is drawn.
        strength: How clean its tokens stay, 0..1.
        attention: How much they are looked at, 0..1; None: what `--attention-strength` says.
        mask: Picture or clip that says where they are looked at; None: what `--attention-mask` says.
        downscale: How many times smaller than the result it is encoded; None: what the adapter says.
        temporal: How many frames of the result one of its frames stands for; None: what the adapter says.
    """

    path: Path
    control: str | None = None
    dials: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    strength: float = 1.0
    attention: float | None = None
    mask: Path | None = None
    downscale: int | None = None
    temporal: int | None = None


REFERENCE_WORDS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {"strength": float, "attention": float, "mask": Path, "downscale": int, "temporal": int}
)
"""What may be said of one reference or control, beside how it is drawn."""


def words_of(options: type[Words]) -> Callable[[Callable[[Words], None]], Callable[..., None]]:
    """Let a function of one options value be a command with one option for each field.

    Args:
        options: A dataclass whose fields are annotated for typer.

    Returns:
        A decorator; the decorated function has the fields as keyword parameters.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(options)  # type: ignore[arg-type]
    ]

    def decorate(body: Callable[[Words], None]) -> Callable[..., None]:
        def command(**words: Any) -> None:
            body(options(**words))

        command.__doc__ = body.__doc__
        command.__name__ = body.__name__
        command.__annotations__ = dict(hints)
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def parse_size(text: str, word: str = "--size") -> tuple[int, int]:
    """Read `WxH`.

    Args:
        text: What was written.
        word: The word it was written after.

    Returns:
        Height and width in pixels, both at least 1.

    Raises:
        RequestError: If the text is not of that form.
    """
    match = re.fullmatch(r"(\d+)[xX](\d+)", text.strip())
    if match is None or 0 in (int(match[1]), int(match[2])):
        raise RequestError(f"{word} {text!r} is not a size; write WIDTHxHEIGHT in pixels, such as 256x256.")
    return int(match[2]), int(match[1])


def parse_guidance(text: str) -> tuple[float, dict[str, float]]:
    """Read `SCALE[,audio=S][,stg=S][,modality=S][,rescale=R]`.

    Args:
        text: What was written.

    Returns:
        The scale, and the other numbers as `checkpoints.MoreGuidance` calls them.

    Raises:
        RequestError: If the text is not of that form.
    """
    names = {word: f"{word}_scale" for word in ("audio", "stg", "modality")} | {"rescale": "rescale"}
    scale, *rest = text.split(",")
    pairs = [piece.partition("=") for piece in rest]
    if not all(_is_number(number) for number in (scale, *(number for _, _, number in pairs))) or not all(
        word in names for word, _, _ in pairs
    ):
        raise RequestError(
            f"--guidance {text!r} is not guidance; write a scale, and if wanted audio=, stg=, modality= or "
            "rescale= after it, such as 3,audio=7,stg=1,modality=3,rescale=0.7."
        )
    return float(scale), {names[word]: float(number) for word, _, number in pairs}


def parse_offset(text: str, word: str) -> tuple[float, float]:
    """Read `X,Y`.

    Args:
        text: What was written.
        word: The word it was written after.

    Returns:
        Pixels to the right and down.

    Raises:
        RequestError: If the text is not of that form.
    """
    pieces = text.split(",")
    if len(pieces) != 2 or not all(_is_number(piece) for piece in pieces):
        raise RequestError(f"{word} {text!r} is not a way to go; write X,Y in pixels, such as 40,-10.")
    return float(pieces[0]), float(pieces[1])


def parse_adapter(text: str) -> tuple[str, float]:
    """Read `NAME_OR_PATH[:WEIGHT]`.

    Returns:
        The name or path, and the weight (1 when not said).

    Raises:
        RequestError: If the name is empty.
    """
    name, colon, weight = text.rpartition(":")
    if not colon or not _is_number(weight):
        name, weight = text, "1"
    if not name:
        raise RequestError(
            f"--adapter {text!r} names no adapter; write NAME or FILE.safetensors, then :WEIGHT if any."
        )
    return name, float(weight)


def parse_control(text: str, kinds: Iterable[str]) -> tuple[str, Path, dict[str, str]]:
    """Read `KIND=CLIP[,dial=value...]`.

    Args:
        text: What was written.
        kinds: The controls there are.

    Returns:
        The kind, the path of the clip, and the text of each dial.

    Raises:
        RequestError: If it is not of that form, the kind is unknown, or a dial is said twice.
    """
    kind, equals, rest = text.partition("=")
    path, said = _path_and_words("--control", rest)
    if not equals or not path or kind not in kinds:
        raise RequestError(
            f"--control {text!r} is not KIND=CLIP with a known kind; write for instance canny=in.mp4. "
            f"Kinds: {', '.join(sorted(kinds))}."
        )
    return kind, Path(path), said


def parse_dials(text: str, kinds: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Read `KIND[,dial=value...]`.

    Args:
        text: What was written.
        kinds: The controls there are.

    Returns:
        The kind, and the text of each dial.

    Raises:
        RequestError: If it is not of that form, the kind is unknown, or a dial is said twice.
    """
    kind, said = _path_and_words("--control", text)
    if kind not in kinds:
        raise RequestError(
            f"--control {text!r} is no known kind; write for instance canny,thickness=2. "
            f"Kinds: {', '.join(sorted(kinds))}."
        )
    return kind, said


def parse_reference(text: str) -> ReferenceWords:
    """Read `CLIP[,strength=..][,attention=..][,mask=..][,downscale=..][,temporal=..]`.

    Returns:
        The reference with what was said about it.

    Raises:
        RequestError: If a word is unknown, or a value is missing or not a number.
    """
    path, written = _path_and_words("--reference", text)
    if not path:
        raise RequestError(
            f"--reference {text!r} names no clip; write CLIP[,strength=0..1][,attention=0..1]."
        )
    return ReferenceWords(path=Path(path), **read_reference_words(f"--reference {text!r}", written))


def read_reference_words(option: str, written: Mapping[str, str]) -> dict[str, Any]:
    """Read what was said of one reference.

    Args:
        option: What to call it.
        written: The text of each word.

    Returns:
        The values, by the names of `ReferenceWords`.

    Raises:
        RequestError: If a word is unknown, or a value is missing or not a number.
    """
    said: dict[str, Any] = {}
    for word, value in written.items():
        if word not in REFERENCE_WORDS:
            raise RequestError(
                f"{option} has the unknown word {word!r}; accepted are {', '.join(REFERENCE_WORDS)}."
            )
        if not value:
            raise RequestError(
                f"{option}: nothing stands after {word}=; write a value, or leave the word out."
            )
        try:
            said[word] = REFERENCE_WORDS[word](value)
        except ValueError:
            raise RequestError(f"{option}: {word}={value!r} is not a number.") from None
    return said


def parse_image(text: str) -> tuple[Path, int, float]:
    """Read `FILE@FRAME[:STRENGTH]`.

    Returns:
        The picture, the frame it stands at (0 is the first), and its strength (1 when not said).

    Raises:
        RequestError: If it is not of that form.
    """
    match = re.fullmatch(r"(.+)@(\d+)(?::([0-9.]+))?", text)
    if match is None or not _is_number(match[3] or "1"):
        raise RequestError(
            f"--image {text!r} is not FILE@FRAME[:STRENGTH]; write for instance first.png@0 or b.png@32:0.9."
        )
    return Path(match[1]), int(match[2]), float(match[3] or "1")


def _path_and_words(option: str, text: str) -> tuple[str, dict[str, str]]:
    """Split `PATH[,word=value...]`; commas and words belong to the path where a file has that name."""
    pieces = re.split(r",(?=[A-Za-z_-]+=)", text)
    counts = [count for count in range(len(pieces), 1, -1) if os.path.exists(",".join(pieces[:count]))]
    count = counts[0] if counts else 1
    said: dict[str, str] = {}
    for piece in pieces[count:]:
        word, _, value = piece.partition("=")
        if word in said:
            raise RequestError(f"{option} {text!r} says {word} twice; say it once.")
        said[word] = value
    return ",".join(pieces[:count]), said


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
