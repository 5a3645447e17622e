"""A result scored by the kind of its control: one table for `generate`, `evaluate`, `sweep` and training.

    film of the control ─► find ─► truth ──────────────┐
                                                        ├─► compare ─► numbers
    result ──────────────► again (the same, anew) ─────┘

Truth is what the control says: lines, depth, keypoints or tracks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import cv2
import numpy as np

from iclora import controls
from iclora.adherence.canny import CannyScore, agreement, edges_of
from iclora.adherence.depth import DepthScore
from iclora.adherence.depth import depth as depth_score
from iclora.adherence.likeness import LikenessScore, likeness
from iclora.adherence.parts import Where, fit_where
from iclora.adherence.pose import PoseScore
from iclora.adherence.pose import pose as pose_score
from iclora.adherence.tracks import TracksScore, follow_again
from iclora.adherence.tracks import tracks as tracks_score
from iclora.clip import Clip
from iclora.controls.depths import NEAR_WHITE, Depths, film_found, uncoloured
from iclora.controls.point_tracks import DEFAULT_TRACKS, Tracks, find_tracks, moving_most
from iclora.controls.poses import Poses, find_poses, read_keypoints, retarget
from iclora.errors import NothingToFollowError, RequestError

Truth: TypeAlias = Clip | Depths | Poses | Tracks
"""What a control says: its drawing, or the depth, the keypoints or the tracks it was drawn from."""
Numbers: TypeAlias = CannyScore | DepthScore | PoseScore | TracksScore | LikenessScore


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scorer:
    """How results of one kind of control are scored.

    Attributes:
        measure: The name of the one number that curves are drawn of; larger is better, 1 is all.
        main: Its field in the numbers; `frame_` before it is that of each frame.
        find: Takes a film (or keypoints, or tracks), dials, and what to keep; gives what the control says.
        again: Takes that, a result, dials, and what to keep; gives what the result says.
        compare: Takes both and the part that counts; gives the numbers.
        draw: Takes what a control says; gives its drawing.
        tells_leak: Whether a drawing that shows in a result is a fault; not where a film, made grey or soft,
            is the drawing.
    """

    measure: str
    main: str
    find: Callable[[Any, dict[str, Any], dict[str, Any]], Truth]
    again: Callable[[Any, Clip, dict[str, Any], dict[str, Any]], Truth]
    compare: Callable[[Any, Any, Where | None], Numbers]
    draw: Callable[[Any], Clip]
    tells_leak: bool = True


def _control(kind: str) -> Callable[[Clip, dict[str, Any], dict[str, Any]], Clip]:
    def find(film: Clip, dials: dict[str, Any], kept: dict[str, Any]) -> Clip:
        drawn: Clip = controls.CONTROLS[kind](
            film, progress=kept.get("progress"), **controls.drawing(kind, dials)
        )
        return drawn

    return find


def _find_normals(film: Clip, dials: dict[str, Any], kept: dict[str, Any]) -> Clip:
    return controls.normals(controls.depth(film), **kept)


def _as_is(drawn: Clip) -> Clip:
    return drawn


def _shades(kind: str, find: Callable[[Clip, dict[str, Any], dict[str, Any]], Clip] | None = None) -> Scorer:
    find = find or _control(kind)
    return Scorer(
        measure=f"{kind} correlation",
        main="correlation",
        find=find,
        again=lambda truth, result, dials, kept: find(result, dials, kept),
        compare=lambda truth, found, where: likeness(truth, found, where=where),
        draw=_as_is,
        tells_leak=kind not in ("blocks", "blur", "grey"),
    )


def _edges_again(truth: Clip, result: Clip, dials: dict[str, Any], kept: dict[str, Any]) -> Clip:
    return edges_of(result, height=truth.height, width=truth.width)


def _find_depth(film: Clip, dials: dict[str, Any], kept: dict[str, Any]) -> Depths:
    said = {name: dials[name] for name in ("estimator", "device") if name in dials}
    return film_found(film, distances=dials.get("values") == "distance", **said, **kept).read()


def _compare_depth(truth: Depths, found: Depths, where: Where | None) -> DepthScore:
    control, shape = truth.nearness, found.nearness.shape
    if control.shape != shape:
        control = np.stack(
            [cv2.resize(frame, shape[:0:-1], interpolation=cv2.INTER_AREA) for frame in control]
        )
    return depth_score(control, found.nearness, where=None if where is None else fit_where(where, shape))


def _draw_depth(truth: Depths) -> Clip:
    if np.ptp(truth.nearness) == 0:
        return Clip(frames=np.zeros((*truth.nearness.shape, 3), np.uint8), fps=truth.fps)
    return controls.draw_depths(truth)


def _find_poses(film: Clip, dials: dict[str, Any], kept: dict[str, Any]) -> Poses:
    said = {name: dials[name] for name in ("estimator", "device") if name in dials}
    return find_poses(film, max_people=dials.get("people"), **said, **kept)


def _find_placed(film: Clip | Poses, dials: dict[str, Any], kept: dict[str, Any]) -> Poses:
    """Everybody of a film, or of keypoints, where and of the build that the dials say."""
    poses = film if isinstance(film, Poses) else _find_poses(film, dials, kept)
    said = {name: dials[name] for name in ("scale", "move", "person") if name in dials}
    body = dials.get("body")
    if body is not None:
        body = read_keypoints(body, height=film.height, width=film.width, fps=film.fps)
    return retarget(poses, body=body, **said)


def _find_tracks(film: Clip | Tracks, dials: dict[str, Any], kept: dict[str, Any]) -> Tracks:
    if isinstance(film, Tracks):
        return moving_most(film, dials["count"]) if dials.get("count") else film
    found = find_tracks(film, num_tracks=dials.get("count") or DEFAULT_TRACKS, **kept)
    if found is None:
        raise NothingToFollowError("There is no point in the film that could be followed.")
    return found


SCORERS: Mapping[str, Scorer] = MappingProxyType(
    {
        "canny": Scorer(
            measure="edge F1",
            main="f1",
            find=_control("canny"),
            again=_edges_again,
            compare=lambda truth, found, where: agreement(truth, found, where=where),
            draw=_as_is,
        ),
        "depth": Scorer(
            measure="depth rank correlation",
            main="rank",
            find=_find_depth,
            again=lambda truth, result, dials, kept: _find_depth(result, dials, kept),
            compare=_compare_depth,
            draw=_draw_depth,
        ),
        "pose": Scorer(
            measure="pose PCK@0.1",
            main="pck",
            find=_find_placed,
            again=lambda truth, result, dials, kept: _find_poses(result, dials, kept),
            compare=lambda truth, found, where: pose_score(truth, found, where=where),
            draw=controls.draw_poses,
        ),
        "tracks": Scorer(
            measure="tracks within 5%",
            main="within",
            find=_find_tracks,
            again=lambda truth, result, dials, kept: follow_again(truth, result),
            compare=lambda truth, found, where: tracks_score(truth, found, where=where),
            draw=controls.draw_tracks,
        ),
        **{kind: _shades(kind) for kind in ("blocks", "blur", "grey", "line-art", "soft-edges")},
        "normals": _shades("normals", _find_normals),
    }
)
"""How each kind of control is scored. `green` is not: a result has no trace of what was painted over."""


def scorer_of(kind: str) -> Scorer:
    """Look up how a kind of control is scored.

    Args:
        kind: A name in `SCORERS`.

    Returns:
        The scorer.

    Raises:
        RequestError: If results of that kind cannot be scored.
    """
    if kind not in SCORERS:
        known = ", ".join(SCORERS)
        raise RequestError(f"--control {kind!r} is not a control that can be scored; accepted: {known}.")
    return SCORERS[kind]


def find_truth(
    kind: str,
    film: Clip | Poses | Tracks,
    *,
    cache: controls.Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **dials: Any,
) -> Truth:
    """Find what a control of a film says.

    Args:
        kind: A name in `SCORERS`.
        film: At the size, rate and length of the results to be scored; or the keypoints of `pose`, or the
            tracks of `tracks`, which are there already.
        cache: Where what takes long to find is kept, and taken from if it was found before.
        progress: Called with (frames done, frames in all).
        **dials: Of the control; its estimator counts, how it is drawn does not.

    Returns:
        Lines, depth, keypoints, tracks, or the drawing.

    Raises:
        IcloraError: If it cannot be found.
    """
    return scorer_of(kind).find(film, dials, _kept(kind, cache, progress))


def read_drawing(kind: str, drawn: Clip, *, convention: str = NEAR_WHITE) -> Truth:
    """Read what a control says off its drawing, where the drawing tells.

    Args:
        kind: A name in `SCORERS`.
        drawn: The control clip.
        convention: How depth is drawn.

    Returns:
        Depth; or the drawing itself of any kind that is a picture.

    Raises:
        RequestError: If the drawing does not tell, as of skeletons and trails, or canny's is no lines.
    """
    scorer_of(kind)
    if kind == "depth":
        nearness = np.stack([uncoloured(frame, convention) for frame in drawn.frames])
        return Depths(nearness=nearness, fps=drawn.fps)
    if kind in ("pose", "tracks"):
        what = "keypoints" if kind == "pose" else "tracks"
        raise RequestError(
            f"Drawn {what} do not say which point is which; give the {what} as a .json, or the film they "
            "come from and say --extract."
        )
    if kind == "canny" and not controls.is_lines(drawn):
        raise RequestError(
            "The reference is not white lines on black, as a canny control is; give the control clip, or say "
            "--extract where it is the film the control came from."
        )
    return drawn


def find_again(
    kind: str,
    truth: Truth,
    result: Clip,
    *,
    cache: controls.Cache | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **dials: Any,
) -> Truth:
    """Find in a result what its control says.

    Args:
        kind: A name in `SCORERS`.
        truth: What the control says, laid over the result.
        result: The generated clip.
        cache: As for `find_truth`.
        progress: As for `find_truth`.
        **dials: As for `find_truth`.

    Returns:
        The same kind of thing.

    Raises:
        IcloraError: If it cannot be found, or the two do not fit together.
    """
    return scorer_of(kind).again(truth, result, dials, _kept(kind, cache, progress))


def _kept(
    kind: str, cache: controls.Cache | None, progress: Callable[[int, int | None], None] | None
) -> dict[str, Any]:
    kept: dict[str, Any] = {"progress": progress}
    return {**kept, "cache": cache} if kind in controls.CACHED else kept
