"""What keeping references between steps does to a result: `make bench-cache`.

Follows the edges of held-out clips of toyworld and of three filmed clips with the embedded model, the
references computed in every step or kept (`--reference-cache`), and prints for each policy the mean edge F1,
how like the frames are to those of `off`, and the seconds of generation.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iclora import Clip, Reference, adherence, pipeline
from iclora.plan import adapter_facts, model_facts
from iclora.plan.laying import Canvas
from toyworld.footage import FILMS, WORLD, Case, case, drawing
from toyworld.prompts import shortened

POLICIES = ("off", "every:2", "every:4", "every:8", "every:8,fp8")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One clip followed under one policy: edge F1, PSNR to `off` in decibels (None: equal), and seconds."""

    f1: float
    likeness: float | None
    seconds: float


def likeness(clip: Clip, other: Clip) -> float | None:
    """PSNR of one clip to another of its shape, in decibels; None where they are equal."""
    error = np.mean((clip.frames.astype(np.float64) - other.frames.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else None


def follow(
    pipe: pipeline.Pipeline, one: Case, canvas: Canvas, *, seed: int, full_size: bool
) -> dict[str, Result]:
    """Generates one clip under each policy.

    Args:
        pipe: With the canny adapter attached.
        one: The clip to follow.
        canvas: Size and clock.
        seed: Seed of the noise.
        full_size: Whether the reference has the size of the result, not the adapter's half.

    Returns:
        A result for each policy.
    """
    dials = adapter_facts(model_facts(pipe.model), pipe.adapters[0][0]).dials
    control, results, plain = drawing(one, "canny", canvas, dials), {}, None
    reference = Reference(control, downscale=1) if full_size else Reference(control)
    for policy in POLICIES:
        begun = time.perf_counter()
        clip = pipe.generate(
            shortened(one.prompt, pipe.model),
            references=[reference],
            size=(canvas.height, canvas.width),
            num_frames=canvas.num_frames,
            fps=canvas.fps,
            seed=seed,
            reference_cache=policy,
        ).clip
        seconds = time.perf_counter() - begun
        plain = plain or clip
        score = adherence.canny(control, clip).f1
        results[policy] = Result(f1=score, likeness=likeness(clip, plain), seconds=seconds)
    return results


def table(rows: list[dict[str, Result]], name: str) -> str:
    """Lays the means of some clips out as lines of a markdown table."""
    lines = []
    for policy in POLICIES:
        mine = [row[policy] for row in rows]
        like = [one.likeness for one in mine if one.likeness is not None]
        alike = f"{statistics.mean(like):.1f} dB, least {min(like):.1f}" if like else "equal"
        f1, seconds = (statistics.mean(getattr(one, key) for one in mine) for key in ("f1", "seconds"))
        lines.append(f"| {name} | `{policy}` | {f1:.3f} | {alike} | {seconds:.1f} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Parses the command line, generates, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=10, help="held-out scenes of toyworld")
    parser.add_argument("--no-films", action="store_true", help="leave the filmed clips out")
    parser.add_argument("--full-size", action="store_true", help="references of the size of the result")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--adapter", default="canny")
    parser.add_argument("--size", type=int, default=256, help="pixels")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    given = parser.parse_args(arguments)
    pipe = pipeline.load(given.model, adapters=[given.adapter], device=given.device)
    facts, size = model_facts(given.model), {"height": given.size, "width": given.size}
    canvas = Canvas(**size, num_frames=given.frames, fps=facts.recipe.fps, factors=facts.factors)
    pipe.generate("warms up", size=(given.size, given.size), num_frames=given.frames)
    kinds = {
        "toyworld": [f"{WORLD} {number}" for number in range(given.scenes)],
        "filmed": [] if given.no_films else list(FILMS),
    }
    heads = ("clips", "`--reference-cache`", "edge F1", "likeness to `off`, PSNR", "seconds")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, clips in kinds.items():
        cases = enumerate(case(clip, canvas, device=given.device) for clip in clips)
        rows = [follow(pipe, one, canvas, seed=seed, full_size=given.full_size) for seed, one in cases]
        if rows:
            lines.append(table(rows, f"{len(rows)} {name}"))
    text = "\n".join(lines)
    print(text)
    if given.markdown:
        given.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
