"""What pixels tell before they cost an hour: controls, masks and pictures looked at once the plan is made.

    Plan ───────────────────────┐
    controls, masks, pictures ──┴─► look_closer ─► the same Plan with more findings

`look` measures a clip from a few of its frames; `judge` says what is wrong with it for a kind of control.
"""

from iclora.findings.closer import (
    LOOKS_LIKE_DEPTH,
    TAKE_AS_RENDER,
    Shown,
    look_closer,
    looks_like_depth,
)
from iclora.findings.judging import Expected, judge
from iclora.findings.kinds import resemblance
from iclora.findings.looks import Look, look
from iclora.findings.masks import judge_mask
from iclora.findings.pictures import agreement, figures_agreement

__all__ = [
    "LOOKS_LIKE_DEPTH",
    "TAKE_AS_RENDER",
    "Expected",
    "Look",
    "Shown",
    "agreement",
    "figures_agreement",
    "judge",
    "judge_mask",
    "look",
    "look_closer",
    "looks_like_depth",
    "resemblance",
]
