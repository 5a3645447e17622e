"""From what is asked to what will be done: factors, size, clock, references, the rest.

Each step takes what is asked, else the first reference's, else the model's, and tells what it changed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from iclora import geometry
from iclora.geometry import LatentGrid
from iclora.media import MAX_RATE, MAX_SIDE_PX
from iclora.plan.checking import check_dials, check_guidance, check_origin
from iclora.plan.facts import (
    AdapterFacts,
    ModelFacts,
    adapter_facts,
    model_facts,
    num_prompt_tokens,
    own_adapters,
)
from iclora.plan.keeping import keep_references, looks_one_way
from iclora.plan.laying import Canvas, lay_reference
from iclora.plan.memory import plan_memory
from iclora.plan.values import (
    Findings,
    Plan,
    PlannedAdapter,
    ReferenceRequest,
    Request,
)

MAX_SIZE_SHARE = 64
"""Most target tokens accepted, as a multiple of those at the model's own size: beyond it memory runs out."""
COMFORT_SHARE = 4
"""From this multiple of the tokens at the model's own size on, the plan warns."""
MAX_FRAMES = 100_000
"""More frames than that are a mistake."""
MIN_RATE = 0.01
"""A frame in a hundred seconds; slower ones are a mistake."""
RATE_RANGE = (0.75, 1.25)
"""A control's frame rate is followed within these multiples of the model's own."""

_AS_ASKED = (
    *("model", "prompt", "negative_prompt", "seed", "images"),
    *("guidance_scale", "more_guidance", "isolate", "fp8"),
)
"""What a plan takes from the request as it is."""


def make_plan(request: Request) -> Plan:
    """Decide everything that has to be decided before a weight is loaded.

    Args:
        request: What is asked for.

    Returns:
        The plan. Where its findings hold an error, its other numbers are what the model would do by itself.

    Raises:
        ModelError: If the model cannot be found or its configs cannot be read.
        AdapterError: If an adapter cannot be found or its header cannot be read.
    """
    facts, findings = model_facts(request.model), Findings()
    adapters = [
        _planned_adapter(facts, adapter_facts(facts, name), weight, findings)
        for name, weight in _wanted_adapters(request, facts, findings)
    ]
    scales = [_scales(reference, adapters, findings) for reference in request.references]
    canvas = _canvas(request, facts, scales, findings)
    _check_amount(canvas.grid, facts, findings)
    references = [
        lay_reference(asked, factors, canvas, adapters, findings)
        for asked, factors in zip(request.references, scales, strict=True)
    ]
    _check_rest(request, facts, canvas, findings)
    check_dials(adapters, references, findings)
    one_way = looks_one_way(adapters, findings)
    cache = keep_references(request, facts, canvas.grid, references, findings, one_way=one_way)
    return Plan(
        **{name: getattr(request, name) for name in _AS_ASKED},
        model_path=str(facts.path),
        height=canvas.height,
        width=canvas.width,
        num_frames=canvas.num_frames,
        fps=canvas.fps,
        one_way=one_way,
        reference_cache=cache,
        sigmas=facts.recipe.sigmas,
        grid=canvas.grid,
        **_audio(request, facts, canvas),
        adapters=tuple(adapters),
        references=tuple(references),
        memory=plan_memory(request, facts, canvas.grid, adapters, references, cache, findings),
        findings=tuple(findings),
    )


def follow_rate(facts: ModelFacts, fps: float) -> float:
    """Choose the rate for a control clip when none is asked for.

    Args:
        facts: The model.
        fps: The clip's rate.

    Returns:
        The clip's rate, or the model's own where the clip's is beyond half or twice of it.
    """
    slowest, fastest = (share * facts.recipe.fps for share in RATE_RANGE)
    return fps if slowest <= fps <= fastest else facts.recipe.fps


def _wanted_adapters(
    request: Request, facts: ModelFacts, findings: Findings
) -> tuple[tuple[str, float], ...]:
    """The adapters asked for, or the model's own for the controls asked for."""
    if request.adapters:
        return request.adapters
    kinds = list(dict.fromkeys(reference.control for reference in request.references if reference.control))
    own = [] if request.loaded else own_adapters(facts, kinds)  # what is loaded has what it has
    for name in own:
        findings.note(f"No adapter was named; the model's own '{name}' is used.")
    if request.references and not own:
        findings.warning(
            "There are references but no adapter: a base model does not follow them.",
            advice=f"Name one that does: a file, or the model's own {', '.join(facts.adapters) or '(none)'}.",
            about="adapter",
        )
    return tuple((name, 1.0) for name in own)


