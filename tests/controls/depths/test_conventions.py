"""controls.depths.conventions: what is white, and what each adapter wants."""

import json

import numpy as np
import pytest

from iclora.controls.depths.conventions import CONVENTIONS, check_convention, coloured, convention_of
from iclora.errors import AdapterError, RequestError

STEPS = np.array([[0.0, 0.5, 1.0]], np.float32)


def test_grey() -> None:
    assert coloured(STEPS, "near-white")[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]
    assert coloured(STEPS, "near-black")[0].tolist() == [[255] * 3, [128] * 3, [0] * 3]


def test_inferno_runs_from_black_to_pale_yellow_and_grows_lighter() -> None:
    assert coloured(STEPS, "inferno")[0, [0, 2]].tolist() == [[0, 0, 4], [252, 255, 164]]  # matplotlib's ends
    ramp = coloured(np.linspace(0, 1, 256, dtype=np.float32)[None], "inferno")[0].astype(float)
    assert (np.diff(ramp @ [0.299, 0.587, 0.114]) >= -0.5).all()


def config(convention: object) -> dict[str, str]:
    return {"iclora.config": json.dumps({"control": {"convention": convention}})}


def test_an_adapter_says_what_it_wants() -> None:
    for convention in CONVENTIONS:
        assert convention_of("mine", config(convention)) == convention
    assert convention_of("ltx-2.3-22b-ic-lora-union-control-ref0.5", config("inferno")) == "inferno"


def test_released_and_silent_adapters_get_near_white() -> None:
    assert convention_of("ltx-2-19b-ic-lora-depth-control", {}) == "near-white"
    assert convention_of("other", {"iclora.config": "{}"}) == "near-white"


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(AdapterError, match="mine was trained on depth drawn as 'viridis'"):
        convention_of("mine", config("viridis"))
    for broken in ("{", "[]", '{"control": 3}'):
        with pytest.raises(AdapterError, match="of mine is not readable JSON settings"):
            convention_of("mine", {"iclora.config": broken})
    with pytest.raises(RequestError, match="There is no depth convention 'white'; choose near-white"):
        check_convention("white")
