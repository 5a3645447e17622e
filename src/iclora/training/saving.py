"""The folder of a run, and checkpoints in it that are there whole or not at all.

    config.yaml                the settings in full
    log.jsonl                  the numbers, a row at a time
    checkpoints/000250/        NAME.safetensors, and state.pt: what going on exactly needs
    best/                      NAME.safetensors of the checkpoint that follows best, and best.json: its score
    previews/000250/           clips made of held-out references
    NAME.safetensors README.md report.html      at the end

A checkpoint is written beside its place, down to the disk, and then renamed: a killed process or a full disk
leaves the one before it as the newest.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from iclora.errors import OutputError, RequestError
from iclora.media.files import write_directory, write_file
from iclora.training.config import TrainingSettings, differences, read_settings, to_yaml

CONFIG, LOG, STATE, BEST = "config.yaml", "log.jsonl", "state.pt", "best.json"


@dataclass(frozen=True, kw_only=True)
class Best:
    """The checkpoint that follows its references best so far.

    Attributes:
        step: Steps that were done.
        score: Higher is better.
        measure: What the score is, `adherence` or `held_out` (the loss, negative).
    """

    step: int
    score: float
    measure: str


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """What going on exactly needs, beside the settings.

    Attributes:
        step: Steps done.
        weights: What is trained, by name, float32.
        optimizer: State of the optimizer.
        best: The best checkpoint so far.
        clips_per_step: Clips of each step, in all processes; None in checkpoints of before it was kept.
        samples: From `batches.digest_of`: what is learned from; None likewise.
    """

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    best: Best | None
    clips_per_step: int | None = None
    samples: str | None = None


def claim(
    folder: Path,
    settings: TrainingSettings,
    *,
    overwrite: bool,
    clips_per_step: int | None = None,
    samples: str | None = None,
) -> None:
    """Make the folder of a run, or take one that holds a run of the same settings, to go on with it.

    Args:
        folder: The folder.
        settings: What is trained.
        overwrite: Whether a run of other settings there may be thrown away.
        clips_per_step: Clips of each step, in all processes; None: whatever there was.
        samples: From `batches.digest_of`; None: whatever there was.

    Raises:
        OutputError: Something else is there, or nothing can be written there.
        RequestError: A run of other settings is there, or one whose steps are of another number of clips,
            or of others.
    """
    config = folder / CONFIG
    is_run = config.is_file()
    if overwrite and is_run:
        for name in ("checkpoints", "best", "previews"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (CONFIG, LOG):
            (folder / name).unlink(missing_ok=True)
    if config.is_file():
        changed = differences(read_settings(config), settings)
        if changed:
            raise RequestError(
                f"{folder} holds a run of other settings: {'; '.join(changed)}. Go on with its own, choose "
                "another output folder, or begin anew with --overwrite."
            )
        _check_clips(folder, settings, clips_per_step, samples)
    elif not is_run and folder.exists() and any(folder.iterdir()):
        raise OutputError(f"{folder} holds something that is no run. Choose another output folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}). Choose another place.") from error
    write_file(config, to_yaml(settings).encode(), overwrite=True)


def _check_clips(folder: Path, settings: TrainingSettings, now: int | None, samples: str | None) -> None:
    state = load_newest(folder)
    if state is None:
        return
    before = state.clips_per_step
    if before is not None and now not in (None, before):
        raise RequestError(
            f"A step of the run in {folder} was made of {before} clips and is made of {now}, which is "
            "another run. Go on with as many processes times data.accumulation as before "
            f"({before // settings.data.batch_size}), choose another output folder, or begin anew with "
            "--overwrite."
        )
    if None not in (samples, state.samples) and samples != state.samples:
        raise RequestError(
            f"{settings.data.path} holds other samples than when the run in {folder} was stopped, which "
            "makes it another run. Bring back what was there, choose another output folder (adapter.begin "
            "goes on from an adapter), or begin anew with --overwrite."
        )


def save_checkpoint(folder: Path, state: State, files: Mapping[str, bytes], *, keep: int) -> Path:
    """Write a checkpoint, and remove those that are too old.

    Args:
        folder: The run's folder.
        state: What going on needs.
        files: Name and content of what else belongs to it, such as the adapter.
        keep: How many of the newest checkpoints stay.

    Returns:
        The checkpoint's folder.

    Raises:
        OutputError: The disk is full or fails; the checkpoint before it is the newest then.
    """
    path = checkpoint_folder(folder, state.step)
    path.parent.mkdir(exist_ok=True)
    content = io.BytesIO()
    torch.save(asdict(state), content)
    write_directory(path, [*files.items(), (STATE, content.getvalue())], overwrite=True)
    for old in _checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return path


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Tell where the checkpoint of a step is."""
    return folder / "checkpoints" / f"{step:06d}"


def load_newest(folder: Path) -> State | None:
    """Read the newest checkpoint.

    Args:
        folder: The run's folder.

    Returns:
        What going on needs; None where there is no checkpoint.

    Raises:
        OutputError: The checkpoint is damaged.
    """
    if not has_checkpoint(folder):
        return None
    path = newest(folder) / STATE
    try:
        if not zipfile.is_zipfile(path):
            raise RuntimeError("it was cut off")
        content = torch.load(path, map_location="cpu", weights_only=True)
        best = None if content["best"] is None else Best(**content["best"])
        return State(**content | {"best": best})
    except (OSError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise OutputError(
            f"{path} is damaged ({error}). Remove {path.parent} to go on from the checkpoint before it."
        ) from error


def has_checkpoint(folder: Path) -> bool:
    """Tell whether there is one to go on from."""
    return bool(_checkpoints(folder))


def newest(folder: Path) -> Path:
    """Tell where the newest checkpoint is; there must be one."""
    return _checkpoints(folder)[-1]


def save_best(folder: Path, best: Best, files: Mapping[str, bytes]) -> None:
    """Keep the best checkpoint's adapter.

    Args:
        folder: The run's folder.
        best: Which it is.
        files: Name and content of its files.

    Raises:
        OutputError: The disk is full or fails; the best one before it is still there then.
    """
    note = json.dumps(asdict(best)) + "\n"
    write_directory(folder / "best", [*files.items(), (BEST, note.encode())], overwrite=True)


def add_row(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a row to the run's numbers.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with (folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row)) + "\n")
    except OSError as error:
        raise OutputError(f"{folder / LOG} cannot be written ({error.strerror}). Free some space.") from error


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Read the run's numbers; a last row that was cut off is left out."""
    path = folder / LOG
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def rewind(folder: Path, step: int) -> None:
    """Drop the numbers of steps that will be done again.

    Args:
        folder: The run's folder.
        step: The step that the run goes on from; 0: it begins, and all rows go.
    """
    rows: Iterable[dict[str, Any]] = (row for row in read_rows(folder) if 0 < step >= row["step"])
    content = "".join(json.dumps(row) + "\n" for row in rows)
    write_file(folder / LOG, content.encode(), overwrite=True)


def _checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints, the newest last; what is being written has a name that is no number."""
    return sorted(path for path in (folder / "checkpoints").glob("*") if path.name.isdigit())
