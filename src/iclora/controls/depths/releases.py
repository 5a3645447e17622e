"""Released depth networks: where their weights lie, under which licence, and how they come here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iclora.controls import hub
from iclora.controls.cache import cache_folder
from iclora.errors import ModelError

_FOR_ALL, _NOT_FOR_MONEY = "Apache-2.0", "CC-BY-NC-4.0, not for commercial use"
_STILL_FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One of the released sizes.

    Attributes:
        name: As an estimator.
        repository: On the Hugging Face hub.
        names: Of its files there.
        licence: Of its weights.
        megabytes: To download.
        in_time: Whether it looks at many frames at once.
    """

    name: str
    repository: str
    names: tuple[str, ...] = _STILL_FILES
    licence: str
    megabytes: int
    in_time: bool = False

    @property
    def by_hand(self) -> Path:
        """Where its files may be put by hand."""
        return cache_folder() / self.name

    def files(self) -> list[Path]:
        """Where each file lies, or would lie: put there by hand, else in the hub's cache."""
        return [hub.place_of(self.repository, name, self.by_hand / name) for name in self.names]


def _still(size: str, licence: str, megabytes: int) -> Release:
    return Release(
        name=f"depth-anything-v2-{size}",
        repository=f"depth-anything/Depth-Anything-V2-{size.capitalize()}-hf",
        licence=licence,
        megabytes=megabytes,
    )


def _in_time(size: str, licence: str, megabytes: int) -> Release:
    return Release(
        name=f"video-depth-anything-{size}",
        repository=f"depth-anything/Video-Depth-Anything-{size.capitalize()}",
        names=(f"video_depth_anything_vit{size[0]}.pth",),
        licence=licence,
        megabytes=megabytes,
        in_time=True,
    )


RELEASES = {
    release.name: release
    for release in (
        _still("small", _FOR_ALL, 99),
        _still("base", _NOT_FOR_MONEY, 390),
        _still("large", _NOT_FOR_MONEY, 1340),
        _in_time("small", _FOR_ALL, 116),
        _in_time("base", _NOT_FOR_MONEY, 458),
        _in_time("large", _NOT_FOR_MONEY, 1538),
    )
}


def find(release: Release) -> list[Path]:
    """Find the files of a release, and fetch them where they are not there yet.

    Args:
        release: Which.

    Returns:
        Their paths, all in one folder: where they were put by hand, else in the cache of the hub.

    Raises:
        ModelError: If they cannot be fetched; the message says what to put where.
    """
    by_hand = [release.by_hand / name for name in release.names]
    if all(path.is_file() for path in by_hand):
        return by_hand
    about = f"{release.megabytes} MB, {release.licence}"
    try:
        return [hub.download(release.repository, name, about=about) for name in release.names]
    except hub.FAILURES as error:
        them = "it" if len(release.names) == 1 else "them"
        raise ModelError(
            f"{release.name} could not be fetched ({hub.reason_of(error)}). Download "
            f"{' and '.join(release.names)} from the Hugging Face repository {release.repository} ({about}) "
            f"and put {them} into {release.by_hand}, or use the estimator tiny, which is inside the package."
        ) from error
