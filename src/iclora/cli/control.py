"""`iclora control`: a filmed clip in, a control clip out, read and written frame by frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from iclora import adherence, controls, media
from iclora.cli import words
from iclora.cli.glimpses import save_with_sheet
from iclora.cli.present import (
    SHEETS,
    bars,
    check_beside,
    check_outputs,
    length_of,
    say,
    sidecar_path,
    steps_of,
    write_sidecar,
)
from iclora.clip import Clip, Film, Footage

app = typer.Typer(
    help="Extract a control clip.\n\nExample: iclora control canny in.mp4 -o edges.mp4", no_args_is_help=True
)
MEASURED_FRAMES = 33
"""Frames from the first on that flicker and lag are measured on."""
MEASURED_SIDE = 512
"""And the long side they are brought to, in pixels."""


@app.callback()
def kinds() -> None:
    """Extract a control clip: one command for each kind of control."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlWords:
    """The words that controls drawn frame by frame share."""

    source: Annotated[Path, typer.Argument(metavar="IN", help="A video, a picture, or a folder of pictures.")]
    output: Annotated[
        str, typer.Option("-o", "--output", help="Where to: .mp4 .webm .gif, or folder/ of PNGs.")
    ]
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT; covered, middle kept. As filmed if left out.")
    ] = None
    frames: Annotated[
        int | None, typer.Option(help="Frames; the last is held if too short. All if left out.")
    ] = None
    fps: Annotated[float | None, typer.Option(help="Frames per second. As filmed if left out.")] = None
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="And a contact sheet: .png .jpg .webp.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False


Stabilise = Annotated[
    float,
    typer.Option(
        "--stabilise",
        "--stabilize",
        help="How much less it flickers, 0..1; 0.5 suits most. Measured and said.",
    ),
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CannyWords(ControlWords):
    """The words of `iclora control canny`."""

    preset: Annotated[
        str, typer.Option(help="Thresholds of a released workflow: union ltx-2 trainer. Or from the clip.")
    ] = "auto"
    low: Annotated[float | None, typer.Option(help="Lower threshold; the preset's if left out.")] = None
    high: Annotated[float | None, typer.Option(help="Upper threshold; the preset's if left out.")] = None
    blur: Annotated[
        float | None, typer.Option(help="Blur before the gradient, in pixels; the preset's if left out.")
    ] = None
    thickness: Annotated[int, typer.Option(help="Line width in pixels, whatever the size.")] = 1
    min_length: Annotated[int, typer.Option(help="Leave out lines of fewer pixels.")] = 0
    stabilise: Stabilise = 0.0
    backend: Annotated[str, typer.Option(help="opencv, or scikit-image where it is installed.")] = "opencv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftEdgesWords(ControlWords):
    """The words of `iclora control soft-edges`."""

    blur: Annotated[float, typer.Option(help="Blur before the gradient, in pixels.")] = 2.0
    stabilise: Stabilise = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LineArtWords(ControlWords):
    """The words of `iclora control line-art`."""

    width: Annotated[float, typer.Option(help="Width of the strokes in pixels.")] = 1.5
    stabilise: Stabilise = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormalsWords(ControlWords):
    """The words of `iclora control normals`."""

    relief: Annotated[float, typer.Option(help="From black to white it is so many times its height.")] = 1.0
    blur: Annotated[float, typer.Option(help="Blur before the gradient, in pixels.")] = 1.0
    stabilise: Stabilise = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlurWords(ControlWords):
    """The words of `iclora control blur`."""

    radius: Annotated[float, typer.Option(help="Standard deviation of the Gaussian in pixels.")] = 4.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlocksWords(ControlWords):
    """The words of `iclora control blocks`."""

    block: Annotated[int, typer.Option(help="Side of a block in pixels.")] = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class GreenWords(ControlWords):
    """The words of `iclora control green`."""

    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="White: green. Left out: where IN is black.")
    ] = None


@app.command("canny")
@words.words_of(CannyWords)
def canny(said: CannyWords) -> None:
    """Draw the edges of a clip: white lines of one thickness on black, thresholds chosen for the whole clip.

    Example: iclora control canny in.mp4 -o edges.mp4 --size 256x256 --frames 33 --fps 16
    """
    dials = ("preset", "low", "high", "blur", "thickness", "min_length", "stabilise", "backend")
    _draw("canny", said, {name: getattr(said, name) for name in dials})


@app.command("soft-edges")
@words.words_of(SoftEdgesWords)
def soft_edges(said: SoftEdgesWords) -> None:
    """Draw edges as soft as they are, white on black, at one scale for the whole clip.

    Example: iclora control soft-edges in.mp4 -o soft.mp4 --stabilise 0.5
    """
    _draw("soft-edges", said, {"blur": said.blur, "stabilise": said.stabilise})


@app.command("line-art")
@words.words_of(LineArtWords)
def line_art(said: LineArtWords) -> None:
    """Draw pen strokes, creases and outlines, what is darker than around it, white on black.

    Example: iclora control line-art drawing.png -o lines.mp4 --frames 33
    """
    _draw("line-art", said, {"width": said.width, "stabilise": said.stabilise})


@app.command("normals")
@words.words_of(NormalsWords)
def normals(said: NormalsWords) -> None:
    """Draw which way surfaces face, from a depth clip: near is white.

    Example: iclora control normals depth.mp4 -o normals.mp4
    """
    _draw("normals", said, {"relief": said.relief, "blur": said.blur, "stabilise": said.stabilise})


@app.command("grey")
@words.words_of(ControlWords)
def grey(said: ControlWords) -> None:
    """Take the colour away, as the Colorization adapter wants it.

    Example: iclora control grey in.mp4 -o grey.mp4
    """
    _draw("grey", said, {})


