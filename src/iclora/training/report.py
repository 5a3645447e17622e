"""The report of a run: one page that holds its curves, previews and settings, and needs nothing else."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iclora.media.files import write_file
from iclora.training.held_out import LEVELS
from iclora.training.meter import NUM_LEVELS
from iclora.training.saving import BEST, CONFIG, read_rows

REPORT = "report.html"
_COLOURS = (
    "#1b6ca8",
    "#d1495b",
    "#66a182",
    "#edae49",
    "#7b5ea7",
    "#3d3d3d",
    "#00798c",
    "#8d6a9f",
    "#c77f2b",
    "#4a7c59",
)
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 560, 240, 56, 26
_MAX_POINTS = 600
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#222}"
    "figure{display:inline-block;margin:0 1em 1.5em 0}figcaption{font-weight:600}"
    f"figure p{{max-width:{_WIDTH}px;margin:0;font-size:11px}}figure span{{margin-right:1em}}"
    "svg{background:#fafafa;border:1px solid #ddd}img{max-width:100%}"
    "pre{background:#f4f4f4;padding:1em;overflow:auto}"
)

Curve = Sequence[tuple[int, float]]


def write_report(folder: Path) -> Path:
    """Write the page of a run from what is in its folder.

    Args:
        folder: The run's folder.

    Returns:
        The page.

    Raises:
        OutputError: It cannot be written.
    """
    rows = read_rows(folder)
    parts = [
        f"<!doctype html><meta charset='utf-8'><title>{html.escape(folder.name)}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{html.escape(folder.name)}</h1>",
        f"<p>{html.escape(_summary(rows))}</p>",
        *(_figure(title, curves) for title, curves in _charts(rows).items() if any(curves.values())),
        *_previews(folder),
        f"<h2>Settings</h2><pre>{html.escape((folder / CONFIG).read_text('utf-8'))}</pre>",
    ]
    path = folder / REPORT
    write_file(path, "\n".join(parts).encode(), overwrite=True)
    return path


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    losses = [row for row in rows if "loss" in row]
    if not losses:
        return "Nothing was measured yet."
    text = f"{losses[-1]['step']} steps, the last loss {losses[-1]['loss']:.4g}"
    best = [
        (value, row["step"]) for row in rows for key, value in row.items() if key.startswith("adherence/")
    ]
    if best:
        text += f"; the best adherence of one control {max(best)[0]:.3f}, at step {max(best)[1]}"
    return text + f"; {losses[-1]['seconds_per_step']:.3g} s a step at the end."


def _charts(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Curve]]:
    """All curves, by chart and name."""
    kinds = sorted({key.partition("/")[2] for row in rows for key in row if "/" in key})
    by_noise: dict[str, Curve] = {
        f"{place / NUM_LEVELS:.1f}": [
            (row["step"], row["by_noise"][place])
            for row in rows
            if row.get("by_noise", _NONE)[place] is not None
        ]
        for place in range(NUM_LEVELS)
    }
    held_out: dict[str, Curve] = {
        f"{level:g}": [(row["step"], row["held_out_by_noise"][place]) for row in rows if "held_out" in row]
        for place, level in enumerate(LEVELS)
    }
    return {
        "Adherence on held-out references": {kind: _of(rows, f"adherence/{kind}") for kind in kinds},
        "Leak of the control's own look": {kind: _of(rows, f"leak/{kind}") for kind in kinds},
        "Lag behind the control, in frames": {kind: _of(rows, f"lag/{kind}") for kind in kinds},
        "Loss": {"training": _of(rows, "loss"), "held out, fixed noise": _of(rows, "held_out")},
        "Loss by noise level, from": by_noise,
        "Held-out loss at noise level": held_out,
        "Feedback: what guesses lack of their control": {"": _of(rows, "feedback")},
        "Length of the gradient": {"": _of(rows, "gradient")},
        "Learning rate": {"": _of(rows, "learning_rate")},
    }


_NONE = [None] * NUM_LEVELS


def _of(rows: Sequence[Mapping[str, Any]], key: str) -> Curve:
    return [(row["step"], row[key]) for row in rows if key in row]


def _figure(title: str, curves: Mapping[str, Curve]) -> str:
    drawn = {name: _thinned(curve) for name, curve in curves.items() if curve}
    points = [point for curve in drawn.values() for point in curve]
    low, high = min(y for _, y in points), max(y for _, y in points)
    high = high if high > low else low + (abs(low) or 1)
    first, last = min(x for x, _ in points), max(x for x, _ in points)

    def place(x: int, y: float) -> str:
        across = _LEFT + (x - first) / max(1e-9, last - first) * (_WIDTH - _LEFT - 10)
        up = 10 + (high - y) / (high - low) * (_HEIGHT - _BOTTOM - 20)
        return f"{across:.1f},{up:.1f}"

    lines, names = [], []
    for number, (name, curve) in enumerate(drawn.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(place(*point) for point in curve)
        lines.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.5'/>")
        x, y = place(*curve[-1]).split(",")
        lines.append(f"<circle cx='{x}' cy='{y}' r='2.5' fill='{colour}'/>")
        if name:
            names.append(f"<span style='color:{colour}'>{html.escape(name)} {curve[-1][1]:.3g}</span> ")
    axes = (
        f"<text x='4' y='16'>{high:.3g}</text><text x='4' y='{_HEIGHT - _BOTTOM - 6}'>{low:.3g}</text>"
        f"<text x='{_LEFT}' y='{_HEIGHT - 8}'>step {first:g}</text>"
        f"<text x='{_WIDTH - 60}' y='{_HEIGHT - 8}'>{last:g}</text>"
    )
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption><p>{''.join(names)}</p>"
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' font-size='11' font-family='system-ui'>"
        f"{axes}{''.join(lines)}</svg></figure>"
    )


def _thinned(curve: Curve) -> Curve:
    """The means of neighbours where there are more points than can be seen."""
    group = math.ceil(len(curve) / _MAX_POINTS)
    parts = [curve[start : start + group] for start in range(0, len(curve), group)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


def _previews(folder: Path) -> list[str]:
    """The first, the best and the newest previews, each beside its control and the true clip."""
    steps = sorted(path for path in (folder / "previews").glob("*") if path.is_dir())
    note = folder / "best" / BEST
    best = json.loads(note.read_text("utf-8"))["step"] if note.is_file() else None
    shown = [step for step in steps if step in (steps[0], steps[-1]) or int(step.name) == best]
    parts = [] if best is None else [f"<p>The best checkpoint is that of step {best}: it is kept.</p>"]
    for step in shown:
        parts.append(f"<h2>Previews at step {int(step.name)}</h2>")
        for picture in sorted(step.glob("*.png")):
            content = base64.b64encode(picture.read_bytes()).decode()
            parts.append(
                f"<figure><figcaption>{html.escape(picture.stem)}</figcaption>"
                f"<img src='data:image/png;base64,{content}' alt='{html.escape(picture.stem)}'></figure>"
            )
    return parts
