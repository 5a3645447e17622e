"""Where the clips of a dataset are: files, or members of tar files that are unpacked while they are read."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iclora.errors import DatasetError, MediaError

_CHUNK = 2**20


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file, or a part of one.

    Attributes:
        path: The file; for a member of a tar file, that.
        member: The member's name; empty for a whole file.
        start: Where in the file it begins, in bytes.
        size: How many bytes it has; None for a whole file.
    """

    path: Path
    member: str = ""
    start: int = 0
    size: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)


@contextmanager
def opened(source: Source) -> Iterator[Path]:
    """Lend a path that the source can be read from.

    Args:
        source: A file or a member of a tar file; the latter is unpacked, and goes away again.

    Yields:
        The path.

    Raises:
        MediaError: There is no such file.
    """
    if source.size is None:
        yield source.path
        return
    with tempfile.TemporaryDirectory(prefix="iclora-") as folder:
        path = Path(folder) / f"clip{Path(source.member).suffix}"
        with open(path, "wb") as file:
            for chunk in _chunks(source):
                file.write(chunk)
        yield path


def content_hash(source: Source) -> str:
    """Tell contents apart.

    Args:
        source: A file, a folder of pictures, or a member of a tar file.

    Returns:
        SHA-256 of its bytes, 64 letters and digits.

    Raises:
        MediaError: It cannot be read.
    """
    digest = hashlib.sha256()
    if source.size is None and source.path.is_dir():
        for path in sorted(path for path in source.path.rglob("*") if path.is_file()):
            digest.update(f"{path.name}\0{content_hash(Source(path=path))}".encode())
        return digest.hexdigest()
    for chunk in _chunks(source):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(source: Source) -> Iterator[bytes]:
    try:
        with open(source.path, "rb") as file:
            file.seek(source.start)
            left = source.size
            while chunk := file.read(_CHUNK if left is None else min(_CHUNK, left)):
                left = None if left is None else left - len(chunk)
                yield chunk
    except OSError as error:
        raise MediaError(f"{source} cannot be read ({error.strerror}).") from error


def members(path: Path) -> list[tuple[str, Source]]:
    """List the files in a tar file.

    Args:
        path: The tar file, not compressed.

    Returns:
        Name and place of each, in their order.

    Raises:
        DatasetError: It is missing, damaged or compressed.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            return [
                (one.name, Source(path=path, member=one.name, start=one.offset_data, size=one.size))
                for one in archive
                if one.isfile() and not one.issparse()
            ]
    except (OSError, tarfile.TarError) as error:
        raise DatasetError(
            f"{path} cannot be read as a tar file ({error}). A compressed one must be unpacked first."
        ) from error


def read_text(source: Source) -> str:
    """Read a small text.

    Args:
        source: The file or member.

    Returns:
        The text, without blanks around it.

    Raises:
        DatasetError: It cannot be read, or is not UTF-8.
    """
    try:
        return b"".join(_chunks(source)).decode("utf-8-sig").strip()
    except (UnicodeDecodeError, MediaError) as error:
        raise DatasetError(f"The caption {source} cannot be read as UTF-8 ({error}).") from error
