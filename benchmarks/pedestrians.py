"""OpenCV's pedestrians: `vtest.avi`, 795 frames of small people, from Debian's package of OpenCV's pages.

    python benchmarks/pedestrians.py          downloads the package with apt-get, prints the film's path
    python benchmarks/pedestrians.py FILE     takes it from a package that was downloaded by hand

The film goes into the user's cache, recognised by its SHA-256; it is not ours to pass on.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from iclora.controls.poses import weights
from iclora.errors import IcloraError, MediaError
from iclora.media.files import write_file

NAME = "vtest.avi"
DIGEST = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"
PACKAGE = "opencv-doc"
BY_HAND = (
    "Download opencv-doc_4.6.0+dfsg-12_all.deb from https://deb.debian.org/debian/pool/main/o/opencv/ and "
    "run python benchmarks/pedestrians.py FILE, or put vtest.avi of OpenCV's samples/data into {folder}."
)


def place() -> Path:
    """Where the film lies once it has been fetched."""
    return weights.cache_folder() / "films" / NAME


def is_whole(path: Path) -> bool:
    """Whether a file is the film."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == DIGEST


def download(folder: Path) -> Path:
    """Download the package with apt-get, without installing it.

    Args:
        folder: Where to.

    Returns:
        The package.

    Raises:
        MediaError: If there is no apt-get, or it cannot get it.
    """
    try:
        command = ["apt-get", "download", "-qq", "-o", "Acquire::Retries=1", PACKAGE]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = " ".join(str(error).split())
    packages = sorted(folder.glob("*.deb"))
    if not packages:
        raise MediaError(f"The pedestrians cannot be downloaded ({reason}). {by_hand()}")
    return packages[-1]


def unpacked(package: Path) -> bytes:
    """Take the film out of the package.

    Raises:
        MediaError: If it is no such package, or holds another film.
    """
    try:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            content = found_in(process.stdout)
            process.kill()  # the rest is not wanted
    except OSError as error:
        raise MediaError(f"{package} cannot be unpacked ({error}). {by_hand()}") from error
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise MediaError(f"{package} holds no {NAME}, or another one than it should. {by_hand()}")
    return content


def found_in(archive: object) -> bytes:
    """The film in a stream of a tar archive; nothing if it is not there."""
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:  # type: ignore[call-overload]
            for member in members:
                file = members.extractfile(member) if Path(member.name).name == NAME else None
                if file is not None:
                    return file.read()
    except tarfile.TarError:
        pass
    return b""


def by_hand() -> str:
    """What to do where it cannot be fetched."""
    return BY_HAND.format(folder=place().parent)


def find(package: Path | None = None, *, fetch: Callable[[Path], Path] = download) -> Path:
    """Find the film, and fetch it where it is not there yet.

    Args:
        package: The package, where it was downloaded by hand.
        fetch: Puts the package into a folder.

    Returns:
        The film's path.

    Raises:
        MediaError: If it cannot be fetched; the message says what to put where.
    """
    path = place()
    if not is_whole(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            content = unpacked(package or fetch(Path(folder)))
        write_file(path, content, overwrite=True)
    return path


def main() -> int:
    """Print where the film is; 1 where it cannot be had."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", nargs="?", type=Path, help="opencv-doc_....deb, downloaded by hand")
    try:
        print(find(parser.parse_args().package))
    except IcloraError as error:
        print(f"pedestrians: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
