"""The entries of a dataset: which clip goes with which reference and caption, as the dataset pairs them.

    a folder      NAME.mp4, NAME.txt (caption), NAME_reference.mp4
    a table       CSV, JSON or JSONL, one row a pair: video, reference_video, caption
    a WebDataset  tar files of NAME.mp4, NAME.txt or NAME.json, NAME.reference.mp4, one after the other

A pair is made by name or by row and never by place in a list, so what is missing or broken takes its own pair
away and no other.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iclora.errors import DatasetError
from iclora.training.sources import Source, members, read_text

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".gif")
"""Endings that are taken for clips where files are not named one by one."""
VIDEO_COLUMNS = ("video", "media_path", "file_name")
REFERENCE_COLUMNS = ("reference_video", "ref_media_path", "reference_path")
CAPTION_COLUMNS = ("caption", "text", "prompt")
"""Names of columns, those of the official trainer first."""
_REFERENCE = "_reference"
_TABLES = (".csv", ".json", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One pair of the dataset.

    Attributes:
        name: Unlike that of any other entry.
        video: The target.
        reference: What it shall follow; None: the control is still to be drawn.
        caption: What the target shows; empty for none.
    """

    name: str
    video: Source
    reference: Source | None = None
    caption: str = ""


def read_entries(dataset: str | Path) -> list[Entry]:
    """List the pairs of a dataset; no clip is opened.

    Args:
        dataset: A folder of clips or of tar files, a table, a tar file, or a pattern such as `part-*.tar` or
            `part-{000..009}.tar`.

    Returns:
        The entries, in an order that does not change.

    Raises:
        DatasetError: There is no such dataset, nothing is in it, or it cannot be understood.
    """
    path = Path(dataset)
    if path.is_dir():
        archives = sorted(path.glob("*.tar"))
        entries = _packed(archives) if archives else _folder(path)
    elif path.suffix.lower() in _TABLES:
        entries = _table(path)
    elif path.suffix.lower() == ".tar" or any(letter in path.name for letter in "*{"):
        entries = _packed(_archives(path))
    else:
        what = "is a file of another kind" if path.exists() else "does not exist"
        raise DatasetError(
            f"The dataset {path} {what}; give a folder of clips, a table ({' '.join(_TABLES)}) or .tar files."
        )
    if not entries:
        raise DatasetError(f"{path} holds no clips; looked for {' '.join(VIDEOS)}.")
    return _named_apart(entries)


def _folder(folder: Path) -> list[Entry]:
    clips = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEOS and path.is_file())
    references = {_stem(path): path for path in clips if path.stem.endswith(_REFERENCE)}
    entries, paired = [], set[Path | None]()
    for path in clips:
        if path.stem.endswith(_REFERENCE):
            continue
        text = path.with_suffix(".txt")
        reference = references.get(path.with_suffix(""))
        paired.add(reference)
        entries.append(
            Entry(
                name=path.relative_to(folder).with_suffix("").as_posix(),
                video=Source(path=path),
                reference=None if reference is None else Source(path=reference),
                caption=read_text(Source(path=text)) if text.is_file() else "",
            )
        )
    alone = [reference for reference in references.values() if reference not in paired]
    if alone:
        raise DatasetError(
            f"{len(alone)} references have no clip, such as {alone[0]}: its clip would be "
            f"{_stem(alone[0]).name}{alone[0].suffix}. Add them, or take the references away."
        )
    return entries


def _stem(path: Path) -> Path:
    return path.with_name(path.stem.removesuffix(_REFERENCE))


