"""What the command line shows and leaves beside a result: bars, findings, the JSON sidecar."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from iclora import media
from iclora.cli.together import is_first
from iclora.errors import OutputError, RequestError
from iclora.media.files import check_place, write_file
from iclora.media.picture_reader import PICTURE_SUFFIXES

if typing.TYPE_CHECKING:
    from iclora.plan import Finding, Plan

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
_WIDE = 1000
SHEETS = (".png", ".jpg", ".jpeg", ".webp")
"""Endings of contact sheets."""
Report = Callable[[str, int, int | None], None]
"""Is told a stage, what of it is done, and how much there is, if known."""


def to_stdout() -> Console:
    """A console for answers."""
    return Console(soft_wrap=True, highlight=False)


def to_stderr() -> Console:
    """A console for everything that is said on the way; of several processes the first one says it."""
    return Console(stderr=True, soft_wrap=True, highlight=False, quiet=not is_first())


def say(text: str) -> None:
    """Say something on the way, on one line, with nothing taken for markup."""
    to_stderr().print(text, markup=False)


@contextmanager
def bars() -> Iterator[Report]:
    """Show one bar for each kind of work.

    Yields:
        A function of what is being done, how much of it is done, and of how much (None: not known).
    """
    with bars_with_words() as (report, _):
        yield report


@contextmanager
def bars_with_words() -> Iterator[tuple[Report, Callable[[str, str], None]]]:
    """Show one bar for each kind of work, with words behind it.

    Yields:
        The function that `bars` yields, and one of what is being done and the words to put behind its bar.
    """
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    # Long work is foreseen by its last ten minutes, and not by what was done before it was gone on with.
    with Progress(*columns, console=to_stderr(), speed_estimate_period=600) as progress:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total, completed=done, words="")
            progress.update(tasks[what], completed=done, total=total)

        def tell(what: str, words: str) -> None:
            if what in tasks:
                progress.update(tasks[what], words=words)

        yield report, tell


def steps_of(report: Report, what: str) -> Callable[[int, int | None], None]:
    """Narrow a bar function to one kind of work."""
    return lambda done, total: report(what, done, total)


def say_findings(findings: tuple[Finding, ...]) -> None:
    """Say each finding on its line, errors first."""
    order = list(_COLOURS)
    for finding in sorted(findings, key=lambda finding: order.index(finding.level)):
        to_stderr().print(f"{finding.level:>7}: {finding}", style=_COLOURS[finding.level], markup=False)


def print_findings(findings: tuple[Finding, ...]) -> None:
    """Print findings as a table, errors first: what is the case, and what to do."""
    order = list(_COLOURS)
    by_level = sorted(findings, key=lambda finding: order.index(finding.level))
    if by_level:
        rows = [(finding.level, finding.text, finding.advice) for finding in by_level]
        print_rows(("finding", "what is the case", "what to do"), rows)


def print_rows(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, coloured by the level in its first column.

    Args:
        titles: One for each column.
        rows: Their cells, as text.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for level, *cells in rows:
        table.add_row(Text(level, style=_COLOURS.get(level, "")), *(Text(cell) for cell in cells))
    console = to_stdout()
    if not console.is_terminal:  # a file or a pipe has no width: there, each row is one line
        console.width = _WIDE
    console.print(table)


def length_of(num_frames: int, fps: float) -> str:
    """Say how long a clip is: its frames and their rate, which a still has none of.

    Args:
        num_frames: Its frames, from 1 up.
        fps: Frames per second.

    Returns:
        Such as `9 frames at 16 per second`.
    """
    return "1 frame" if num_frames == 1 else f"{num_frames} frames at {fps:.4g} per second"


def describe_plan(plan: Plan) -> str:
    """The plan in a few lines."""
    adapters = ", ".join(f"{adapter.name} at {adapter.weight:g}" for adapter in plan.adapters) or "none"
    lasting = f" ({plan.num_frames / plan.fps:.3g} s)" if plan.num_frames > 1 else ""
    lines = [
        f"model     {plan.model}{' in 8 bits' if plan.fp8 else ''}, {len(plan.sigmas) - 1} steps, guidance "
        f"{_guidance(plan)}, seed {plan.seed}",
        f"adapters  {adapters}",
        f"result    {plan.width}x{plan.height}, {length_of(plan.num_frames, plan.fps)}{lasting}, "
        f"{plan.num_target_tokens} tokens",
    ]
    for reference in plan.references:
        kind = f"{reference.control} of " if reference.control else ""
        kind = "" if reference.label.startswith(kind) else kind
        dials = "".join(f", {name} {value}" for name, value in reference.dials.items())
        lines.append(
            f"reference {kind}{reference.label}{dials}: {reference.width}x{reference.height}, "
            f"{reference.num_frames} frame{'s' if reference.num_frames > 1 else ''}, "
            f"{reference.grid.num_tokens} tokens, strength {reference.strength:g}, attention "
            f"{reference.attention_strength:g}{' under a mask' if reference.masked else ''}"
        )
    lines += [f"image     {image.label} at frame {image.frame}" for image in plan.images]
    if plan.has_audio:
        kept_or_not = "in the result" if plan.sound else "not in the result"
        lines.append(f"sound     {plan.num_audio_tokens} tokens beside the video, {kept_or_not}")
    memory = plan.memory
    lines.append(
        f"memory    about {memory.total / 2**30:.3g} GiB: weights {memory.weights / 2**30:.3g}, a step "
        f"{memory.step / 2**30:.3g}, decoding {memory.decoding / 2**30:.3g}"
    )
    kept = plan.reference_cache
    if kept.mode != "off":
        lines.append(
            f"cache     {kept.mode}: {kept.num_tokens} tokens kept, {kept.num_bytes / 2**20:.3g} MiB"
        )
    return "\n".join(lines)


def _guidance(plan: Plan) -> str:
    more = plan.more_guidance
    told = {
        "audio": more.audio_scale,
        "stg": more.stg_scale or None,
        "modality": None if more.modality_scale == 1 else more.modality_scale,
        "rescale": more.rescale or None,
    }
    rest = (f" {word} {number:g}" for word, number in told.items() if number is not None)
    return ",".join([f"{plan.guidance_scale:g}", *rest])


def sidecar_path(output: Path) -> Path:
    """Where the JSON beside a result goes: the result's name with `.json` added."""
    return output.with_name(f"{output.name}.json")


