"""The folder that `iclora sweep` fills, and goes on with where it stopped.

sweep.json          what is swept, the names of all files of the sweep, a row for each result, the summary
VALUE_seedN.mp4     each result, beside it VALUE_seedN.mp4.json, the plan it was made by
curve.png sheet.png index.html
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import json
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iclora import __version__, media
from iclora.adherence.sweeps import Point, places_of, summarise
from iclora.cli.present import sidecar_path
from iclora.cli.sweep_dials import Over
from iclora.errors import OutputError
from iclora.media.files import check_place, write_file

NOTES = "sweep.json"
PAGES = ("curve.png", "sheet.png", "index.html")
_TEMPLATE = Path(__file__).with_name("sweep.html")
_MOST_LETTERS = 40
"""Of a value in the name of a file."""
_MOST_ROWS = 12
"""Rows of the contact sheet."""


def fingerprint(facts: dict[str, Any], files: Sequence[Path]) -> str:
    """Name what a sweep is made from, so that only the same one is gone on with.

    Args:
        facts: What the results are made by, as values that JSON knows.
        files: What they are made from: files count by their content, folders by the names and sizes in them.

    Returns:
        64 letters.
    """
    digest = hashlib.sha256(json.dumps([__version__, facts], sort_keys=True, default=str).encode())
    for path in files:
        digest.update(str(path).encode())
        if path.is_dir():
            inside = sorted((str(one), one.stat().st_size) for one in path.rglob("*") if one.is_file())
            digest.update(repr(inside).encode())
        elif path.is_file():
            with open(path, "rb") as file:
                while chunk := file.read(2**20):
                    digest.update(chunk)
    return digest.hexdigest()


class SweepFolder:
    """The state of a sweep on disk.

    Args:
        folder: Where to; made if missing.
        over: What is swept.
        seeds: Of each value.
        suffix: Ending of the results.
        made_from: From `fingerprint`.
        overwrite: Whether another sweep, or files in the way, may be replaced.

    Raises:
        OutputError: If another sweep, or files that are not of this one, are in the way, or it cannot be
            written to.
    """

    def __init__(
        self,
        folder: Path,
        over: Over,
        seeds: Sequence[int],
        *,
        suffix: str,
        made_from: str,
        overwrite: bool,
    ) -> None:
        self.folder, self.over, self.seeds, self._suffix = folder, over, tuple(seeds), suffix
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file, but a sweep is a folder; choose another name.")
        kept = self._kept(made_from, overwrite=overwrite)
        results = [self.path(value, seed) for value in over.values for seed in self.seeds]
        names = [path.name for path in (*results, *map(sidecar_path, results))] + list(PAGES)
        foreign = [name for name in names if name not in kept["files"] and (folder / name).exists()]
        if foreign and not overwrite:
            raise OutputError(
                f"{folder / foreign[0]} exists and is not of this sweep; choose another folder or allow "
                "overwriting (--overwrite)."
            )
        folder.mkdir(parents=True, exist_ok=True)
        check_place(folder / NOTES, overwrite=True, directory=False)
        self.notes: dict[str, Any] = {
            "command": "sweep",
            "iclora": __version__,
            "made_from": made_from,
            "over": over.dial,
            "files": sorted({*kept["files"], *names}),
            "rows": [row for row in kept["rows"] if (folder / row["file"]).is_file()],
            "summary": [],
        }
        self._write()

    def path(self, value: str, seed: int) -> Path:
        """Where the result of one value and seed goes."""
        plain = re.sub(r"[^A-Za-z0-9.+-]+", "_", value)
        if plain != value or len(plain) > _MOST_LETTERS:
            # Values may become alike without what a name cannot hold, in another call too.
            plain = f"{plain[:_MOST_LETTERS]}_{hashlib.sha256(value.encode()).hexdigest()[:8]}"
        return self.folder / f"{plain}_seed{seed}{self._suffix}"

    def has(self, value: str, seed: int) -> bool:
        """Whether a result is made already."""
        return any((row["value"], row["seed"]) == (value, seed) for row in self.notes["rows"])

    def add(self, value: str, seed: int, row: dict[str, Any]) -> None:
        """Note a result that is whole."""
        self.notes["rows"].append({"value": value, "seed": seed, "file": self.path(value, seed).name} | row)
        self._write()

    def finish(self) -> list[Point]:
        """Write the summary, the curve, the contact sheet and the page; returns the summary."""
        points = summarise(self.rows)
        self.notes["summary"] = [dataclasses.asdict(point) for point in points]
        self._write()
        if points:
            media.save_image(self._curve(points), self.folder / "curve.png", overwrite=True)
        media.save_image(self._sheet(), self.folder / "sheet.png", overwrite=True)
        write_file(self.folder / "index.html", self._page(points).encode(), overwrite=True)
        return points

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The results, in the order of the values; those made for values asked for before come last."""
        order = {value: index for index, value in enumerate(self.over.values)}
        key = lambda row: (order.get(row["value"], len(order)), row["value"], row["seed"])  # noqa: E731
        return sorted(self.notes["rows"], key=key)

    def _kept(self, made_from: str, *, overwrite: bool) -> dict[str, Any]:
        """What is there of the same sweep."""
        nothing: dict[str, Any] = {"files": [], "rows": []}
        path = self.folder / NOTES
        if not path.exists():
            return nothing
        try:
            notes = json.loads(path.read_text("utf-8"))
            same = (notes["made_from"], notes["over"]) == (made_from, self.over.dial)
            kept = {"files": list(notes["files"]), "rows": list(notes["rows"])}
        except (OSError, ValueError, KeyError, TypeError):
            same, kept = False, nothing
        if same:
            return kept
        if overwrite:
            return nothing
        raise OutputError(
            f"{path} is of another sweep (other words, files, weights or version); choose another folder, or "
            "allow overwriting (--overwrite)."
        )

    def _write(self) -> None:
        text = json.dumps(self.notes, indent=1, ensure_ascii=False) + "\n"
        write_file(self.folder / NOTES, text.encode(), overwrite=True)

    def _curve(self, points: Sequence[Point]) -> Any:
        values = list(dict.fromkeys(row["value"] for row in self.rows))
        places = dict(zip(values, places_of(values), strict=True))
        curves = []
        for score in dict.fromkeys(point.score for point in points):
            some = [point for point in points if point.score == score]
            curve = media.Curve(
                name=score,
                x=tuple(places[point.value] for point in some),
                y=tuple(point.mean for point in some),
                spread=tuple(point.spread for point in some),
            )
            curves.append(curve)
        ticks = [(place, value) for value, place in places.items()]
        seeds = len({row["seed"] for row in self.rows})
        title = f"Adherence over {self.over.dial}, mean and spread of {seeds} seed{'s' if seeds > 1 else ''}"
        return media.line_chart(curves, title=title, x_title=self.over.dial, ticks=ticks)

    def _sheet(self) -> Any:
        """The first seed of each value, evenly chosen where there are many."""
        first = {row["value"]: row for row in reversed(self.rows)}
        rows = [first[value] for value in dict.fromkeys(row["value"] for row in self.rows)]
        if len(rows) > _MOST_ROWS:
            step = (len(rows) - 1) / (_MOST_ROWS - 1)
            rows = [rows[round(number * step)] for number in range(_MOST_ROWS)]
        clips = [media.read(self.folder / row["file"]) for row in rows]
        return media.contact_sheet(clips, labels=[self._label(row) for row in rows], height=96)

    def _label(self, row: dict[str, Any]) -> str:
        scores = "".join(f"   {score['measure']} {score['value']:.3f}" for score in row["scores"])
        return f"{self.over.dial} {row['value']}, seed {row['seed']}{scores}"

    def _page(self, points: Sequence[Point]) -> str:
        cells = [
            f"<tr><td>{html.escape(point.score)}<td>{html.escape(point.value)}<td>{point.mean:.3f}"
            f"<td>{point.spread:.3f}<td>{point.count}"
            for point in points
        ]
        shown = [
            f"<figure><{'video controls loop muted' if row['file'].endswith('.mp4') else 'img'} "
            f'src="{html.escape(row["file"])}"{"></video>" if row["file"].endswith(".mp4") else ">"}'
            f"<figcaption>{html.escape(self._label(row))}</figcaption></figure>"
            for row in self.rows
        ]
        page = string.Template(_TEMPLATE.read_text("utf-8"))
        return page.substitute(
            dial=html.escape(self.over.dial), cells="\n".join(cells), shown="\n".join(shown)
        )
