"""Any depth network in an ONNX file, through onnxruntime: a picture in, one number for each pixel out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls.depths.anything import looked_at, prepared
from iclora.errors import MissingDependencyError, ModelError

_MULTIPLE = 14
"""Of sizes that the file leaves open: what the vision transformers of depth networks are cut into."""


class OnnxDepth:
    """Guesses the depth of pictures, one by one.

    Args:
        path: A network with one input `1 3 h w` (RGB, ImageNet's mean and spread) and, first of its outputs,
            one number for each pixel. Where the file leaves the size open, the shorter side is 518 pixels.
        distances: Whether the numbers are distances; else larger is nearer.
        device: `cpu`, or `cuda` where onnxruntime has it.

    Raises:
        MissingDependencyError: If onnxruntime is not installed.
        ModelError: If the file is missing, damaged or of another kind.
    """

    def __init__(self, path: Path, *, distances: bool = False, device: str = "cpu") -> None:
        onnxruntime, state = runtime(path)
        self._path, self._distances = path, distances
        self._failures = (state.Fail, state.RuntimeException, state.InvalidArgument, state.NotImplemented)
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        try:
            self._session = onnxruntime.InferenceSession(path, providers=[*wanted, "CPUExecutionProvider"])
        except (*self._failures, state.InvalidGraph, state.InvalidProtobuf) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path} cannot be read as a network ({reason}); export it again.") from error
        given = self._session.get_inputs()
        shape: list[Any] = list(given[0].shape)
        if len(given) != 1 or len(shape) != 4 or (_fixed(shape[1]) and shape[1] != 3):
            shapes = ", ".join(str(one.shape) for one in given)
            raise ModelError(
                f"{path} takes {shapes}; a depth network takes one picture of shape 1, 3, height, width."
            )
        self._input: str = given[0].name
        self._height, self._width = shape[2], shape[3]

    def __call__(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Float32[np.ndarray, "H W"]]:
        """Guess how near everything is.

        Args:
            frames: RGB 0..255.

        Yields:
            Nearness up to a scale and a shift, of the size the network gives.

        Raises:
            ModelError: If the network fails, or does not give one number for each pixel.
        """
        for frame in frames:
            height, width = looked_at(*frame.shape[:2], multiple=_MULTIPLE)
            height = self._height if _fixed(self._height) else height
            width = self._width if _fixed(self._width) else width
            try:
                found = self._session.run(None, {self._input: prepared(frame, height, width)})[0]
            except self._failures as error:
                reason = " ".join(str(error).split())[:200]
                raise ModelError(
                    f"{self._path} fails on a picture of {width}x{height} ({reason})."
                ) from error
            values = np.asarray(found, np.float32).squeeze()
            if values.ndim != 2 or not np.isfinite(values).all():
                raise ModelError(
                    f"{self._path} gives {found.shape}; a depth network gives one finite number a pixel."
                )
            yield np.asarray(1 / np.maximum(values, 1e-3) if self._distances else values, np.float32)


def runtime(path: Path) -> tuple[Any, Any]:
    """Import what runs a network, once it is known to be there.

    Args:
        path: The network.

    Returns:
        onnxruntime, and its errors.

    Raises:
        MissingDependencyError: If onnxruntime is not installed.
        ModelError: If the file is missing.
    """
    if not path.is_file():
        raise ModelError(f"There is no file {path}; give the path of an .onnx file, or the estimator tiny.")
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs onnxruntime, which is not installed: pip install 'iclora[onnx]'"
        ) from error
    return onnxruntime, state


def _fixed(size: object) -> bool:
    """Whether a file says a size; else it names it, or says nothing."""
    return isinstance(size, int) and size > 0
