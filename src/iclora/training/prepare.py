"""Encoding a dataset once: sound pairs to shards of latents and prompts.

    pair ─► film at the bucket's rate ─► bucket's size ─┬─────────────────────────► VAE ─► target
                                     reference or control drawn ─► fitted, shrunk ─► VAE ─► reference
    caption ────────────────────────────────────────────► text encoder, connectors ─► context

Each step is the pipeline's own, so that training sees what generating will.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from iclora import checkpoints, geometry, media, sampling
from iclora.clip import Clip
from iclora.controls import is_lines
from iclora.errors import IcloraError, MediaError
from iclora.media.files import write_file
from iclora.pipeline.coding import encode_frames, encode_prompt
from iclora.pipeline.fitting import extract_control, fit_reference, shrink_reference
from iclora.pipeline.placing import at_work
from iclora.plan import Findings, ReferenceRequest
from iclora.plan import Source as Facts
from iclora.plan.laying import Canvas, lay_reference
from iclora.training.audit import Checked, choose_held_out, prompt_of
from iclora.training.shards import ShardWriter, begin, make_folder
from iclora.training.sharing import Share
from iclora.training.sources import Source, opened
from iclora.training.store import SHARDS, Bucket, Row, Settings

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a process did.

    Attributes:
        num_samples: Samples in the shards that it wrote.
        num_before: Clips in its shards that were finished before.
        skipped: Clips that could not be encoded after all, each with the reason.
    """

    num_samples: int
    num_before: int
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Drawn:
    """The pictures of a clip, to be encoded; references by the name of their sample."""

    rows: tuple[Row, ...]
    target: np.ndarray
    references: Mapping[str, np.ndarray]


