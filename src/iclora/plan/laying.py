"""A reference laid over the result: its clock, its size, how its lines are drawn, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iclora import geometry
from iclora.controls import drawing
from iclora.geometry import LatentFactors, LatentGrid
from iclora.plan.facts import UNION
from iclora.plan.values import Findings, PlannedAdapter, PlannedReference, ReferenceRequest, Source


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Size and clock of the result."""

    height: int
    width: int
    num_frames: int
    fps: float
    factors: LatentFactors

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
    for text, advice in asked.warnings:
        findings.warning(f"{asked.source.label}: {text}", advice=advice)
    for name, value in (("strength", asked.strength), ("attention strength", asked.attention_strength)):
        if not 0 <= value <= 1:
            text = f"{asked.source.label}: the {name} is {value:g}; a number from 0 to 1 is accepted."
            findings.error(text)
    frames = (canvas.num_frames - 1) // temporal + 1
    height, width = canvas.height // downscale, canvas.width // downscale
    return PlannedReference(
        label=asked.source.label,
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
    trained = [
        (adapter.name, drawing(kind, adapter.dials))
        for adapter in adapters
        if adapter.control == kind or (adapter.control == "union" and kind in UNION)
    ]
    name, dials = next((one for one in trained if one[1]), ("", {}))
    if any(other and other != dials for _, other in trained):
        findings.warning(
            f"The adapters were trained on {kind} drawn in different ways; that of '{name}' is used.",
            advice=f"Say how with --control {kind}=IN,dial=value, or use one of these adapters at a time.",
            about="adapter",
        )
    if asked.control is None:
        if (thickness := dials.get("thickness", 1)) != 1:
            how = _in_words("thickness", thickness)
            findings.note(f"{asked.source.label}: thinner {how}, as the adapter '{name}' was trained on.")
        return dials
    taken = {dial: value for dial, value in dials.items() if dial not in asked.dials}
    if taken:
        how = ", ".join(_in_words(*dial) for dial in taken.items())
        findings.note(f"{asked.source.label}: {how}, as the adapter '{name}' was trained on.")
    against = {dial: value for dial, value in dials.items() if asked.dials.get(dial, value) != value}
    for dial, value in against.items():
        findings.warning(
            f"{asked.source.label}: {_in_words(dial, asked.dials[dial])} as asked, but the adapter '{name}' "
            f"was trained on {_in_words(dial, value)}.",
            advice=f"Leave {dial} out, unless the control shall look otherwise.",
            about="adapter",
        )
    return {**taken, **asked.dials}


def _in_words(dial: str, value: Any) -> str:
    said = f"{value:g}" if isinstance(value, float) else str(value)
    return f"lines {said} px thick" if dial == "thickness" else f"{dial} {said}"


def _say_clock(source: Source, canvas: Canvas, findings: Findings) -> None:
    """Say how a reference is brought to the result's rate and length."""
    said = []
    if not source.has_rate:
        text = f"{source.label}: pictures have no frame rate; {canvas.fps:.4g} per second are taken."
        findings.warning(text, advice="Say the rate they were made at with --fps.")
    if source.num_frames == 1 and canvas.num_frames > 1:
        said.append("the still is repeated")
    elif source.num_frames > 1:
        if abs(source.fps - canvas.fps) > 1e-6 * canvas.fps:
            said.append(f"resampled from {source.fps:.4g} to {canvas.fps:.4g} frames per second")
        available = max(1, math.floor(source.num_frames / source.fps * canvas.fps + 1e-6))
        if available < canvas.num_frames:
            said.append(f"its last frame is held for the last {canvas.num_frames - available} frames")
        elif available > canvas.num_frames:
            said.append(f"its first {canvas.num_frames / canvas.fps:.3g} seconds are used")
    if said:
        findings.note(f"{source.label}: {'; '.join(said)}.")


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
        findings.note(text)
    kinds = {adapter.control for adapter in adapters} - {None}
    if asked.control is not None and kinds and asked.control not in kinds:
        followed = " or ".join(sorted(map(str, kinds)))
        text = f"{source.label}: the control is {asked.control}, but the adapter follows {followed}."
        findings.warning(text, about="adapter")
