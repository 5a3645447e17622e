"""The work that the adherence page is made of, in tasks whose numbers are kept.

Each task says what is asked. Its numbers lie in the work folder under a key of that, of the bytes of the
adapters it uses and of the base, so that a stopped run goes on and a new adapter takes only its own anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import track

from iclora import adherence, checkpoints, media, pipeline
from iclora.adapters import read_outline
from iclora.clip import Clip
from iclora.controls.depths import tiny as tiny_depth
from iclora.controls.poses import tiny as tiny_pose
from iclora.pipeline import Image, Pipeline
from iclora.plan import ImageRequest, ReferenceRequest, Request, Source, make_plan
from iclora.plan.facts import control_dials
from iclora.plan.laying import Canvas
from iclora.reference import Reference
from iclora.training.audit import prompt_of
from iclora.training.judging import FROM_FIRST_FRAME
from toyworld.footage import Case, case, drawing, followed, look, truth
from toyworld.prompts import prompt_hits, shortened

STRENGTHS = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
CACHE = "every:4"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a clip is made.

    Attributes:
        reference: Whose control it is given: its `own`, the `other` clip's or `none`.
        attention: The attention strength.
        half: Whether the reference counts in the left half of the picture alone.
        style: Whether the style's adapter is beside the other.
        turned: Whether the first frame is given where it is usually not, or left out where it is given.
        cache: How references are kept.
    """

    reference: str = "own"
    attention: float = 1.0
    half: bool = False
    style: bool = False
    turned: bool = False
    cache: str = "off"


