"""What this machine has and lacks, each with what to do about it; nothing is loaded or fetched."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import av
import cv2
import torch

from iclora.controls import FETCHED, missing_weights
from iclora.controls.depths import RELEASES
from iclora.controls.poses import dwpose, weights
from iclora.errors import IcloraError
from iclora.plan import model_facts

CODECS = {"libx264": ".mp4", "aac": "sound in .mp4", "libvpx-vp9": ".webm", "libopus": "sound in .webm"}
"""Encoders that results are written with."""
LEAST_ROOM = 2 * 2**30
"""Bytes of a disk below which room is called short."""
_EXTRAS = (
    ("ai_edge_litert", "poses with BlazePose", "pip install 'iclora[pose]'"),
    ("rtmlib", "poses with DWPose", dwpose.INSTALL),
    ("onnxruntime", "depth networks in .onnx files, poses with DWPose", "pip install 'iclora[onnx]'"),
    ("skimage", "edges by scikit-image", "pip install 'iclora[scikit-image]'"),
)
_PACKAGES = {"ai_edge_litert": "ai-edge-litert", "skimage": "scikit-image"}
"""Names of packages where they are not those of their modules."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at.

    Attributes:
        level: `ok`; `note`: something optional is not there; `warning`; `error`: nothing works without.
        about: What was looked at.
        text: What is the case.
        advice: What to do; empty where nothing need be done.
    """

    level: Literal["ok", "note", "warning", "error"]
    about: str
    text: str
    advice: str = ""


def examine(place: Path | None = None) -> tuple[Check, ...]:
    """Look at packages, devices, codecs, weights, the cache and the disks.

    Args:
        place: Where results would go; None: the current folder.

    Returns:
        The checks, in a fixed order.
    """
    cache = weights.cache_folder()
    return (
        Check(level="ok", about="torch", text=f"{torch.__version__}, {torch.get_num_threads()} threads"),
        *_devices(),
        Check(level="ok", about="PyAV", text=f"{av.__version__}, with FFmpeg's libraries"),
        *(_codec(name, use) for name, use in CODECS.items()),
        Check(level="ok", about="OpenCV", text=cv2.__version__),
        *(_extra(*extra) for extra in _EXTRAS),
        _model(),
        *(_fetched(name) for name in FETCHED),
        _cache(cache),
        _room("disk of the cache", cache),
        _room("disk for results", Path.cwd() if place is None else place),
    )


def _devices() -> list[Check]:
    """The cards and their memory; the CPU always works."""
    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        text = f"{torch.cuda.get_device_name(index)}, {_size(free)} free of {_size(total)}"
        found.append(Check(level="ok", about=f"device cuda:{index}", text=text))
    if found:
        return found
    advice = "The tiny model runs on the CPU; for released models install a CUDA build of torch on a GPU."
    return [Check(level="note", about="device", text="the CPU alone; no CUDA device is seen", advice=advice)]


def _codec(name: str, use: str) -> Check:
    if name in av.codecs_available:
        return Check(level="ok", about=f"codec {name}", text=f"for {use}")
    advice = "Install PyAV from a wheel: pip install --force-reinstall --only-binary=av av"
    return Check(level="warning", about=f"codec {name}", text=f"missing: no {use}", advice=advice)


def _extra(module: str, use: str, install: str) -> Check:
    name = _PACKAGES.get(module, module)
    if importlib.util.find_spec(module) is None:
        return Check(level="note", about=name, text=f"not installed: no {use}", advice=install)
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = "of an unknown version"
    return Check(level="ok", about=name, text=f"{version}, for {use}")


def _model() -> Check:
    try:
        facts = model_facts("tiny")
    except IcloraError as error:
        advice = "Install iclora again."
        return Check(level="error", about="model tiny", text=str(error), advice=advice)
    return Check(level="ok", about="model tiny", text=f"adapters: {', '.join(facts.adapters) or 'none'}")


def _fetched(name: str) -> Check:
    licence = f" (licence {RELEASES[name].licence})" if name in RELEASES else ""
    missing = missing_weights(name)
    if not missing:
        return Check(level="ok", about=f"weights {name}", text=f"fetched{licence}")
    text = f"not there: {', '.join(path.name for path in missing)}{licence}"
    advice = f"Fetched on first use, or now with: iclora models fetch {name}"
    return Check(level="note", about=f"weights {name}", text=text, advice=advice)


def _cache(folder: Path) -> Check:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    what = _size(size) if folder.is_dir() else "not made yet"
    return Check(level="ok", about="cache", text=f"{folder}: {what}; ICLORA_CACHE puts it elsewhere")


def _room(about: str, folder: Path) -> Check:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{_size(free)} free at {folder}"
    if not os.access(folder, os.W_OK):
        return Check(
            level="warning", about=about, text=f"{folder} cannot be written to", advice="Choose another."
        )
    if free < LEAST_ROOM:
        advice = f"Make room: {_size(LEAST_ROOM)} or more are comfortable."
        return Check(level="warning", about=about, text=text, advice=advice)
    return Check(level="ok", about=about, text=text)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.1f} MiB"
