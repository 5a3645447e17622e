"""Any depth network in an ONNX file, through onnxruntime: pictures in, one number for each pixel out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from iclora.controls import hub
from iclora.controls.cache import cache_folder
from iclora.controls.depths.anything import looked_at, prepared
from iclora.controls.depths.batches import batch_size, in_batches
from iclora.controls.depths.windows import by_windows
from iclora.controls.devices import onnx_providers
from iclora.errors import MissingDependencyError, ModelError

_HUB = re.compile(r"hub:(\w[\w.-]*/\w[\w.-]*)/(.+\.onnx)")
_MULTIPLE = 14
"""Of sizes that the file leaves open: what the vision transformers of depth networks are cut into."""
WINDOW = 32
"""Frames looked at together where the file leaves their number open."""
OVERLAP_SHARE = 0.25
"""Share of a window that the window before has seen too."""


class OnnxDepth:
    """Guesses the depth of pictures, or of windows of frames where the network has an axis for time.

    Args:
        path: A network with one input, `n 3 h w` or `1 t 3 h w` (RGB, ImageNet's mean and spread), and,
            first of its outputs, one number for each pixel. Where the file leaves the size open, the shorter
            side is 518 pixels; where it leaves the number of pictures open, it is 1 on the CPU and 8 on a
            card (1 if it fails on them), that of frames 32.
        distances: Whether the numbers are distances; else larger is nearer.
        device: `cpu`, or `cuda` where onnxruntime has it.

    Raises:
        RequestError: If onnxruntime has no such device.
        MissingDependencyError: If onnxruntime is not installed.
        ModelError: If the file is missing, damaged or of another kind.
    """

    def __init__(self, path: Path, *, distances: bool = False, device: str = "cpu") -> None:
        _check_there(path)
        onnxruntime, state = runtime(str(path))
        self._path, self._distances = path, distances
        self._failures = (state.Fail, state.RuntimeException, state.InvalidArgument, state.NotImplemented)
        try:
            self._session = onnxruntime.InferenceSession(path, providers=onnx_providers(device))
        except (*self._failures, state.InvalidGraph, state.InvalidProtobuf) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path} cannot be read as a network ({reason}); export it again.") from error
        given = self._session.get_inputs()
        shape: list[Any] = list(given[0].shape)
        if len(given) != 1 or len(shape) not in (4, 5) or (_fixed(shape[-3]) and shape[-3] != 3):
            shapes = ", ".join(str(one.shape) for one in given)
            raise ModelError(
                f"{path} takes {shapes}; a depth network takes pictures of shape number, 3, height, width, "
                "or frames of shape 1, frames, 3, height, width."
            )
        self._input: str = given[0].name
        self._height, self._width = shape[-2:]
        self._in_time = len(shape) == 5
        together = shape[1] if self._in_time else shape[0]
        self._has_fixed_length = _fixed(together)
        usual = WINDOW if self._in_time else batch_size(device)
        self._length: int = together if self._has_fixed_length else usual

    def __call__(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Iterator[Float32[np.ndarray, "H W"]]:
        """Guess how near everything is.

        Args:
            frames: RGB 0..255.

        Yields:
            Nearness up to a scale and a shift, of the size the network gives.

        Raises:
            ModelError: If the network fails, or does not give one number for each pixel.
        """
        pictures = map(self._prepared, frames)
        if self._in_time:
            overlap = int(OVERLAP_SHARE * self._length)
            yield from by_windows(pictures, self._look, length=self._length, overlap=overlap)
        else:
            for batch in in_batches(pictures, self._length):
                yield from self._look_at_each(list(batch))

    def _prepared(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 H W"]:
        height, width = looked_at(*frame.shape[:2], multiple=_MULTIPLE)
        height = self._height if _fixed(self._height) else height
        width = self._width if _fixed(self._width) else width
        return np.asarray(prepared(frame, height, width)[0])

    def _look_at_each(self, pictures: list[np.ndarray]) -> Float32[np.ndarray, "n H W"]:
        """The nearness of single pictures; together, unless the network turns out to be made for one."""
        if self._has_fixed_length:
            return self._look(pictures)
        if self._length > 1:
            try:
                return self._look(pictures)
            except ModelError:  # exports may leave a number open that their inside does not
                self._length = 1
        return np.concatenate([self._look([picture]) for picture in pictures])

    def _look(self, pictures: list[np.ndarray]) -> Float32[np.ndarray, "t H W"]:
        """The nearness of frames that are looked at together."""
        count = len(pictures)
        if self._has_fixed_length:  # the last ones may be fewer
            pictures = [*pictures, *[pictures[-1]] * (self._length - count)]
        given = np.stack(pictures)[None] if self._in_time else np.stack(pictures)
        try:
            found = self._session.run(None, {self._input: given})[0]
        except self._failures as error:
            reason = " ".join(str(error).split())[:200]
            height, width = given.shape[-2:]
            raise ModelError(f"{self._path} fails on a picture of {width}x{height} ({reason}).") from error
        values = np.asarray(found, np.float32)
        values = values.reshape(-1, *values.shape[-2:]) if values.ndim >= 2 else values
        if values.ndim != 3 or len(values) != len(pictures) or not np.isfinite(values).all():
            raise ModelError(
                f"{self._path} gives {found.shape}; a depth network gives one finite number a pixel."
            )
        return np.asarray(1 / np.maximum(values, 1e-3) if self._distances else values, np.float32)[:count]


def check_onnx(name: str, *, device: str = "cpu") -> None:
    """Refuse a network that is not there, or cannot be run, before anything is loaded or fetched.

    Args:
        name: As for `located`.
        device: Where it is to run.

    Raises:
        RequestError: If onnxruntime has no such device.
        MissingDependencyError: If onnxruntime is not installed.
        ModelError: If there is no such file.
    """
    check_runnable(name)
    onnx_providers(device)


def check_runnable(name: str) -> None:
    """Refuse a network that is not there, or where nothing is installed that runs it.

    Args:
        name: As for `located`.

    Raises:
        MissingDependencyError: If onnxruntime is not installed.
        ModelError: If there is no such file; one of the hub may be fetched yet.
    """
    if _HUB.fullmatch(name) is None:
        _check_there(Path(name))
    runtime(name)


def located(name: str, *, fetch: bool) -> Path:
    """Say where a network lies.

    Args:
        name: The path of an `.onnx` file, or `hub:OWNER/NAME/FILE.onnx` of the Hugging Face hub.
        fetch: Whether one of the hub is fetched where it is not here yet.

    Returns:
        Its path, or where it would lie.

    Raises:
        ModelError: If it cannot be fetched; the message says what to put where.
    """
    match = _HUB.fullmatch(name)
    if match is None:
        return Path(name)
    repository, file = match[1], match[2]
    by_hand = cache_folder() / "onnx" / repository / file
    place = hub.place_of(repository, file, by_hand)
    if place.is_file() or not fetch:
        return place
    try:
        return hub.download(repository, file, about=f"for its licence see {repository} on the hub")
    except hub.FAILURES as error:
        raise ModelError(
            f"{file} could not be fetched ({hub.reason_of(error)}). Download it from the Hugging Face "
            f"repository {repository} and put it into {by_hand.parent}, or use the estimator tiny, which is "
            "inside the package."
        ) from error


def runtime(name: str) -> tuple[Any, Any]:
    """Import what runs networks.

    Args:
        name: Of the one that is to be run.

    Returns:
        onnxruntime, and its errors.

    Raises:
        MissingDependencyError: If onnxruntime is not installed.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise MissingDependencyError(
            f"{name} needs onnxruntime, which is not installed: pip install 'iclora[onnx]'"
        ) from error
    return onnxruntime, state


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise ModelError(
            f"There is no file {path}; give the path of an .onnx file, hub:OWNER/NAME/FILE.onnx, or the "
            "estimator tiny."
        )


def _fixed(size: object) -> bool:
    """Whether a file says a size; else it names it, or says nothing."""
    return isinstance(size, int) and size > 0
