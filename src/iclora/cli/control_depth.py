"""`iclora control depth`: a filmed clip, or depth that was rendered, in; a depth clip out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from iclora import media
from iclora.cli import words
from iclora.cli.control import shaped
from iclora.cli.present import (
    SHEETS,
    Report,
    bars,
    check_beside,
    check_outputs,
    say,
    sidecar_path,
    steps_of,
    write_sidecar,
)
from iclora.clip import Clip
from iclora.controls import depths
from iclora.controls.depths import Depths
from iclora.errors import AdapterError, RequestError


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthWords:
    """The words of `iclora control depth`."""

    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A video, a picture, a folder of pictures; or a render.")
    ]
    output: Annotated[
        str, typer.Option("-o", "--output", help="Where to: .mp4 .webm .gif, or folder/ of PNGs.")
    ]
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT; covered, middle kept. As given if left out.")
    ] = None
    frames: Annotated[
        int | None, typer.Option(help="Frames; the last is held if too short. All if left out.")
    ] = None
    fps: Annotated[float | None, typer.Option(help="Frames per second. As given if left out.")] = None
    estimator: Annotated[
        str,
        typer.Option(
            help="tiny (in the package), depth-anything-v2-small, -base or -large (fetched), or FILE.onnx."
        ),
    ] = "tiny"
    render: Annotated[
        bool,
        typer.Option("--render", help="IN is depth already: .exr, 16-bit .png, folders of them, grey video."),
    ] = False
    values: Annotated[
        str | None,
        typer.Option(
            help="What numbers of a render or an .onnx mean: near or distance. Left out: distance in .exr."
        ),
    ] = None
    convention: Annotated[str | None, typer.Option(help="near-white (the default), near-black, inferno.")] = (
        None
    )
    adapter: Annotated[
        str | None,
        typer.Option(
            "--adapter", metavar="FILE", help="Draw as this adapter wants it: its file says, or a table."
        ),
    ] = None
    near: Annotated[float, typer.Option(help="Percentile of the clip's pixels drawn as nearest.")] = (
        depths.NEAR
    )
    far: Annotated[float, typer.Option(help="Percentile drawn as farthest.")] = depths.FAR
    device: Annotated[str, typer.Option(help="Where a fetched estimator runs: cpu, cuda, ...")] = "cpu"
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="And a contact sheet: .png .jpg .webp.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False


@words.words_of(DepthWords)
def depth(said: DepthWords) -> None:
    """Draw how near everything in a clip is, on one scale for the whole clip; or take a depth render.

    Example: iclora control depth in.mp4 -o depth.mp4 --sheet depth.png
    """
    output = _check(said)
    convention = _convention(said)
    with bars() as report:
        found, drawn = (
            _rendered(said, convention, report) if said.render else _guessed(said, convention, report)
        )
        if said.sheet is not None:
            label = [f"depth of {said.source.name}"]
            sheet = media.contact_sheet([drawn], labels=label, num_columns=5, height=160)
            media.save_image(sheet, said.sheet, overwrite=said.overwrite)
        media.save(drawn, said.output, overwrite=said.overwrite, progress=steps_of(report, "writing"))
    result = _figures(said, found, drawn, convention)
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(said).items()}
    write_sidecar(output, {"command": "control depth", "asked": asked, "result": result})
    say(
        f"{output}: {convention}, {drawn.width}x{drawn.height}, {drawn.num_frames} frames at {drawn.fps:.4g} "
        f"per second; nearness {result['farthest']:.4g} to {result['nearest']:.4g} of the whole clip"
    )


def _check(said: DepthWords) -> Path:
    """Refuse words that clash, and results that could not be written, before any work is done."""
    output = check_outputs(said.output, overwrite=said.overwrite, sources=[said.source])
    if said.convention is not None and said.adapter is not None:
        raise RequestError("Give either --convention or --adapter, which says it, and not both.")
    if said.values is not None and said.values not in depths.VALUES:
        raise RequestError(f"--values cannot be {said.values!r}; say {' or '.join(depths.VALUES)}.")
    onnx = said.estimator.lower().endswith(".onnx")
    if said.values is not None and not said.render and not onnx:
        raise RequestError("--values is about a render or an .onnx file; add --render, or leave it out.")
    if not said.render:
        depths.check_estimator(said.estimator)
    taken = (said.source, output, sidecar_path(output))
    check_beside([("a sheet", said.sheet, SHEETS)], taken=taken, overwrite=said.overwrite)
    return output


def _convention(said: DepthWords) -> str:
    """The convention asked for, or the adapter's."""
    convention = said.convention or depths.NEAR_WHITE
    if said.adapter is not None:
        from iclora import adapters  # it takes seconds, which --help shall not

        path = Path(said.adapter)
        if not path.is_file():
            raise AdapterError(f"There is no adapter file {path}; give the path of a .safetensors file.")
        convention = adapters.read_outline(path).conventions[0]
    depths.check_drawing(convention=convention, near=said.near, far=said.far)
    return convention


def _guessed(said: DepthWords, convention: str, report: Report) -> tuple[Depths, Clip]:
    """Depth of a filmed clip, as guessed and as drawn."""
    size = None if said.size is None else words.parse_size(said.size)
    clip = media.read(said.source, fps=said.fps, max_frames=said.frames, progress=steps_of(report, "reading"))
    clip = shaped(clip, size, said.frames)
    if said.estimator in depths.RELEASES:
        say(f"{said.estimator}: licence {depths.RELEASES[said.estimator].licence}")
    estimator = depths.named(said.estimator, distances=said.values == "distance", device=said.device)
    found = depths.find_depths(clip, estimator=estimator, progress=steps_of(report, "depth"))
    drawn = depths.draw_depths(
        found,
        size=(clip.height, clip.width),
        convention=convention,
        near=said.near,
        far=said.far,
        progress=steps_of(report, "drawing"),
    )
    return found, dataclasses.replace(drawn, audio=clip.audio)


def _rendered(said: DepthWords, convention: str, report: Report) -> tuple[Depths, Clip]:
    """A render, as it is and as drawn."""
    size = None if said.size is None else words.parse_size(said.size)
    found = depths.read_depths(
        said.source,
        values=said.values,
        fps=said.fps,
        max_frames=said.frames,
        progress=steps_of(report, "reading"),
    )
    drawn = depths.draw_depths(
        found, convention=convention, near=said.near, far=said.far, progress=steps_of(report, "drawing")
    )
    return found, shaped(drawn, size, said.frames)


def _figures(said: DepthWords, found: Depths, drawn: Clip, convention: str) -> dict[str, Any]:
    """What was drawn, and what black and white stand for."""
    farthest, nearest = depths.depth_range(found, near=said.near, far=said.far)
    return {
        "width": drawn.width,
        "height": drawn.height,
        "num_frames": drawn.num_frames,
        "fps": drawn.fps,
        "convention": convention,
        "farthest": farthest,
        "nearest": nearest,
    }
