"""What the official trainer precomputed, read as a store.

    latents/A/B.pt            latents [c f h w] (older: [n c]), num_frames, height, width in cells, fps
    reference_latents/A/B.pt  the same; its fps is that of the target over the temporal factor
    conditions/A/B.pt         video_prompt_embeds [t d], audio_prompt_embeds, prompt_attention_mask [t],
                              before the connectors; padding on the left may be left out

Source: Lightricks LTX-2, ``ltx_trainer``: ``datasets.py``, ``scripts/process_dataset.py`` and
``docs/dataset-preparation.md``.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from iclora import checkpoints, geometry, sampling
from iclora.errors import DatasetError
from iclora.pipeline.coding import encode_features
from iclora.training.store import Bucket, Row, Sample, Settings, Store

_FOLDER = ".precomputed"


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The files of one sample."""

    latents: Path
    conditions: Path
    reference: Path


def open_precomputed(folder: Path, components: checkpoints.Components | None) -> Store:
    """Open a folder of the official trainer, every file's sizes but none of its values.

    Args:
        folder: Its `.precomputed`, or the folder around that.
        components: The parts of the model it was precomputed with: the autoencoder, for its sizes, and the
            connectors, which are kept; others may be left out.

    Returns:
        A store; it has no empty prompt, and no sample is held out.

    Raises:
        DatasetError: It is no such folder, holds no whole samples, is damaged or mixed, or was precomputed
            with another model.
    """
    root = find_root(folder)
    if components is None:
        raise DatasetError(
            f"{root} is of the official trainer, whose captions are stored before the connectors. "
            "Give the model's components, too."
        )
    files, channels = _found(root), int(components.vae.config.latent_channels)
    outlines = [(_outline(one.latents, channels), _outline(one.reference, channels)) for one in files]
    spatial, temporal = _factors_of(root, outlines)
    factors = geometry.factors_of(components.vae)
    rows = tuple(_row(root, one, outline[0], factors) for one, outline in zip(files, outlines, strict=True))
    settings = Settings(
        model=str(components.path),
        base=components.recipe.base,
        fingerprint="",
        downscale=spatial,
        temporal_factor=temporal,
        fps=rows[0].bucket.fps,
        buckets=tuple(dict.fromkeys(row.bucket for row in rows)),
    )
    return Store(
        path=root,
        settings=settings,
        samples=rows,
        empty=None,
        _read_references=partial(_references_at, tuple(files)),
        _read=partial(_load_at, rows, tuple(files), replace(components, transformer=None, vae=None)),
    )


def find_root(folder: Path) -> Path:
    """Find where the official trainer has put what it precomputed.

    Args:
        folder: Its `.precomputed`, or the folder around that.

    Returns:
        The folder that holds `latents`.

    Raises:
        DatasetError: It is no such folder, or has no references.
    """
    root = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
    if not all((root / name).is_dir() for name in ("latents", "conditions")):
        raise DatasetError(
            f"{folder} is no prepared folder: it has neither a prepared.json nor the folders 'latents' and "
            "'conditions' of the official trainer. Make one with: iclora prepare DATASET -o FOLDER"
        )
    if not (root / "reference_latents").is_dir():
        raise DatasetError(
            f"{root} has no folder 'reference_latents', but an IC-LoRA is trained on references. "
            "Precompute the dataset again with a column 'reference_video'."
        )
    return root


def _found(root: Path) -> list[_Files]:
    """Samples whose files are all there; the official trainer leaves the others out too."""
    files = []
    for latents in sorted((root / "latents").rglob("*.pt")):
        relative = latents.relative_to(root / "latents")
        caption = relative
        if latents.name.startswith("latent_"):
            caption = relative.with_name(latents.name.replace("latent_", "condition_", 1))
        one = _Files(
            latents=latents,
            conditions=root / "conditions" / caption,
            reference=root / "reference_latents" / relative,
        )
        if one.conditions.is_file() and one.reference.is_file():
            files.append(one)
    if not files:
        raise DatasetError(
            f"{root} holds no sample that has latents, conditions and reference_latents of one name. "
            "Let the official process_dataset.py run to its end."
        )
    return files


def _outline(path: Path, channels: int) -> tuple[tuple[int, int, int], float]:
    """Frames, height and width in cells, and the rate."""
    found, frames, height, width = _latents(path).shape
    if found != channels:
        raise DatasetError(
            f"{path} has {found} channels, and those of the model have {channels}: it was precomputed with "
            "another autoencoder. Train the model it was precomputed with, or precompute it again."
        )
    return (frames, height, width), float(_content(path, "fps")["fps"])


