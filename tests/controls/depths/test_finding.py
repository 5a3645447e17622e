"""controls.depths.finding: estimators by name, and a clip looked at."""

import numpy as np
import pytest

from iclora.clip import Clip
from iclora.controls.depths import DEPTH_ESTIMATORS, find_depths, named
from iclora.controls.depths.tiny import Tiny
from iclora.errors import ModelError, RequestError


def test_every_frame_is_looked_at() -> None:
    clip = Clip(
        frames=np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(5, 2).repeat(3, 3),
        fps=9.0,
    )
    seen: list[tuple[int, int | None]] = []
    depths = find_depths(
        clip,
        estimator=lambda frames: (frame[..., 0].astype(np.float32) for frame in frames),
        progress=lambda *step: seen.append(step),
    )
    assert depths.nearness[:, 0, 0].tolist() == [0, 1, 2] and depths.fps == 9
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_names() -> None:
    assert DEPTH_ESTIMATORS[0] == "tiny" and isinstance(named("tiny"), Tiny)
    with pytest.raises(
        RequestError, match="There is no depth estimator 'midas'; choose one of tiny, depth-any"
    ):
        named("midas")
    with pytest.raises(ModelError, match=r"There is no file none\.onnx"):
        named("none.onnx")
