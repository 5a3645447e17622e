"""`iclora control`: a filmed clip in, a control clip out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from iclora import controls, media
from iclora.cli import words
from iclora.cli.present import bars, check_outputs, say, steps_of, write_sidecar
from iclora.clip import Clip

app = typer.Typer(
    help="Extract a control clip.\n\nExample: iclora control canny in.mp4 -o edges.mp4", no_args_is_help=True
)


@app.callback()
def kinds() -> None:
    """Extract a control clip: one command for each kind of control."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CannyWords:
    """The words of `iclora control canny`."""

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
    low: Annotated[
        float | None, typer.Option(help="Lower threshold; chosen from the whole clip if left out.")
    ] = None
    high: Annotated[
        float | None, typer.Option(help="Upper threshold; chosen from the whole clip if left out.")
    ] = None
    blur: Annotated[float, typer.Option(help="Blur before the gradient, in pixels.")] = 1.5
    thickness: Annotated[int, typer.Option(help="Line width in pixels, whatever the size.")] = 1
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False


@app.command("canny")
@words.words_of(CannyWords)
def canny(said: CannyWords) -> None:
    """Draw the edges of a clip: white lines of one thickness on black, thresholds chosen for the whole clip.

    Example: iclora control canny in.mp4 -o edges.mp4 --size 256x256 --frames 33 --fps 16
    """
    output = check_outputs(said.output, overwrite=said.overwrite, sources=[said.source])
    size = None if said.size is None else words.parse_size(said.size)
    with bars() as report:
        clip = media.read(
            said.source, fps=said.fps, max_frames=said.frames, progress=steps_of(report, "reading")
        )
        clip = shaped(clip, size, said.frames)
        lines = controls.canny(
            clip,
            low=said.low,
            high=said.high,
            blur=said.blur,
            thickness=said.thickness,
            progress=steps_of(report, "edges"),
        )
        media.save(lines, said.output, overwrite=said.overwrite, progress=steps_of(report, "writing"))
    shape = {"width": lines.width, "height": lines.height, "num_frames": lines.num_frames, "fps": lines.fps}
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(said).items()}
    write_sidecar(output, {"command": "control canny", "asked": asked, "result": shape})
    say(f"{output}: {lines.width}x{lines.height}, {lines.num_frames} frames at {lines.fps:.4g} per second")


def shaped(clip: Clip, size: tuple[int, int] | None, num_frames: int | None) -> Clip:
    """Bring a clip to the size (height, width) and the length asked for, if any."""
    if num_frames is not None:
        clip = media.resample(clip, fps=clip.fps, num_frames=num_frames)
    return clip if size is None else media.resize(clip, *size)