def _planned_adapter(
    facts: ModelFacts, adapter: AdapterFacts, weight: float, findings: Findings
) -> PlannedAdapter:
    if adapter.misfit:
        advice = "Load the base it was trained on, or name another adapter."
        findings.error(adapter.misfit, advice, about="adapter")
    else:
        check_origin(adapter.outline, facts.recipe, findings)
    if not math.isfinite(weight):
        findings.error(f"The adapter weight {weight} is not a number.", advice="1 is usual.")
    if adapter.outline.downscale_source != "metadata":
        findings.warning(
            f"{adapter.outline.source} does not say how much smaller its references are; "
            f"{adapter.outline.downscale} is taken, from the {adapter.outline.downscale_source}.",
            advice="Where that is wrong, say it of the reference: downscale=2.",
            about="adapter",
        )
    return PlannedAdapter(
        name=adapter.path.stem,
        path=str(adapter.path),
        weight=weight,
        controls=adapter.outline.controls,
        controls_source=adapter.outline.controls_source,
        conventions=adapter.outline.conventions,
        base=adapter.outline.base,
        rank=adapter.outline.rank,
        downscale=adapter.outline.downscale,
        downscale_source=adapter.outline.downscale_source,
        temporal_factor=adapter.outline.temporal_factor,
        reference_attention=adapter.outline.reference_attention,
        dials=adapter.dials,
    )


def _scales(
    reference: ReferenceRequest, adapters: list[PlannedAdapter], findings: Findings
) -> tuple[int, int]:
    """Downscale and temporal factor of one reference: as asked, else as the adapters say, else 1."""
    chosen = []
    for name, asked, said in (
        ("downscale factor", reference.downscale, {adapter.downscale for adapter in adapters}),
        ("temporal factor", reference.temporal_factor, {adapter.temporal_factor for adapter in adapters}),
    ):
        said -= {1} if len(said) > 1 else set()
        label = reference.label
        if asked is not None:
            fits = 1 <= asked <= geometry.MAX_FACTOR
            chosen.append(asked if fits else 1)
            if not fits:
                most = geometry.MAX_FACTOR
                text = f"{label}: the {name} is {asked}; a whole number from 1 to {most} is accepted."
                findings.error(text, advice="Leave it out to take the adapter's.")
            elif said and said != {asked}:
                text = f"{label}: {name} {asked} as asked, but the adapter learned {_any(said)}."
                findings.warning(text, advice="Leave it out to take that.")
        elif len(said) > 1:
            text = f"The adapters want different values of the {name}: {_any(said)}."
            advice = "Use one of them at a time, or say which holds for the reference: downscale=2."
            findings.error(text, advice=advice, about="adapter")
            chosen.append(1)
        else:
            chosen.append(said.pop() if said else 1)
    return chosen[0], chosen[1]


def _any(values: set[int]) -> str:
    return " or ".join(str(value) for value in sorted(values))


def _canvas(request: Request, facts: ModelFacts, scales: list[tuple[int, int]], findings: Findings) -> Canvas:
    """Size and clock that every reference's factors divide."""
    space = math.lcm(*(downscale for downscale, _ in scales)) * math.lcm(
        facts.factors.height, facts.factors.width
    )
    time = math.lcm(*(temporal for _, temporal in scales)) * facts.factors.time
    height, width = _size(request, facts, space, findings)
    fps = _rate(request, facts, findings)
    num_frames = _length(request, facts, fps, time, findings)
    shaped_by = request.references[0].source if request.references and request.size is None else None
    return Canvas(
        height=height,
        width=width,
        num_frames=num_frames,
        fps=fps,
        factors=facts.factors,
        shaped_by=shaped_by,
    )


