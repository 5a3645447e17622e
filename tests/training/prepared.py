"""A prepared folder of random latents for the micro model, and settings that train on it in a moment."""

from pathlib import Path
from typing import Any

import torch

from iclora import checkpoints
from iclora.pipeline import encode_prompt
from iclora.training import Bucket, Row, Settings
from iclora.training.shards import ShardWriter, begin

BUCKET = Bucket(width=64, height=64, num_frames=9, fps=16.0)


def save_prepared(folder: Path, model: Path, *, num_clips: int = 8, held_out: int = 2, **said: Any) -> Path:
    """Write clips of 2x4x4 cells with references of half the size; `said` goes over the settings."""
    folder.mkdir(parents=True)
    parts = checkpoints.load(model)
    known: dict[str, Any] = {"controls": {"canny": {"thickness": 3}}, "downscale": 2, "base": "micro"}
    settings = Settings(model=str(model), fingerprint="", fps=16.0, buckets=(BUCKET,), **(known | said))
    with torch.no_grad():
        begin(folder, settings, encode_prompt(parts, ""))
        writer = ShardWriter(folder, "00000")
        for number in range(num_clips + held_out):
            generator = torch.Generator().manual_seed(number)
            draw = lambda *shape: torch.randn(8, *shape, generator=generator)  # noqa: B023, E731
            rows = [
                Row(
                    id=f"clip{number}{'' if kind in ('', 'canny') else '.' + kind}",
                    clip=f"clip{number}",
                    caption="a red ball",
                    source=f"clip{number}.mp4",
                    bucket=BUCKET,
                    split="train" if number < num_clips else "held_out",
                    control=kind,
                    num_references=1 if kind else 0,
                )
                for kind in settings.controls or ("",)
            ]
            references = {row.id: (draw(2, 2, 2),) if row.control else () for row in rows}
            writer.add(
                rows,
                target=draw(2, 4, 4),
                references=references,
                prompt=encode_prompt(parts, rows[0].caption),
            )
        writer.finish()
    return folder


def content_of(model: Path, data: Path, output: Path, **said: Any) -> dict[str, Any]:
    """Settings of a short run; `said` goes over them."""
    content: dict[str, Any] = {
        "model": str(model),
        "output": str(output),
        "data": {"path": str(data), "batch_size": 2},
        "adapter": {"rank": 2},
        "optimizer": {"learning_rate": 0.01},
        "steps": 6,
        "watch": {"log_every": 1, "held_out_every": 3, "previews_every": 0, "num_previews": 1},
        "save": {"every": 2, "keep": 2},
    }
    for section, values in said.items():
        inner = content.get(section)
        content[section] = inner | values if isinstance(inner, dict) else values
    return content
