"""Clips made of held-out references while a training runs, by the pipeline that users have, and their scores.

held-out sample ─ decode ─┬─► control ───► pipeline ─► clip ─► what it says, found again ─┐
                          └─► true clip ─► what it says ──────────────────────────────────┴─► score
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from iclora import adherence, media
from iclora.adherence import SCORERS, Score, Truth
from iclora.clip import Clip
from iclora.errors import NothingToFollowError, OutputError
from iclora.pipeline import Image, Pipeline, decode_frames
from iclora.pipeline.placing import at_work
from iclora.plan import ImageRequest, ReferenceRequest, Request, Source, make_plan
from iclora.reference import Reference
from iclora.training.model import uncompiled
from iclora.training.run import Run
from iclora.training.store import Row


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview:
    """A clip made of held-out references.

    Attributes:
        row: The sample.
        result: What was made.
        rows: The control, the result and the true clip, to be looked at.
        score: How it follows; None where its control cannot be scored.
    """

    row: Row
    result: Clip
    rows: tuple[Clip, ...]
    score: Score | None

    @property
    def numbers(self) -> dict[str, float]:
        """What is watched of it: `adherence/KIND`, `leak/KIND` and, where something moves, `lag/KIND`."""
        if self.score is None:
            return {}
        kind = self.row.control
        found = {"adherence": self.score.value, "leak": self.score.leak, "lag": self.score.lag_frames}
        return {f"{name}/{kind}": float(value) for name, value in found.items() if value is not None}


def chosen_for_previews(run: Run) -> list[int]:
    """Choose held-out samples: the first ones of each control.

    Args:
        run: The run.

    Returns:
        Places in the store's samples.
    """
    chosen: dict[str, list[int]] = {}
    for place in run.store.indices("held_out"):
        of_kind = chosen.setdefault(run.store.samples[place].control, [])
        if len(of_kind) < run.settings.watch.num_previews:
            of_kind.append(place)
    return [place for places in chosen.values() for place in places]


def find_truth(run: Run, place: int) -> Truth | None:
    """Find what a held-out sample's control says, in its true clip.

    Args:
        run: The run, with all parts of its base.
        place: The sample's place in the store.

    Returns:
        What results are compared with; None where that cannot be: of a control that is not known, or where
        the clip has nothing to follow.

    Raises:
        IcloraError: What finds it is not installed, or fails.
    """
    row = run.store.samples[place]
    if row.control not in SCORERS:
        return None
    with _at_work(run):
        film = _decoded(run, run.store.load(place).target, row)
    try:
        return adherence.find_truth(row.control, film, **_dials(run, row))
    except NothingToFollowError:
        return None


def make_preview(run: Run, place: int, truth: Truth | None, adapter: Path) -> Preview:
    """Make a clip of a held-out sample's references, and score it.

    Args:
        run: The run, with all parts of its base.
        place: The sample's place in the store.
        truth: From `find_truth`.
        adapter: The adapter's file as it is now; the weights in use are those being trained.

    Returns:
        The preview.

    Raises:
        RequestError: The pipeline refuses the sample, or makes values that are not finite.
    """
    components = run.base.components
    assert components is not None
    row, sample = run.store.samples[place], run.store.load(place)
    with _at_work(run):
        controls, target = (
            tuple(_decoded(run, latents, row) for latents in side)
            for side in (sample.references, (sample.target,))
        )
        pipeline = Pipeline(components=components, model=run.settings.model, adapters=((str(adapter), 1.0),))
        first = target[0] if run.settings.conditioning.first_frame > 0.5 else None
        result, references = _made(run, pipeline, row, controls, first)
    score = None
    if truth is not None:
        shown = references[0] if references else None
        score = adherence.score(row.control, truth, result, drawing=shown, **_dials(run, row))
    return Preview(row=row, result=result, rows=(*references, result, *target), score=score)


def _made(
    run: Run, pipeline: Pipeline, row: Row, controls: tuple[Clip, ...], first: Clip | None
) -> tuple[Clip, tuple[Clip, ...]]:
    """Make the clip, and return its references as they were used."""
    bucket, settings = row.bucket, run.store.settings
    factors: dict[str, Any] = {"downscale": settings.downscale, "temporal_factor": settings.temporal_factor}
    asked = tuple(
        ReferenceRequest(source=Source.of(control, f"reference {number}"), **factors)
        for number, control in enumerate(controls, 1)
    )
    pictures = () if first is None else (Image(clip=replace(first, frames=first.frames[:1])),)
    recipe = pipeline.components.recipe
    request = Request(
        prompt=row.caption,
        model=run.settings.model,
        adapters=pipeline.adapters,
        references=asked,
        images=tuple(ImageRequest(label="first frame", frame=0) for _ in pictures),
        size=(bucket.height, bucket.width),
        num_frames=bucket.num_frames,
        fps=bucket.fps,
        seed=run.settings.watch.seed,
        guidance_scale=recipe.guidance_scale,
        more_guidance=recipe.more_guidance,
        sound=False,
        dtype=run.base.dtype,
        device=str(run.accelerator.device),
        loaded=True,
    )
    plan = make_plan(request)
    made = pipeline.run(plan, references=[Reference(control) for control in controls], images=pictures)
    return made.clip, made.references


def _decoded(run: Run, latents: torch.Tensor, row: Row) -> Clip:
    """Decode latents of a sample, and hold frames that a temporal factor left out."""
    assert run.base.components is not None
    vae = run.base.components.vae
    frames = decode_frames(vae, latents[None].to(vae.device))
    clip = Clip(frames=frames, fps=row.bucket.fps * frames.shape[0] / row.bucket.num_frames)
    if len(frames) == row.bucket.num_frames:
        return replace(clip, fps=row.bucket.fps)
    return media.resample(clip, fps=row.bucket.fps, num_frames=row.bucket.num_frames)


def _dials(run: Run, row: Row) -> dict[str, Any]:
    return dict(run.store.settings.controls.get(row.control, {}))


@contextmanager
def _at_work(run: Run) -> Iterator[None]:
    """Bring what clips are made with to the device."""
    components, device = run.base.components, run.accelerator.device
    assert components is not None
    parts = [components.text_encoder, components.connectors]
    parts += [components.vae] if components.vae.device.type == "cpu" else []  # feedback keeps it there
    there = at_work(None if device.type == "cpu" else str(device), *parts)
    with there, uncompiled(components.transformer), torch.inference_mode():
        yield


def write_preview(folder: Path, preview: Preview) -> None:
    """Write a preview as a clip, and as a picture that shows it beside its control and the true clip.

    Args:
        folder: Where to; made if missing.
        preview: The preview.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}). Free some space.") from error
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in preview.row.id)
    media.save(preview.result, folder / f"{name}.mp4", overwrite=True)
    said = "" if preview.score is None else f" {preview.score.value:.3f}"
    labels = [f"{preview.row.control or 'reference'}"] * (len(preview.rows) - 2)
    labels += [f"made{said}", "true clip"]
    sheet = media.contact_sheet(preview.rows, labels=labels, num_columns=5, height=96)
    media.save_image(sheet, folder / f"{name}.png", overwrite=True)


def mean_numbers(previews: list[dict[str, float]]) -> dict[str, float]:
    """Average the numbers of previews, each over those that have it."""
    names = dict.fromkeys(name for numbers in previews for name in numbers)
    found = {name: [numbers[name] for numbers in previews if name in numbers] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}