def dataset_digest(checked: Iterable[Checked]) -> str:
    """Tell datasets apart by their clips, references and captions.

    Args:
        checked: The pairs that are prepared.

    Returns:
        16 letters and digits.
    """
    lines = [json.dumps([one.entry.name, one.digest, one.entry.caption]) for one in checked]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def prepare(
    checked: Sequence[Checked],
    settings: Settings,
    folder: Path,
    components: checkpoints.Components,
    *,
    share: Share | None = None,
    guest_of: str | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Encode the pairs of a dataset that the audit found sound. What is finished already is not done again.

    Args:
        checked: The pairs, all of them sound.
        settings: What they are prepared with.
        folder: Where the shards go.
        components: The parts of the model; it needs no transformer.
        share: The part of the work that is this process's; None: all.
        guest_of: The device where each part of the model is only while it is at work; None: where it is.
        progress: Told of the encoding.

    Returns:
        What was done.

    Raises:
        DatasetError: The folder was begun with other settings.
        OutputError: It cannot be written to.
    """
    share = Share() if share is None else share
    held_out = choose_held_out(checked, settings.held_out)
    (empty,) = _prompts(components, [""], guest_of).values()
    begin(folder, settings, empty)
    starts = range(0, len(checked), settings.shard_size)
    shards = [checked[start : start + settings.shard_size] for start in starts]
    own = list(enumerate(shards))[share.index :: share.count]
    total, done, num_samples, num_before = sum(len(shard) for _, shard in own), 0, 0, 0
    skipped: list[tuple[str, str]] = []
    for number, shard in own:
        name = f"{number:05d}"
        writer = ShardWriter(folder, name)
        if writer.is_finished:
            num_before += len(shard)
        else:
            drawn = _ahead(shard, lambda one: _draw(one, settings, components, held_out))
            count = _counted(progress, done, total)
            lost = _encode_shard(writer, shard, drawn, components, settings, guest_of, count)
            _note_skipped(folder / SHARDS / f"{name}.skipped.json", lost)
            skipped += lost
            num_samples += writer.finish()
        done += len(shard)
        if progress is not None:
            progress("encoding", done, total)
    return Tally(num_samples=num_samples, num_before=num_before, skipped=tuple(skipped))


@torch.inference_mode()
def _encode_shard(
    writer: ShardWriter,
    shard: Sequence[Checked],
    drawn: Iterator[_Drawn | IcloraError],
    components: checkpoints.Components,
    settings: Settings,
    guest_of: str | None,
    count: Callable[[int], None],
) -> list[tuple[str, str]]:
    """Encode the clips of a shard; those that cannot be are returned with the reason."""
    captions = {_prompt_text(one, settings) for one in shard}
    prompts = _prompts(components, sorted(captions), guest_of)
    lost = []
    with at_work(guest_of, components.vae):
        for number, (one, found) in enumerate(zip(shard, drawn, strict=True), 1):
            try:
                if isinstance(found, IcloraError):
                    raise found
                target, references = _encoded(found, components.vae)
                prompt = prompts[_prompt_text(one, settings)]
                writer.add(found.rows, target=target, references=references, prompt=prompt)
            except IcloraError as error:
                lost.append((one.entry.name, str(error)))
            count(number)
    return lost


def _encoded(drawn: _Drawn, vae: Any) -> tuple[torch.Tensor, dict[str, tuple[torch.Tensor, ...]]]:
    """Latents of a clip, and of the references of each of its samples."""
    target = encode_frames(vae, drawn.target)[0]
    references: dict[str, tuple[torch.Tensor, ...]] = {
        name: (encode_frames(vae, frames)[0],) for name, frames in drawn.references.items()
    }
    for latent in (target, *(one for several in references.values() for one in several)):
        if not bool(latent.isfinite().all()):
            raise MediaError("Its latents are not finite; look at the clip.")
    return target, references


@torch.inference_mode()
def _prompts(
    components: checkpoints.Components, texts: Sequence[str], guest_of: str | None
) -> dict[str, sampling.Prompt]:
    """Encode prompts one by one; what the model's audio stream would take is left out where it has none."""
    with at_work(guest_of, components.text_encoder, components.connectors):
        found = {text: encode_prompt(components, text) for text in texts}
    if components.recipe.has_audio:
        return found
    return {text: replace(prompt, audio=None) for text, prompt in found.items()}


def _prompt_text(one: Checked, settings: Settings) -> str:
    return prompt_of(settings.trigger, one.entry.caption)


def _draw(one: Checked, settings: Settings, components: checkpoints.Components, held_out: set[str]) -> _Drawn:
    """Read a clip, and read or draw its references, as large as they are encoded."""
    bucket, entry = one.bucket, one.entry
    assert bucket is not None
    target = _read(entry.video, bucket, whole=False)
    canvas = Canvas(
        height=bucket.height,
        width=bucket.width,
        num_frames=bucket.num_frames,
        fps=bucket.fps,
        factors=geometry.factors_of(components.vae),
    )
    given: dict[str, tuple[Clip, str | None, Mapping[str, Any]]]
    if entry.reference is not None:
        given = {entry.name: (_read(entry.reference, bucket, whole=True), None, {})}
    else:
        several = len(settings.controls) > 1
        given = {
            f"{entry.name}@{kind}" if several else entry.name: (target, kind, dials)
            for kind, dials in settings.controls.items()
        }
    rows, references = [], {}
    for name, (clip, kind, dials) in given.items():
        asked = ReferenceRequest(source=Facts.of(clip, name), control=kind, dials=dials)
        scales = (settings.downscale, settings.temporal_factor)
        planned = lay_reference(asked, scales, canvas, [], Findings())
        if kind is not None:
            clip = extract_control(kind, clip, canvas, **planned.dials)
        references[name] = shrink_reference(fit_reference(clip, planned, canvas), planned).frames
        rows.append(
            Row(
                id=name,
                clip=entry.name,
                caption=_prompt_text(one, settings),
                source=str(entry.video),
                bucket=bucket,
                split="held_out" if one.clip_digest in held_out else "train",
                control=kind or "",
            )
        )
    return _Drawn(rows=tuple(rows), target=target.frames, references=references)


def _read(source: Source, bucket: Bucket, *, whole: bool) -> Clip:
    """Read a clip at the bucket's rate, length and size; lines that shall stay `whole` keep their size."""
    with opened(source) as path:
        film = media.film(path, fps=bucket.fps, max_frames=bucket.num_frames)
        if not (whole and is_lines(film.read(1))):
            film = media.resize(film, bucket.height, bucket.width)
        if film.num_frames < bucket.num_frames:
            raise MediaError(
                f"{source} has {film.num_frames} frames, and {bucket} takes {bucket.num_frames}."
            )
        return film.read()


def _ahead(shard: Sequence[Checked], draw: Callable[[Checked], _Drawn]) -> Iterator[_Drawn | IcloraError]:
    """Draw each clip while the one before is encoded; an error of ours takes its place."""

    def tried(one: Checked) -> _Drawn | IcloraError:
        try:
            return draw(one)
        except IcloraError as error:
            return error

    with ThreadPoolExecutor(1) as pool:
        coming = None
        for one in shard:
            following = pool.submit(tried, one)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


def _counted(progress: Progress | None, done: int, total: int) -> Callable[[int], None]:
    return lambda number: progress("encoding", done + number, total) if progress is not None else None


def _note_skipped(path: Path, lost: list[tuple[str, str]]) -> None:
    if lost:
        make_folder(path.parent)
        write_file(path, (json.dumps(dict(lost), indent=2) + "\n").encode(), overwrite=True)
