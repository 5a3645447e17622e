import errno
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from iclora import media
from iclora.clip import Clip
from iclora.errors import OutputError
from iclora.media import files

CLIP = Clip(frames=np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), fps=8.0)
ALL_KINDS = ["out.mp4", "out.webm", "out.gif", "out"]


@pytest.mark.parametrize("name", ALL_KINDS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_leaves_nothing(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OutputError, match=rf"No room to write .*{name}.*free some space"):
        media.save(CLIP, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL_KINDS)
def test_a_full_disk_keeps_what_was_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.save(CLIP, tmp_path / name)
    before = media.read(path).frames

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OutputError, match="No room"):
        media.save(CLIP, path, overwrite=True)
    assert np.array_equal(media.read(path).frames, before)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_real_file_size_limit_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from iclora import Clip\n"
        "from iclora.errors import OutputError\n"
        "frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    Clip(frames=frames, fps=8.0).save(sys.argv[1])\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out.mp4")], capture_output=True, text=True, check=True
    )
    assert "No room to write" in done.stdout and "out.mp4" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_stop_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for name in ALL_KINDS:
        with pytest.raises(KeyboardInterrupt):
            media.save(CLIP, tmp_path / name, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL_KINDS)
def test_what_exists_is_kept_unless_overwriting_is_allowed(name: str, tmp_path: Path) -> None:
    path = media.save(CLIP, tmp_path / name)
    with pytest.raises(OutputError, match=f"{name} exists; choose another name or allow overwriting"):
        media.save(CLIP, path)
    shorter = Clip(frames=CLIP.frames[:2], fps=8.0)
    assert media.read(media.save(shorter, path, overwrite=True)).num_frames == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_folder_that_cannot_be_exchanged_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = media.save(CLIP, tmp_path / "out")
    rename = os.rename

    def fail_at_the_result(source: Path, target: Path) -> None:
        if source.name.endswith(".part"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(files.os, "rename", fail_at_the_result)
    with pytest.raises(OutputError, match="Input/output error"):
        media.save(CLIP, path, overwrite=True)
    assert np.array_equal(media.read(path).frames, CLIP.frames)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="missing does not exist; make that folder"):
        media.check_output(tmp_path / "missing" / "out.mp4", overwrite=False)


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file is not a folder"):
        media.check_output(tmp_path / "file" / "out.mp4", overwrite=False)


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder, but the result is a file"):
        media.check_output(tmp_path / "out.mp4", overwrite=True)


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="is a file, but the result is a folder"):
        media.check_output(tmp_path / "out", overwrite=True)


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"Cannot write .*out.mp4 \(Permission denied\); choose a place"):
        media.check_output(tmp_path / "out.mp4", overwrite=False)


@pytest.mark.parametrize("name", ["n" * 300 + ".mp4", "n" * 250 + ".gif"])
def test_a_name_that_is_too_long_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Cannot write .*\(File name too long\)"):
        media.check_output(tmp_path / name, overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [".", "./", "/", ""])
def test_a_place_without_a_name_is_refused(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="a place without a name of its own; give a new name"):
        media.save(CLIP, path, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_nowhere_is_something_that_exists(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").symlink_to(tmp_path / "gone.mp4")
    with pytest.raises(OutputError, match="out.mp4 exists; choose another name"):
        media.save(CLIP, tmp_path / "out.mp4")
    media.save(CLIP, tmp_path / "out.mp4", overwrite=True)
    assert not (tmp_path / "out.mp4").is_symlink() and not (tmp_path / "gone.mp4").exists()


def test_the_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("x")
    path = media.save(CLIP, tmp_path / "out.mp4")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_to_a_folder_is_replaced_and_the_folder_kept(tmp_path: Path) -> None:
    kept = media.save(CLIP, tmp_path / "kept")
    link = tmp_path / "link"
    link.symlink_to(kept)
    shorter = Clip(frames=CLIP.frames[:2], fps=8.0)
    media.save(shorter, link, overwrite=True)
    assert not link.is_symlink() and media.read(link).num_frames == 2
    assert np.array_equal(media.read(kept).frames, CLIP.frames)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["kept", "link"]
