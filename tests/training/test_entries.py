"""Datasets of every form give the same pairs, and pairs are made by name and row alone."""

import csv
import io
import json
import tarfile
from pathlib import Path

import pytest

from iclora.errors import DatasetError, MediaError
from iclora.training.entries import Entry, read_entries
from iclora.training.sources import Source, content_hash, opened

FILES = {
    "a.mp4": b"first",
    "a.txt": b"a cat\n",
    "a_reference.mp4": b"first reference",
    "b.mp4": b"second",
    "sub/c.webm": b"third",
    "sub/c.txt": "\ufeffein Bär".encode(),
    "notes.md": b"no clip",
}


def told(entries: list[Entry]) -> list[tuple[str, bytes, bytes | None, str]]:
    """Entries with the bytes of their files."""
    found = []
    for entry in entries:
        contents = []
        for source in (entry.video, entry.reference):
            if source is None:
                contents.append(None)
                continue
            with opened(source) as path:
                contents.append(path.read_bytes())
        assert contents[0] is not None
        found.append((entry.name, contents[0], contents[1], entry.caption))
    return found


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_folder(tmp_path: Path) -> None:
    assert told(read_entries(write_files(tmp_path, FILES))) == [
        ("a", b"first", b"first reference", "a cat"),
        ("b", b"second", None, ""),
        ("sub/c", b"third", None, "ein Bär"),
    ]


def test_references_of_a_folder_without_their_clip_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.mp4": b"1", "b_reference.mp4": b"2"})
    with pytest.raises(DatasetError, match=r"b_reference.mp4: its clip would be b.mp4"):
        read_entries(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
@pytest.mark.parametrize(
    "columns", [("video", "reference_video", "caption"), ("media_path", "ref_media_path", "text")]
)
def test_a_table(tmp_path: Path, kind: str, columns: tuple[str, str, str]) -> None:
    write_files(tmp_path, FILES)
    cells = [("a.mp4", "a_reference.mp4", "a cat,\nasleep"), ("b.mp4", "", ""), ("a.mp4", "b.mp4", "again")]
    rows = [dict(zip(columns, row, strict=True)) | {"fps": "24"} for row in cells]
    path = tmp_path / f"data.{kind}"
    if kind == "csv":
        with open(path, "w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        text = json.dumps(rows) if kind == "json" else "\n".join(json.dumps(row) for row in rows) + "\n"
        path.write_text(text)
    assert told(read_entries(path)) == [
        ("a", b"first", b"first reference", "a cat,\nasleep"),
        ("b", b"second", None, ""),
        ("a#2", b"first", b"second", "again"),
    ]


@pytest.mark.parametrize("given", ["part-0.tar", "part-*.tar", "part-{0..1}.tar", ""])
def test_a_webdataset(tmp_path: Path, given: str) -> None:
    first = {"x/1.mp4": b"one", "x/1.reference.mp4": b"its", "x/1.json": b'{"caption": "a cat", "fps": 3}'}
    write_tar(tmp_path / "part-0.tar", {**first, "x/2.txt": b"no clip"})
    write_tar(tmp_path / "part-1.tar", {"x/1.txt": b"a dog", "x/1.MP4": b"other"})
    expected = [("part-0/x/1", b"one", b"its", "a cat"), ("part-1/x/1", b"other", None, "a dog")]
    found = told(read_entries(tmp_path / given))
    assert found == expected[: len(found)] and len(found) == (1 if given == "part-0.tar" else 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "clip,caption\na.mp4,x\n", "no column 'video' .*it has: caption, clip"),
        ("a.csv", "video,media_path\na,b\n", "the columns video and media_path, which mean the same"),
        ("a.csv", "video,caption\n,x\n", "Row 1 of .* names no video"),
        ("a.json", '{"video": "a.mp4"}', "no list of rows"),
        ("a.json", "[", "cannot be read"),
        ("a.jsonl", '{"video": "a.mp4", "caption": 3}', "'caption' is 3; a text"),
        ("a.json", "[]", "has no rows"),
        ("a.xlsx", "", "is a file of another kind"),
        ("a.tar", "no tar", "cannot be read as a tar file"),
    ],
)
def test_what_cannot_be_understood_is_said(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_entries(tmp_path / name)


def test_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        read_entries(tmp_path / "none")
    with pytest.raises(DatasetError, match="holds no clips"):
        read_entries(tmp_path)


def test_contents_are_told_apart_wherever_they_lie(tmp_path: Path) -> None:
    write_files(tmp_path / "d", {"a.mp4": b"same", "b.mp4": b"other"})
    tar = write_tar(tmp_path / "t.tar", {"z.mp4": b"same"})
    (packed,) = read_entries(tar)
    files = [Source(path=tmp_path / "d" / name) for name in ("a.mp4", "b.mp4")]
    assert content_hash(packed.video) == content_hash(files[0]) != content_hash(files[1])
    assert len(content_hash(Source(path=tmp_path / "d"))) == 64
    with pytest.raises(MediaError, match=r"none.mp4 cannot be read"):
        content_hash(Source(path=tmp_path / "none.mp4"))
