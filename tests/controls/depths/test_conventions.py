"""controls.depths.conventions: what is white."""

import numpy as np
import pytest

from iclora.controls.depths.conventions import check_convention, coloured
from iclora.errors import RequestError

STEPS = np.array([[0.0, 0.5, 1.0]], np.float32)


def test_grey() -> None:
    assert coloured(STEPS, "near-white")[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]
    assert coloured(STEPS, "near-black")[0].tolist() == [[255] * 3, [128] * 3, [0] * 3]


def test_inferno_runs_from_black_to_pale_yellow_and_grows_lighter() -> None:
    assert coloured(STEPS, "inferno")[0, [0, 2]].tolist() == [[0, 0, 4], [252, 255, 164]]  # matplotlib's ends
    ramp = coloured(np.linspace(0, 1, 256, dtype=np.float32)[None], "inferno")[0].astype(float)
    assert (np.diff(ramp @ [0.299, 0.587, 0.114]) >= -0.5).all()


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(RequestError, match="There is no depth convention 'white'; choose near-white"):
        check_convention("white")