WITH, WITHOUT, OTHER = Way(), Way(reference="none"), Way(reference="other")
HALF, STYLED, TURNED = Way(half=True), Way(style=True), Way(turned=True)
KEPT, EXACT = Way(cache=CACHE), Way(cache="exact")
WEAKER = tuple(Way(attention=strength) for strength in STRENGTHS[1:])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all tasks share.

    Attributes:
        model: `tiny` or a model folder.
        canvas: Size and clock.
        estimator: What finds people in films.
        device: Where to compute.
        work: Folder of what is known.
    """

    model: str
    canvas: Canvas
    estimator: str
    device: str
    work: Path

    def case(self, name: str) -> Case:
        """Renders or reads a clip."""
        return case(name, self.canvas, device=self.device, estimator=self.estimator)


@dataclass(frozen=True, kw_only=True)
class Take:
    """One clip made in one way, and how it follows.

    Attributes:
        kind: The kind of control.
        clip: Whose control it is.
        other: The clip whose control leads away.
        seed: Seed of the noise.
        way: How.
        adapters: Files of the adapters.
    """

    kind: str
    clip: str
    other: str
    seed: int
    way: Way
    adapters: tuple[str, ...]

    def run(self, settings: Settings) -> dict[str, Any]:
        """Makes and scores it, and keeps the pictures from its middle and its control's."""
        canvas, own = settings.canvas, settings.case(self.clip)
        dials = control_dials(read_outline(self.adapters[0]))
        shown = settings.case(self.other) if self.way.reference == "other" else own
        control = drawing(shown, self.kind, canvas, dials)
        left = np.zeros((canvas.num_frames, canvas.height, canvas.width), bool)
        left[:, :, : canvas.width // 2] = True
        mask = left[0].astype(np.float32) if self.way.half else None
        reference = Reference(control, attention_strength=self.way.attention, attention_mask=mask)
        references = [] if self.way.reference == "none" else [reference]
        first = own.clip.frames[:1] if (self.kind in FROM_FIRST_FRAME) != self.way.turned else None
        pipe = _pipe(settings.model, self.adapters, settings.device)
        begun = time.process_time()
        made = generate(
            pipe, own.prompt, canvas, references=references, first=first, seed=self.seed, cache=self.way.cache
        )
        numbers: dict[str, Any] = {"seconds": time.process_time() - begun}
        numbers["frames"] = hashlib.sha256(made.frames.tobytes()).hexdigest()
        score = partial(followed, self.kind, result=made, device=settings.device)
        halves = left if self.way in (WITH, WITHOUT, HALF) else None
        numbers["own"] = score(wanted=truth(own, self.kind, canvas, dials), where=halves)
        if self.way.reference == "other":
            numbers["other"] = score(wanted=truth(shown, self.kind, canvas, dials))
        for clip, path in zip((made, control), pictures_of(self, settings), strict=True):
            media.save_image(clip.frames[canvas.num_frames // 2], path, overwrite=True)
        return numbers


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is read off a clip itself."""

    clip: str

    def run(self, settings: Settings) -> dict[str, Any]:
        """Reads it."""
        return look(settings.case(self.clip), settings.canvas, device=settings.device)


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """The autoencoder's round trip of a clip."""

    clip: str

    @torch.inference_mode()
    def run(self, settings: Settings) -> dict[str, Any]:
        """Measures `psnr` in decibels and `edges`, the F1 of the edges."""
        one = settings.case(self.clip)
        vae = _pipe(settings.model, (), settings.device).components.vae
        decoded = pipeline.decode_frames(vae, pipeline.encode_frames(vae, one.clip.frames))
        error = np.mean((decoded.astype(np.float64) - one.clip.frames.astype(np.float64)) ** 2)
        lines = drawing(one, "canny", settings.canvas, {})
        score = adherence.canny(lines, dataclasses.replace(one.clip, frames=decoded))
        return {"psnr": float(10 * np.log10(255**2 / max(error, 1e-9))), "edges": score.f1}


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Whether what one scene's prompts name shows."""

    scene: str

    def run(self, settings: Settings) -> dict[str, Any]:
        """Asks for it in all colours."""
        base = _pipe(settings.model, (), settings.device)
        return {"hits": prompt_hits(base, self.scene, size=settings.canvas.height)}


Task = Take | Look | Rebuild | Prompts


def generate(
    pipe: Pipeline,
    prompt: str,
    canvas: Canvas,
    *,
    references: Sequence[Reference],
    first: np.ndarray | None,
    seed: int,
    cache: str,
) -> Clip:
    """Makes a clip by the pipeline that users have.

    Args:
        pipe: With its adapters.
        prompt: What to ask for; triggers of the adapters go before it, and words that are too many are cut.
        canvas: Size and clock.
        references: Drawn controls.
        first: The first frame, `1 h w 3`; None: it is not given.
        seed: Seed of the noise.
        cache: How references are kept.

    Returns:
        The clip.
    """
    for path, _ in pipe.adapters:
        prompt = prompt_of(read_outline(path).metadata.get("iclora.trigger", ""), prompt)
    images = [] if first is None else [Image(clip=Clip(frames=first, fps=canvas.fps))]
    recipe = pipe.components.recipe
    request = Request(
        prompt=shortened(prompt, pipe.model),
        model=pipe.model,
        adapters=pipe.adapters,
        references=tuple(
            ReferenceRequest(
                source=Source.of(one.clip, "the reference"),
                attention_strength=one.attention_strength,
                masked=one.attention_mask is not None,
            )
            for one in references
        ),
        images=tuple(ImageRequest(label="the first frame", frame=0) for _ in images),
        size=(canvas.height, canvas.width),
        num_frames=canvas.num_frames,
        fps=canvas.fps,
        seed=seed,
        guidance_scale=recipe.guidance_scale,
        more_guidance=recipe.more_guidance,
        reference_cache=cache,
        sound=False,
        dtype=pipe.components.transformer.dtype,
        device=str(pipe.components.transformer.device),
        loaded=True,
    )
    return pipe.run(make_plan(request), references=references, images=images).clip


@lru_cache(maxsize=3)
def _pipe(model: str, adapters: tuple[str, ...], device: str) -> Pipeline:
    return pipeline.load(model, adapters=adapters, device=device)


def key_of(task: Task, settings: Settings) -> str:
    """A name for what a task asks, of which weights."""
    asked = {"task": type(task).__name__, **dataclasses.asdict(task)}
    asked["adapters"] = [digest(Path(path)) for path in asked.get("adapters", ())]
    asked["settings"] = [dataclasses.asdict(settings.canvas), settings.estimator, settings.device]
    folder = checkpoints.find(settings.model)
    files = set(folder.rglob("*.safetensors")) | set(folder.rglob("*.json"))
    files -= set((folder / "adapters").glob("*"))
    asked["base"] = [digest(path) for path in sorted(files)]
    asked["estimators"] = [digest(tiny_depth.WEIGHTS), digest(tiny_pose.WEIGHTS)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:24]


def digest(path: Path) -> str:
    """A name for the bytes of a file, which are read once."""
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pictures_of(take: Take, settings: Settings) -> tuple[Path, Path]:
    """Where the pictures from the middle of a take and of its control lie."""
    key = key_of(take, settings)
    return settings.work / f"{key}.png", settings.work / f"{key}.control.png"


def known(task: Task, settings: Settings) -> dict[str, Any] | None:
    """The numbers of a task that was done; None where it was not."""
    path = settings.work / f"{key_of(task, settings)}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def obtain(task: Task, settings: Settings) -> dict[str, Any]:
    """Does a task that was not done yet, and keeps its numbers."""
    numbers = known(task, settings)
    if numbers is None:
        numbers = task.run(settings)
        path = settings.work / f"{key_of(task, settings)}.json"
        path.with_suffix(".new").write_text(json.dumps(numbers), encoding="utf-8")
        path.with_suffix(".new").replace(path)
    return numbers


def one_thread() -> None:
    """Leaves the other cores to the other processes."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def obtain_all(
    tasks: Sequence[Task], settings: Settings, spread: Callable[..., Iterable[Any]], what: str
) -> dict[Task, dict[str, Any]]:
    """Does all tasks that were not done yet, and shows how far it has come.

    Args:
        tasks: What is asked.
        settings: What they share.
        spread: A `map`.
        what: What to call them.

    Returns:
        The numbers of each task.
    """
    missing = [task for task in tasks if known(task, settings) is None]
    print(f"{what}: {len(missing)} of {len(tasks)} are to be done", flush=True)
    for _ in track(spread(partial(obtain, settings=settings), missing), total=len(missing), description=what):
        pass
    return {task: obtain(task, settings) for task in tasks}


@contextmanager
def spread_over(jobs: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Gives a `map` that spreads its work over processes of one thread each.

    Args:
        jobs: How many; 1: it is done here.

    Yields:
        The map; it keeps the order.
    """
    if jobs == 1:
        one_thread()
        yield map
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=one_thread) as pool:
            yield pool.map
