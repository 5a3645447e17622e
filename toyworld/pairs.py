"""Renders clips and encodes them with their controls into folders that `iclora train` reads.

`python -m toyworld.pairs FOLDER` renders clips once and writes two prepared folders of them: `FOLDER/union`
(each clip with its edges, its depth and its skeletons, three samples that share target and caption) and
`FOLDER/tracks` (with trails of what moves). `--style NAME` renders clips in a style that the base has never
seen instead, and writes `FOLDER/NAME`: no references, captions that say nothing of the look, and the style's
name as trigger.

References are drawn and encoded by the pipeline's own functions. Skeletons, depth and tracks are the world's
exact ones, but in a share of the clips (`--guessed`) those that the estimators inside the package find, which
is what users' clips come with. References of `union` have half the size, those of `tracks` all of it.

Several processes share the work (`--shard i/n`); each goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from iclora import checkpoints, geometry, sampling
from iclora.checkpoints import Components
from iclora.controls.devices import check_device
from iclora.pipeline import encode_frames, encode_prompt
from iclora.plan.laying import Canvas
from iclora.training import Bucket, Row, Settings, fingerprint
from iclora.training.audit import prompt_of
from iclora.training.buckets import check_bucket
from iclora.training.shards import ShardWriter, begin
from iclora.training.sharing import parse_share
from toyworld.batches import shorten
from toyworld.drawings import drawn, exact_controls, found
from toyworld.latents import DOWNSCALE, FPS, THICKNESS
from toyworld.render import HELD_OUT_SEED_START, Scenes, render
from toyworld.styles import TAUGHT_STYLES

FIRST_SEED = 8_000_000
"""Banks of the base begin at multiples of a million below; few have so many shards."""
VALIDATION_SEED_START = 9_900_000
"""Seeds from here on are the held-out clips of the folders, by which the best checkpoint is chosen; those
that results are measured on begin at `HELD_OUT_SEED_START`."""
CHUNK = 8
"""Clips that are rendered and encoded at once."""


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """A prepared folder to be written.

    Attributes:
        name: Its name.
        controls: What references show, and how it is drawn; empty: there are none.
        downscale: How many times smaller they are.
        trigger: Word before each caption.
    """

    name: str
    controls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    downscale: int = 1
    trigger: str = ""


UNION = Purpose(
    name="union",
    controls={"canny": {"thickness": THICKNESS}, "depth": {}, "pose": {}},
    downscale=DOWNSCALE,
)
TRACKS = Purpose(name="tracks", controls={"tracks": {}})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is rendered.

    Attributes:
        purposes: The folders that it is for.
        style: The style of all clips; empty: each seed's own.
        first_seed: Seed of the first clip that is trained on.
        clips: How many of these.
        held_out: How many beside them that are not.
        bucket: Size of all.
        guessed: Share of the clips whose controls are found, not known.
    """

    purposes: tuple[Purpose, ...]
    style: str
    first_seed: int
    clips: int
    held_out: int
    bucket: Bucket
    guessed: float

    def __post_init__(self) -> None:
        if self.first_seed + self.clips > VALIDATION_SEED_START:
            raise ValueError(
                f"seeds from {VALIDATION_SEED_START} on are not trained on: begin lower or make fewer clips"
            )
        if VALIDATION_SEED_START + self.held_out > HELD_OUT_SEED_START:
            most = HELD_OUT_SEED_START - VALIDATION_SEED_START
            raise ValueError(f"{self.held_out} clips would be held out: at most {most} can be")

    @property
    def seeds(self) -> list[int]:
        """Seeds of all clips, those held out last."""
        held_out = range(VALIDATION_SEED_START, VALIDATION_SEED_START + self.held_out)
        return [*range(self.first_seed, self.first_seed + self.clips), *held_out]

    def settings(self, purpose: Purpose, parts: Components, model: str, shard_size: int) -> Settings:
        """Says what a folder is prepared with."""
        return Settings(
            model=model,
            base=parts.recipe.base,
            fingerprint=fingerprint(parts.path),
            controls=purpose.controls,
            downscale=purpose.downscale,
            fps=self.bucket.fps,
            buckets=(self.bucket,),
            trigger=purpose.trigger,
            held_out=float(self.held_out),
            shard_size=shard_size,
            dataset=" ".join(
                ("toyworld", str(self.seeds[0]), str(self.clips), self.style, str(self.guessed))
            ),
        )


@torch.inference_mode()
def write_pairs(
    folder: Path, plan: Plan, parts: Components, *, model: str, shard_size: int, share: str | None = None
) -> int:
    """Renders, encodes and writes what is not written yet.

    Args:
        folder: Where the prepared folders go.
        plan: What is rendered.
        parts: The model, on the device to compute on.
        model: Its name.
        shard_size: Clips in a shard.
        share: Which of how many processes this is, as `i/n`; None: as `torchrun` says, or the only one.

    Returns:
        How many samples were written.
    """
    (empty,) = _prompts(parts, [""])
    for purpose in plan.purposes:
        check_bucket(
            plan.bucket, geometry.factors_of(parts.vae), downscale=purpose.downscale, temporal_factor=1
        )
        begin(folder / purpose.name, plan.settings(purpose, parts, model, shard_size), empty)
    seeds, own = plan.seeds, parse_share(share)
    shards = [seeds[start : start + shard_size] for start in range(0, len(seeds), shard_size)]
    written = 0
    for number in track(range(own.index, len(shards), own.count), description="pairs"):
        writers = [(one, ShardWriter(folder / one.name, f"{number:05d}")) for one in plan.purposes]
        missing = [(purpose, writer) for purpose, writer in writers if not writer.is_finished]
        for start in range(0, len(shards[number]) if missing else 0, CHUNK):
            _add(missing, shards[number][start : start + CHUNK], plan, parts)
        written += sum(writer.finish() for _, writer in missing)
    return written


