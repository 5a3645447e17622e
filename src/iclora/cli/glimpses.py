"""A contact sheet of a film that is written frame by frame: a few frames kept as they go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic

import numpy as np

from iclora import media
from iclora.cli.present import Report, steps_of
from iclora.clip import Clip, Footage, redraw

NUM_COLUMNS = 5
HEIGHT = 160
"""Of the pictures on a sheet, in pixels."""


def save_with_sheet(
    film: Footage, output: str, sheet: Path | None, label: str, report: Report, *, overwrite: bool
) -> None:
    """Write a film, and a contact sheet of it where one is asked for.

    Args:
        film: The film or clip.
        output: Where to.
        sheet: Where the sheet goes: .png .jpg .webp.
        label: A line above the frames of the sheet.
        report: Told of the drawing.
        overwrite: Whether they may replace files.

    Raises:
        OutputError: If one of them cannot be written.
    """
    drawing = steps_of(report, "drawing")
    if sheet is None:
        media.save(film, output, overwrite=overwrite, progress=drawing)
        return
    glimpses = Glimpses(film)
    media.save(glimpses.film, output, overwrite=overwrite, progress=drawing)
    glimpses.save(sheet, label, overwrite=overwrite)


class Glimpses(Generic[Footage]):
    """Keeps frames of a film, evenly spread from its first to its last, whenever it is gone through.

    Args:
        film: The film or clip.
    """

    def __init__(self, film: Footage) -> None:
        self._wanted = {int(index) for index in np.rint(np.linspace(0, film.num_frames - 1, NUM_COLUMNS))}
        self._kept: dict[int, np.ndarray] = {}
        self.film: Footage = redraw(film, self._watched)
        """The same film; to be gone through before the sheet is saved."""

    def save(self, path: Path, label: str, *, overwrite: bool) -> None:
        """Write the sheet.

        Args:
            path: Where to: .png .jpg .webp.
            label: A line above the frames.
            overwrite: Whether it may replace a file.

        Raises:
            OutputError: If it cannot be written.
        """
        clip = Clip(frames=np.stack([self._kept[index] for index in sorted(self._kept)]), fps=self.film.fps)
        sheet = media.contact_sheet([clip], labels=[label], num_columns=clip.num_frames, height=HEIGHT)
        media.save_image(sheet, path, overwrite=overwrite)

    def _watched(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for index, frame in enumerate(frames):
            if index in self._wanted:
                self._kept[index] = np.array(frame)
            yield frame
