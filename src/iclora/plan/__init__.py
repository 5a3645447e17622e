"""From what is asked to what will be done: every size, rate, count and factor, before any weight is loaded.

    Request ──────────┐
    model configs ────┼─► decide ─► Plan: the numbers, and findings that say what was changed and why
    adapter headers ──┘

A finding is an *error* (the request cannot be met; `Plan.check` raises it), a *warning* (it will be met
otherwise than asked) or a *note* (good to know).
"""

from iclora.plan.decide import follow_rate, make_plan
from iclora.plan.facts import (
    AdapterFacts,
    ModelFacts,
    adapter_facts,
    control_dials,
    dials_of,
    kept_values,
    model_facts,
    num_prompt_tokens,
)
from iclora.plan.values import (
    Finding,
    Findings,
    ImageRequest,
    Plan,
    PlannedAdapter,
    PlannedCache,
    PlannedMemory,
    PlannedReference,
    ReferenceRequest,
    Request,
    Source,
)

__all__ = [
    "AdapterFacts",
    "Finding",
    "Findings",
    "ImageRequest",
    "ModelFacts",
    "Plan",
    "PlannedAdapter",
    "PlannedCache",
    "PlannedMemory",
    "PlannedReference",
    "ReferenceRequest",
    "Request",
    "Source",
    "adapter_facts",
    "control_dials",
    "dials_of",
    "follow_rate",
    "kept_values",
    "make_plan",
    "model_facts",
    "num_prompt_tokens",
]
