"""LoRA files: read with every key accounted for, attached, weighed, detached, created and written."""

from iclora.adapters.attach import (
    VIDEO_TARGETS,
    attach,
    attached,
    create,
    detach,
    merge,
    misfit,
    set_weights,
    take,
)
from iclora.adapters.files import Adapter, LowRank, describe, encode, read, write
from iclora.adapters.names import diffusers_name, official_name
from iclora.adapters.outline import LayerSize, Outline, control_settings, read_outline

__all__ = [
    "VIDEO_TARGETS",
    "Adapter",
    "LayerSize",
    "LowRank",
    "Outline",
    "attach",
    "attached",
    "control_settings",
    "create",
    "describe",
    "detach",
    "diffusers_name",
    "encode",
    "merge",
    "misfit",
    "official_name",
    "read",
    "read_outline",
    "set_weights",
    "take",
    "write",
]
