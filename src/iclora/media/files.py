"""Results that appear under their name whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from iclora.errors import OutputError


def check_place(path: Path, *, overwrite: bool, directory: bool) -> None:
    """Refuse a place where a result could not be put, before any work is done.

    Args:
        path: Where the result is to go.
        overwrite: Whether something that exists there may be replaced.
        directory: Whether the result is a folder rather than a file.

    Raises:
        OutputError: Something is there already, or the folder around it is missing or cannot be written to.
    """
    parent = path.parent
    if not path.name:
        raise OutputError(f"Cannot write '{path}': it is a place without a name of its own; give a new name.")
    if os.path.lexists(path):
        if path.is_dir() != directory:
            kinds = ("a folder", "a file") if path.is_dir() else ("a file", "a folder")
            raise OutputError(f"{path} is {kinds[0]}, but the result is {kinds[1]}; choose another name.")
        if not overwrite:
            raise OutputError(
                f"{path} exists; choose another name or allow overwriting (--overwrite, overwrite=True)."
            )
    if not parent.is_dir():
        what = "is not a folder" if parent.exists() else "does not exist"
        raise OutputError(f"Cannot write {path}: {parent} {what}; make that folder or choose another place.")
    try:
        # Named like what `_sibling` lends, so that a name that is too long is found out now.
        with tempfile.NamedTemporaryFile(dir=parent, prefix=f".{path.name}.", suffix=".part"):
            pass
    except OSError as error:
        raise _output_error(path, error) from error


def write_file(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Write a file through a temporary sibling, so that it is never there in part.

    Args:
        path: Where the file is to go.
        content: All of it.
        overwrite: Whether a file that exists there may be replaced.

    Raises:
        OutputError: A file is there already, or the disk is full or fails.
    """
    write_stream(path, lambda file: _fill(file, content), overwrite=overwrite)


def write_stream(path: Path, write: Callable[[IO[bytes]], None], *, overwrite: bool) -> None:
    """Let a file be written bit by bit under a temporary name, so that it is never there in part.

    Args:
        path: Where the file is to go.
        write: Writes all of it to an open file.
        overwrite: Whether a file that exists there may be replaced.

    Raises:
        OutputError: A file is there already, or the disk is full or fails.
    """
    with _sibling(path, overwrite=overwrite, directory=False) as temporary:
        _write(temporary, write)
        os.replace(temporary, path)


def write_directory(path: Path, files: Iterable[tuple[str, bytes]], *, overwrite: bool) -> None:
    """Write a folder of files through a temporary sibling, so that it is never there in part.

    Args:
        path: Where the folder is to go.
        files: Name and content of each file.
        overwrite: Whether a folder that exists there may be replaced, with all that is in it.

    Raises:
        OutputError: A folder is there already, or the disk is full or fails.
    """
    with _sibling(path, overwrite=overwrite, directory=True) as temporary:
        temporary.mkdir()
        for name, content in files:
            _write(temporary / name, partial(_fill, content=content))
        if not path.exists():
            os.rename(temporary, path)
            return
        replaced = temporary.with_name(temporary.name + ".old")
        os.rename(path, replaced)
        try:
            os.rename(temporary, path)
        except OSError:
            os.rename(replaced, path)
            raise
        if replaced.is_symlink():  # the link goes, what it led to stays
            replaced.unlink()
        else:
            shutil.rmtree(replaced)


@contextmanager
def _sibling(path: Path, *, overwrite: bool, directory: bool) -> Iterator[Path]:
    """Lend a name beside the path; whatever is left under it at the end goes away."""
    check_place(path, overwrite=overwrite, directory=directory)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def _fill(file: IO[bytes], content: bytes) -> None:
    file.write(content)


def _write(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    with open(path, "x+b") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())  # some disks report that they are full only now


def _output_error(path: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"No room to write {path} ({error.strerror}); free some space or choose another disk. "
            "Nothing was left there."
        )
    return OutputError(f"Cannot write {path} ({error.strerror or error}); choose a place you may write to.")
