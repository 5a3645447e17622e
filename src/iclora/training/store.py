"""A prepared folder: what was encoded once, read sample by sample.

    prepared.json            what it was made with: `Settings`
    prepared.safetensors     the encoded empty prompt: context, audio_context, context_mask
    shards/NAME.safetensors  CLIP.target [c f h w], CLIP.context [t d], ..., SAMPLE.reference.N [c f h w]
    shards/NAME.jsonl        one `Row` a sample; written last, so a shard that has it is finished

Samples that differ in their control alone share the target and the context of their clip.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from iclora import checkpoints
from iclora.errors import DatasetError, ModelError

VERSION = 1
"""Of the layout; a folder of another one is refused."""

SETTINGS = "prepared.json"
EMPTY_PROMPT = "prepared.safetensors"
SHARDS = "shards"

Split = Literal["train", "held_out"]

_FINGERPRINT_VALUES = 64


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A size that clips are brought to.

    Attributes:
        width: Pixels.
        height: Pixels.
        num_frames: Pixel frames of the target.
        fps: Frames per second of the target.
    """

    width: int
    height: int
    num_frames: int
    fps: float

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.num_frames}@{self.fps:g}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a folder was prepared with.

    Attributes:
        model: The model, as it was named.
        base: What adapters call it in their metadata.
        fingerprint: Of the autoencoder and the text encoder, from `fingerprint`; empty: not known.
        controls: Each control that was drawn, with its dials; empty where the dataset gave the references.
        downscale: How many times smaller than the target references are.
        temporal_factor: How many target frames one reference frame stands for.
        fps: Frames per second of all targets.
        buckets: The sizes there may be.
        trigger: Word put before each caption; empty for none.
        held_out: Share or number of clips that are not trained on.
        shard_size: Clips in a shard.
        dataset: Digest of the clips and their captions; empty: not known.
        version: Of the layout.
    """

    model: str
    base: str
    fingerprint: str
    controls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    downscale: int = 1
    temporal_factor: int = 1
    fps: float
    buckets: tuple[Bucket, ...]
    trigger: str = ""
    held_out: float = 0.0
    shard_size: int = 0
    dataset: str = ""
    version: int = VERSION

    @property
    def control(self) -> str:
        """The control's name; `union` for several, empty where the dataset gave the references."""
        return "union" if len(self.controls) > 1 else next(iter(self.controls), "")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sample, without its tensors.

    Attributes:
        id: Its name, unlike any other of the folder.
        clip: The name its target and context are stored under.
        caption: The prompt, with the trigger.
        source: The file the target comes from.
        bucket: Its size.
        split: `train`, or `held_out` where it shall not be trained on.
        control: The control that was drawn; empty where the dataset gave the reference.
        num_references: How many references it has.
    """

    id: str
    clip: str
    caption: str
    source: str
    bucket: Bucket
    split: Split = "train"
    control: str = ""
    num_references: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A sample with its tensors, on the CPU, in the type they were encoded in.

    Attributes:
        id: Its name.
        caption: The prompt.
        source: The file the target comes from.
        bucket: Its size.
        control: The control of its reference; empty where it is not known.
        target: Normalised latents.
        references: Normalised latents of each reference, made smaller and slower as the settings say.
        context: The encoded prompt as the transformer's video stream takes it.
        context_mask: True where a token of it counts; None: all do.
        audio_context: The same for the audio stream, or None.
    """

    id: str
    caption: str
    source: str
    bucket: Bucket
    control: str
    target: Float[Tensor, "c f h w"]
    references: tuple[Tensor, ...]
    context: Float[Tensor, "t d"]
    context_mask: Bool[Tensor, " t"] | None = None
    audio_context: Float[Tensor, "t d_a"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EmptyPrompt:
    """The encoded empty prompt, which takes the place of a caption that is dropped in training.

    Attributes:
        context: As the video stream takes it.
        context_mask: True where a token of it counts; None: all do.
        audio_context: As the audio stream takes it, or None.
    """

    context: Float[Tensor, "t d"]
    context_mask: Bool[Tensor, " t"] | None = None
    audio_context: Float[Tensor, "t d_a"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """A prepared folder, or one that the official trainer precomputed; it can go to another process.

    Attributes:
        path: The folder.
        settings: What it was prepared with.
        samples: All samples, in an order that does not change.
        empty: The encoded empty prompt; None where the folder has none.
    """

    path: Path
    settings: Settings
    samples: tuple[Row, ...]
    empty: EmptyPrompt | None
    _read: Callable[[int], Sample] = field(repr=False)
    _read_references: Callable[[int], tuple[Tensor, ...]] = field(repr=False)

    @staticmethod
    def open(path: str | Path, *, components: checkpoints.Components | None = None) -> Store:
        """Open a folder; nothing but its index is read.

        Args:
            path: A folder from `iclora prepare`, or one of the official trainer: its `.precomputed` or the
                folder around that.
            components: The model's parts, only for a folder of the official trainer: its captions are stored
                before the connectors.

        Returns:
            The store.

        Raises:
            DatasetError: There is no such folder, it is damaged or of another version, or nothing is in it.
        """
        folder = Path(path)
        if (folder / SETTINGS).is_file():
            return _open_own(folder)
        from iclora.training import official

        return official.open_precomputed(folder, components)

    def load(self, index: int) -> Sample:
        """Read one sample.

        Args:
            index: Its place in `samples`.

        Returns:
            The sample.

        Raises:
            DatasetError: Its tensors are missing or damaged.
        """
        return self._read(index)

    def load_references(self, index: int) -> tuple[Tensor, ...]:
        """Read the references of one sample and nothing else: its caption may be dear.

        Args:
            index: Its place in `samples`.

        Returns:
            What its `Sample` would hold.

        Raises:
            DatasetError: They are missing or damaged.
        """
        return self._read_references(index)

    def indices(self, split: Split) -> list[int]:
        """Tell the places of the samples of a split.

        Args:
            split: `train` or `held_out`.

        Returns:
            Their places in `samples`, ascending.
        """
        return [index for index, row in enumerate(self.samples) if row.split == split]


def fingerprint(folder: Path) -> str:
    """Tell models apart by what encodes clips and prompts: the autoencoder, the text encoder, the connectors.

    A few values of each weight are read from the files, in bfloat16, so that a copy in another type is the
    same.

    Args:
        folder: The model's folder, such as `Components.path`.

    Returns:
        16 letters and digits.

    Raises:
        ModelError: A file is damaged.
    """
    digest = hashlib.sha256()
    for part in ("vae", "text_encoder", "connectors"):
        lines = [line for path in (folder / part).glob("*.safetensors") for line in _glimpse(path)]
        for line in sorted(lines):
            digest.update(line)
    return digest.hexdigest()[:16]


def _glimpse(path: Path) -> Iterator[bytes]:
    """Name, shape and first values of each weight of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():
                weight = file.get_slice(name)
                shape = tuple(weight.get_shape())
                values = (weight[:1] if len(shape) > 1 else file.get_tensor(name)).flatten()
                some = values[:_FINGERPRINT_VALUES].to(torch.bfloat16).view(torch.int16)
                yield f"{name} {shape}".encode() + some.numpy().tobytes()
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read ({error}). Fetch the model again.") from error


def _open_own(folder: Path) -> Store:
    settings = _settings(folder / SETTINGS)
    rows: list[Row] = []
    shards: list[Path] = []
    for index in sorted((folder / SHARDS).glob("*.jsonl")):
        found = _rows(index)
        rows += found
        shards += [index.with_suffix(".safetensors")] * len(found)
    if not rows:
        raise DatasetError(f"{folder} holds no samples yet; run iclora prepare to its end.")
    empty = EmptyPrompt(**_prompt(folder / EMPTY_PROMPT, ""))
    return Store(
        path=folder,
        settings=settings,
        samples=tuple(rows),
        empty=empty,
        _read=partial(_load_at, tuple(rows), tuple(shards)),
        _read_references=partial(_references_at, tuple(rows), tuple(shards)),
    )


def _settings(path: Path) -> Settings:
    content = _json(path, path.read_text("utf-8"))
    if content.get("version") != VERSION:
        raise DatasetError(
            f"{path} is of version {content.get('version')}, this iclora reads version {VERSION}. "
            "Prepare the dataset again, or use the iclora it was prepared with."
        )
    try:
        buckets = tuple(Bucket(**bucket) for bucket in content.pop("buckets"))
        return Settings(**content, buckets=buckets)
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{path} is damaged ({error}). Prepare the dataset again.") from error


def _rows(path: Path) -> list[Row]:
    rows = []
    for line in path.read_text("utf-8").splitlines():
        content = _json(path, line)
        try:
            rows.append(Row(**content | {"bucket": Bucket(**content["bucket"])}))
        except (KeyError, TypeError) as error:
            raise DatasetError(f"{path} is damaged ({error}); remove it and prepare again.") from error
    return rows


def _json(path: Path, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} is not JSON ({error}). Prepare the dataset again.") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds no settings. Prepare the dataset again.")
    return content


def to_json(value: Settings | Row) -> dict[str, Any]:
    """Turn settings or a row into what their file holds.

    Args:
        value: The settings or the row.

    Returns:
        Plain values, in the order of the fields.
    """
    return {name.name: asdict(value)[name.name] for name in fields(value)}


def _load_at(rows: tuple[Row, ...], shards: tuple[Path, ...], index: int) -> Sample:
    row, shard = rows[index], shards[index]
    (target,) = _tensors(shard, [f"{row.clip}.target"])
    return Sample(
        id=row.id,
        caption=row.caption,
        source=row.source,
        bucket=row.bucket,
        control=row.control,
        target=target,
        references=_references_at(rows, shards, index),
        **_prompt(shard, f"{row.clip}."),
    )


def _references_at(rows: tuple[Row, ...], shards: tuple[Path, ...], index: int) -> tuple[Tensor, ...]:
    row = rows[index]
    names = [f"{row.id}.reference.{number}" for number in range(row.num_references)]
    return tuple(_tensors(shards[index], names))


def _prompt(path: Path, prefix: str) -> dict[str, Any]:
    """The tensors of an encoded prompt; those that may be missing are None."""
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
    except (OSError, SafetensorError) as error:
        raise DatasetError(f"{path} cannot be read ({error}). Prepare the dataset again.") from error
    wanted = [name for name in ("context", "context_mask", "audio_context") if prefix + name in names]
    found = dict(zip(wanted, _tensors(path, [prefix + name for name in wanted]), strict=True))
    if "context" not in found:
        raise DatasetError(f"{path} holds no '{prefix}context'. Prepare the dataset again.")
    return found


def _tensors(path: Path, names: list[str]) -> list[Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return [file.get_tensor(name) for name in names]
    except (OSError, SafetensorError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error}); remove it with its .jsonl and prepare again."
        ) from error
