"""adapters.known: released files by their names."""

import pytest

from iclora.adapters.known import known, known_base
from iclora.controls import CONTROLS
from iclora.controls.depths.conventions import CONVENTIONS

NAMES = {
    "ltx-2.3-22b-ic-lora-union-control-ref0.5": ("canny", "depth", "pose"),
    "ltx-2-19b-ic-lora-union-ref0.5": ("canny", "depth", "pose"),
    "ltx-2-19b-ic-lora-canny-control": ("canny",),
    "ltx-2-19b-ic-lora-depth-control": ("depth",),
    "ltx-2-19b-ic-lora-pose-control": ("pose",),
    "ltx-2-19b-ic-lora-detailer": ("film",),
    "ltx-2.3-22b-ic-lora-motion-track-control-ref0.5": ("tracks",),
    "ltx-2.3-22b-ic-lora-in-outpainting-0.9": ("green",),
    "ltx-2.3-22b-ic-lora-colorization-0.9": ("grey",),
    "ltx-2.3-22b-ic-lora-pixel-spatial-upscaler-x2-0.9": ("film",),
    "ltx-2.3-22b-ic-lora-ingredients-0.9": (),
    "ltx-2.3-22b-ic-lora-hdr-0.9": (),
    "ltx-2.3-22b-ic-lora-lipdub-0.9": (),
    "ltx-2.3-22b-ic-lora-dubit-0.9": (),
    "ltx-2.3-22b-ic-lora-relight-0.9": (),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_released_files_follow(name: str) -> None:
    found = known(name)
    assert found is not None and found.controls == NAMES[name]
    assert set(found.controls) <= {*CONTROLS, "film"} and set(found.conventions) <= set(CONVENTIONS)
    assert known(name.upper()) is found
    assert known_base(name) == ("ltx-2.0" if name.startswith("ltx-2-") else "ltx-2.3")


@pytest.mark.parametrize(
    "name",
    ["union-control-ref0.5", "my-ltx-2-19b-ic-lora-depth-control", "ltx-2.3-22b-ic-lora-mine", "a"],
)
def test_other_files_are_not_known(name: str) -> None:
    assert known(name) is None


def test_loras_without_references_have_a_base_too() -> None:
    assert known_base("ltx-2-19b-lora-camera-control-dolly-in") == "ltx-2.0"
    assert known_base("ltx-2.5-22b-ic-lora-deblur-1.0") == "ltx-2.5"
    assert known_base("mine") is None