def _add(
    missing: Sequence[tuple[Purpose, ShardWriter]], seeds: Sequence[int], plan: Plan, parts: Components
) -> None:
    """Renders some clips, and adds them to the shards they are missing in."""
    bucket, device = plan.bucket, str(parts.vae.device)
    size = {"height": bucket.height, "width": bucket.width, "num_frames": bucket.num_frames}
    scenes = render(seeds, **size, fps=bucket.fps, device=device, style=plan.style or None)
    canvas = Canvas(**size, fps=bucket.fps, factors=geometry.factors_of(parts.vae))
    targets = _encoded(parts, list(scenes.frames.cpu().numpy()))
    for purpose, writer in missing:
        captions = shorten([prompt_of(purpose.trigger, text) for text in scenes.captions], parts)
        pictures = _pictures(purpose, scenes, plan.guessed, canvas, device)
        latents = dict(zip(pictures, _encoded(parts, list(pictures.values())), strict=True))
        for place, prompt in enumerate(_prompts(parts, captions)):
            rows = _rows(purpose, seeds[place], captions[place], bucket, latents)
            if rows:
                references = {row.id: (latents[row.id],) if row.num_references else () for row in rows}
                writer.add(rows, target=targets[place], references=references, prompt=prompt)


def _rows(
    purpose: Purpose, seed: int, caption: str, bucket: Bucket, latents: Mapping[str, Tensor]
) -> list[Row]:
    """The samples of a clip: one of each control that it has, or one without."""
    kinds = [kind for kind in purpose.controls if _name(seed, kind) in latents]
    return [
        Row(
            id=_name(seed, kind),
            clip=f"{seed:08d}",
            caption=caption,
            source=f"toyworld seed {seed}",
            bucket=bucket,
            split="held_out" if seed >= VALIDATION_SEED_START else "train",
            control=kind,
            num_references=1 if kind else 0,
        )
        for kind in (kinds if purpose.controls else [""])
    ]


def _name(seed: int, kind: str) -> str:
    return f"{seed:08d}@{kind}" if kind else f"{seed:08d}"


def _pictures(
    purpose: Purpose, scenes: Scenes, guessed_share: float, canvas: Canvas, device: str
) -> dict[str, np.ndarray]:
    """Draws the references of clips, by the name of their sample."""
    pictures = {}
    for place, seed in enumerate(scenes.seeds):
        known = exact_controls(scenes, place)
        film = known["canny"]
        guessed = np.random.default_rng([seed, 3]).random() < guessed_share
        for kind, dials in purpose.controls.items():
            if kind not in known:
                continue
            how: dict[str, Any] = {"downscale": purpose.downscale, "dials": dials}
            frames = found(kind, film, canvas, **how, device=device) if guessed else None
            if frames is None:
                frames = drawn(kind, known[kind], canvas, **how)
            pictures[_name(seed, kind)] = frames
    return pictures


def _encoded(parts: Components, clips: Sequence[np.ndarray]) -> list[Tensor]:
    """Latents of clips of one size, in the two bytes that they are kept in for training."""
    latents: list[Tensor] = []
    for start in range(0, len(clips), CHUNK):
        latents += encode_frames(parts.vae, *clips[start : start + CHUNK]).half().cpu()
    return latents


def _prompts(parts: Components, captions: Sequence[str]) -> list[sampling.Prompt]:
    """Encodes captions; the model has no sound, and nothing is kept for it."""
    prompt = encode_prompt(parts, *captions)
    return [
        replace(
            prompt,
            video=prompt.video[place : place + 1],
            audio=None,
            mask=None if prompt.mask is None else prompt.mask[place : place + 1],
        )
        for place in range(len(captions))
    ]


def command_line(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="tiny", help="tiny, or a model folder")
    parser.add_argument("--style", default="", choices=("", *TAUGHT_STYLES), help="render all clips in it")
    parser.add_argument("--clips", type=int, default=2304, help="clips to train on")
    parser.add_argument("--held-out", type=int, default=24, help="clips beside them to choose the best by")
    parser.add_argument("--size", type=int, default=256, help="pixels")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument(
        "--guessed", type=float, default=0.5, help="share of clips whose controls are found in them"
    )
    parser.add_argument("--shard", help="i/n: do the i-th of n parts, from 0 on")
    parser.add_argument("--shard-size", type=int, default=16, help="clips in a file")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Renders and encodes what the command line asks for."""
    given = command_line(arguments)
    check_device(given.device)
    torch.backends.cudnn.allow_tf32 = False  # as exact as on a CPU
    torch.set_num_threads(1)  # other parts of the work are for the other cores
    cv2.setNumThreads(1)
    bucket = Bucket(width=given.size, height=given.size, num_frames=given.frames, fps=FPS)
    style = Purpose(name=given.style, trigger=given.style)
    plan = Plan(
        purposes=(style,) if given.style else (UNION, TRACKS),
        style=given.style,
        first_seed=given.first_seed,
        clips=given.clips,
        held_out=given.held_out,
        bucket=bucket,
        guessed=given.guessed,
    )
    parts = checkpoints.load(given.model, device=given.device, dtype=torch.float32)
    written = write_pairs(
        given.folder, plan, parts, model=given.model, shard_size=given.shard_size, share=given.shard
    )
    print(f"{written} samples written", flush=True)


if __name__ == "__main__":
    main()
