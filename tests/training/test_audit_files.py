"""The audit's files: what was found is found again, and a change of the dataset is noticed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from iclora.training.audit import Checked, Terms, audit
from iclora.training.audit_files import await_report, read_report, signature, write_report, write_sheet
from iclora.training.entries import Entry, read_entries
from iclora.training.flaws import Flaw
from iclora.training.store import Bucket
from tests.training.clips import save_pairs

TERMS = Terms(buckets=(Bucket(width=64, height=64, num_frames=9, fps=16.0),), drawn=False)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    return read_entries(save_pairs(tmp_path_factory.mktemp("pairs"), 4))


@pytest.fixture(scope="module")
def checked(entries: list[Entry]) -> list[Checked]:
    found = audit(entries, TERMS)
    broken = Checked(entry=entries[3], flaws=(Flaw(kind="file", text="it cannot be read"),))
    return [*found[:3], broken]


def test_what_was_found_is_found_again(entries: list[Entry], checked: list[Checked], tmp_path: Path) -> None:
    sign = signature(entries, TERMS)
    assert read_report(tmp_path, entries, sign) is None
    write_report(tmp_path / "new", checked, sign)
    assert read_report(tmp_path / "new", entries, sign) == checked
    assert await_report(tmp_path / "new", entries, sign) == checked
    assert read_report(tmp_path / "new", entries, "other") is None
    (tmp_path / "new" / "audit.json").write_text("{")
    assert read_report(tmp_path / "new", entries, sign) is None


def test_changes_are_noticed(entries: list[Entry]) -> None:
    before = signature(entries, TERMS)
    assert signature(entries, TERMS) == before
    others = [
        signature(entries[1:], TERMS),
        signature([replace(entries[0], caption="other"), *entries[1:]], TERMS),
        signature([replace(entries[0], reference=None), *entries[1:]], TERMS),
        signature(entries, replace(TERMS, drawn=True)),
        signature(entries, replace(TERMS, trigger="T")),
        signature(entries, replace(TERMS, buckets=(replace(TERMS.buckets[0], fps=8.0),))),
    ]
    os.utime(entries[0].video.path, (1, 1))
    others.append(signature(entries, TERMS))
    assert len({before, *others}) == 8


def test_the_sheet_shows_clips_and_references_the_worst_first(checked: list[Checked], tmp_path: Path) -> None:
    worst = replace(checked[1], flaws=(Flaw(kind="motion", text="they do not move together"),))
    drawn = replace(checked[2], entry=replace(checked[2].entry, reference=None))
    kinds = {"canny": {}, "normals": {}}  # normals of a film cannot be drawn, and are left out
    path = write_sheet(tmp_path, [checked[0], worst, drawn, checked[3]], kinds, ())
    assert path is not None
    with Image.open(path) as sheet:
        assert sheet.size == (6 * 96 + 5 * 4, 6 * (96 + 20) + 5 * 4)
        brightness = [sheet.crop((0, top, 96, top + 96)).getextrema() for top in (20, 140)]
    assert brightness[0] != brightness[1]
    assert write_sheet(tmp_path, [checked[3]], {}, ()) is None
