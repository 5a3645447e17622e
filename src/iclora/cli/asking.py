"""What the words of `generate` and `plan` ask for: clips read as far as they are needed, and the request."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from iclora import controls, media
from iclora.checkpoints import MoreGuidance
from iclora.cli import words
from iclora.cli.control import cache_of
from iclora.cli.masks import mask_levels
from iclora.cli.options import PlanWords
from iclora.cli.present import steps_of
from iclora.cli.words import ReferenceWords
from iclora.clip import Audio, Clip, Film
from iclora.controls.depths import DepthFilm, film_render
from iclora.controls.devices import check_device
from iclora.controls.point_tracks import TRACK_SUFFIXES, Tracks, read_tracks
from iclora.controls.poses import Poses, holds_keypoints, read_keypoints
from iclora.errors import RequestError
from iclora.pipeline import Drawable, Image, Progress, extract_control
from iclora.plan import (
    ImageRequest,
    ModelFacts,
    Plan,
    PlannedReference,
    ReferenceRequest,
    Request,
    Source,
    follow_rate,
    model_facts,
)
from iclora.reference import Reference, attention_for, shrink_mask


@dataclass(frozen=True, kw_only=True)
class Given:
    """A clip, or a file of tracks, keypoints or depth, that was opened, and what was said of it.

    Attributes:
        clip: At the clock of the result, to just beyond its length, a film where it is large; or what is
            drawn once the plan is made.
        source: The facts of the file.
        said: The words about it.
        sound: Its sound, where that is to be kept.
    """

    clip: Drawable
    source: Source
    said: ReferenceWords
    sound: Audio | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything a command line asks for.

    Attributes:
        request: What the plan is made from.
        given: The clips, in the order of the request's references.
        images: The pictures, in the order of the request's.
    """

    request: Request
    given: tuple[Given, ...]
    images: tuple[Image, ...]


def gather(said: PlanWords, report: Progress) -> Asked:
    """Parse the words and open the clips.

    Args:
        said: The words of the command line.
        report: Told of the reading.

    Returns:
        What is asked for.

    Raises:
        IcloraError: If a word cannot be understood, or a file, the model or an adapter cannot be read.
    """
    said = _evened(said)
    size = None if said.size is None else words.parse_size(said.size)
    adapters = tuple(words.parse_adapter(text) for text in said.adapter)
    wanted = [_control_of(text) for text in said.control]
    wanted += [words.parse_reference(text) for text in said.reference]
    pictures = [words.parse_image(text) for text in said.image]
    _check_about_references(said, wanted)
    wanted = [dataclasses.replace(one, mask=one.mask or said.attention_mask) for one in wanted]
    check_device(said.device)
    facts = model_facts(said.model)
    given = tuple(_open(wanted, said, facts, report))
    images = tuple(
        Image(clip=media.read(path, max_frames=1), frame=frame, strength=strength)
        for path, frame, strength in pictures
    )
    request = Request(
        prompt=said.prompt,
        model=said.model,
        negative_prompt=said.negative_prompt,
        adapters=adapters,
        references=tuple(_requests_of(given, said)),
        images=tuple(
            ImageRequest(label=path.name, frame=frame, strength=strength)
            for path, frame, strength in pictures
        ),
        size=size,
        num_frames=said.frames,
        fps=said.fps,
        seed=said.seed,
        **_guidance(said, facts),
        isolate=said.isolate,
        reference_cache=said.reference_cache,
        sound=not (said.no_audio or said.keep_audio),
        dtype=facts.recipe.dtype_on(said.device),
        device=said.device,
        offload=said.offload,
        fp8=said.fp8,
    )
    return Asked(request=request, given=given, images=images)


def references_of(asked: Asked, plan: Plan, said: PlanWords, report: Progress) -> list[Reference]:
    """Extract the controls and read the masks: what `Pipeline.run` takes.

    Args:
        asked: From `gather`.
        plan: The plan made of its request.
        said: The words of the command line.
        report: Told of the extraction.

    Returns:
        One reference for each of the plan's.
    """
    return [
        reference_of(one, planned, plan, said, report)
        for one, planned in zip(asked.given, plan.references, strict=True)
    ]


def reference_of(
    one: Given, planned: PlannedReference, plan: Plan, said: PlanWords, report: Progress
) -> Reference:
    """Extract one control, where it is still to be extracted, and read its mask.

    Args:
        one: What was read.
        planned: What the plan says of it.
        plan: The plan.
        said: The words of the command line.
        report: Told of the extraction.

    Returns:
        The reference.
    """
    if one.said.control is not None:
        steps = steps_of(report, one.said.control)
        # What takes long to find is kept, for the next try with another prompt.
        cache = cache_of(said.cache)
        clip = extract_control(one.said.control, one.clip, plan, cache=cache, progress=steps, **planned.dials)
    else:
        assert isinstance(one.clip, (Clip, Film))
        clip = one.clip
    return Reference(
        clip=clip,
        strength=planned.strength,
        attention_strength=planned.attention_strength,
        attention_mask=mask_of(one, planned, plan),
        downscale=planned.downscale,
        temporal_factor=planned.temporal_factor,
    )


