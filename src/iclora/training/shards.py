"""Writing a prepared folder: shards that are there whole or not at all, and never made twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from iclora import sampling
from iclora.errors import DatasetError, OutputError
from iclora.media.files import write_file
from iclora.training.store import EMPTY_PROMPT, SETTINGS, SHARDS, Row, Settings, to_json


class ShardWriter:
    """Collects the samples of one shard, and writes them together.

    Args:
        folder: The prepared folder.
        name: Of the shard, such as `00007`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._tensors_path = folder / SHARDS / f"{name}.safetensors"
        self._index_path = folder / SHARDS / f"{name}.jsonl"
        self._rows: list[Row] = []
        self._tensors: dict[str, Tensor] = {}

    @property
    def is_finished(self) -> bool:
        """Whether the shard is there already: its index is written last."""
        return self._index_path.is_file()

    def add(
        self,
        rows: Iterable[Row],
        *,
        target: Tensor,
        references: Mapping[str, tuple[Tensor, ...]],
        prompt: sampling.Prompt,
    ) -> None:
        """Take the samples of one clip.

        Args:
            rows: Its samples, all of the same clip.
            target: Latents of the clip `[c f h w]`.
            references: Latents of the references of each sample, by the sample's name.
            prompt: The encoded caption, a batch of one.
        """
        for row in rows:
            assert len(references[row.id]) == row.num_references
            self._rows.append(row)
            self._tensors[f"{row.clip}.target"] = _stored(target)
            for number, reference in enumerate(references[row.id]):
                self._tensors[f"{row.id}.reference.{number}"] = _stored(reference)
            self._tensors |= {f"{row.clip}.{key}": value for key, value in prompt_tensors(prompt).items()}

    def finish(self) -> int:
        """Write the shard: the tensors, then the index that says they are whole.

        Returns:
            How many samples it holds.

        Raises:
            OutputError: The disk is full or fails.
        """
        make_folder(self._index_path.parent)
        lines = "".join(json.dumps(to_json(row), ensure_ascii=False) + "\n" for row in self._rows)
        # Tensors without an index are those of a run that was stopped between the two.
        write_file(self._tensors_path, save(self._tensors), overwrite=True)
        write_file(self._index_path, lines.encode(), overwrite=True)
        return len(self._rows)


def prompt_tensors(prompt: sampling.Prompt) -> dict[str, Tensor]:
    """Name the tensors of an encoded prompt as they are stored.

    Args:
        prompt: A batch of one.

    Returns:
        `context`, and `audio_context` and `context_mask` if there are any, without the batch.
    """
    found = {"context": prompt.video, "audio_context": prompt.audio, "context_mask": prompt.mask}
    return {name: _stored(tensor[0]) for name, tensor in found.items() if tensor is not None}


def begin(folder: Path, settings: Settings, empty: sampling.Prompt) -> None:
    """Make a prepared folder, or check that one that is there was begun with the same settings.

    Args:
        folder: Where to.
        settings: What it is prepared with.
        empty: The encoded empty prompt.

    Raises:
        DatasetError: The folder was prepared with other settings.
        OutputError: It cannot be written to.
    """
    text = json.dumps(to_json(settings), indent=2, ensure_ascii=False) + "\n"
    path = folder / SETTINGS
    if path.is_file():
        before, now = json.loads(path.read_text("utf-8")), json.loads(text)
        if before != now:
            differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
            raise DatasetError(
                f"{folder} was prepared with other settings: {', '.join(differing)}. Prepare with those "
                "again, choose another folder, or allow to begin anew (--overwrite)."
            )
        return
    make_folder(folder)
    write_file(folder / EMPTY_PROMPT, save(prompt_tensors(empty)), overwrite=True)
    write_file(path, text.encode(), overwrite=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, where they are missing.

    Args:
        folder: The folder.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made ({error.strerror}); choose another place."
        ) from error


def _stored(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous().clone()
