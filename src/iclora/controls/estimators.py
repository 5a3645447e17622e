"""Networks that controls are found with: whether what runs them is installed, and whether they are here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from iclora.controls.depths import anything, onnx
from iclora.controls.poses import blazepose, dwpose, finding

USUAL: Mapping[str, str] = MappingProxyType({"depth": "tiny", "pose": "blazepose"})
"""The estimator of each control that has one, where none is named."""
_FILES: Mapping[str, Callable[[], list[Path]]] = MappingProxyType(
    {
        **finding.WEIGHTS,
        **{name: release.files for name, release in anything.RELEASES.items()},
    }
)


def estimator_of(kind: str | None, dials: Mapping[str, Any]) -> str | None:
    """Name the estimator that a control will be found with.

    Args:
        kind: A name in `CONTROLS`, or None.
        dials: Of the control.

    Returns:
        Its name, or the path of an `.onnx` file; None where there is none, or it is no name.
    """
    named = dials.get("estimator", USUAL.get(kind or ""))
    return named if isinstance(named, str) and kind in USUAL else None


def check_installed(estimator: str) -> None:
    """Refuse an estimator that cannot run here, before a clip is read or anything is fetched.

    Args:
        estimator: Its name, or the path of an `.onnx` file.

    Raises:
        MissingDependencyError: If its package is not installed.
        ModelError: If there is no such file.
    """
    if estimator == "blazepose":
        blazepose.runtime()
    elif estimator == "dwpose":
        dwpose.packages()
    elif estimator.lower().endswith(".onnx"):
        onnx.runtime(Path(estimator))


def weight_files(estimator: str) -> list[Path]:
    """Say where the weights of an estimator lie, or would lie.

    Args:
        estimator: Its name, or the path of an `.onnx` file.

    Returns:
        The files to be fetched on first use; none where it is inside the package, or a file of the user's.
    """
    return _FILES[estimator]() if estimator in _FILES else []


def missing_weights(estimator: str) -> list[Path]:
    """Say which of an estimator's weights are to be fetched.

    Args:
        estimator: Its name, or the path of an `.onnx` file.

    Returns:
        Where those would lie that are not here.
    """
    return [path for path in weight_files(estimator) if not path.is_file()]