def _size(request: Request, facts: ModelFacts, multiple: int, findings: Findings) -> tuple[int, int]:
    """Height and width: asked for, else the first reference's aspect ratio at the model's own area."""
    smallest = _smallest_side(facts, multiple)
    if request.size is not None:
        wanted = request.size
        if min(wanted) < smallest or max(wanted) > MAX_SIDE_PX:
            which = "small" if min(wanted) < smallest else "large"
            text = (
                f"A size of {wanted[1]}x{wanted[0]} is too {which}: both sides must be {smallest} or more, "
                f"and {MAX_SIDE_PX} at most."
            )
            findings.error(text, advice=f"Ask for {facts.recipe.width}x{facts.recipe.height}.")
            wanted = (facts.recipe.height, facts.recipe.width)
        size = geometry.snap_size(*wanted, multiple)
        if size != wanted:
            text = f"Size {wanted[1]}x{wanted[0]} becomes {size[1]}x{size[0]}"
            findings.warning(
                f"{text}: both sides must be multiples of {multiple}.",
                advice="Ask for multiples of that to choose the size yourself.",
            )
        return size
    if not request.references:
        return geometry.snap_size(facts.recipe.height, facts.recipe.width, multiple)
    source = request.references[0].source
    scale = math.sqrt(facts.recipe.height * facts.recipe.width / (source.height * source.width))
    height, width = (max(smallest, round(side * scale)) for side in (source.height, source.width))
    size = geometry.snap_size(height, width, multiple)
    shape = f"{source.label} ({source.width}x{source.height})"
    findings.note(f"Size {size[1]}x{size[0]}, from the aspect ratio of {shape}.", "Another can be asked for.")
    return size


def _smallest_side(facts: ModelFacts, multiple: int) -> int:
    """Fewest pixels of a side: the decoder mirrors latents at the border, so it needs two."""
    return math.ceil(2 * max(facts.factors.height, facts.factors.width) / multiple) * multiple


def _rate(request: Request, facts: ModelFacts, findings: Findings) -> float:
    """Frames per second: asked for, else the first reference's where the model knows such rates."""
    slowest, fastest = (share * facts.recipe.fps for share in RATE_RANGE)
    if request.fps is not None:
        if not MIN_RATE <= request.fps <= MAX_RATE:
            text = f"A frame rate of {request.fps:g} is no rate."
            findings.error(text, advice=f"Ask for {facts.recipe.fps:g}.")
            return facts.recipe.fps
        if not slowest <= request.fps <= fastest:
            text = f"{request.fps:g} frames per second is far from the model's {facts.recipe.fps:g}"
            advice = f"Ask for {slowest:g} to {fastest:g}, and change the rate of the result afterwards."
            findings.warning(f"{text}: motion may suffer.", advice)
        return request.fps
    if not request.references or request.references[0].source.num_frames == 1:
        return facts.recipe.fps
    source = request.references[0].source
    fps = follow_rate(facts, source.fps)
    if fps != source.fps:
        text = f"{fps:g} frames per second, the model's own, as {source.label} has {source.fps:.4g}."
        findings.note(text, "Another can be asked for.")
    return fps


