"""`iclora train`: an adapter from a prepared folder."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from iclora.cli.present import bars_with_words, say, to_stdout
from iclora.errors import RequestError

if typing.TYPE_CHECKING:
    from iclora.training import Told


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.yaml", help="The settings; see docs/training.md.")
    ],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set over the file: optimizer.learning_rate=1e-4."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate memory and hours, and stop.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Throw away a run of other settings in the output folder.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", help="cpu or cuda; auto: a GPU if there is one.")
    ] = "auto",
) -> None:
    """Train an adapter, or go on where a run of the same settings was stopped.

    Several GPUs, or hosts: accelerate launch -m iclora train CONFIG.yaml

    Example: iclora train canny.yaml --set steps=500
    """
    # Imported here: it takes seconds, which --help shall not.
    import torch

    from iclora.controls.devices import check_device
    from iclora.training import foresee, read_settings
    from iclora.training import train as train_adapter

    settings = read_settings(config, change or ())
    chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    check_device(chosen)
    if chosen not in ("cpu", "cuda"):
        raise RequestError(f"--device {chosen}: say cpu or cuda; CUDA_VISIBLE_DEVICES chooses the GPU.")
    if dry_run:
        to_stdout().print(foresee(settings, device=chosen).told(), markup=False)
        return
    with _bars() as told:
        trained = train_adapter(settings, device=chosen, overwrite=overwrite, told=told)
    if trained.best is not None:
        how = (
            f"adherence {trained.best.score:.3f}" if trained.best.measure == "adherence" else "held-out loss"
        )
        say(f"The best checkpoint, by {how}, is that of step {trained.best.step}.")
    to_stdout().print(f"{trained.adapter}\n{trained.report}", markup=False)


@contextmanager
def _bars() -> Iterator[Told]:
    """Show a bar for each kind of work, the newest numbers, and when it ends."""
    from iclora.training import Told

    with bars_with_words() as (report, tell):
        shown: dict[str, float] = {}

        def numbers(found: Mapping[str, float]) -> None:
            shown.update(found)
            names = [name for name in shown if name in ("loss", "held_out") or name.startswith("adherence/")]
            tell(
                "training",
                "  ".join(f"{name.removeprefix('adherence/')} {shown[name]:.3g}" for name in names),
            )

        yield Told(say=say, progress=report, numbers=numbers)
