"""Draws the loss curves of a training run: `python -m toyworld.curves RUN PICTURE.png`.

RUN holds the folders `vae`, `base` and `adapter` that `toyworld/train.sh` makes. Thin lines are the
logged values, thick ones running means.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

STAGES = {
    "vae": ("psnr", "autoencoder: PSNR of training crops, dB"),
    "base": ("loss", "base: flow-matching loss"),
    "adapter": ("loss", "canny adapter: flow-matching loss"),
}


def running_mean(values: list[float], share: float = 0.05) -> list[float]:
    """Smooths a curve with a window that ends at each point.

    Args:
        values: The curve.
        share: Width of the window as a share of the curve.

    Returns:
        As many values.
    """
    width = max(1, round(share * len(values)))
    smooth = []
    for end in range(1, len(values) + 1):
        window = values[max(0, end - width) : end]
        smooth.append(sum(window) / len(window))
    return smooth


def draw(run: Path, picture: Path) -> None:
    """Draws all stages that have a log.

    Args:
        run: Folder of the run.
        picture: Where the PNG goes; replaced.
    """
    figure, panels = pyplot.subplots(1, len(STAGES), figsize=(13, 3.2), layout="constrained")
    for panel, (stage, (key, title)) in zip(panels, STAGES.items(), strict=True):
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("step")
        log = run / stage / "log.jsonl"
        if not log.exists():
            continue
        logged = (json.loads(line) for line in log.read_text().splitlines())
        rows = list({row["step"]: row for row in logged}.values())  # a resumed run repeats some steps
        steps, values = [row["step"] for row in rows], [row[key] for row in rows]
        panel.plot(steps, values, color="#9db7d5", linewidth=0.5)
        panel.plot(steps, running_mean(values), color="#1f4e8c", linewidth=1.8)
    figure.savefig(picture, dpi=90)


def main() -> None:
    """Parses the command line and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    draw(given.run, given.picture)


if __name__ == "__main__":
    main()