@app.command("blur")
@words.words_of(BlurWords)
def blur(said: BlurWords) -> None:
    """Blur a clip: a test for the Deblur adapter, or layout without detail.

    Example: iclora control blur in.mp4 -o blurred.mp4 --radius 6
    """
    _draw("blur", said, {"radius": said.radius})


@app.command("blocks")
@words.words_of(BlocksWords)
def blocks(said: BlocksWords) -> None:
    """Fill squares with their mean colour.

    Example: iclora control blocks in.mp4 -o blocks.mp4 --block 24
    """
    _draw("blocks", said, {"block": said.block})


@app.command("green")
@words.words_of(GreenWords)
def green(said: GreenWords) -> None:
    """Paint green what the In-Outpainting adapter is to fill in: where a mask is white, or the clip black.

    Example: iclora control green in.mp4 --mask hole.png -o green.mp4
    """
    mask = None
    if said.mask is not None:
        mask = media.film(said.mask, fps=said.fps, max_frames=said.frames)
        # One of a still stays one, and is held; one of a clip is brought to the clip's clock.
        mask = mask if mask.num_frames == 1 else shaped(mask, None, said.frames)
    _draw("green", said, {"mask": mask}, sources=[said.mask] if said.mask else [])


def _draw(kind: str, said: ControlWords, dials: dict[str, Any], sources: list[Path] | None = None) -> None:
    """Draw a control frame by frame as the source is read, and say what came of it."""
    sources = [said.source, *(sources or [])]
    output = check_outputs(said.output, overwrite=said.overwrite, sources=sources)
    taken = (*sources, output, sidecar_path(output))
    sheet = [("a sheet", said.sheet, SHEETS)]
    check_beside(sheet, taken=taken, overwrite=said.overwrite, result=output)
    size = None if said.size is None else words.parse_size(said.size)
    with bars() as report:
        film = media.film(
            said.source, fps=said.fps, max_frames=said.frames, progress=steps_of(report, "looking")
        )
        if (mask := dials.get("mask")) is not None:
            dials["mask"] = _fit_mask(mask, film, size)
        film = shaped(film, size, said.frames)
        drawn = controls.CONTROLS[kind](film, **dials)
        steadies = dials.get("stabilise") and film.num_frames > 1
        steadiness = _steadiness(kind, film, dials) if steadies else {}
        label = f"{kind} of {said.source.name}"
        save_with_sheet(drawn, said.output, said.sheet, label, report, overwrite=said.overwrite)
    shape = {"width": drawn.width, "height": drawn.height, "num_frames": drawn.num_frames, "fps": drawn.fps}
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(said).items()}
    write_sidecar(output, {"command": f"control {kind}", "asked": asked, "result": shape | steadiness})
    size_said = f"{drawn.width}x{drawn.height}, {length_of(drawn.num_frames, drawn.fps)}"
    say(f"{output}: {size_said}{said_of(steadiness)}")


def _fit_mask(mask: Film, film: Film, size: tuple[int, int] | None) -> Film:
    """Bring a mask to the size of the result, and say so where it is not that of the film."""
    height, width = size or (film.height, film.width)
    fitted = controls.fit_mask(mask, film, (height, width))
    if (mask.height, mask.width) != (film.height, film.width):
        say(f"the mask, {mask.width}x{mask.height}, is brought to {width}x{height}")
    return fitted


def _steadiness(kind: str, film: Film, dials: dict[str, Any]) -> dict[str, float]:
    """Flicker without and with stabilising, and the lag of the second, on the first frames made small."""
    start_clip = measured_part(film)
    before = controls.CONTROLS[kind](start_clip, **dials | {"stabilise": 0.0})
    after = controls.CONTROLS[kind](start_clip, **dials)
    measure = adherence.line_flicker if kind == "canny" else adherence.flicker
    return figures_of(start_clip, before, after, measure)


def measured_part(film: Film) -> Clip:
    """The first frames of a film, made small, that flicker and lag are measured on."""
    start = film.start(min(MEASURED_FRAMES, film.num_frames))
    scale = min(1.0, MEASURED_SIDE / max(film.height, film.width))
    height, width = (max(1, round(side * scale)) for side in (film.height, film.width))
    return media.resize(start, height, width).read()


def figures_of(
    filmed: Clip, before: Clip, after: Clip, measure: Callable[..., float] = adherence.flicker
) -> dict[str, float]:
    """Flicker of a control without and with stabilising, and the lag of the second."""
    return {
        "flicker_before": round(measure(before, flow_of=filmed), 4),
        "flicker_after": round(measure(after, flow_of=filmed), 4),
        "lag_frames": round(adherence.lag_frames(before, after), 4),
    }


def said_of(steadiness: dict[str, float]) -> str:
    """Those figures in words, to be added to a line; nothing where there are none."""
    if not steadiness:
        return ""
    before, after, lag = steadiness.values()
    return f"; flicker {before:.2f}% to {after:.2f}%, lag {round(lag, 2) + 0.0:.2f} frames"  # never -0


def cache_of(wanted: bool, *, quiet: bool = False) -> controls.Cache | None:
    """The user's cache, which says what it does unless it shall be quiet; None where it is not wanted."""
    return controls.user_cache((lambda text: None) if quiet else say) if wanted else None


def shaped(clip: Footage, size: tuple[int, int] | None, num_frames: int | None) -> Footage:
    """Bring a clip or a film to the size (height, width) and the length asked for, if any."""
    if num_frames is not None:
        clip = media.resample(clip, fps=clip.fps, num_frames=num_frames)
    return clip if size is None else media.resize(clip, *size)
