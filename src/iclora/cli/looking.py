"""What `plan` and `generate` have at hand of the references of a plan, looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from iclora.cli.asking import Asked, references_of
from iclora.cli.options import PlanWords
from iclora.clip import Clip
from iclora.findings import Shown, look_closer
from iclora.pipeline import Progress
from iclora.plan import Plan
from iclora.reference import Reference


def look_at_references(plan: Plan, references: Sequence[Reference], asked: Asked) -> Plan:
    """Look at controls that are ready.

    Args:
        plan: The plan, without errors.
        references: One for each of the plan's.
        asked: What it was made from.

    Returns:
        The plan with more findings.
    """
    shown = [Shown(clip=one.clip, mask=one.attention_mask) for one in references]
    return look_closer(plan, shown, [(image.frame, image.clip) for image in asked.images])


def look_at_given(plan: Plan, asked: Asked, said: PlanWords, report: Progress) -> Plan:
    """Look at what is there without taking any control from a film; points are drawn.

    Args:
        plan: The plan; where it holds an error it is given back as it is.
        asked: What it was made from.
        said: The words of the command line.
        report: Told of the drawing.

    Returns:
        The plan with more findings.
    """
    if any(finding.level == "error" for finding in plan.findings):
        return plan
    films = [isinstance(one.clip, Clip) and one.control is not None for one in asked.given]
    given = tuple(
        dataclasses.replace(one, control=None) if film else one
        for one, film in zip(asked.given, films, strict=True)
    )
    references = references_of(dataclasses.replace(asked, given=given), plan, said, report)
    shown = [
        Shown(clip=one.clip, mask=one.attention_mask, is_film=film)
        for one, film in zip(references, films, strict=True)
    ]
    return look_closer(plan, shown, [(image.frame, image.clip) for image in asked.images])
