"""Networks that look at several frames at once are shown overlapping windows of the film.

Each guess is up to a scale and a shift, so each window is brought to the one before, and fades in there:

    window 1   ├──────────────────┤
    window 2                 ├────┼─────────────┤     a · found + b nearest to what window 1 says there
                             fades

Where a network was trained to be shown anchors, each window begins with frames from the start and the middle
of the window before, and a and b are what brings those to what was said of them. The first frame of the film
is then an anchor of all windows, so that nothing drifts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float32


def by_windows(
    pictures: Iterable[np.ndarray],
    look: Callable[[list[np.ndarray]], np.ndarray],
    *,
    length: int,
    overlap: int,
    anchors: Sequence[int] = (),
    least: float = -math.inf,
) -> Iterator[Float32[np.ndarray, "H W"]]:
    """Look at a film window by window.

    Args:
        pictures: The frames, gone through once; no more than a window of them is held.
        look: Guesses nearness `t H W` in up to `length` frames.
        length: Frames of a window, above `overlap` + the number of anchors.
        overlap: Frames at the end of a window that the next one sees too.
        anchors: Places in a window whose frames the next one sees first.
        least: What no window may say less than, once it is brought to the first.

    Yields:
        The nearness of each frame, on the scale of the first window.
    """
    remaining = iter(pictures)
    again: list[np.ndarray] = []
    known = np.zeros((0, 0, 0), np.float32)
    num_anchors = 0
    while fresh := list(islice(remaining, length - len(again))):
        window = [*again, *fresh]
        found = look(window)
        if len(known):
            found = joined(known, found, num_anchors=num_anchors, least=least)
        if len(window) < length:  # it is the last one
            yield from found[num_anchors:]
            return
        # The frames of the next overlap wait for it; whether there is one is not known yet.
        yield from found[num_anchors : length - overlap]
        places = [*anchors, *range(length - overlap, length)]
        again, known = [window[place] for place in places], found[places]
        num_anchors = len(anchors)
    yield from known[num_anchors:]


def joined(
    known: Float32[np.ndarray, "o H W"],
    found: Float32[np.ndarray, "t H W"],
    *,
    num_anchors: int = 0,
    least: float = -math.inf,
) -> np.ndarray:
    """Bring a window to the one before, and let it fade in where they overlap.

    Args:
        known: What was said before of the frames that both have seen, the first ones of this one.
        found: What this one says.
        num_anchors: How many of those are anchors: the window is brought to those, if there are any, and what
            was said of them stays.
        least: What this one may not say less than, before it is mixed.

    Returns:
        What this one says, scaled and shifted to lie nearest to what is known (least squares) and mixed with
        it: mostly that at first, mostly its own at the end of the overlap.
    """
    told = known[: num_anchors or len(known)]
    same = found[: len(told)]
    spread = float(same.var())
    scale = float(((same - same.mean()) * (told - told.mean())).mean()) / spread if spread > 0 else 1.0
    # A window that says the contrary cannot be scaled to agree; its mean can.
    scale = scale if scale > 0 else 1.0
    moved = np.asarray(np.maximum(scale * (found - same.mean()) + told.mean(), least), np.float32)
    overlap = len(known) - num_anchors
    share = np.zeros(len(known), np.float32)
    share[num_anchors:] = np.arange(1, overlap + 1, dtype=np.float32) / (overlap + 1)
    moved[: len(known)] += (1 - share[:, None, None]) * (known - moved[: len(known)])
    return moved
