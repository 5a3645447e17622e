"""The files an estimator needs, in the user's cache: BlazePose's from a pinned wheel, DWPose's from the hub.

BlazePose's two networks travel inside the wheel `mediapipe` 0.10.21 (newer wheels carry none). The package
itself is never installed, as it holds numpy below 2: its wheel is downloaded with pip, the two files are
taken out by name, compared with their known SHA-256, and kept; the wheel is thrown away.
"""

from __future__ import annotations

import hashlib
import logging
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from iclora.controls.cache import cache_folder as cache_folder  # the folder is asked for here too
from iclora.errors import ModelError, OutputError
from iclora.media.files import write_file

_LOG = logging.getLogger(__name__)
WHEEL = "mediapipe==0.10.21"
WHEEL_NAMES = "mediapipe-0.10.21-*.whl"
DETECTOR, LANDMARKS = "pose_detection.tflite", "pose_landmark_full.tflite"
BLAZEPOSE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        DETECTOR: (
            "mediapipe/modules/pose_detection/pose_detection.tflite",
            "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        ),
        LANDMARKS: (
            "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        ),
    }
)
"""File name: name inside the wheel, SHA-256. The networks are MediaPipe's, Apache-2.0."""
_PINNED_FOR = (
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
)
"""The same wheel everywhere: the networks in it do not depend on the machine."""
MAX_DOWNLOAD_SECONDS = 900
"""A download that takes longer is given up; pip gives up on silence much earlier."""
_SECRETS = re.compile(r"//[^/\s@]*@")


def blazepose_folder() -> Path:
    """Where BlazePose's networks lie once they have been fetched."""
    return cache_folder() / "blazepose-0.10.21"


def blazepose_files() -> list[Path]:
    """Where each of BlazePose's networks lies, or would lie."""
    return [blazepose_folder() / name for name in BLAZEPOSE]


def find_blazepose(*, download: Callable[[Path], None] | None = None) -> dict[str, Path]:
    """Find BlazePose's networks, and fetch them where they are not there yet.

    Args:
        download: Puts the wheel into the folder it is given; None: pip does.

    Returns:
        The path of each file of `BLAZEPOSE`, whole and unchanged.

    Raises:
        ModelError: If they cannot be fetched, or are not the files they should be; the message says what to
            put where.
    """
    folder = blazepose_folder()
    paths = {name: folder / name for name in BLAZEPOSE}
    for name, path in paths.items():
        if path.is_file() and _digest(path.read_bytes()) != BLAZEPOSE[name][1]:
            raise ModelError(f"{path} is not the file of {WHEEL} it should be; delete it and run again.")
    if all(path.is_file() for path in paths.values()):
        return paths
    try:
        folder.mkdir(parents=True, exist_ok=True)
        given = sorted(folder.glob(WHEEL_NAMES))
        if given:
            _unpack(given[-1], paths)
        else:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                (download or download_wheel)(Path(place))
                wheels = sorted(Path(place).glob(WHEEL_NAMES))
                if not wheels:
                    raise ModelError(f"The download of {WHEEL} brought no wheel. {_by_hand()}")
                _unpack(wheels[-1], paths)
    except (OSError, OutputError) as error:
        raise ModelError(
            f"Cannot keep BlazePose's networks in {folder} ({error}). Set ICLORA_CACHE."
        ) from error
    return paths


def download_wheel(folder: Path) -> None:
    """Download the wheel with pip, without installing it.

    Args:
        folder: Where to.

    Raises:
        ModelError: If pip is not there or cannot get it, or not in time.
    """
    _LOG.warning("Fetching %s (36 MB, Apache-2.0) from the package index, once, for BlazePose.", WHEEL)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-input", "--timeout=10", "--retries=0", "--only-binary=:all:", *_PINNED_FOR]
    command += ["--dest", str(folder), WHEEL]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=MAX_DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"BlazePose's networks could not be downloaded in {MAX_DOWNLOAD_SECONDS} seconds. {_by_hand()}"
        ) from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
        reason = _SECRETS.sub("//", said[-1]) if said else f"pip ended with exit {done.returncode}"
        if "No matching distribution" in reason:  # pip says so without a network, too
            reason = f"the package index cannot be reached, or has no {WHEEL}"
        raise ModelError(f"BlazePose's networks could not be downloaded ({reason.strip()}). {_by_hand()}")


def _by_hand() -> str:
    return (
        f"Download any wheel {WHEEL_NAMES} from the Python Package Index (pip download --no-deps {WHEEL} "
        f"--only-binary=:all: --python-version 3.11) and put it into {blazepose_folder()}."
    )


def _unpack(wheel: Path, paths: Mapping[str, Path]) -> None:
    """Take the networks out of a wheel, each whole or not at all."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            contents = {name: archive.read(BLAZEPOSE[name][0]) for name in paths}
    except (EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{wheel.name} is damaged or holds no networks ({error}). {_by_hand()}") from error
    for name, content in contents.items():
        if _digest(content) != BLAZEPOSE[name][1]:
            raise ModelError(f"{name} in {wheel.name} is not the file it should be. {_by_hand()}")
    for name, content in contents.items():
        write_file(paths[name], content, overwrite=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
