"""controls.poses.weights: the networks are taken out of the wheel once, checked, or asked for in one line."""

import hashlib
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from iclora.controls.poses import weights
from iclora.errors import ModelError

CONTENT = {name: f"network {name}".encode() for name in weights.BLAZEPOSE}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "cache"))
    fake = {
        name: (inside, hashlib.sha256(CONTENT[name]).hexdigest())
        for name, (inside, _) in weights.BLAZEPOSE.items()
    }
    monkeypatch.setattr(weights, "BLAZEPOSE", fake)


def make_wheel(folder: Path, content: dict[str, bytes] | None = None) -> None:
    with zipfile.ZipFile(folder / "mediapipe-0.10.21-cp311-cp311-some.whl", "w") as archive:
        for name, text in (CONTENT if content is None else content).items():
            archive.writestr(weights.BLAZEPOSE[name][0], text)


def test_networks_are_taken_out_once(tmp_path: Path) -> None:
    paths = weights.find_blazepose(download=make_wheel)
    assert {name: path.read_bytes() for name, path in paths.items()} == CONTENT
    assert sorted(path.name for path in (tmp_path / "cache/blazepose-0.10.21").iterdir()) == sorted(CONTENT)

    def never(folder: Path) -> None:
        raise AssertionError(f"there is no need to download into {folder}")

    assert weights.find_blazepose(download=never) == paths


def test_a_wheel_put_there_by_hand_is_used() -> None:
    weights.blazepose_folder().mkdir(parents=True)
    make_wheel(weights.blazepose_folder())
    assert len(weights.find_blazepose(download=lambda folder: None)) == 2


def test_changed_files_are_refused() -> None:
    (path, _) = weights.find_blazepose(download=make_wheel).values()
    path.write_bytes(b"other")
    with pytest.raises(ModelError, match=r"is not the file of mediapipe==0\.10\.21 it should be; delete it"):
        weights.find_blazepose(download=make_wheel)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (dict.fromkeys(CONTENT, b"other"), "is not the file it should be"),
        ({weights.DETECTOR: CONTENT[weights.DETECTOR]}, "is damaged or holds no networks"),
    ],
)
def test_wheels_with_other_content_are_refused(content: dict[str, bytes], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        weights.find_blazepose(download=lambda folder: make_wheel(folder, content))
    assert list(weights.blazepose_folder().iterdir()) == []


def test_no_network_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "WARNING: retrying\nERROR: Could not find a version of it at https://user:secret@index/simple\n"
    asked: list[list[str]] = []

    def fail(command: list[str], **_: object) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(returncode=1, stderr=said)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(ModelError) as caught:
        weights.find_blazepose()
    message = str(caught.value)
    assert "could not be downloaded (ERROR: Could not find a version" in message and "secret" not in message
    assert "Download any wheel mediapipe-0.10.21-*.whl from the Python Package Index" in message
    assert message.endswith(f"put it into {weights.blazepose_folder()}.")
    assert asked[0][1:4] == ["-m", "pip", "download"] and asked[0][-1] == "mediapipe==0.10.21"
    assert "--no-deps" in asked[0]


def test_pip_without_a_network_does_not_sound_as_if_the_release_were_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "ERROR: No matching distribution found for mediapipe==0.10.21\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr=said))
    with pytest.raises(ModelError) as caught:
        weights.find_blazepose()
    message = str(caught.value)
    assert "(the package index cannot be reached, or has no mediapipe==0.10.21). Download any" in message
    assert "No matching" not in message and str(weights.blazepose_folder()) in message


def test_a_download_asks_nothing_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given: dict[str, object] = {}

    def hang(command: list[str], **options: object) -> SimpleNamespace:
        given.update(options, no_input="--no-input" in command)
        raise subprocess.TimeoutExpired(command, weights.MAX_DOWNLOAD_SECONDS)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(ModelError, match=r"could not be downloaded in 900 seconds\. Download any wheel"):
        weights.find_blazepose()
    assert given["timeout"] == 900 and given["stdin"] == subprocess.DEVNULL and given["no_input"]
    assert "Fetching mediapipe==0.10.21" in caplog.text and "Apache-2.0" in caplog.text
    assert list(weights.blazepose_folder().iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"Cannot keep BlazePose's networks in .*Set ICLORA_CACHE"):
        weights.find_blazepose(download=make_wheel)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("ICLORA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.cache_folder() == tmp_path / "iclora"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.cache_folder() == Path("~/.cache/iclora").expanduser()
