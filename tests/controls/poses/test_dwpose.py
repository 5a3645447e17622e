"""controls.poses.dwpose: what goes into a made-up rtmlib and comes out; what fails is said in one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import huggingface_hub.errors
import numpy as np
import pytest

from iclora.controls.poses import dwpose
from iclora.errors import MissingDependencyError, ModelError, RequestError

BLACK, RED, BLUE = np.zeros((3, 8, 8, 3), np.uint8)
RED[..., 0] = BLUE[..., 2] = 255


class Broken(Exception):
    """What onnxruntime raises; like its own, no RuntimeError."""


class Detector:
    """Sees a car and a person in a frame that is blue where OpenCV has blue, a car in a red one."""

    columns = 85
    """Of the network's output: 85 with the classes of COCO, 5 without."""
    providers = ("CUDAExecutionProvider", "CPUExecutionProvider")

    def __init__(self, path: str, det_mode: str = "human", **options: Any) -> None:
        self.det_mode, self.options = det_mode, options
        output = SimpleNamespace(shape=[1, 8400, self.columns])
        self.session = SimpleNamespace(get_providers=lambda: self.providers, get_outputs=lambda: [output])
        if Path(path).read_bytes() == b"broken":
            raise Broken("no\nnetwork")

    def __call__(self, picture: np.ndarray) -> Any:
        blue, _, red = picture[0, 0] == 255
        boxes = np.array([[3.0, 0, 9, 9], [0, 0, 9, 9]])[: 2 * blue + red]
        if self.det_mode == "human":
            return boxes
        assert self.columns != 5, "rtmlib fails where it is asked for classes that are not there"
        return (boxes, np.array([2, 0])[: len(boxes)]) if len(boxes) else (np.array([]), np.array([]))


class Keypoints(Detector):
    def __call__(self, picture: np.ndarray, bboxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        places = np.tile(np.arange(133.0)[:, None], (len(bboxes), 1, 2))
        places += bboxes[:, None, :2]
        return places, np.full((len(bboxes), 133), 1.25)


@pytest.fixture
def rtmlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A made-up rtmlib and onnxruntime, and networks put into the cache by hand."""
    made_up = ModuleType("rtmlib")
    made_up.YOLOX, made_up.RTMPose = Detector, Keypoints  # type: ignore[attr-defined]
    state = SimpleNamespace(Fail=Broken, InvalidGraph=Broken, InvalidProtobuf=Broken, NoSuchFile=Broken)
    runtime = ModuleType("onnxruntime")
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    runtime.get_available_providers = lambda: providers  # type: ignore[attr-defined]
    modules: dict[str, Any] = {"rtmlib": made_up, "onnxruntime": runtime}
    modules["onnxruntime.capi"] = SimpleNamespace(onnxruntime_pybind11_state=state)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    (tmp_path / "dwpose").mkdir()
    for name in (dwpose.DETECTOR, dwpose.KEYPOINTS):
        (tmp_path / "dwpose" / name).write_bytes(b"network")
    return tmp_path / "dwpose"


@pytest.mark.usefixtures("rtmlib")
def test_people_of_each_frame() -> None:
    with_somebody, empty, with_car = list(dwpose.DWPose()([BLUE, BLACK, RED]))
    assert empty == [] and with_car == [] and len(with_somebody) == 1
    person = with_somebody[0]
    assert person.shape == (130, 3) and (person[:, 2] == 1).all()
    assert person[[0, 1, 5, 2, 14, 10], 0].tolist() == [0, 5.5, 5, 6, 2, 16]
    assert person[[60, 127, 128, 129], 0].tolist() == [23, 90, 2, 1]
    assert person[[18, 38, 39, 59], 0].tolist() == [91, 111, 112, 132]


@pytest.mark.usefixtures("rtmlib")
def test_of_a_detector_without_classes_every_box_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detector, "columns", 5)
    assert [len(people) for people in dwpose.DWPose()([BLUE, BLACK, RED])] == [2, 0, 1]


def test_networks_that_cannot_be_read(rtmlib: Path) -> None:
    (rtmlib / dwpose.KEYPOINTS).write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"cannot be read as a network \(no network\); delete it"):
        dwpose.DWPose()


def unreachable(*_: object) -> str:
    raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")


def offline(*_: object) -> str:
    raise huggingface_hub.errors.OfflineModeIsEnabled("offline")


@pytest.mark.parametrize("failing", [unreachable, offline])
def test_an_unreachable_hub_is_one_line_that_says_what_to_do(
    rtmlib: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failing: Callable[..., str],
) -> None:
    (rtmlib / dwpose.DETECTOR).unlink()
    monkeypatch.setattr(dwpose.hub, "hf_hub_download", failing)
    with pytest.raises(ModelError) as caught:
        dwpose.DWPose()
    assert "Fetching yolox_l.onnx of yzd-v/DWPose (for DWPose, Apache-2.0)" in caplog.text
    message = str(caught.value)
    assert (
        "Download yolox_l.onnx and dw-ll_ucoco_384.onnx from the Hugging Face repository yzd-v/DWPose"
        in message
    )
    assert f"put them into {rtmlib}" in message and "\n" not in message


def test_a_missing_package_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(MissingDependencyError, match="needs rtmlib, .*install --no-deps 'rtmlib>=0.0.16'"):
        dwpose.DWPose()
    monkeypatch.setitem(sys.modules, "rtmlib", ModuleType("rtmlib"))
    monkeypatch.setitem(sys.modules, "onnxruntime.capi", None)
    with pytest.raises(MissingDependencyError, match="DWPose needs onnxruntime, which is not installed"):
        dwpose.DWPose()


@pytest.mark.usefixtures("rtmlib")
def test_an_rtmlib_that_cannot_name_classes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(path: str, mode: str = "human") -> None: ...

    monkeypatch.setattr(sys.modules["rtmlib"], "YOLOX", older)
    with pytest.raises(MissingDependencyError, match="a newer rtmlib .*--no-deps 'rtmlib>=0.0.16'"):
        dwpose.DWPose()


@pytest.mark.usefixtures("rtmlib")
def test_the_device_is_that_of_both_networks() -> None:
    found = dwpose.DWPose(device="cuda:1")
    assert [network.options["device"] for network in (found._detector, found._keypoints)] == ["cuda:1"] * 2  # type: ignore[attr-defined]


@pytest.mark.usefixtures("rtmlib")
def test_devices_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detector, "providers", ("CPUExecutionProvider",))
    with pytest.raises(RequestError, match="was built for 'cuda' and cannot use it"):
        dwpose.DWPose(device="cuda")
    assert dwpose.DWPose()
    monkeypatch.setattr(
        sys.modules["onnxruntime"], "get_available_providers", lambda: ["CPUExecutionProvider"]
    )
    with pytest.raises(RequestError, match="onnxruntime has no device 'cuda' here. Use cpu"):
        dwpose.DWPose(device="cuda")


@pytest.mark.usefixtures("rtmlib")
def test_the_networks_are_set_as_in_the_released_annotator() -> None:
    found: Any = dwpose.DWPose()
    runtime = {"backend": "onnxruntime", "device": "cpu"}
    limits = {"nms_thr": 0.45, "score_thr": 0.3}
    assert found._detector.det_mode == "multiclass"
    assert found._detector.options == {"model_input_size": (640, 640), **limits, **runtime}
    assert found._keypoints.options == {"model_input_size": (288, 384), **runtime}
