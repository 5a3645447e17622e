"""Draws the loss curves of a training run: `python -m toyworld.curves RUN PICTURE.png`.

RUN holds a folder of each stage of `toyworld/train.sh`; those without a log are left out. Thin lines are
the logged values, thick ones running means.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

STAGES = {
    "codec": ("psnr", "autoencoder: PSNR of crops, dB"),
    "vae": ("psnr", "its decoder: PSNR of crops, dB"),
    "small": ("loss", "base, half the size: loss"),
    "base": ("loss", "base: flow-matching loss"),
    "adapter": ("loss", "canny adapter: the same"),
    "led": ("loss", "with guidance learnt by heart"),
    "judged": ("loss", "feedback from decoded edges"),
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
    logs = {stage: run / stage / "log.jsonl" for stage in STAGES}
    logs = {stage: log for stage, log in logs.items() if log.exists()}
    if not logs:
        raise SystemExit(f"{run} holds no log of any stage: {', '.join(STAGES)}.")
    size = (3.2 * len(logs), 2.8)
    figure, panels = pyplot.subplots(1, len(logs), figsize=size, layout="constrained", squeeze=False)
    for panel, (stage, log) in zip(panels[0], logs.items(), strict=True):
        key, title = STAGES[stage]
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("step")
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