def _table(path: Path) -> list[Entry]:
    rows = list(_rows(path))
    if not rows:
        raise DatasetError(f"{path} has no rows.")
    columns = {name for row in rows for name in row}
    video = _column(path, columns, VIDEO_COLUMNS)
    reference = _column(path, columns, REFERENCE_COLUMNS)
    caption = _column(path, columns, CAPTION_COLUMNS)
    if video is None:
        raise DatasetError(
            f"{path} has no column '{VIDEO_COLUMNS[0]}' (nor {' or '.join(VIDEO_COLUMNS[1:])}); it has: "
            f"{', '.join(sorted(columns))}."
        )
    entries = []
    for number, row in enumerate(rows, 1):
        cells = [_cell(path, number, row, name) for name in (video, reference, caption)]
        if not cells[0]:
            raise DatasetError(f"Row {number} of {path} names no {video}. Fill it in, or take the row away.")
        entries.append(
            Entry(
                name=Path(cells[0]).with_suffix("").as_posix(),
                video=Source(path=path.parent / cells[0]),
                reference=Source(path=path.parent / cells[1]) if cells[1] else None,
                caption=cells[2],
            )
        )
    return entries


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a table, each with its cells by column."""
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix.lower() == ".csv":
            yield from csv.DictReader(io.StringIO(text, newline=""))
            return
        is_lines = path.suffix.lower() == ".jsonl"
        found = (
            [json.loads(line) for line in text.splitlines() if line.strip()] if is_lines else json.loads(text)
        )
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"The dataset {path} cannot be read ({error}).") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DatasetError(f'{path} is no list of rows; write [{{"video": "a.mp4", "caption": "..."}}, ...].')
    yield from found


def _column(path: Path, columns: Iterable[str], names: tuple[str, ...]) -> str | None:
    found = [name for name in names if name in columns]
    if len(found) > 1:
        raise DatasetError(f"{path} has the columns {' and '.join(found)}, which mean the same; keep one.")
    return found[0] if found else None


def _cell(path: Path, number: int, row: Mapping[str, Any], name: str | None) -> str:
    value = row.get(name) if name is not None else None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DatasetError(f"Row {number} of {path}: '{name}' is {value!r}; a text is accepted.")
    return value.strip()


def _archives(path: Path) -> list[Path]:
    if match := re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", path.name):
        numbers = range(int(match[2]), int(match[3]) + 1)
        names = [f"{match[1]}{number:0{len(match[2])}}{match[4]}" for number in numbers]
        return [path.parent / name for name in names]
    return sorted(path.parent.glob(path.name)) if "*" in path.name else [path]


def _packed(archives: list[Path]) -> list[Entry]:
    entries = []
    for archive in archives:
        groups: dict[str, dict[str, Source]] = {}
        for name, source in members(archive):
            folder, _, base = name.rpartition("/")
            stem, _, kind = base.partition(".")
            groups.setdefault(f"{folder}/{stem}" if folder else stem, {})[f".{kind.lower()}"] = source
        entries += [
            one for name, files in groups.items() if (one := _group(archive, name, files)) is not None
        ]
    return entries


def _group(archive: Path, name: str, files: Mapping[str, Source]) -> Entry | None:
    """A sample of a WebDataset; None where it holds no clip."""
    video = _first(files, VIDEOS)
    reference = _first(
        files, [f".{word}{end}" for word in ("reference", "reference_video") for end in VIDEOS]
    )
    if video is None:
        return None
    caption = ""
    if (text := _first(files, (".txt", ".caption"))) is not None:
        caption = read_text(text)
    elif ".json" in files:
        try:
            notes = json.loads(read_text(files[".json"]))
        except ValueError as error:
            raise DatasetError(f"{files['.json']} is not JSON ({error}).") from error
        column = _column(archive, notes, CAPTION_COLUMNS)
        caption = _cell(archive, 1, notes, column)
    return Entry(name=f"{archive.stem}/{name}", video=video, reference=reference, caption=caption)


def _first(files: Mapping[str, Source], kinds: Iterable[str]) -> Source | None:
    return next((files[kind] for kind in kinds if kind in files), None)


def _named_apart(entries: list[Entry]) -> list[Entry]:
    """Give entries of one name numbers: a table may pair a clip with several references."""
    seen: dict[str, int] = {}
    apart = []
    for entry in entries:
        count = seen[entry.name] = seen.get(entry.name, 0) + 1
        apart.append(entry if count == 1 else replace(entry, name=f"{entry.name}#{count}"))
    return apart