def _length(request: Request, facts: ModelFacts, fps: float, factor: int, findings: Findings) -> int:
    """Frames: asked for, else as long as the first reference, at most what the model was made for."""
    whole = max(1, (facts.recipe.num_frames - 1) // factor) * factor + 1
    if request.num_frames is not None:
        if not 1 <= request.num_frames <= MAX_FRAMES:
            few = request.num_frames < 1
            text = f"{request.num_frames} frames are {'no clip' if few else f'more than {MAX_FRAMES}'}."
            findings.error(text, advice=f"Ask for {facts.recipe.num_frames}.")
            return whole
        num_frames = geometry.snap_frames(request.num_frames, replace(facts.factors, time=factor))
        if num_frames != request.num_frames:
            text = f"{request.num_frames} frames become {num_frames}: the model makes {factor}k+1 frames."
            findings.warning(text, f"Ask for one more than a multiple of {factor} to choose yourself.")
        return num_frames
    if not request.references or request.references[0].source.num_frames == 1:
        return whole
    source = request.references[0].source
    available = math.floor(source.num_frames / source.fps * fps + 1e-6)
    return min(whole, max(1, (available - 1) // factor) * factor + 1)


def _audio(request: Request, facts: ModelFacts, canvas: Canvas) -> dict[str, Any]:
    """What the plan says of audio: latents as long as the video, none where the model has no audio."""
    if not facts.recipe.has_audio:
        return {"has_audio": False}
    count = round(canvas.num_frames / canvas.fps * facts.recipe.audio_latents_per_second)
    return {"has_audio": True, "num_audio_tokens": max(1, count), "sound": request.sound}


def _check_amount(grid: LatentGrid, facts: ModelFacts, findings: Findings) -> None:
    """Refuse or warn of sizes far beyond the model's own."""
    own = facts.grid.num_tokens
    share = grid.num_tokens / own
    if share > COMFORT_SHARE:
        text = f"This size and length need {share:.0f} times the {own} tokens the model was made for"
        advice = f"{facts.recipe.width}x{facts.recipe.height} at {facts.recipe.num_frames} frames suits it."
        if share > MAX_SIZE_SHARE:
            findings.error(f"{text}; at most {MAX_SIZE_SHARE} times is accepted.", advice)
        else:
            findings.warning(f"{text}; quality may suffer.", advice)


def _check_rest(request: Request, facts: ModelFacts, canvas: Canvas, findings: Findings) -> None:
    """Check prompts, pictures, seed and guidance."""
    for name, prompt in (("prompt", request.prompt), ("negative prompt", request.negative_prompt)):
        num_tokens = num_prompt_tokens(facts, prompt)
        if num_tokens > facts.recipe.max_prompt_tokens:
            text = f"The {name} has {num_tokens} tokens; the model takes {facts.recipe.max_prompt_tokens}."
            findings.error(text, advice="Shorten it.")
    for image in request.images:
        if not 0 <= image.frame < canvas.num_frames:
            last = canvas.num_frames - 1
            text = f"{image.label} is to stand at frame {image.frame}; there are frames 0 to {last}."
            findings.error(text, advice="Name one of these, or ask for more frames.")
        if not 0 <= image.strength <= 1:
            text = f"{image.label}: the strength is {image.strength:g}; a number from 0 to 1 is accepted."
            findings.error(text, advice="1 shows it as it is.")
    if not 0 <= request.seed < 2**63:
        text = f"The seed is {request.seed}; a whole number from 0 to 2^63 - 1 is accepted."
        findings.error(text, advice="Leave it out for 0.")
    check_guidance(request, facts.recipe, findings)
    has_first = any(image.frame == 0 for image in request.images)
    if not has_first and any(one.control == "tracks" for one in request.references):
        text = "No first picture is given: nothing but the prompt says what moves along the tracks."
        findings.note(text, advice="Give one as image: '--image PICTURE@0'.")
    _say_rest(request, facts, findings)


def _say_rest(request: Request, facts: ModelFacts, findings: Findings) -> None:
    """Say what does nothing, what it costs, and what the model lacks."""
    if request.negative_prompt and not request.more_guidance.wants_negative(request.guidance_scale):
        text = "The negative prompt does nothing, as there is no guidance."
        findings.warning(text, advice="Ask for a guidance scale above 1, or leave it out.")
    if request.adapters and not request.references:
        findings.warning(
            "There is an adapter but no reference: there is nothing for it to follow.",
            advice="Add a control or a reference, unless it follows none.",
        )
    # What nobody sees is left out, unless there is audio, which listens to all.
    seen = [one for one in request.references if one.attention_strength > 0 or facts.recipe.has_audio]
    items = len(seen) + sum(image.frame > 0 for image in request.images)
    weighted = any(one.attention_strength != 1 or one.masked for one in seen)
    if items > 1 and weighted and request.isolate is None:
        findings.warning(
            "One reference is weighted, so references and images no longer see each other: the result jumps "
            "where the last attention strength leaves 1.",
            advice="isolate hides them at 1 too, no-isolate (isolate=False) lets them see each other always.",
        )
    if facts.recipe.guidance_scale > request.guidance_scale:
        text = f"The model is made for a guidance scale of {facts.recipe.guidance_scale:g}."
        findings.warning(text, advice=f"Ask for a guidance of {facts.recipe.guidance_scale:g}.")
    if request.guidance_scale > 1 and facts.recipe.guidance_scale == 1:
        text = "Guidance doubles the time, and a distilled schedule is made to do without it."
        findings.note(text, "A guidance of 1 does without.")
    if facts.recipe.remark:
        findings.note(facts.recipe.remark)
    if not facts.recipe.has_audio:
        advice = (
            "'iclora generate --keep-audio' keeps that of the first control." if request.references else ""
        )
        findings.note(f"The model '{facts.recipe.name}' has no audio of its own: a silent clip.", advice)
