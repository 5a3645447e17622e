"""Checkpoints are whole or not there; a folder is claimed with care."""

import errno
import io
from pathlib import Path
from typing import Any

import pytest
import torch

from iclora.errors import OutputError, RequestError
from iclora.media import files
from iclora.training import saving
from iclora.training.config import TrainingSettings, resolve
from iclora.training.saving import Best, State


def settings_of(folder: Path, **said: Any) -> TrainingSettings:
    return resolve({"output": str(folder), "data": {"path": "data"}} | said)


def state_of(step: int, best: Best | None = None) -> State:
    return State(step=step, weights={"a": torch.full((3,), float(step))}, optimizer={"x": [step]}, best=best)


def test_a_checkpoint_is_read_as_it_was_written_and_old_ones_go(tmp_path: Path) -> None:
    best = Best(step=2, score=0.5, measure="adherence")
    for step in (2, 4, 6):
        saving.save_checkpoint(tmp_path, state_of(step, best), {"a.safetensors": b"x"}, keep=2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["000004", "000006"]
    found = saving.load_newest(tmp_path)
    assert found is not None and (found.step, found.best) == (6, best)
    assert found.weights["a"].tolist() == [6, 6, 6] and found.optimizer == {"x": [6]}
    assert (tmp_path / "checkpoints" / "000006" / "a.safetensors").read_bytes() == b"x"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_the_checkpoint_before(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving.save_checkpoint(tmp_path, state_of(2), {}, keep=2)

    def full(file: io.BytesIO, content: bytes) -> None:
        file.write(content[: len(content) // 2])
        raise OSError(number, "no room")

    monkeypatch.setattr(files, "_fill", full)
    with pytest.raises(OutputError):
        saving.save_checkpoint(tmp_path, state_of(4), {"a.safetensors": b"xyz"}, keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000002"]
    found = saving.load_newest(tmp_path)
    assert found is not None and found.step == 2


def test_a_checkpoint_being_written_when_the_process_ends_is_no_checkpoint(tmp_path: Path) -> None:
    saving.save_checkpoint(tmp_path, state_of(2), {}, keep=2)
    (tmp_path / "checkpoints" / ".000004.abcd.part").mkdir()
    found = saving.load_newest(tmp_path)
    assert found is not None and found.step == 2


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = saving.save_checkpoint(tmp_path, state_of(2), {}, keep=2)
    (path / saving.STATE).write_bytes(b"rubbish")
    with pytest.raises(OutputError, match="000002 to go on from the checkpoint before it"):
        saving.load_newest(tmp_path)


def test_the_best_is_replaced_whole(tmp_path: Path) -> None:
    for step in (1, 2):
        saving.save_best(tmp_path, Best(step=step, score=0.1, measure="adherence"), {"a": b"%d" % step})
    assert (tmp_path / "best" / "a").read_bytes() == b"2"
    assert '"step": 2' in (tmp_path / "best" / saving.BEST).read_text()


def test_a_run_of_the_same_settings_is_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    saving.claim(folder, settings_of(folder), overwrite=False)
    saving.claim(folder, settings_of(folder, watch={"log_every": 1}), overwrite=False)
    assert "log_every: 1" in (folder / saving.CONFIG).read_text()


def test_a_run_of_other_settings_is_refused_unless_it_may_go(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    saving.claim(folder, settings_of(folder), overwrite=False)
    saving.save_checkpoint(folder, state_of(2), {}, keep=2)
    with pytest.raises(RequestError, match="seed was 42 and is 1"):
        saving.claim(folder, settings_of(folder, seed=1), overwrite=False)
    saving.claim(folder, settings_of(folder, seed=1), overwrite=True)
    assert saving.load_newest(folder) is None


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="holds something that is no run"):
            saving.claim(tmp_path, settings_of(tmp_path), overwrite=overwrite)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_rows_of_steps_that_come_again_are_dropped(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        saving.add_row(tmp_path, {"step": step, "loss": 0.1 * step})
    with (tmp_path / saving.LOG).open("a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in saving.read_rows(tmp_path)] == [1, 2, 3]
    saving.rewind(tmp_path, 2)
    assert saving.read_rows(tmp_path) == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": 0.2}]