def with_sound(clip: Clip, asked: Asked) -> Clip:
    """Give a result the sound of the first clip where that was asked for; it was read only then."""
    sound = asked.given[0].sound if asked.given else None
    if sound is None:
        return clip
    return dataclasses.replace(clip, audio=media.trim_audio(sound, clip.duration_seconds))


def _guidance(said: PlanWords, facts: ModelFacts) -> dict[str, Any]:
    """The guidance that is asked for, else the model's own."""
    own = facts.recipe.more_guidance
    if said.guidance is None:
        return {"guidance_scale": facts.recipe.guidance_scale, "more_guidance": own}
    scale, numbers = words.parse_guidance(said.guidance)
    return {
        "guidance_scale": scale,
        "more_guidance": MoreGuidance(**numbers, stg_blocks=own.stg_blocks),
    }


def _evened(said: PlanWords) -> PlanWords:
    """Say an even control strength as the attention strength it comes to."""
    if said.control_strength is None:
        return said
    if said.attention_strength != 1:
        raise RequestError("--control-strength and --attention-strength are one dial; say one of them.")
    if not (said.control or said.reference):
        raise RequestError("--control-strength is about references, but there are none; add --control.")
    strength = attention_for(said.control_strength)
    return dataclasses.replace(said, attention_strength=strength, control_strength=None)


def _control_of(text: str) -> ReferenceWords:
    """Read one `--control`, and refuse dials that cannot be, or need what is not here, before any file."""
    kind, path, said = words.parse_control(text, controls.CONTROLS)
    drawn = controls.dials_of(kind)  # green has a mask of its own
    own = {word: said.pop(word) for word in words.REFERENCE_WORDS if word in said and word not in drawn}
    try:
        dials = controls.read_dials(kind, said)
    except RequestError as error:
        also = "" if said.keys() <= set(drawn) else f" It also takes {', '.join(words.REFERENCE_WORDS)}."
        raise RequestError(f"--control {text!r}: {error}{also}") from None
    if "canvas" in dials:
        words.parse_size(dials["canvas"], "canvas")
    rest = words.read_reference_words(f"--control {text!r}", own)
    return ReferenceWords(path=path, control=kind, dials=dials, **rest)


def _open(wanted: list[ReferenceWords], said: PlanWords, facts: ModelFacts, report: Progress) -> list[Given]:
    """Open each clip at the clock of the result, to just beyond its length."""
    given: list[Given] = []
    length = said.frames if said.frames is not None and said.frames > 0 else facts.recipe.num_frames
    fps = said.fps if said.fps is not None and said.fps > 0 and math.isfinite(said.fps) else None
    for one in wanted:
        _check_reading(one)
    for one in wanted:
        if _are_points(one):
            found = _read_points(one, said, fps=fps or facts.recipe.fps, num_frames=length)
        else:
            found = _film(one, said, facts, report, fps=fps, max_frames=length + 1)
        fps = fps or follow_rate(facts, found.source.fps)
        if said.keep_audio and not given:
            found = _with_sound(found)
        given.append(found)
    return given


def _film(  # noqa: PLR0913  what says which frames
    one: ReferenceWords,
    said: PlanWords,
    facts: ModelFacts,
    report: Progress,
    *,
    fps: float | None,
    max_frames: int,
) -> Given:
    """Open a video, pictures or a render at the clock of the result, to follow its own where none is said."""
    steps = steps_of(report, "reading")

    def opened(fps: float | None) -> Film | DepthFilm:
        asked: dict[str, Any] = {"fps": fps, "max_frames": max_frames, "progress": steps}
        if one.dials.get("render"):  # frames as well, read as numbers
            return film_render(one.path, values=one.dials.get("values"), **asked)
        return media.film(one.path, **asked)

    film = opened(None)
    rate = film.fps
    fps = follow_rate(facts, rate) if fps is None else fps
    film = film if fps == rate else opened(fps)
    report("reading", film.num_frames, film.num_frames)
    clip = media.hold_small(film) if isinstance(film, Film) else film
    return Given(clip=clip, source=_source(clip, one.path, rate, fps, said), said=one)


def _with_sound(found: Given) -> Given:
    """Read the sound of a clip, as long as its frames last."""
    sound = None
    if isinstance(found.clip, (Clip, Film)):
        duration_seconds = found.clip.num_frames / found.clip.fps
        sound = media.read_sound(found.said.path, duration_seconds=duration_seconds)
    if sound is None:
        raise RequestError(f"{found.said.path} has no sound to keep; leave --keep-audio out.")
    return dataclasses.replace(found, sound=sound)


