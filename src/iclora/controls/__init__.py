"""Controls: functions that turn a filmed clip into the clip an adapter follows, each `Clip -> Clip`.

`CONTROLS` names them for surfaces that choose one by word (`--control canny=IN`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from iclora.clip import Clip
from iclora.controls.canny import canny
from iclora.controls.lines import is_lines, redraw_lines, resize_lines, thin

CONTROLS: Mapping[str, Callable[..., Clip]] = MappingProxyType({"canny": canny})

__all__ = ["CONTROLS", "canny", "is_lines", "redraw_lines", "resize_lines", "thin"]
