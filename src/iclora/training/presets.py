"""Starting points of settings, for the adapters that are trained most; what is said goes over them.

The official trainer has one recipe for all controls (``configs/v2v_ic_lora.yaml``), whose values are the
defaults of `TrainingSettings`; a preset says where a kind of adapter wants something else, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # The official recipe as it is.
        "canny": {"adapter": {"name": "canny"}},
        "depth": {"adapter": {"name": "depth"}},
        "pose": {"adapter": {"name": "pose"}},
        # Three controls want more room: the released union adapters have rank 64, by their file sizes.
        "union": {"adapter": {"name": "union", "rank": 64}, "steps": 6000},
        # The released workflow always gives a first frame beside the trails, as trails say nothing of looks;
        # a tenth goes without, so that the adapter is not lost there. Where things go is decided at the first
        # steps of a schedule, so with feedback those are judged too.
        "tracks": {
            "adapter": {"name": "tracks"},
            "conditioning": {"first_frame": 0.9},
            "feedback": {"from_noise": 0.995},
        },
        # The reference is the clip itself, less sharp: a first frame would give the answer away, and the
        # released detailer is run at low noise.
        "detailer": {
            "adapter": {"name": "detailer", "control": "film"},
            "conditioning": {"first_frame": 0.0},
        },
        # Official: configs/v2v_ic_lora_low_vram.yaml (r16, 1e-4, adamw8bit, int8); waiting blocks are ours.
        "low-vram": {
            "adapter": {"rank": 16},
            "optimizer": {"kind": "adamw8bit", "learning_rate": 1e-4},
            "memory": {"quantise": "int8", "gradient_checkpointing": True, "blocks_on_host": 24},
            "data": {"batch_size": 1, "keep": "disk"},
        },
    }
)
