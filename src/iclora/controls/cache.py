"""What slow estimators found in a clip, kept: the same pictures with the same dials are looked at once.

    key    SHA-256 of the pictures (a film's files, a clip's frames), their size, rate and number; of the
           estimator, its weights and dials; of the code that reads and finds, and its libraries
    entry  SHA-256 of all that follows | header as of .npy (shape, type) | rows, one for each frame

An entry is whole or absent; a damaged one counts as absent and is made anew. The oldest go when there are too
many.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO

import numpy as np

from iclora.clip import Clip, Film
from iclora.errors import OutputError, RequestError
from iclora.media.files import check_place, write_stream

DEFAULT_GB = 4.0
"""Most that all entries together take, in units of 10^9 bytes, where `ICLORA_CACHE_GB` says nothing."""
_LIBRARIES = (
    *("av", "numpy", "opencv-python-headless", "torch", "transformers"),
    *("onnxruntime", "ai-edge-litert", "rtmlib"),
)
_ABANDONED_SECONDS = 86_400
_CHUNK = 2**20
_DIGEST_BYTES = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where weights are kept: `$ICLORA_CACHE`, else `iclora` in `$XDG_CACHE_HOME` or in `~/.cache`."""
    own = os.environ.get("ICLORA_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "iclora"


class Rows:
    """Arrays of one shape in a file, gone through as often as need be without being held.

    Args:
        file: Open for reading; it is closed when this goes away.
        shape: Their number, then the shape of each.
        dtype: Their type.
        start: Where in the file the first one begins.
    """

    def __init__(self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, start: int) -> None:
        self.shape, self.dtype = shape, dtype
        self._file, self._start = file, start
        weakref.finalize(self, file.close)
        self._row_bytes = math.prod(shape[1:]) * dtype.itemsize

    def __iter__(self) -> Iterator[np.ndarray]:
        for index in range(self.shape[0]):
            self._file.seek(self._start + index * self._row_bytes)
            row = np.frombuffer(self._file.read(self._row_bytes), self.dtype)
            yield row.reshape(self.shape[1:])

    def array(self) -> np.ndarray:
        """All of them as one array, held."""
        held = np.empty(self.shape, self.dtype)
        for index, row in enumerate(self):
            held[index] = row
        return held


def spooled(rows: Iterable[np.ndarray], count: int) -> Rows:
    """Put rows into a file that goes away with them.

    Args:
        rows: At least one, all of one shape and type.
        count: How many there are.

    Returns:
        The same rows.

    Raises:
        OutputError: If there is no room for them.
    """
    try:
        with contextlib.ExitStack() as closing:
            file = closing.enter_context(tempfile.TemporaryFile())
            kept = Rows(file, *_write(file, rows, count))
            closing.pop_all()  # the rows close it
            return kept
    except OSError as error:
        raise OutputError(
            f"No room for what was found, in {tempfile.gettempdir()} ({error.strerror or error}); free some "
            "space, or name another folder in TMPDIR."
        ) from error


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A folder of entries.

    Attributes:
        folder: Where they are; made when needed.
        max_bytes: Most that they take together.
        tell: Is told in a line when an entry is used, or cannot be kept.
    """

    folder: Path
    max_bytes: int | float
    tell: Callable[[str], None]

    def rows(self, what: str, key: str, make: Callable[[], Iterable[np.ndarray]], count: int) -> Rows:
        """Take rows from their entry, or make them and keep them.

        Args:
            what: The kind of control, for `tell`.
            key: From `key_of`.
            make: Begins to make them; not called where they are kept.
            count: How many it makes, at least one.

        Returns:
            The rows.

        Raises:
            OutputError: If there is no room for them.
        """
        path = self.folder / f"{key}.rows"
        kept = _read(path)
        if kept is not None:
            with contextlib.suppress(OSError):
                os.utime(path)  # the oldest go first
            self.tell(f"{what}: found before, and taken from {path}")
            return kept
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            check_place(path, overwrite=True, directory=False)
        except (OSError, OutputError) as error:
            self.tell(f"{what}: cannot be kept ({error}); set ICLORA_CACHE to a folder of yours")
            return spooled(make(), count)
        try:
            write_stream(path, lambda file: _write_whole(file, make(), count), overwrite=True)
        except OutputError as error:
            advice = "set ICLORA_CACHE to a folder with room, or keep nothing: --no-cache (cache=None)"
            raise OutputError(f"{what}: cannot be kept ({error}); {advice}.") from error
        kept = _read(path)
        if kept is None:
            raise OutputError(f"{path} was taken away as soon as it was written; run again.")
        with contextlib.suppress(OSError):  # another process tidies up too
            self._trim()
        return kept

    def _trim(self) -> None:
        """Take away the oldest entries beyond the bound, and what a killed process left."""
        entries = [(path, path.stat()) for path in self.folder.glob("*.rows")]
        entries.sort(key=lambda entry: entry[1].st_mtime, reverse=True)
        total, gone = 0, []
        for path, facts in entries:
            if total + facts.st_size > self.max_bytes:
                gone.append(path)
            else:
                total += facts.st_size
        gone += [
            path
            for path in self.folder.glob(".*.part")
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS
        ]
        for path in gone:
            with contextlib.suppress(OSError):  # another process took it away, or has it open
                path.unlink()


def user_cache(tell: Callable[[str], None]) -> Cache | None:
    """The user's cache: the folder `found` where weights are kept.

    Args:
        tell: As for `Cache`.

    Returns:
        The cache; None where `ICLORA_CACHE_GB` is 0.

    Raises:
        RequestError: If `ICLORA_CACHE_GB` is no number from 0 up.
    """
    said = os.environ.get("ICLORA_CACHE_GB") or str(DEFAULT_GB)
    try:
        size = float(said)
    except ValueError:
        size = math.nan
    if not size >= 0:
        raise RequestError(
            f"ICLORA_CACHE_GB is {said!r}; give how many GB found depth, poses and tracks may take, or 0 to "
            "keep none."
        )
    return Cache(folder=cache_folder() / "found", max_bytes=size * 1e9, tell=tell) if size else None


def key_of(clip: Clip | Film, *asked: object) -> str | None:
    """Make the key of what is found in a clip or film.

    Args:
        clip: What is looked at.
        *asked: What it is looked at with: words, numbers, and paths, whose content counts.

    Returns:
        The key; None for a film whose origin is not known.
    """
    if isinstance(clip, Film) and not clip.origin:
        return None
    pictures: tuple[object, ...] = clip.origin if isinstance(clip, Film) else (_frames_digest(clip),)
    facts = (clip.num_frames, clip.height, clip.width, clip.fps, _code())
    parts = [_file_digest(part) if isinstance(part, Path) else part for part in (*pictures, *facts, *asked)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@functools.cache
def _code() -> tuple[str, ...]:
    """The code that reads and finds, as a digest, and the versions of what it runs on."""
    versions = []
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    return (_code_digest(Path(__file__).parents[1]), *versions)


def _code_digest(package: Path) -> str:
    """Digest what the pictures of a film, and what is found in them, depend on."""
    digest = hashlib.sha256()
    for room in ("controls", "media"):
        for path in sorted((package / room).rglob("*.py")):
            digest.update(path.read_bytes())
    digest.update((package / "clip.py").read_bytes())
    return digest.hexdigest()


def _frames_digest(clip: Clip) -> str:
    digest = hashlib.sha256()
    for frame in clip.frames:
        digest.update(frame.tobytes())
    return digest.hexdigest()


def _file_digest(path: Path) -> str:
    with open(path, "rb") as file:
        return _digest(file).hexdigest()


def _digest(file: IO[bytes]) -> hashlib._Hash:
    """Digest what is left of a file."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest


def _write(file: IO[bytes], rows: Iterable[np.ndarray], count: int) -> tuple[tuple[int, ...], np.dtype, int]:
    """Write a header and rows; returns their shape, their type, and where they begin."""
    shape: tuple[int, ...] = ()
    dtype, start, written = np.dtype(np.float32), 0, 0
    for row in rows:
        if not shape:
            shape, dtype = (count, *row.shape), row.dtype
            header = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(dtype)}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
        assert row.shape == shape[1:] and row.dtype == dtype
        file.write(row.tobytes())
        written += 1
    assert written == count > 0
    return shape, dtype, start


def _write_whole(file: IO[bytes], rows: Iterable[np.ndarray], count: int) -> None:
    """Write an entry."""
    file.write(bytes(_DIGEST_BYTES))
    _write(file, rows, count)
    file.seek(_DIGEST_BYTES)
    digest = _digest(file)
    file.seek(0)
    file.write(digest.digest())


def _read(path: Path) -> Rows | None:
    """Open an entry; None where there is none, or it is damaged."""
    with contextlib.ExitStack() as closing:
        try:
            file = closing.enter_context(open(path, "rb"))
            whole = file.read(_DIGEST_BYTES) == _digest(file).digest()
        except OSError:
            return None
        if not whole:
            return None
        file.seek(_DIGEST_BYTES)
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        closing.pop_all()  # the rows close it
        return Rows(file, shape, dtype, file.tell())
