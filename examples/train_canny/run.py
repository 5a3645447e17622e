"""From raw clips to a canny adapter on a laptop: `python examples/train_canny/run.py --output train_canny`.

Renders some dozen small clips of the embedded model's world (or takes those of `--clips`), prepares them,
trains an adapter for `tiny` by `config.yaml`, all with the commands that anyone would type, and leaves the
adapter and a report that shows the effect. A stopped run goes on where it was stopped.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import track

from iclora import media
from iclora.clip import Clip

CONFIG = Path(__file__).with_name("config.yaml")
SIZE, NUM_FRAMES, FPS = 256, 9, 16.0
CHUNK = 8
Run = Callable[[Sequence[str]], None]


def render_clips(folder: Path, *, count: int, size: int) -> Path:
    """Render clips with a caption each, `NAME.mp4` and `NAME.txt`; those that are there stay.

    Args:
        folder: Where to; made if missing.
        count: How many.
        size: Height and width in pixels.

    Returns:
        The folder.
    """
    from toyworld.render import render

    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in range(count) if not (folder / f"{seed:04d}.txt").exists()]
    for start in track(range(0, len(missing), CHUNK), description="rendering", disable=not missing):
        seeds = missing[start : start + CHUNK]
        scenes = render(seeds, height=size, width=size, num_frames=NUM_FRAMES, fps=FPS)
        for seed, frames, caption in zip(seeds, scenes.frames.numpy(), scenes.captions, strict=True):
            media.save(Clip(frames=frames, fps=FPS), folder / f"{seed:04d}.mp4", overwrite=True)
            (folder / f"{seed:04d}.txt").write_text(caption)
    return folder


def start(words: Sequence[str]) -> None:
    """Run a command of iclora in a process of its own, and stop with it where it fails."""
    print("iclora", *words, flush=True)
    done = subprocess.run([sys.executable, "-m", "iclora", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def main(arguments: Sequence[str] | None = None, *, run: Run = start) -> None:
    """Render, prepare, train.

    Args:
        arguments: Of the command line.
        run: Runs a command of iclora.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("train_canny"), help="folder of everything")
    parser.add_argument("--clips", type=Path, help="clips of yours, with captions; rendered ones if left out")
    parser.add_argument("--count", type=int, default=64, help="clips to render")
    parser.add_argument("--size", type=int, default=SIZE, help="height and width in pixels")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for iclora train")
    given = parser.parse_args(arguments)
    clips = given.clips or render_clips(given.output / "clips", count=given.count, size=given.size)
    data = given.output / "prepared"
    bucket = f"{given.size}x{given.size}x{NUM_FRAMES}"
    words = ["--model", given.model, "--control", "canny,thickness=3", "--downscale", "2"]
    words += ["--bucket", bucket, "--held-out", "4"]
    run(["prepare", str(clips), "-o", str(data), *words])
    settings = [f"model={given.model}", f"data.path={data}", f"output={given.output / 'run'}", *given.set]
    run(["train", str(CONFIG), *(word for one in settings for word in ("--set", one))])


if __name__ == "__main__":
    main()
