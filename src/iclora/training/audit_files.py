"""What the audit found, kept in the prepared folder: `audit.json`, and `audit.png`, the worst pairs on top.

An audit is made once: another process, or the same one later, takes it from its file where nothing of the
dataset has changed since.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iclora import controls, media
from iclora.clip import Clip
from iclora.errors import IcloraError
from iclora.media.files import write_file
from iclora.training.audit import Checked, Terms
from iclora.training.entries import Entry
from iclora.training.flaws import Flaw, FlawKind
from iclora.training.shards import make_folder
from iclora.training.sources import Source, opened
from iclora.training.store import Bucket
from iclora.training.together import Bond

REPORT, SHEET = "audit.json", "audit.png"
_VERSION = 1
_MOST_SHOWN = 12
_HEIGHT_PX, _COLUMNS, _LETTER_PX = 96, 6, 7
_POLL_SECONDS = 1.0


def signature(entries: Sequence[Entry], terms: Terms) -> str:
    """Tell whether an audit is still true: files are told apart by size and time.

    Args:
        entries: The pairs.
        terms: What they are looked at for.

    Returns:
        16 letters and digits.
    """
    model = None if terms.model is None else str(terms.model.path)
    asked = [_VERSION, terms.drawn, terms.trigger, model, [str(one) for one in terms.buckets]]
    digest = hashlib.sha256(json.dumps(asked).encode())
    for entry in entries:
        facts = [_stamp(one) for one in (entry.video, entry.reference) if one is not None]
        digest.update(json.dumps([entry.name, entry.caption, *facts]).encode())
    return digest.hexdigest()[:16]


def write_report(folder: Path, checked: Sequence[Checked], sign: str) -> None:
    """Write `audit.json`.

    Args:
        folder: The prepared folder; made if it is missing.
        checked: The pairs that were looked at.
        sign: From `signature`.

    Raises:
        OutputError: It cannot be written.
    """
    make_folder(folder)
    content = {"signature": sign, "pairs": [_to_json(one) for one in checked]}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_file(folder / REPORT, text.encode(), overwrite=True)


def read_report(folder: Path, entries: Sequence[Entry], sign: str) -> list[Checked] | None:
    """Take an audit from its file.

    Args:
        folder: The prepared folder.
        entries: The pairs.
        sign: From `signature`.

    Returns:
        The pairs as they were found; None where there is no audit, or one of something else.
    """
    try:
        content = json.loads((folder / REPORT).read_text("utf-8"))
        if content["signature"] != sign:
            return None
        pairs = zip(entries, content["pairs"], strict=True)
        return [_from_json(entry, found) for entry, found in pairs]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def await_report(folder: Path, entries: Sequence[Entry], sign: str) -> list[Checked]:
    """Wait for the audit that another process of this machine makes.

    Args:
        folder: The prepared folder.
        entries: The pairs.
        sign: From `signature`.

    Returns:
        The pairs as they were found.
    """
    while (found := read_report(folder, entries, sign)) is None:
        time.sleep(_POLL_SECONDS)
    return found


def write_sheet(
    folder: Path,
    checked: Sequence[Checked],
    kinds: dict[str, Any],
    accepted: Collection[FlawKind],
    progress: Callable[[int, int | None], None] | None = None,
) -> Path | None:
    """Write `audit.png`: a row for the clip and one for its reference, broken pairs first, then the weakest.

    Args:
        folder: The prepared folder.
        checked: The pairs that were looked at.
        kinds: Controls that are drawn for clips without a reference, with their dials.
        accepted: Kinds of flaws that are accepted.
        progress: Called with (pairs drawn, pairs in all).

    Returns:
        The picture's path; None where no clip can be shown.

    Raises:
        OutputError: It cannot be written.
    """
    readable = [one for one in checked if one.size is not None]
    shown = sorted(readable, key=lambda one: _rank(one, accepted))[:_MOST_SHOWN]
    rows: list[Clip] = []
    labels: list[str] = []
    for number, one in enumerate(shown, 1):
        clips = _strips(one, kinds)
        rows += clips
        width = _COLUMNS * _HEIGHT_PX * clips[0].width // clips[0].height
        words = textwrap.wrap(f"{one.entry.name}: {_label(one, accepted)}", width // _LETTER_PX)
        labels += [*words[: len(clips)], *[""] * (len(clips) - len(words))]
        if progress is not None:
            progress(number, len(shown))
    if not rows:
        return None
    make_folder(folder)
    sheet = media.contact_sheet(rows, labels=labels, num_columns=_COLUMNS, height=_HEIGHT_PX)
    media.save_image(sheet, folder / SHEET, overwrite=True)
    return folder / SHEET


def _rank(one: Checked, accepted: Collection[FlawKind]) -> tuple[int, float]:
    """Broken pairs before others with flaws before sound ones; in each group the weakest bond first."""
    group = 0 if one.broken(accepted) else 1 if one.flaws else 2
    return group, 0.0 if one.bond is None else one.bond.distance


def _label(one: Checked, accepted: Collection[FlawKind]) -> str:
    broken = one.broken(accepted)
    words = "; ".join(flaw.text for flaw in broken or one.flaws) or "sound"
    if one.bond is not None and "motion" not in {flaw.kind for flaw in one.flaws}:
        words += f" (motion {one.bond.motion:.2f}, others {one.bond.others_motion:.2f})"
    return words


def _strips(one: Checked, kinds: dict[str, Any]) -> list[Clip]:
    """The clip and its reference, or each control drawn of it; what cannot be is left out."""
    clips = []
    for source in (one.entry.video, one.entry.reference):
        if source is None:
            continue
        with opened(source) as path:
            count = None if one.bucket is None else one.bucket.num_frames
            fps = None if one.bucket is None else one.bucket.fps
            film = media.film(path, fps=fps, max_frames=count)
            height = 2 * _HEIGHT_PX
            width = max(1, round(film.width * height / film.height))
            clips.append(media.resize(film, height, width, fit="stretch").read())
    if one.entry.reference is None:
        for kind, dials in kinds.items():
            try:
                clips.append(controls.CONTROLS[kind](clips[0], **controls.drawing(kind, dials)))
            except IcloraError:  # it is said where the pair is encoded
                continue
    return clips


def _stamp(source: Source) -> list[Any]:
    try:
        facts = source.path.stat()
    except OSError:
        return [str(source)]
    return [str(source), facts.st_size, facts.st_mtime_ns]


def _to_json(one: Checked) -> dict[str, Any]:
    return {
        "name": one.entry.name,
        "video": str(one.entry.video),
        "reference": None if one.entry.reference is None else str(one.entry.reference),
        "caption": one.entry.caption,
        "digest": one.digest,
        "clip_digest": one.clip_digest,
        "bucket": None if one.bucket is None else asdict(one.bucket),
        "size": one.size,
        "lag": one.lag,
        "better": one.better,
        "bond": None if one.bond is None else asdict(one.bond),
        "flaws": [asdict(flaw) for flaw in one.flaws],
    }


def _from_json(entry: Entry, found: dict[str, Any]) -> Checked:
    return Checked(
        entry=entry,
        digest=found["digest"],
        clip_digest=found["clip_digest"],
        bucket=None if found["bucket"] is None else Bucket(**found["bucket"]),
        size=None if found["size"] is None else (found["size"][0], found["size"][1]),
        lag=found["lag"],
        better=found["better"],
        bond=None if found["bond"] is None else Bond(**found["bond"]),
        flaws=tuple(Flaw(**flaw) for flaw in found["flaws"]),
    )
