"""What `plan` and `generate` have at hand of the references of a plan, looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from iclora import controls
from iclora.cli.asking import Asked, Given, mask_of, reference_of
from iclora.cli.control import cache_of
from iclora.cli.options import PlanWords
from iclora.clip import Clip, Film
from iclora.controls.point_tracks import (
    DEFAULT_TRACKS,
    OF_A_FILM,
    Tracks,
    check_still,
    check_tracks,
    find_tracks,
    fit_tracks,
)
from iclora.errors import InputError
from iclora.findings import Shown, look_closer
from iclora.pipeline import Progress
from iclora.pipeline.fitting import lay_over
from iclora.plan import Findings, Plan, PlannedReference
from iclora.reference import Reference

FEW_FRAMES = 9
"""Frames that `plan` takes a control from where its estimator is slow; enough to see it flicker."""
QUICK = ("tiny", "blazepose")
"""Estimators that look at dozens of frames a second; others at a few."""


def look_at_references(
    plan: Plan, references: Sequence[Reference], asked: Asked, *, cache: controls.Cache | None = None
) -> Plan:
    """Look at controls that are ready.

    Args:
        plan: The plan, without errors.
        references: One for each of the plan's.
        asked: What it was made from.
        cache: Where what was found in the films is kept; None: nowhere.

    Returns:
        The plan with more findings.
    """
    findings = Findings(plan.findings)
    for given, planned in zip(asked.given, plan.references, strict=True):
        _say_tracks(given, planned, plan, findings)
        _say_still(given, planned, plan, findings, cache=cache)
    plan = dataclasses.replace(plan, findings=tuple(findings))
    shown = [
        Shown(clip=one.clip, mask=one.attention_mask, film=_film(given))
        for one, given in zip(references, asked.given, strict=True)
    ]
    return look_closer(plan, shown, [(image.frame, image.clip) for image in asked.images])


def look_at_given(plan: Plan, asked: Asked, said: PlanWords, report: Progress) -> Plan:
    """Extract the controls as `generate` does, and look at them; only their beginning where that is slow.

    Nothing is fetched for it: where an estimator's weights are not here, the film is looked at.

    Args:
        plan: The plan; where it holds an error it is given back as it is.
        asked: What it was made from.
        said: The words of the command line.
        report: Told of the drawing.

    Returns:
        The plan with more findings.
    """
    findings = Findings(plan.findings)
    shown: list[Shown] = []
    for one, planned in zip(asked.given, plan.references, strict=True):
        if any(finding.level == "error" for finding in findings):
            break
        try:
            _say_tracks(one, planned, plan, findings)
            shown.append(_shown(one, planned, plan, said, report, findings))
            kept = cache_of(said.cache, quiet=True)  # what it does was said when the control was drawn
            _say_still(one, planned, plan, findings, cache=kept)
        except InputError as error:  # the control cannot be drawn of this clip
            findings.error(
                f"{planned.label}: {error}", advice="Or choose another clip, or other dials of the control."
            )
    plan = dataclasses.replace(plan, findings=tuple(findings))
    if any(finding.level == "error" for finding in findings):
        return plan
    return look_closer(plan, shown, [(image.frame, image.clip) for image in asked.images])


def _say_tracks(one: Given, planned: PlannedReference, plan: Plan, findings: Findings) -> None:
    """Say what is wrong with tracks of a file where the result keeps them; some may be cropped away."""
    if isinstance(one.clip, Tracks):
        for found in check_tracks(fit_tracks(one.clip, plan.height, plan.width)):
            findings.warning(f"{planned.label}: {found.text}", advice=found.advice)


def _say_still(
    one: Given,
    planned: PlannedReference,
    plan: Plan,
    findings: Findings,
    *,
    cache: controls.Cache | None,
) -> None:
    """Say where no track of a film moves; of one without any, what it draws tells."""
    film = _film(one)
    if planned.control != "tracks" or film is None:
        return
    count = planned.dials.get("count") or DEFAULT_TRACKS
    laid = lay_over(film, plan)
    assert isinstance(laid, (Clip, Film))
    taken = find_tracks(laid, num_tracks=count, cache=cache)
    found = None if taken is None else check_still(taken, OF_A_FILM)
    if found is not None:
        findings.warning(f"{planned.label}: {found.text}", advice=found.advice)


def _shown(
    one: Given,
    planned: PlannedReference,
    plan: Plan,
    said: PlanWords,
    report: Progress,
    findings: Findings,
) -> Shown:
    """The control of one reference, or what can be had of it."""
    film = _film(one)
    estimator = controls.estimator_of(planned.control, planned.dials) if film is not None else None
    missing = () if estimator is None else controls.missing_weights(estimator)
    if film is not None and missing:
        findings.note(
            f"{planned.label}: the film is looked at and not its {planned.control}, as {estimator} is "
            f"fetched on first use; now with: iclora models fetch {estimator}."
        )
        return Shown(clip=film, mask=mask_of(one, planned, plan), is_film=True)
    slow = estimator is not None and estimator not in QUICK and plan.num_frames > FEW_FRAMES
    start = dataclasses.replace(plan, num_frames=FEW_FRAMES) if slow else plan
    made = reference_of(one, planned, start, said, report)
    if slow:
        findings.note(f"{planned.label}: looked at in its first {FEW_FRAMES} frames, as {estimator} is slow.")
    mask = mask_of(one, planned, plan) if slow else made.attention_mask  # of all frames
    return Shown(clip=made.clip, mask=mask, is_start=slow, film=film)


def _film(one: Given) -> Clip | Film | None:
    """The film that a control is taken from; None where the clip, or its points, are there already."""
    return one.clip if one.said.control is not None and isinstance(one.clip, (Clip, Film)) else None