def _factors_of(root: Path, outlines: list[Any]) -> tuple[int, int]:
    found = set()
    for ((_, height, width), fps), ((_, small_height, small_width), small_fps) in outlines:
        spatial = round(width / small_width)
        if (small_width * spatial, small_height * spatial) != (width, height):
            raise DatasetError(
                f"In {root} a target is {width}x{height} cells and its reference {small_width}x"
                f"{small_height}, which is no whole factor. Precompute both with one bucket."
            )
        found.add((spatial, max(1, round(fps / small_fps))))
    if len(found) > 1:
        raise DatasetError(
            f"The references in {root} are smaller or slower than their targets by several factors (space "
            f"and time: {sorted(found)}). An adapter has one: precompute them alike."
        )
    (factors,) = found
    return factors


def _row(root: Path, files: _Files, outline: Any, factors: geometry.LatentFactors) -> Row:
    (frames, height, width), fps = outline
    grid = geometry.LatentGrid(frames=frames, height=height, width=width)
    num_frames, height_px, width_px = geometry.pixel_size(grid, factors)
    name = files.latents.relative_to(root / "latents").with_suffix("").as_posix()
    return Row(
        id=name,
        clip=name,
        caption="",
        source=str(files.latents),
        bucket=Bucket(width=width_px, height=height_px, num_frames=num_frames, fps=fps),
    )


@torch.no_grad()
def _load_at(
    rows: tuple[Row, ...], all_files: tuple[_Files, ...], components: checkpoints.Components, index: int
) -> Sample:
    row, files = rows[index], all_files[index]
    prompt = _prompt(files.conditions, components)
    return Sample(
        id=row.id,
        caption=row.caption,
        source=row.source,
        bucket=row.bucket,
        control=row.control,
        target=_latents(files.latents).clone(),
        references=_references_at(all_files, index),
        context=prompt.video[0].cpu(),
        context_mask=None if prompt.mask is None else prompt.mask[0].cpu(),
        audio_context=None if prompt.audio is None else prompt.audio[0].cpu(),
    )


def _references_at(all_files: tuple[_Files, ...], index: int) -> tuple[Tensor, ...]:
    return (_latents(all_files[index].reference).clone(),)


def _prompt(path: Path, components: checkpoints.Components) -> sampling.Prompt:
    """The caption as the transformer takes it: padded to the model's limit, through the connectors."""
    conditions = _content(path, "prompt_attention_mask")
    video = conditions.get("video_prompt_embeds", conditions.get("prompt_embeds"))
    if video is None:
        raise DatasetError(f"{path} holds no 'video_prompt_embeds'. Precompute it again.")
    audio = conditions.get("audio_prompt_embeds")
    config = components.connectors.config
    width = config.video_connector_num_attention_heads * config.video_connector_attention_head_dim
    if video.shape[-1] != width:
        raise DatasetError(
            f"The caption in {path} is {video.shape[-1]} values wide, and the model takes {width}: it was "
            "precomputed with another text encoder. Train the model it was precomputed with, or precompute "
            "it again."
        )
    counts = conditions["prompt_attention_mask"].bool()[None]
    missing = components.recipe.max_prompt_tokens - counts.shape[1]
    return encode_features(
        components,
        _padded(video, missing),
        None if audio is None else _padded(audio, missing),
        F.pad(counts, (missing, 0)),
    )


def _padded(features: Tensor, missing: int) -> Tensor:
    return F.pad(features[None], (0, 0, missing, 0))


def _latents(path: Path) -> Tensor:
    content = _content(path, "latents")
    latents: Tensor = content["latents"]
    if latents.ndim == 2:
        sizes = {axis: int(content[name]) for axis, name in zip("fhw", _SIZES, strict=True)}
        return rearrange(latents, "(f h w) c -> c f h w", **sizes)
    if latents.ndim != 4:
        raise DatasetError(
            f"{path} holds latents of {latents.ndim} axes, not [c f h w]. Precompute it again."
        )
    return latents


_SIZES = ("num_frames", "height", "width")


def _content(path: Path, *expected: str) -> dict[str, Any]:
    """What a file holds, its tensors mapped rather than read."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise DatasetError(f"{path} cannot be read ({error}). Precompute it again.") from error
    if not isinstance(content, dict) or not content.keys() >= set(expected):
        raise DatasetError(
            f"{path} is not of the official trainer: it lacks one of {', '.join(expected)}. "
            "Precompute it again."
        )
    return content
