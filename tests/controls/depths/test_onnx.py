"""controls.depths.onnx: networks in ONNX files, with one written by hand where onnxruntime is installed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from iclora.controls.depths.anything import MEAN, SPREAD
from iclora.controls.depths.onnx import OnnxDepth
from iclora.errors import MissingDependencyError, ModelError
from tests.controls.depths.onnx_files import write_mean

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
    with pytest.raises(ModelError, match="a depth network takes one picture of shape 1, 3, height, width"):
        OnnxDepth(write_mean(tmp_path / "b.onnx", channels=4))
