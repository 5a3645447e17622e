"""controls.cache: what was found before is taken; what is damaged, too much or of other pictures is not."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iclora import controls, media
from iclora.clip import Clip, Film, Frames
from iclora.controls import cache as cache_file
from iclora.controls.cache import Cache, Rows, key_of, spooled, user_cache
from iclora.controls.depths import film_found
from iclora.errors import OutputError, RequestError

ROWS = [np.full((2, 3), number, np.float32) for number in range(4)]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, told: list[str]) -> Cache:
    return Cache(folder=tmp_path / "found", max_bytes=10_000, tell=told.append)


def never() -> Iterator[np.ndarray]:
    raise AssertionError("it is kept")


def test_rows_are_made_once(cache: Cache, told: list[str]) -> None:
    made = cache.rows("depth", "a", lambda: ROWS, 4)
    assert told == []
    kept = cache.rows("depth", "a", never, 4)
    assert told == [f"depth: found before, and taken from {cache.folder / 'a.rows'}"]
    for rows in (made, kept):
        assert rows.shape == (4, 2, 3) and np.array_equal(rows.array(), np.stack(ROWS))
        assert [row[0, 0] for row, _ in zip(rows, rows, strict=True)] == [
            0,
            1,
            2,
            3,
        ]  # two go through at once


def test_empty_rows_are_rows_too(cache: Cache) -> None:
    cache.rows("tracks", "a", lambda: [np.zeros((0, 3))] * 5, 5)
    assert cache.rows("tracks", "a", never, 5).array().shape == (5, 0, 3)


@pytest.mark.parametrize("damage", ["short", "long", "header", "empty"])
def test_a_damaged_entry_is_made_anew(cache: Cache, damage: str, told: list[str]) -> None:
    cache.rows("depth", "a", lambda: ROWS, 4)
    path = cache.folder / "a.rows"
    path.write_bytes(
        {
            "short": path.read_bytes()[:-50],
            "long": path.read_bytes() + b"x",
            "header": b"\x93NUMPY\x01\x00\x02\x00{}",
            "empty": b"",
        }[damage]
    )
    again = cache.rows("depth", "a", lambda: [row + 1 for row in ROWS], 4)
    assert again.array()[0, 0, 0] == 1 and told == []
    assert cache.rows("depth", "a", never, 4).array()[3, 0, 0] == 4


def test_any_changed_byte_is_damage(cache: Cache, told: list[str]) -> None:
    cache.rows("depth", "a", lambda: ROWS, 4)
    path = cache.folder / "a.rows"
    whole = path.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        again = cache.rows("depth", "a", lambda: ROWS, 4)
        assert np.array_equal(again.array(), np.stack(ROWS)) and path.read_bytes() == whole
    assert told == []


def test_what_fails_leaves_nothing(cache: Cache) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield ROWS[0]
        raise RequestError("no")

    with pytest.raises(RequestError, match="no"):
        cache.rows("depth", "a", broken, 4)
    assert list(cache.folder.iterdir()) == []


def test_the_oldest_go_first(cache: Cache) -> None:
    large = [np.zeros(1000, np.float32)]  # a little more than 4000 bytes each, and there is room for 10000
    for age, name in ((300, "a"), (200, "b")):
        cache.rows("depth", name, lambda: large, 1)
        path = cache.folder / f"{name}.rows"
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    cache.rows("depth", "a", never, 1)  # used just now, so b is the oldest
    left = cache.folder / ".x.rows.1234.part"
    left.write_bytes(b"of a process that was killed")
    os.utime(left, (1, 1))
    cache.rows("depth", "c", lambda: large, 1)
    assert sorted(path.name for path in cache.folder.iterdir()) == ["a.rows", "c.rows"]
    cache.rows("depth", "large", lambda: [np.zeros(3000, np.float32)], 1)  # too large to be kept
    assert sorted(path.name for path in cache.folder.iterdir()) == ["a.rows", "c.rows"]
    rows = replace(cache, max_bytes=1).rows("depth", "d", lambda: large, 1)
    assert list(cache.folder.iterdir()) == [] and rows.array().shape == (1, 1000)  # too large to be kept


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "found").write_text("a file")
    cache = Cache(folder=tmp_path / "found", max_bytes=1e6, tell=told.append)
    assert np.array_equal(cache.rows("depth", "a", lambda: ROWS, 4).array(), np.stack(ROWS))
    assert "depth: cannot be kept" in told[0] and "set ICLORA_CACHE" in told[0]


def test_no_room_is_told(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_file, "_write", full)
    with pytest.raises(OutputError, match=r"No room for what was found, in .*name another folder in TMPDIR"):
        spooled(ROWS, 4)
    with pytest.raises(OutputError, match=r"No room to write .*a\.rows.*set ICLORA_CACHE .*--no-cache"):
        cache.rows("depth", "a", lambda: ROWS, 4)
    assert list(cache.folder.iterdir()) == []


def test_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    monkeypatch.delenv("ICLORA_CACHE_GB")
    usual = user_cache(print)
    assert usual is not None and usual.folder == tmp_path / "found" and usual.max_bytes == 4e9
    monkeypatch.setenv("ICLORA_CACHE_GB", "0")
    assert user_cache(print) is None
    for word in ("much", "-1", "nan"):
        monkeypatch.setenv("ICLORA_CACHE_GB", word)
        with pytest.raises(RequestError, match=f"ICLORA_CACHE_GB is '{word}'; give how many GB"):
            user_cache(print)


def test_keys_follow_the_content_and_what_is_asked(film_path: Path, tmp_path: Path) -> None:
    film = media.film(film_path)
    shutil.copy(film_path, tmp_path / "copy.mp4")
    weights = tmp_path / "weights"
    weights.write_bytes(b"1")
    first = key_of(film, "depth", weights)
    assert first == key_of(media.film(tmp_path / "copy.mp4"), "depth", weights)
    others = [
        key_of(film, "poses", weights),
        key_of(media.film(film_path, fps=8.0), "depth", weights),
        key_of(media.film(film_path, max_frames=3), "depth", weights),
        key_of(media.resize(film, 48, 32), "depth", weights),
        key_of(media.resize(film, 48, 32, fit="stretch"), "depth", weights),
        key_of(media.resample(film, fps=16.0, num_frames=12), "depth", weights),
        key_of(film.read(), "depth", weights),
        key_of(Clip(frames=film.read().frames[:, ::-1], fps=16.0), "depth", weights),
    ]
    weights.write_bytes(b"2")
    others.append(key_of(film, "depth", weights))
    assert len({first, *others}) == 10 and None not in others
    assert key_of(film.read(), "depth") == key_of(film.read(), "depth")


def test_keys_follow_the_code_that_reads_and_finds(
    film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / name for name in ("controls/poses/a.py", "media/b.py", "clip.py", "cli/c.py")]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    monkeypatch.setattr(cache_file, "__file__", str(tmp_path / "controls" / "cache.py"))
    monkeypatch.setattr(cache_file, "_code", cache_file._code.__wrapped__)  # not held
    film = media.film(film_path)
    keys = [key_of(film, "depth")]
    for path in files:
        path.write_text("2")
        keys.append(key_of(film, "depth"))
    assert len(set(keys)) == 4 and keys[-1] == keys[-2]  # the command line finds nothing


def test_a_film_of_unknown_origin_has_no_key(film_path: Path) -> None:
    unknown = Film(frames=Frames(lambda: iter(ROWS)), height=2, width=3, num_frames=4, fps=8.0)
    assert key_of(unknown, "depth") is None
    assert key_of(controls.grey(media.film(film_path)), "depth") is None


def test_a_picture_that_changed_in_a_folder_changes_the_key(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    media.save(Clip(frames=np.zeros((3, 8, 8, 3), np.uint8), fps=8.0), folder)
    before = key_of(media.film(folder), "depth")
    media.save_image(np.full((8, 8, 3), 9, np.uint8), folder / "frame_0001.png", overwrite=True)
    assert key_of(media.film(folder), "depth") != before


def test_depth_and_tracks_are_the_same_from_the_cache(
    film_path: Path, tmp_path: Path, told: list[str]
) -> None:
    cache = Cache(folder=tmp_path, max_bytes=1e9, tell=told.append)
    large = media.resize(media.film(film_path), 192, 256)
    for clip in (large, large.read()):
        anew = controls.depth(clip)
        first, second = (controls.depth(clip, cache=cache) for _ in range(2))
        for one in (first, second):
            assert all(np.array_equal(*pair) for pair in zip(one.frames, anew.frames, strict=True))
        first, second = (controls.follow_video(clip, num_tracks=3, cache=cache) for _ in range(2))
        assert np.array_equal(first.points, second.points) and np.array_equal(first.visible, second.visible)
    assert len(told) == 4 and isinstance(film_found(large, cache=cache).frames, Rows)


def test_an_estimator_of_ones_own_is_not_kept(cache: Cache) -> None:
    clip = Clip(frames=np.zeros((2, 4, 4, 3), np.uint8), fps=8.0)
    film_found(clip, estimator=lambda frames: iter(ROWS[:2]), cache=cache)
    assert not cache.folder.exists()
