"""Networks that controls are found with: whether what runs them is installed, and whether they are here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from iclora.controls.depths import onnx, releases
from iclora.controls.poses import blazepose, dwpose, finding
from iclora.controls.poses.weights import find_blazepose
from iclora.errors import RequestError

USUAL: Mapping[str, str] = MappingProxyType({"depth": "tiny", "pose": "blazepose"})
"""The estimator of each control that has one, where none is named."""
_FETCHED: Mapping[str, tuple[Callable[[], list[Path]], Callable[[], object]]] = MappingProxyType(
    {
        "blazepose": (finding.WEIGHTS["blazepose"], find_blazepose),
        "dwpose": (finding.WEIGHTS["dwpose"], dwpose.find_all),
        **{name: (one.files, partial(releases.find, one)) for name, one in releases.RELEASES.items()},
    }
)
"""Where the weights lie, or would lie; and what fetches those that are not there."""
FETCHED = tuple(_FETCHED)
"""Names of the estimators whose weights are fetched on first use."""


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
        onnx.check_runnable(estimator)


def weight_files(estimator: str) -> list[Path]:
    """Say where the weights of an estimator lie, or would lie.

    Args:
        estimator: Its name, or the path of an `.onnx` file.

    Returns:
        The files to be fetched on first use; none where it is inside the package, or a file of the user's.
    """
    if estimator.startswith("hub:"):
        return [onnx.located(estimator, fetch=False)]
    return _FETCHED[estimator][0]() if estimator in _FETCHED else []


def fetch_weights(name: str) -> list[Path]:
    """Fetch the weights of an estimator where they are not here yet.

    Args:
        name: One of `FETCHED`.

    Returns:
        The files.

    Raises:
        RequestError: If there is nothing to fetch of that name.
        ModelError: If they cannot be fetched; the message says what to put where.
    """
    if name not in _FETCHED:
        raise RequestError(f"There is nothing to fetch for {name!r}; choose one of {', '.join(FETCHED)}.")
    _FETCHED[name][1]()
    return weight_files(name)


def missing_weights(estimator: str) -> list[Path]:
    """Say which of an estimator's weights are to be fetched.

    Args:
        estimator: Its name, or the path of an `.onnx` file.

    Returns:
        Where those would lie that are not here.
    """
    return [path for path in weight_files(estimator) if not path.is_file()]