def _check_reading(one: ReferenceWords) -> None:
    """Refuse dials of files of tracks where it is none, and an estimator that cannot run here."""
    idle = [name for name in ("canvas", "keypoints") if one.dials.get(name)]
    if idle and not _are_points(one):
        raise RequestError(f"{idle[0]} is about files of tracks, and {one.path} is read as a video.")
    estimator = controls.estimator_of(one.control, one.dials)
    if estimator is not None and not one.dials.get("render") and not _are_points(one):
        controls.check_installed(estimator)


def _source(clip: Clip | Film | DepthFilm, path: Path, rate: float, fps: float, said: PlanWords) -> Source:
    """The facts of a file, at its own rate where it has one."""
    source = Source.of(clip, path.name)
    if path.is_file() and clip.num_frames > 1:
        # Pictures have no rate of their own; a video's is kept for the plan to speak of.
        num_frames = math.ceil(clip.num_frames * rate / fps - 1e-6)
        return dataclasses.replace(source, fps=rate, num_frames=num_frames)
    return dataclasses.replace(source, has_rate=clip.num_frames == 1 or said.fps is not None)


def _are_points(one: ReferenceWords) -> bool:
    """Whether a file holds the points that a control draws, rather than pictures to find them in."""
    if one.control == "pose":
        return holds_keypoints(one.path)
    return one.control == "tracks" and one.path.suffix.lower() in TRACK_SUFFIXES


def _read_points(one: ReferenceWords, said: PlanWords, *, fps: float, num_frames: int) -> Given:
    """Read tracks or keypoints; what they do not say of their canvas and their rate is as in the result."""
    canvas = None if said.size is None else words.parse_size(said.size)
    points: Tracks | Poses
    if one.control == "pose":
        height, width = canvas or (None, None)
        points = read_keypoints(one.path, height=height, width=width, fps=fps)
    else:
        canvas = words.parse_size(one.dials["canvas"], "canvas") if "canvas" in one.dials else canvas
        keypoints = bool(one.dials.get("keypoints"))
        points = read_tracks(one.path, canvas=canvas, num_frames=num_frames, keypoints=keypoints)
    source = Source(
        label=one.path.name,
        height=points.height,
        width=points.width,
        num_frames=points.num_frames,
        fps=points.fps or fps,
    )
    return Given(clip=points, source=source, said=one)


def _check_about_references(said: PlanWords, wanted: list[ReferenceWords]) -> None:
    """Refuse words that would do nothing, and masks that cannot be read, before anything is loaded."""
    idle = "--attention-mask" if said.attention_mask is not None else "--attention-strength"
    if not wanted and (said.attention_mask is not None or said.attention_strength != 1):
        raise RequestError(f"{idle} is about references, but there are none; add --control or --reference.")
    if said.keep_audio and said.no_audio:
        raise RequestError("--keep-audio gives the result a sound and --no-audio none; say one of them.")
    if said.keep_audio and not wanted:
        raise RequestError("--keep-audio keeps a control clip's sound, but there is none; add --control.")
    for mask in (said.attention_mask, *(one.mask for one in wanted)):
        if mask is not None:
            media.read(mask, max_frames=1)


def _requests_of(given: Sequence[Given], said: PlanWords) -> Iterator[ReferenceRequest]:
    """What is asked for of each; those of one file are told apart by their controls, the rest by numbers."""
    times = Counter(one.said.path for one in given)
    names = [
        f"{one.said.control} of {one.source.label}"
        if times[one.said.path] > 1 and one.said.control is not None
        else one.source.label
        for one in given
    ]
    for index, (one, name) in enumerate(zip(given, names, strict=True)):
        number = names[: index + 1].count(name)
        own = name if names.count(name) == 1 else f"{name} ({number})"
        # What is so of a file is said once, but not of another file of the same name.
        source = one.source if times[one.said.path] > 1 else dataclasses.replace(one.source, label=own)
        yield _request_of(one, source, own, said)


def _request_of(one: Given, source: Source, name: str, said: PlanWords) -> ReferenceRequest:
    return ReferenceRequest(
        source=source,
        name=name,
        control=one.said.control,
        dials=one.said.dials,
        filmed=isinstance(one.clip, (Clip, Film)),
        strength=one.said.strength,
        attention_strength=said.attention_strength if one.said.attention is None else one.said.attention,
        masked=one.said.mask is not None,
        downscale=one.said.downscale,
        temporal_factor=one.said.temporal,
    )


def mask_of(one: Given, planned: PlannedReference, plan: Plan) -> Float32[np.ndarray, ...] | None:
    """Read the mask of a reference, if it has one, each frame averaged by the reference's latent cells.

    Args:
        one: What was read.
        planned: What the plan says of it.
        plan: The plan.

    Returns:
        White 1 and black 0: `h w` of a picture, `f h w` of a clip on the clock of the result.
    """
    if one.said.mask is None:
        return None
    levels = mask_levels(one.said.mask, fps=plan.fps, num_frames=plan.num_frames)
    cells = [shrink_mask(torch.as_tensor(frame)[None], planned.grid)[0].numpy() for frame in levels]
    return cells[0] if len(cells) == 1 else np.stack(cells)
