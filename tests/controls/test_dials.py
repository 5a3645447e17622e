"""controls.dials and controls.estimators: every dial by name, read from words, refused where it cannot be."""

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import controls, media
from iclora.clip import Clip
from iclora.controls import CACHED, CONTROLS, check_dials, dials_of, drawing, read_dials
from iclora.errors import InputError, MissingDependencyError, ModelError, RequestError

STILL = Clip(frames=np.full((1, 4, 6, 3), 255, np.uint8), fps=1.0)


def test_every_control_names_its_dials() -> None:
    assert dials_of("canny")[:5] == ("preset", "low", "high", "blur", "thickness")
    assert {"render", "convention", "estimator", "device", "stabilise"} <= set(dials_of("depth"))
    assert {"people", "person", "body", "stick_width"} <= set(dials_of("pose"))
    assert dials_of("tracks") == ("count", "canvas", "keypoints")
    assert dials_of("grey") == ()


def test_what_takes_long_to_find_is_kept() -> None:
    keeping = [kind for kind, draw in CONTROLS.items() if "cache" in inspect.signature(draw).parameters]
    assert tuple(keeping) == CACHED and not any("cache" in dials_of(kind) for kind in CACHED)


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("canny", {"preset": "union", "min-length": "4"}, {"preset": "union", "min_length": 4}),
        ("canny", {"blur": "2"}, {"blur": 2.0}),
        ("depth", {"near": "90", "render": "yes"}, {"near": 90, "render": True}),
        ("depth", {"values": "distance", "render": "on"}, {"values": "distance", "render": True}),
        ("pose", {"move": "4,-3", "hands": "No"}, {"move": (4.0, -3.0), "hands": False}),
        ("pose", {"stick_width": "2", "scale": "2"}, {"stick_width": 2, "scale": 2.0}),
        ("tracks", {"count": "3", "canvas": "64x48"}, {"count": 3, "canvas": "64x48"}),
    ],
)
def test_words_become_values(kind: str, said: dict[str, str], expected: dict[str, Any]) -> None:
    read = read_dials(kind, said)
    assert read == expected
    assert [type(value) for value in read.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("kind", "said", "message"),
    [
        (
            "canny",
            {"glow": "2"},
            "The control canny has no dial 'glow'; it has: preset, low, high, blur, thick",
        ),
        ("grey", {"glow": "2"}, "The control grey has no dial 'glow'; it has: none"),
        ("canny", {"clip": "a"}, "has no dial 'clip'"),
        ("canny", {"thickness": "2.5"}, "thickness=2.5 of the control canny is not a whole number"),
        ("canny", {"blur": "much"}, "blur='much' of the control canny is not a number"),
        ("canny", {"thickness": "0"}, "The line thickness is 0 pixels"),
        ("canny", {"preset": "none"}, "There is no preset 'none'; choose one of auto"),
        ("depth", {"convention": "pink"}, "There is no depth convention 'pink'"),
        ("depth", {"device": "nowhere"}, "There is no device 'nowhere' here; use cpu"),
        ("depth", {"stabilise": "2"}, "The stabilising is 2"),
        ("depth", {"values": "distance"}, "values is about a render or an .onnx file; say that it is"),
        ("depth", {"stabilise": "1", "render": "yes"}, "stabilise is about a filmed clip"),
        ("depth", {"values": "metres"}, "Values of depth cannot be 'metres'; say near or distance"),
        ("pose", {"move": "4"}, "move='4' of the control pose is not two numbers X,Y"),
        ("pose", {"hands": "maybe"}, "hands='maybe' of the control pose is not yes or no"),
        ("pose", {"person": "1"}, "Nothing is done to person 1; say another body, a scale or a move"),
        ("pose", {"person": "-1", "scale": "2"}, "There is no person -1; people are counted from 0"),
        ("tracks", {"count": "0"}, "Cannot take 0 tracks"),
    ],
)
def test_what_cannot_be_is_named(kind: str, said: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_dials(kind, said)


def test_values_of_python_are_checked_alike() -> None:
    assert check_dials("green", {"mask": STILL}) == {"mask": STILL}
    with pytest.raises(RequestError, match="There is no control 'sketch'; choose one of blocks, blur, canny"):
        check_dials("sketch", {})
    with pytest.raises(RequestError, match="thickness=True of the control canny"):
        check_dials("canny", {"thickness": True})
    with pytest.raises(RequestError, match=r"mask=3 of the control green is not text"):
        check_dials("green", {"mask": 3})


def test_numbers_of_numpy_are_numbers() -> None:
    said = {"thickness": np.int64(3), "blur": np.float32(2.5), "stabilise": np.float64(0.5)}
    read = check_dials("canny", said)
    assert read == {"thickness": 3, "blur": 2.5, "stabilise": 0.5}
    assert [type(value) for value in read.values()] == [int, float, float]
    moved = check_dials("pose", {"move": (np.float64(4), np.float32(-3)), "hands": np.bool_(0)})
    assert moved == {"move": (4.0, -3.0), "hands": False} and type(moved["hands"]) is bool
    for wrong in (np.float32(2.5), np.bool_(1)):
        with pytest.raises(RequestError, match="of the control canny is not a whole number"):
            check_dials("canny", {"thickness": wrong})


@pytest.mark.parametrize(
    ("kind", "name"), [("depth", "render"), ("tracks", "canvas"), ("tracks", "keypoints")]
)
def test_how_a_file_is_read_is_not_said_of_a_clip(kind: str, name: str) -> None:
    with pytest.raises(
        RequestError, match=f"The dial '{name}' of the control {kind} says how a file is read"
    ):
        check_dials(kind, {name: True})


def test_files_are_looked_for_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file no.png"):
        read_dials("green", {"mask": "no.png"})
    with pytest.raises(InputError, match="There is no file no.json"):
        read_dials("pose", {"body": "no.json"})
    mask = str(media.save(STILL, tmp_path / "mask.png"))
    assert read_dials("green", {"mask": mask}) == {"mask": mask}


def test_what_a_file_is_read_by_is_not_drawn_with() -> None:
    said = {"render": True, "near": 90, "thickness": 3}
    assert drawing("depth", said) == {"near": 90}
    assert drawing("canny", said) == {"thickness": 3}


def test_estimators_and_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    assert controls.estimator_of("depth", {}) == "tiny" and controls.estimator_of("canny", {}) is None
    assert controls.estimator_of("pose", {"estimator": "dwpose"}) == "dwpose"
    assert controls.missing_weights("tiny") == []
    missing = controls.missing_weights("depth-anything-v2-small")
    assert [path.name for path in missing] == ["config.json", "model.safetensors"]
    missing[0].parent.mkdir()
    for path in missing:
        path.touch()
    assert controls.missing_weights("depth-anything-v2-small") == []
    for module in ("ai_edge_litert.interpreter", "rtmlib", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.onnx").touch()
    for estimator in ("blazepose", "dwpose", str(tmp_path / "a.onnx")):
        with pytest.raises(MissingDependencyError, match="pip install"):
            controls.check_installed(estimator)
    with pytest.raises(ModelError, match="There is no file none.onnx"):
        controls.check_installed("none.onnx")
    controls.check_installed("tiny")
