"""The LTX-2 transformer with appended tokens in its forward; see `forward`, and `cache` for what is kept."""

from iclora.transformer.cache import CachePolicy, ReferenceCache, keepable_of
from iclora.transformer.forward import Perturbation, Stream, velocity
from iclora.transformer.fp8 import to_fp8
from iclora.transformer.running import call_blocks
from iclora.transformer.split import split_over

__all__ = [
    "CachePolicy",
    "Perturbation",
    "ReferenceCache",
    "Stream",
    "call_blocks",
    "keepable_of",
    "split_over",
    "to_fp8",
    "velocity",
]
