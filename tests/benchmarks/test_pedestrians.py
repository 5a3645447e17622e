"""benchmarks/pedestrians.py: the film is found, taken out of a package, and told from others."""

import hashlib
import importlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from iclora.errors import MediaError

ROOT = Path(__file__).parent.parent.parent
FILM = b"pedestrians"


@pytest.fixture
def pedestrians(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The program, with another film and a cache of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "cache"))
    program = importlib.import_module("pedestrians")
    monkeypatch.setattr(program, "DIGEST", hashlib.sha256(FILM).hexdigest())
    return program


def package_of(folder: Path, content: bytes) -> Path:
    """A small package that holds a film."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("there is no dpkg-deb")
    (folder / "tree" / "DEBIAN").mkdir(parents=True)
    control = (
        "Package: small\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <no@example.org>\nDescription: -\n"
    )
    (folder / "tree" / "DEBIAN" / "control").write_text(control)
    (folder / "tree" / "usr").mkdir()
    (folder / "tree" / "usr" / "vtest.avi").write_bytes(content)
    package = folder / "small.deb"
    subprocess.run(["dpkg-deb", "--build", folder / "tree", package], check=True, capture_output=True)
    return package


def test_the_film_is_taken_out_once(pedestrians: Any, tmp_path: Path) -> None:
    package = package_of(tmp_path, FILM)
    path = pedestrians.find(fetch=lambda folder: package)
    assert path == tmp_path / "cache" / "films" / "vtest.avi" and path.read_bytes() == FILM
    package.unlink()
    assert pedestrians.find(fetch=lambda folder: package) == path


def test_another_film_is_not_taken(pedestrians: Any, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"holds no vtest\.avi, or another one .* put vtest\.avi of OpenCV"):
        pedestrians.find(package_of(tmp_path, b"another film"))
    assert not pedestrians.place().exists()


def test_a_film_in_a_stream(pedestrians: Any) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("./usr/a", b"else"), ("./usr/vtest.avi", FILM)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert pedestrians.found_in(io.BytesIO(stream.getvalue())) == FILM
    assert pedestrians.found_in(io.BytesIO(b"no archive")) == b""


def test_no_package_is_one_line_that_says_what_to_do(
    pedestrians: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MediaError, match=r"cannot be downloaded \(.*apt-get.*deb\.debian\.org") as caught:
        pedestrians.find()
    assert "\n" not in str(caught.value) and str(tmp_path / "cache" / "films") in str(caught.value)
