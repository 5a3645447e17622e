"""A reference laid over the result: its clock, its size, how its lines are drawn, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iclora import geometry
from iclora.controls import drawing
from iclora.geometry import LatentFactors, LatentGrid
from iclora.plan.values import Findings, PlannedAdapter, PlannedReference, ReferenceRequest, Source

MOST_ENLARGED = 2
"""A clip that is enlarged beyond it, to the size it is used at, is too soft to steer by."""
_OF_FILMS = ("stabilise", "smooth")
"""Dials that steady what is found in pictures."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Size and clock of the result; `shaped_by` is the clip it takes its shape from, as was said already."""

    height: int
    width: int
    num_frames: int
    fps: float
    factors: LatentFactors
    shaped_by: Source | None = None

    @property
    def grid(self) -> LatentGrid:
        """Its latent grid."""
        return geometry.latent_grid(self.num_frames, self.height, self.width, self.factors)


def lay_reference(
    asked: ReferenceRequest,
    scales: tuple[int, int],
    canvas: Canvas,
    adapters: list[PlannedAdapter],
    findings: Findings,
) -> PlannedReference:
    """Lay a reference over the result, and say what is done to it.

    Args:
        asked: The reference as asked for.
        scales: Its downscale and temporal factor.
        canvas: Size and clock of the result.
        adapters: The adapters to attach.
        findings: What is said is added here.

    Returns:
        The reference as the model will be given it.
    """
    downscale, temporal = scales
    _say_clock(asked.source, canvas, findings)
    _say_picture(asked, canvas, adapters, findings)
    if asked.control is None:
        _say_scale(asked.source, downscale, canvas, findings)
    for name, value in (("strength", asked.strength), ("attention strength", asked.attention_strength)):
        if not 0 <= value <= 1:
            text = f"{asked.label}: the {name} is {value:g}; a number from 0 to 1 is accepted."
            findings.error(text, advice="1 is usual.")
    frames = (canvas.num_frames - 1) // temporal + 1
    height, width = canvas.height // downscale, canvas.width // downscale
    return PlannedReference(
        label=asked.label,
        control=asked.control,
        is_lines=asked.control is None and asked.source.is_lines,
        strength=asked.strength,
        attention_strength=asked.attention_strength,
        masked=asked.masked,
        downscale=downscale,
        temporal_factor=temporal,
        num_frames=frames,
        height=height,
        width=width,
        grid=geometry.latent_grid(frames, height, width, canvas.factors),
        dials=_dials(asked, adapters, findings),
    )


def _dials(asked: ReferenceRequest, adapters: list[PlannedAdapter], findings: Findings) -> Mapping[str, Any]:
    """How a control is drawn, or the lines of one that is ready: as asked, else as in training."""
    kind = "canny" if asked.control is None and asked.source.is_lines else asked.control
    if kind is None:
        return {}
    followers = [adapter for adapter in adapters if kind in adapter.controls]
    trained = [(one.name, _trained(kind, one, filmed=asked.filmed)) for one in followers]
    name, dials = next((one for one in trained if one[1]), ("", {}))
    if any(other and other != dials for _, other in trained):
        findings.warning(
            f"The adapters were trained on {kind} drawn in different ways; that of '{name}' is used.",
            advice="Say how by the dials of the control, or use one of these adapters at a time.",
            about="adapter",
        )
    if asked.control is None:
        if (thickness := dials.get("thickness", 1)) != 1:
            how = _in_words("thickness", thickness)
            findings.note(f"{asked.label}: thinner {how}, as the adapter '{name}' was trained on.")
        return dials
    taken = {dial: value for dial, value in dials.items() if dial not in asked.dials}
    if taken:
        how = ", ".join(_in_words(*dial) for dial in taken.items())
        findings.note(f"{asked.label}: {how}, as the adapter '{name}' was trained on.")
    against = [(name, dial, value) for dial, value in dials.items()]
    # Of depth an adapter's file name may tell, and several ways of drawing it may do.
    against += [
        (one.name, "convention", one.conventions[0])
        for one in followers
        if "convention" not in one.dials and asked.dials.get("convention") not in one.conventions
    ]
    for name, dial, value in against:
        if asked.dials.get(dial, value) == value:
            continue
        findings.warning(
            f"{asked.label}: {_in_words(dial, asked.dials[dial])} as asked, but the adapter '{name}' "
            f"was trained on {_in_words(dial, value)}.",
            advice=f"Leave {dial} out, unless the control shall look otherwise.",
            about="adapter",
        )
    return {**taken, **asked.dials}


