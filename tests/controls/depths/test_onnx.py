"""controls.depths.onnx: networks in ONNX files, with one written by hand where onnxruntime is installed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from iclora import controls
from iclora.clip import Clip
from iclora.controls.depths import onnx
from iclora.controls.depths.anything import MEAN, SPREAD
from iclora.controls.depths.finding import check_estimator
from iclora.controls.depths.onnx import OnnxDepth
from iclora.errors import MissingDependencyError, ModelError, RequestError
from tests.controls.depths.onnx_files import write_mean, write_mean_of_one, write_window

FRAME = np.full((60, 80, 3), 128, np.uint8)


def test_without_onnxruntime_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"needs onnxruntime.*pip install 'iclora\[onnx\]'"):
        OnnxDepth(write_mean(tmp_path / "a.onnx"))
    with pytest.raises(ModelError, match=r"There is no file .*none\.onnx"):
        OnnxDepth(tmp_path / "none.onnx")


def test_open_and_fixed_sizes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    (found,) = OnnxDepth(write_mean(tmp_path / "a.onnx"))([FRAME])
    assert found.shape == (518, 686)
    assert np.allclose(found, ((128 / 255 - MEAN) / SPREAD).mean(), atol=1e-5)
    fixed = OnnxDepth(write_mean(tmp_path / "b.onnx", height=28, width=42), distances=True)
    (found,) = fixed([FRAME])
    assert found.shape == (28, 42) and np.allclose(found, 1 / ((128 / 255 - MEAN) / SPREAD).mean(), rtol=1e-4)


def test_other_files_are_told(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="cannot be read as a network"):
        OnnxDepth(tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="a depth network takes pictures of shape number, 3, height, width"):
        OnnxDepth(write_mean(tmp_path / "b.onnx", channels=4))


@pytest.mark.parametrize(
    ("number", "usual", "sizes"),
    [("n", 4, [4, 4, 1]), ("n", 1, [1] * 9), (1, 4, [1] * 9), (2, 4, [2] * 5)],
)
def test_pictures_go_together_where_the_file_lets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | str, usual: int, sizes: list[int]
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    monkeypatch.setattr(onnx, "batch_size", lambda device: usual)
    estimator = OnnxDepth(write_mean(tmp_path / "a.onnx", number=number, height=14, width=14))
    run, given = estimator._session.run, []

    class Noted:
        def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            given.append(len(inputs["x"]))
            return run(names, inputs)

    monkeypatch.setattr(estimator, "_session", Noted())
    frames = climbing(9)
    found = np.stack(list(estimator(frames)))
    assert given == sizes and found.shape == (9, 14, 14)
    exact = ((np.stack(frames) / 255 - MEAN) / SPREAD).mean(axis=3)
    assert np.abs(found - exact).max() < 1e-5


def test_a_network_that_fails_on_several_pictures_is_shown_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    monkeypatch.setattr(onnx, "batch_size", lambda device: 4)
    estimator = OnnxDepth(write_mean_of_one(tmp_path / "a.onnx"))
    frames = climbing(9)
    found = np.stack(list(estimator(frames)))
    exact = ((np.stack(frames) / 255 - MEAN) / SPREAD).mean(axis=3)
    assert found.shape == (9, 14, 14) and np.abs(found - exact).max() < 1e-5
    # What fails on one picture is told still.
    unknown = np.full((1, 3, 14, 14), np.nan, np.float32)
    monkeypatch.setattr(onnx, "prepared", lambda frame, height, width: unknown)
    with pytest.raises(ModelError, match="one finite number a pixel"):
        list(OnnxDepth(write_mean(tmp_path / "b.onnx", number="n", height=14, width=14))(frames))


def test_an_absent_device_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    with pytest.raises(RequestError, match="onnxruntime has no device 'tpu' here. Use cpu"):
        OnnxDepth(write_mean(tmp_path / "a.onnx"), device="tpu")


def climbing(count: int) -> list[np.ndarray]:
    """Frames that grow brighter and have a gradient: what a window is scaled to depends on which it is."""
    slope = np.linspace(0, 40, 14)[None, :, None]
    return [(slope + 4 * index + np.zeros((14, 14, 3))).astype(np.uint8) for index in range(count)]


@pytest.mark.parametrize("length", [8, "t"])
@pytest.mark.parametrize("count", [1, 5, 8, 9, 33, 50])
def test_windows_are_brought_to_one_scale(tmp_path: Path, length: int | str, count: int) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    frames = climbing(count)
    found = np.stack(list(OnnxDepth(write_window(tmp_path / "a.onnx", length=length))(frames)))
    assert found.shape == (count, 14, 14)
    bright = np.stack(frames)[..., 0].astype(float)
    scale, shift = np.polyfit(bright.ravel(), found.ravel(), 1)
    assert scale > 0 and np.abs(scale * bright + shift - found).max() < 2e-3 * np.ptp(found)


def test_frames_are_read_a_window_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    read = []
    found = OnnxDepth(write_window(tmp_path / "a.onnx", length=8))(
        read.append(index) or frame for index, frame in enumerate(climbing(40))
    )
    next(iter(found))
    assert len(read) == 8


HUB = "hub:somebody/video-depth/onnx/window.onnx"


def test_a_network_of_the_hub_is_fetched_once_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'iclora[onnx]'")
    asked: list[tuple[str, str]] = []

    def download(repository: str, name: str, *, about: str) -> Path:
        assert "licence" in about
        asked.append((repository, name))
        return write_window(tmp_path / "window.onnx", length=4)

    monkeypatch.setattr(onnx.hub, "download", download)
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "cache"))
    check_estimator(HUB)
    assert controls.missing_weights(HUB) and asked == []
    frames = np.stack(climbing(9))
    found = controls.find_depths(Clip(frames=frames, fps=8.0), estimator=HUB)
    assert found.num_frames == 9 and set(asked) == {("somebody/video-depth", "onnx/window.onnx")}


def test_an_unreachable_hub_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*words: object, **more: object) -> Path:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(onnx.hub, "download", unreachable)
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    with pytest.raises(
        ModelError, match=r"window.onnx could not be fetched \(nobody answers\).*put it into"
    ) as e:
        onnx.located(HUB, fetch=True)
    assert "\n" not in str(e.value)
    put = onnx.located(HUB, fetch=False)
    put.parent.mkdir(parents=True)
    write_mean(put)
    assert onnx.located(HUB, fetch=True) == put
