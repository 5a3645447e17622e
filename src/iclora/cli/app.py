"""All commands, and the one place where our errors become one line and exit 1."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, Any

import cv2
import typer
from typer.core import TyperGroup

from iclora import __version__
from iclora.cli import (
    control,
    control_depth,
    control_pose,
    control_tracks,
    doctor,
    evaluate,
    generate,
    inspect,
    models,
    prepare,
    sweep,
    train,
)
from iclora.cli.present import say
from iclora.errors import IcloraError


class OneLineErrors(TyperGroup):
    """A group of commands that turns our own errors into one line and exit 1; other errors are bugs.

    So is what memory cannot hold, where it could not be foretold.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except IcloraError as error:
            say(f"iclora: {' '.join(str(error).split())}")
        except Exception as error:
            if not _is_memory(error):
                raise
            # Of several processes it may be any one that runs out of it.
            text = f"The memory does not suffice ({error}). Ask for a smaller size or fewer frames."
            typer.echo(f"iclora: {' '.join(text.split())}", err=True)
        raise typer.Exit(1)


def _is_memory(error: Exception) -> bool:
    """Whether numpy, OpenCV or PyTorch ran out of memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, cv2.error):
        return bool(error.code == cv2.Error.StsNoMem)
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


app = typer.Typer(
    name="iclora",
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("generate")(generate.generate)
app.command("plan")(generate.plan)
app.command("inspect")(inspect.inspect)
app.command("evaluate")(evaluate.evaluate)
app.command("sweep")(sweep.sweep)
app.command("prepare")(prepare.prepare)
app.command("train")(train.train)
app.command("doctor")(doctor.doctor)
control.app.command("depth")(control_depth.depth)
control.app.command("pose")(control_pose.pose)
control.app.command("tracks")(control_tracks.tracks)
app.add_typer(control.app, name="control")
app.add_typer(models.app, name="models")


def _print_version(shown: bool) -> bool:
    if shown:
        typer.echo(__version__)
        raise typer.Exit
    return shown


@app.callback()
def iclora(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Frame-exact control for the LTX-2 family of video models.

    Example: iclora generate --prompt "a clay figure" --control canny=in.mp4 -o out.mp4
    """


def main() -> None:
    """Run the command line; told to end, it tidies up what it was writing, as after Ctrl-C."""
    signal.signal(signal.SIGTERM, _end)
    app()


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