def check_outputs(output: str, *, overwrite: bool, sources: Iterable[Path] = ()) -> Path:
    """Refuse a result that could not be written, or its sidecar, before any work is done.

    Args:
        output: The path as written.
        overwrite: Whether both may be replaced.
        sources: What the result is made from; never replaced.

    Returns:
        The path of the result.

    Raises:
        OutputError: If either could not be written, a folder to be replaced holds anything but frames, or the
            result would replace what it is made from.
    """
    path = media.check_output(output, overwrite=overwrite)
    if any(_replaces(path, source) for source in sources):
        raise OutputError(f"{path} is what the result is made from, and would be lost; choose another name.")
    beside = sidecar_path(path)
    if beside.is_dir():
        raise OutputError(f"{beside} is a folder, but the notes on the result go there; move it away.")
    check_place(beside, overwrite=overwrite, directory=False)
    return path


def check_beside(
    named: Iterable[tuple[str, Path | None, Sequence[str]]],
    *,
    taken: Iterable[Path],
    overwrite: bool,
    result: Path | None = None,
) -> None:
    """Refuse files beside a result that could not be written, or would replace something, before the work.

    Args:
        named: What each is, its path (None: not asked for), and the endings it may have.
        taken: The result and its sources, which none of them may be.
        overwrite: Whether a file that exists may be replaced.
        result: The result, where it may be a folder: it holds frames alone.

    Raises:
        RequestError: An ending is not accepted, two names are the same, or one lies inside the result.
        OutputError: The file exists, or its place cannot be written to.
    """
    places = set(taken)
    for what, path, endings in named:
        if path is None:
            continue
        if path.suffix.lower() not in endings:
            raise RequestError(
                f"Cannot write {what} as {path}; give a name that ends in {', '.join(endings)}."
            )
        if any(_replaces(path, place) for place in places):
            raise RequestError(f"{path} is another result or a source of it; choose another name.")
        if result is not None and path.resolve().is_relative_to(result.resolve()):
            raise RequestError(
                f"{path} lies inside the result {result}, which holds frames alone; put {what} beside it."
            )
        places.add(path)
        check_place(path, overwrite=overwrite, directory=False)


def _replaces(place: Path, taken: Path) -> bool:
    """Whether writing a place would replace something taken, all around it, or a picture of it."""
    if place.exists() and taken.exists() and place.samefile(taken):
        return True
    place, taken = place.resolve(), taken.resolve()
    if taken.is_relative_to(place):
        return True
    folder = taken.parent if "%" in taken.name else taken
    return place.suffix.lower() in PICTURE_SUFFIXES and place.is_relative_to(folder)


def write_sidecar(output: Path, content: dict[str, Any]) -> Path:
    """Write the JSON beside a result, whole or not at all.

    Args:
        output: The result.
        content: What to write.

    Returns:
        The path written.

    Raises:
        OutputError: If it cannot be written.
    """
    path = sidecar_path(output)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        write_file(path, text.encode(), overwrite=True)
    except OutputError as error:
        raise OutputError(f"{output} is whole, but its notes are not there. {error}") from error
    return path