def _trained(kind: str, adapter: PlannedAdapter, *, filmed: bool) -> dict[str, Any]:
    """How an adapter's references were drawn, as far as it can be done to this one."""
    dials = drawing(kind, adapter.dials)
    return {dial: value for dial, value in dials.items() if filmed or dial not in _OF_FILMS}


def _in_words(dial: str, value: Any) -> str:
    said = f"{value:g}" if isinstance(value, float) else str(value)
    return f"lines {said} px thick" if dial == "thickness" else f"{dial} {said}"


def _say_clock(source: Source, canvas: Canvas, findings: Findings) -> None:
    """Say how a reference is brought to the result's rate and length."""
    said, advice = [], ""
    if not source.has_rate:
        text = f"{source.label}: pictures have no frame rate; {canvas.fps:.4g} per second are taken."
        findings.warning(text, advice="Say the rate (fps) they were made at.")
    if source.num_frames == 1 and canvas.num_frames > 1:
        said.append("the still is repeated")
    elif source.num_frames > 1:
        if abs(source.fps - canvas.fps) > 1e-6 * canvas.fps:
            said.append(f"resampled from {source.fps:.4g} to {canvas.fps:.4g} frames per second")
        available = max(1, math.floor(source.num_frames / source.fps * canvas.fps + 1e-6))
        if available < canvas.num_frames:
            said.append(f"its last frame is held for the last {canvas.num_frames - available} frames")
            advice = "Ask for fewer frames."
        elif available > canvas.num_frames:
            said.append(f"its first {canvas.num_frames / canvas.fps:.3g} seconds are used")
            advice = "Ask for more frames; for another part, cut it."
    if said:
        findings.note(f"{source.label}: {'; '.join(said)}.", advice)


def _say_picture(
    asked: ReferenceRequest, canvas: Canvas, adapters: list[PlannedAdapter], findings: Findings
) -> None:
    """Say when a reference is cropped, or is not what the adapter was trained on."""
    source = asked.source
    aspect = (source.width / source.height) / (canvas.width / canvas.height)
    if abs(aspect - 1) > 0.01:
        side = "sides" if aspect > 1 else "top and bottom"
        lost = 1 - min(aspect, 1 / aspect)
        text = f"{source.label}: its {side} are cropped, {lost:.0%} of the picture."
        findings.note(text, f"A size as wide to high as {source.width} to {source.height} keeps all.")
    kinds = {kind for adapter in adapters for kind in adapter.controls}
    if asked.control is not None and kinds and asked.control not in kinds:
        followed = " or ".join(sorted(kinds))
        findings.warning(
            f"{asked.label}: the control is {asked.control}, but the adapter follows {followed}.",
            advice=_instead(asked.control, sorted(kinds)),
            about="adapter",
        )


def _say_scale(source: Source, downscale: int, canvas: Canvas, findings: Findings) -> None:
    """Say when a ready clip has another size than the result, and warn where it is too small."""
    height, width = canvas.height // downscale, canvas.width // downscale
    sizes = f"from {source.width}x{source.height} to {width}x{height}"
    times = max(height / source.height, width / source.width)
    if times > MOST_ENLARGED:
        findings.warning(
            f"{source.label}: enlarged {times:.3g} times, {sizes}: what it shows becomes soft.",
            advice=f"Make it at {width}x{height} or larger, or ask for a smaller size.",
        )
    elif source != canvas.shaped_by and (source.height, source.width) != (height, width):
        findings.note(f"{source.label}: scaled {sizes}.")


def _instead(asked: str, followed: list[str]) -> str:
    """What to ask for where an adapter does not follow the control asked for."""
    controls = ["the film as it is" if kind == "film" else f"the control {kind}" for kind in followed]
    return f"Give it {' or '.join(controls)}, or name an adapter that follows {asked}."
