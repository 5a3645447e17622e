"""cli.words: each small grammar, what it accepts and what it says when it does not."""

import dataclasses
import inspect
from pathlib import Path
from typing import Annotated

import pytest
import typer

from iclora.cli import words
from iclora.cli.words import ReferenceWords
from iclora.errors import RequestError


def test_size_is_width_then_height_and_read_as_height_width() -> None:
    assert words.parse_size("320x192") == (192, 320)
    assert words.parse_size(" 64X32 ") == (32, 64)


@pytest.mark.parametrize("text", ["256", "256x", "0x10", "10x00", "-5x5", "axb", "1.5x2", ""])
def test_size_refuses(text: str) -> None:
    with pytest.raises(RequestError, match="is not a size; write WIDTHxHEIGHT"):
        words.parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("canny", ("canny", 1.0)),
        ("canny:0.8", ("canny", 0.8)),
        ("a/b.safetensors:1.2", ("a/b.safetensors", 1.2)),
        ("C:\\a.safetensors", ("C:\\a.safetensors", 1.0)),
        ("C:\\a.safetensors:-1", ("C:\\a.safetensors", -1.0)),
    ],
)
def test_adapter(text: str, expected: tuple[str, float]) -> None:
    assert words.parse_adapter(text) == expected


def test_adapter_without_a_name() -> None:
    with pytest.raises(RequestError, match="names no adapter"):
        words.parse_adapter(":0.5")


def test_control() -> None:
    assert words.parse_control("canny=a=b.mp4", {"canny": None}) == ("canny", Path("a=b.mp4"), {})
    for text in ("canny", "canny=", "in.mp4", "depth=in.mp4"):
        with pytest.raises(RequestError, match="write for instance canny=in.mp4. Kinds: canny."):
            words.parse_control(text, {"canny": None})


def test_control_with_dials() -> None:
    said = words.parse_control("pose=in.mp4,move=4,-3,min-score=0.5", {"pose": None})
    assert said == ("pose", Path("in.mp4"), {"move": "4,-3", "min-score": "0.5"})
    with pytest.raises(RequestError, match="says blur twice; say it once"):
        words.parse_control("canny=in.mp4,blur=1,blur=2", {"canny": None})


def test_commas_of_a_file_that_exists_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert words.parse_control("canny=a,blur=2.mp4", {"canny": None})[1:] == (Path("a"), {"blur": "2.mp4"})
    Path("a,blur=2.mp4").touch()
    assert words.parse_control("canny=a,blur=2.mp4", {"canny": None})[1:] == (Path("a,blur=2.mp4"), {})
    said = words.parse_control("canny=a,blur=2.mp4,blur=3", {"canny": None})
    assert said[1:] == (Path("a,blur=2.mp4"), {"blur": "3"})
    assert words.parse_reference("a,blur=2.mp4,strength=0.5").path == Path("a,blur=2.mp4")


def test_reference() -> None:
    assert words.parse_reference("in.mp4") == ReferenceWords(path=Path("in.mp4"))
    said = words.parse_reference("a,b.mp4,strength=0.5,attention=.25,mask=m.png,downscale=2,temporal=3")
    dials = {"strength": 0.5, "attention": 0.25, "mask": Path("m.png"), "downscale": 2, "temporal": 3}
    assert said == ReferenceWords(path=Path("a,b.mp4"), **dials)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no clip"),
        (
            "in.mp4,weight=1",
            "unknown word 'weight'; accepted are strength, attention, mask, downscale, temporal",
        ),
        ("in.mp4,strength=much", "strength='much' is not a number"),
        ("in.mp4,downscale=1.5", "downscale='1.5' is not a number"),
        ("in.mp4,mask=", "nothing stands after mask="),
    ],
)
def test_reference_refuses(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        words.parse_reference(text)


def test_image() -> None:
    assert words.parse_image("a@b.png@0") == (Path("a@b.png"), 0, 1.0)
    assert words.parse_image("a.png@32:0.9") == (Path("a.png"), 32, 0.9)
    for text in ("a.png", "a.png@", "@3", "a.png@x", "a.png@1:2.3.4"):
        with pytest.raises(RequestError, match="is not FILE@FRAME"):
            words.parse_image(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    first: Annotated[str, typer.Option("--first")]
    second: Annotated[int, typer.Option("--second")] = 2


def test_words_of_gives_a_command_the_fields_as_options() -> None:
    seen: list[Pair] = []

    @words.words_of(Pair)
    def body(pair: Pair) -> None:
        """Say two things."""
        seen.append(pair)

    parameters = inspect.signature(body).parameters
    assert list(parameters) == ["first", "second"]
    assert parameters["first"].default is inspect.Parameter.empty and parameters["second"].default == 2
    assert body.__doc__ == "Say two things."
    body(first="a", second=5)
    assert seen == [Pair(first="a", second=5)]


def test_guidance() -> None:
    assert words.parse_guidance("3") == (3.0, {})
    full = {"audio_scale": 7.0, "stg_scale": 1.0, "modality_scale": 3.0, "rescale": 0.7}
    assert words.parse_guidance("3,audio=7,stg=1,modality=3,rescale=0.7") == (3.0, full)
    for wrong in ("", "x", "3,audio", "3,loud=1", "3,stg=much"):
        with pytest.raises(RequestError, match="is not guidance; write a scale"):
            words.parse_guidance(wrong)
