"""The audit of a dataset: every pair is looked at before anything is encoded.

each pair by itself   can it be read, is it long enough, are both as long and of one shape, does either show
                      nothing, what does its caption tell of
among the others      is it there twice; does the reference move with its clip rather than with another
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from iclora import media
from iclora.clip import Film
from iclora.errors import IcloraError
from iclora.plan import ModelFacts
from iclora.training.buckets import choose_bucket
from iclora.training.entries import Entry
from iclora.training.flaws import Flaw, FlawKind, caption_flaws, prompt_flaws
from iclora.training.sources import Source, content_hash, opened
from iclora.training.store import Bucket
from iclora.training.together import Bond, Bonds, Trace, lag_of, trace

SURE_DISTANCE, LEAST_DISTANCE = 2.0, 1.0
"""Standard deviations by which a pair's correlation lies above those of other pairings: below the first it is
said, below the second the pair is broken. docs/training.md has how the limits did."""
_LEAST_OTHERS = 3
_LAG_FIT, _LAG_GAIN = 0.3, 0.15
_SURE_LAG_FIT, _SURE_LAG_GAIN = 0.5, 0.2
_SHAPE = 0.03
_LENGTH = 0.1
_MOST_ENLARGED = 2.0
_LEAST_OUTLINE = 1.0
_STILL = 0.02
_MARGIN = 1.25


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A pair that was looked at.

    Attributes:
        entry: The pair.
        digest: SHA-256 of the clip and the reference; empty where one cannot be read.
        clip_digest: That of the clip alone.
        bucket: The bucket it goes to; None where it fits none.
        size: Width and height of the clip in pixels; None where it cannot be read.
        flaws: What is wrong with it.
        bond: How its motion compares with other pairings; None where there is no reference.
        lag: By how many frames the reference comes late.
        better: The pair whose reference fits its clip better; None where none does.
    """

    entry: Entry
    digest: str = ""
    clip_digest: str = ""
    bucket: Bucket | None = None
    size: tuple[int, int] | None = None
    flaws: tuple[Flaw, ...] = ()
    bond: Bond | None = None
    lag: int = 0
    better: str | None = None

    def broken(self, accepted: Collection[FlawKind] = ()) -> list[Flaw]:
        """Tell why the pair must not be trained on.

        Args:
            accepted: Kinds of flaws that are accepted.

        Returns:
            The flaws; none where it may be.
        """
        hard = [flaw for flaw in self.flaws if flaw.broken and flaw.kind not in accepted]
        if not hard and self.bucket is None:
            return [flaw for flaw in self.flaws if flaw.broken]
        return hard


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What pairs are looked at for.

    Attributes:
        buckets: Those they may go to, all of one rate.
        drawn: Whether controls are drawn for pairs without a reference; else they are broken.
        trigger: The word put before each caption.
        model: The model that takes the captions; None: any length is taken.
    """

    buckets: Sequence[Bucket]
    drawn: bool
    trigger: str = ""
    model: ModelFacts | None = None

    def prompt(self, entry: Entry) -> str:
        """The caption of a pair with the trigger."""
        return prompt_of(self.trigger, entry.caption)


def prompt_of(trigger: str, caption: str) -> str:
    """Put a trigger before a caption.

    Args:
        trigger: The word; empty for none.
        caption: The caption; empty for none.

    Returns:
        Both, with a blank between them.
    """
    return f"{trigger} {caption}".strip()


def audit(
    entries: Sequence[Entry],
    terms: Terms,
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Checked]:
    """Look at every pair of a dataset.

    Clips are read frame by frame, as far as the longest bucket goes, on as many threads as there are cores.

    Args:
        entries: The pairs.
        terms: What they are looked at for.
        progress: Called with (pairs done, pairs in all).

    Returns:
        One for each pair, in their order.
    """
    checked: list[Checked] = []
    bonds = Bonds()
    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for done, traces in pool.map(lambda entry: _look(entry, terms), entries):
            long = [] if terms.model is None else prompt_flaws(terms.model, terms.prompt(done.entry))
            checked.append(replace(done, flaws=(*done.flaws, *long)))
            bonds.add(traces)
            if progress is not None:
                progress(len(checked), len(entries))
    return _with_duplicates(_with_bonds(checked, bonds))


def _look(entry: Entry, terms: Terms) -> tuple[Checked, tuple[Trace, Trace] | None]:
    """Look at a pair by itself."""
    flaws, buckets = caption_flaws(entry.caption), terms.buckets
    if entry.reference is None and not terms.drawn:
        flaws.append(Flaw(kind="reference", text="it has no reference, and no control is drawn for it"))
    try:
        digests = [content_hash(one) for one in (entry.video, entry.reference) if one is not None]
        shown, target, bucket = _film_trace(entry.video, buckets)
        flaws += _film_flaws(shown, target, buckets, bucket)
        traces = None
        if entry.reference is not None:
            other, reference, _ = _film_trace(entry.reference, buckets, bucket)
            flaws += _pair_flaws(shown, other, bucket) + _empty_flaws("reference", reference)
            traces = (target, reference)
    except IcloraError as error:
        return Checked(entry=entry, flaws=(*flaws, Flaw(kind="file", text=str(error)))), None
    lag, lag_flaws = (0, []) if traces is None else _lag(traces)
    found = Checked(
        entry=entry,
        digest=":".join(digests),
        clip_digest=digests[0],
        bucket=bucket,
        size=(shown.width, shown.height),
        flaws=(*flaws, *lag_flaws),
        lag=lag,
    )
    return found, traces


def _film_trace(
    source: Source, buckets: Sequence[Bucket], bucket: Bucket | None = None
) -> tuple[Film, Trace, Bucket | None]:
    """Go through a clip as far as its bucket goes; a bucket is chosen where none is given."""
    fps, longest = buckets[0].fps, max(one.num_frames for one in buckets)
    with opened(source) as path:
        film = media.film(path, fps=fps, max_frames=math.ceil(longest * _MARGIN) + 2)
        if bucket is None:
            bucket = choose_bucket(buckets, width=film.width, height=film.height, num_frames=film.num_frames)
        count = longest if bucket is None else bucket.num_frames
        return film, trace(islice(film.frames, count)), bucket


def _film_flaws(film: Film, found: Trace, buckets: Sequence[Bucket], bucket: Bucket | None) -> list[Flaw]:
    flaws = _empty_flaws("clip", found)
    if bucket is None:
        least = min(buckets, key=lambda one: one.num_frames)
        text = (
            f"it has {film.num_frames} frames at {film.fps:g} per second, and the shortest bucket "
            f"{least.num_frames}"
        )
        return [*flaws, Flaw(kind="length", text=text)]
    times = max(bucket.width / film.width, bucket.height / film.height)
    if times > _MOST_ENLARGED:
        text = f"it is {film.width}x{film.height}, and enlarged {times:.3g} times for {bucket}: it is soft"
        flaws.append(Flaw(kind="size", text=text, broken=False))
    if bucket.num_frames > 1 and found.moves < _STILL:
        flaws.append(Flaw(kind="motion", text="its clip stands still", broken=False))
    return flaws


def _pair_flaws(film: Film, reference: Film, bucket: Bucket | None) -> list[Flaw]:
    """Compare a reference with its clip: shape and length."""
    flaws = []
    bend = abs(math.log(reference.width / reference.height) - math.log(film.width / film.height))
    if bend > _SHAPE:
        text = (
            f"its clip is {film.width}x{film.height} and its reference {reference.width}x{reference.height}: "
            "they show different parts of the picture"
        )
        flaws.append(Flaw(kind="size", text=text))
    lengths = f"its clip has {film.num_frames} frames at {film.fps:g} per second, its reference "
    lengths += f"{reference.num_frames}"
    away = abs(film.num_frames - reference.num_frames)
    needed = film.num_frames if bucket is None else bucket.num_frames
    if reference.num_frames < needed or away > max(2, _LENGTH * film.num_frames):
        flaws.append(Flaw(kind="length", text=lengths))
    elif away > 1:
        flaws.append(Flaw(kind="length", text=lengths, broken=False))
    return flaws


def _empty_flaws(what: str, found: Trace) -> list[Flaw]:
    shown = found.outlines.max(axis=(1, 2)) >= _LEAST_OUTLINE
    if not shown.any():
        return [Flaw(kind="empty", text=f"its {what} shows nothing")]
    if not shown.all() and shown.mean() < 0.5:
        count = int((~shown).sum())
        text = f"its {what} shows nothing in {count} of {len(shown)} frames"
        return [Flaw(kind="empty", text=text, broken=False)]
    return []


def _lag(traces: tuple[Trace, Trace]) -> tuple[int, list[Flaw]]:
    lag, fit, without = lag_of(*traces)
    if lag == 0 or fit < _LAG_FIT or fit - without < _LAG_GAIN:
        return 0, []
    when = "late" if lag > 0 else "early"
    text = (
        f"its reference comes {abs(lag)} frames {when}: their motion correlates by {fit:.2f} there, and by "
        f"{without:.2f} as they are"
    )
    sure = fit >= _SURE_LAG_FIT and fit - without >= _SURE_LAG_GAIN
    return lag, [Flaw(kind="motion", text=text, broken=sure)]


def _with_bonds(checked: list[Checked], bonds: Bonds) -> list[Checked]:
    """Say which pairs do not move together."""
    found = []
    for index, one in enumerate(checked):
        bond, flaws, better = bonds.of(index), one.flaws, None
        if bond is not None and (bond.distance < SURE_DISTANCE or bond.better is not None):
            better = None if bond.better is None else checked[bond.better].entry.name
            flaws = (*flaws, _bond_flaw(bond, better))
        found.append(replace(one, bond=bond, flaws=flaws, better=better))
    return found


def _bond_flaw(bond: Bond, better: str | None) -> Flaw:
    others = f"{bond.num_others} other pairs" if bond.num_others >= _LEAST_OTHERS else "itself turned over"
    weak = bond.distance < LEAST_DISTANCE or better is not None
    how = "do not" if weak else "hardly"
    text = (
        f"its clip and its reference {how} move together: motion {bond.motion:.2f}, outlines "
        f"{bond.outlines:.2f}; with {others} {bond.others_motion:.2f} and {bond.others_outlines:.2f}"
    )
    if better is not None:
        text += f"; the reference of '{better}' fits better"
    # Of few clips too little is known of what no pair looks like.
    return Flaw(kind="motion", text=text, broken=weak and bond.num_others >= _LEAST_OTHERS)


def _with_duplicates(checked: list[Checked]) -> list[Checked]:
    first: dict[str, str] = {}
    found = []
    for one in checked:
        name = first.setdefault(one.digest, one.entry.name) if one.digest else one.entry.name
        flaws = one.flaws
        if name != one.entry.name:
            flaws = (*flaws, Flaw(kind="duplicate", text=f"it has the same content as '{name}'"))
        found.append(replace(one, flaws=flaws))
    return found


def shift_of(checked: Sequence[Checked]) -> int | None:
    """Find out whether the references of a whole dataset stand some rows away from their clips.

    Args:
        checked: The pairs, in the order of the dataset.

    Returns:
        How many rows further down the fitting references are (negative: further up); None where most pairs
        fit, or the others have no such number in common.
    """
    places = {one.entry.name: index for index, one in enumerate(checked)}
    found = [places[one.better] - index for index, one in enumerate(checked) if one.better in places]
    if len(found) < max(3, len(checked) / 3):
        return None
    offset, count = Counter(found).most_common(1)[0]
    return offset if count > len(found) / 2 else None


def choose_held_out(checked: Sequence[Checked], held_out: float) -> set[str]:
    """Choose the pairs that are not trained on, by the content of their clips: pairs of one clip go together.

    Args:
        checked: The pairs that are prepared.
        held_out: Below 1 a share of them, which stays the same when others are added; from 1 up a number of
            clips.

    Returns:
        The digests of the clips held out.
    """
    digests = sorted({one.clip_digest for one in checked})
    if held_out >= 1:
        return set(digests[: int(held_out)])
    return {digest for digest in digests if int(digest[:8], 16) / 16**8 < held_out}
