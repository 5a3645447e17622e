"""iclora: frame-exact control for the LTX-2 family of video models.

pipe = iclora.load("tiny", adapters=["canny"])
control = iclora.controls.canny(iclora.read("in.mp4"))
result = pipe.generate("a clay figure dancing", references=[iclora.Reference(control)])
result.clip.save("out.mp4")
"""

from typing import TYPE_CHECKING, Any

from iclora import controls, errors, media
from iclora.clip import Audio, Clip
from iclora.media import read

if TYPE_CHECKING:
    from iclora.pipeline import Image, Pipeline, Result, load
    from iclora.reference import Reference

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "Clip",
    "Image",
    "Pipeline",
    "Reference",
    "Result",
    "__version__",
    "controls",
    "errors",
    "load",
    "media",
    "read",
]

_LATER = {name: "iclora.pipeline" for name in ("Image", "Pipeline", "Result", "load")}
_LATER["Reference"] = "iclora.reference"


def __getattr__(name: str) -> Any:
    """Import what needs torch and diffusers when it is first asked for: it takes seconds."""
    if name not in _LATER:
        raise AttributeError(f"module 'iclora' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATER[name]), name)
