"""`iclora control depth`: a filmed clip, or depth that was rendered, in; a depth clip out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from iclora import media
from iclora.cli import words
from iclora.cli.control import (
    Stabilise,
    cache_of,
    figures_of,
    measured_part,
    said_of,
    shaped,
)
from iclora.cli.glimpses import save_with_sheet
from iclora.cli.options import Cached
from iclora.cli.present import (
    SHEETS,
    Report,
    bars,
    check_beside,
    check_outputs,
    length_of,
    say,
    sidecar_path,
    steps_of,
    write_sidecar,
)
from iclora.clip import Film
from iclora.controls import depths
from iclora.controls.depths import DepthFilm
from iclora.controls.flow import check_stabilise
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
            help="tiny (in the package), FILE.onnx, or one that is fetched: iclora doctor names them."
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
    stabilise: Stabilise = 0.0
    device: Annotated[str, typer.Option(help="Where the estimator runs: cpu, cuda, cuda:1, mps.")] = "cpu"
    cache: Cached = True
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
        make = _rendered if said.render else _guessed
        drawn, between, steadiness = make(said, convention, report)
        label = f"depth of {said.source.name}"
        save_with_sheet(drawn, said.output, said.sheet, label, report, overwrite=said.overwrite)
    result: dict[str, Any] = {"width": drawn.width, "height": drawn.height, "num_frames": drawn.num_frames}
    result |= {"fps": drawn.fps, "convention": convention, "farthest": between[0], "nearest": between[1]}
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(said).items()}
    write_sidecar(output, {"command": "control depth", "asked": asked, "result": result | steadiness})
    say(
        f"{output}: {convention}, {drawn.width}x{drawn.height}, {length_of(drawn.num_frames, drawn.fps)}; "
        f"nearness {between[0]:.4g} to {between[1]:.4g} of the whole clip{said_of(steadiness)}"
    )


def _check(said: DepthWords) -> Path:
    """Refuse words that clash, and results that could not be written, before any work is done."""
    output = check_outputs(said.output, overwrite=said.overwrite, sources=[said.source])
    if said.convention is not None and said.adapter is not None:
        raise RequestError("Give either --convention or --adapter, which says it, and not both.")
    depths.check_values_used(said.values, render=said.render, estimator=said.estimator)
    check_stabilise(said.stabilise)
    if said.stabilise and said.render:
        raise RequestError(
            "--stabilise is about a filmed clip, and --render takes depth as it is; leave one out."
        )
    if not said.render:
        depths.check_estimator(said.estimator, device=said.device)
    taken = (said.source, output, sidecar_path(output))
    sheet = [("a sheet", said.sheet, SHEETS)]
    check_beside(sheet, taken=taken, overwrite=said.overwrite, result=output)
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


Made = tuple[Film, tuple[float, float], dict[str, float]]
"""What is drawn; the nearness that is black and that is white; flicker and lag, if steadied."""


def _guessed(said: DepthWords, convention: str, report: Report) -> Made:
    """Depth of a filmed clip."""
    from iclora import findings  # it takes seconds, which --help shall not

    size = None if said.size is None else words.parse_size(said.size)
    film = media.film(said.source, fps=said.fps, max_frames=said.frames, progress=steps_of(report, "looking"))
    film = shaped(film, size, said.frames)
    if findings.looks_like_depth(film):
        say(f"warning: {said.source} {findings.LOOKS_LIKE_DEPTH}. {findings.TAKE_AS_RENDER}")
    if said.estimator in depths.RELEASES:
        say(f"{said.estimator}: licence {depths.RELEASES[said.estimator].licence}")
    found = depths.film_found(
        film,
        estimator=said.estimator,
        distances=said.values == "distance",
        device=said.device,
        cache=cache_of(said.cache),
        progress=steps_of(report, "depth"),
    )
    between = depths.depth_range(found, near=said.near, far=said.far)
    steady = depths.steadied_depths(found, film, said.stabilise)
    drawn = depths.film_drawn(steady, between=between, size=(film.height, film.width), convention=convention)
    steadies = said.stabilise and film.num_frames > 1
    return drawn, between, _steadiness(said, film, found, between) if steadies else {}


def _steadiness(
    said: DepthWords, film: Film, found: DepthFilm, between: tuple[float, float]
) -> dict[str, float]:
    """Flicker without and with stabilising, and the lag of the second, on the first frames made small."""
    start = measured_part(film)
    raw = found.start(start.num_frames)
    before, after = (
        depths.film_drawn(one, between=between, size=(start.height, start.width)).read()
        for one in (raw, depths.steadied_depths(raw, start, said.stabilise))
    )
    return figures_of(start, before, after)


def _rendered(said: DepthWords, convention: str, report: Report) -> Made:
    """A render, as it is."""
    found = depths.film_render(
        said.source,
        values=said.values,
        fps=said.fps,
        max_frames=said.frames,
        progress=steps_of(report, "reading"),
    )
    between = depths.depth_range(found, near=said.near, far=said.far)
    drawn = depths.film_drawn(found, between=between, convention=convention)
    return shaped(drawn, None if said.size is None else words.parse_size(said.size), said.frames), between, {}
