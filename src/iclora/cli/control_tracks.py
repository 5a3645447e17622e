"""`iclora control tracks`: a file of tracks, or a video to take them from, in; a clip of trails out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from iclora import controls, media
from iclora.cli import words
from iclora.cli.control import cache_of, shaped
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
from iclora.controls.point_tracks import (
    DEFAULT_TRACKS,
    OF_A_FILM,
    TRACK_SUFFIXES,
    check_still,
    film_tracks,
    fit_tracks,
    moving_most,
    retime_tracks,
    sayable_to_editor,
)
from iclora.errors import RequestError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracksWords:
    """The words of `iclora control tracks`."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="Tracks: .json of the ComfyUI editor or ours, .npz of a tracker. Or a video."
        ),
    ]
    output: Annotated[
        str, typer.Option("-o", "--output", help="Where to: .mp4 .webm .gif, or folder/ of PNGs.")
    ]
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT; covered, middle kept. As given if left out.")
    ] = None
    canvas: Annotated[
        str | None,
        typer.Option(help="WIDTHxHEIGHT the places are in, where the file does not say; --size if left out."),
    ] = None
    frames: Annotated[
        int | None, typer.Option(help="Frames; the last is held if too short. All if left out.")
    ] = None
    fps: Annotated[float | None, typer.Option(help="Frames per second. As given if left out.")] = None
    keypoints: Annotated[
        bool, typer.Option("--keypoints", help="A bare list holds keypoints, not a place for each frame.")
    ] = False
    count: Annotated[
        int | None,
        typer.Option(help=f"Most tracks, those that move most. {DEFAULT_TRACKS} of a video, all of a file."),
    ] = None
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the tracks too, as our .json.")
    ] = None
    editor_json: Annotated[
        Path | None,
        typer.Option("--editor-json", metavar="FILE", help="And as the .json of the ComfyUI editor."),
    ] = None
    cache: Cached = True
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="And a contact sheet: .png .jpg .webp.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False


@words.words_of(TracksWords)
def tracks(said: TracksWords) -> None:
    """Draw tracks as trails on black, as the Motion-Track adapters follow them.

    The tracks come from a file, or are taken from a video with optical flow.

    Example: iclora control tracks in.mp4 -o trails.mp4 --json tracks.json
    """
    output = _check_outputs(said)
    with bars() as report:
        from_file = said.source.suffix.lower() in TRACK_SUFFIXES
        taken = _from_file(said) if from_file else _from_video(said, report)
        _save_tracks(taken, said)
        trails = shaped(film_tracks(taken), None, said.frames)
        label = f"{taken.num_tracks} tracks of {said.source.name}"
        save_with_sheet(trails, said.output, said.sheet, label, report, overwrite=said.overwrite)
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(said).items()}
    result = {
        "width": trails.width,
        "height": trails.height,
        "num_frames": trails.num_frames,
        "fps": trails.fps,
        "num_tracks": taken.num_tracks,
    }
    # A video's tracks go where it went: of them no turn and no jump is told.
    found = controls.check_tracks(taken) if from_file else [check_still(taken, OF_A_FILM)]
    findings = [str(finding) for finding in found if finding is not None]
    notes = {"command": "control tracks", "asked": asked, "result": result, "findings": findings}
    write_sidecar(output, notes)
    for finding in findings:
        say(f"warning: {finding}")
    say(
        f"{output}: {taken.num_tracks} tracks, {trails.width}x{trails.height}, "
        f"{length_of(trails.num_frames, trails.fps)}"
    )


def _check_outputs(said: TracksWords) -> Path:
    """Refuse results that could not be written, or would replace each other, before any work is done."""
    output = check_outputs(said.output, overwrite=said.overwrite, sources=[said.source])
    files = [("tracks", path, (".json",)) for path in (said.json, said.editor_json)]
    taken = (said.source, output, sidecar_path(output))
    beside = [*files, ("a sheet", said.sheet, SHEETS)]
    check_beside(beside, taken=taken, overwrite=said.overwrite, result=output)
    return output


def _save_tracks(taken: controls.Tracks, said: TracksWords) -> None:
    """Write the tracks where that was asked for; into the editor's form what it can say."""
    if said.json is not None:
        controls.save_tracks(taken, said.json, overwrite=said.overwrite)
    if said.editor_json is None:
        return
    sayable = sayable_to_editor(taken)
    if not sayable.any():
        raise RequestError(
            f"Each of the {taken.num_tracks} tracks starts late or is hidden in between, which the editor's "
            "form cannot say; leave --editor-json out and write --json."
        )
    if left_out := int((~sayable).sum()):
        say(
            f"{said.editor_json}: {left_out} of {taken.num_tracks} tracks are left out, as they start late "
            "or are hidden in between, which the editor's form cannot say; --json writes all."
        )
    kept = dataclasses.replace(taken, points=taken.points[sayable], visible=taken.visible[sayable])
    controls.save_tracks(kept, said.editor_json, editor=True, overwrite=said.overwrite)


def _from_file(said: TracksWords) -> controls.Tracks:
    """Tracks of a file, on the canvas and the clock of the result."""
    size = None if said.size is None else words.parse_size(said.size)
    canvas = size if said.canvas is None else words.parse_size(said.canvas, "--canvas")
    read = controls.read_tracks(said.source, canvas=canvas, num_frames=said.frames, keypoints=said.keypoints)
    if said.canvas is not None and (read.height, read.width) != canvas:
        raise RequestError(
            f"{said.source} says its canvas is {read.width}x{read.height}, --canvas says {said.canvas}; "
            "leave --canvas out, or correct the file."
        )
    if said.fps is not None:
        read = retime_tracks(read, said.fps)
    if said.count is not None:
        read = moving_most(read, said.count)
    return read if size is None else fit_tracks(read, *size)


def _from_video(said: TracksWords, report: Report) -> controls.Tracks:
    """Tracks of what moves in a video, at the size and rate of the result."""
    for name, value in (("--canvas", said.canvas), ("--keypoints", said.keypoints)):
        if value:
            raise RequestError(f"{name} is about files of tracks, and {said.source} is read as a video.")
    size = None if said.size is None else words.parse_size(said.size)
    film = media.film(said.source, fps=said.fps, max_frames=said.frames, progress=steps_of(report, "looking"))
    return controls.follow_video(
        shaped(film, size, None),
        num_tracks=DEFAULT_TRACKS if said.count is None else said.count,
        cache=cache_of(said.cache),
        progress=steps_of(report, "following"),
    )
