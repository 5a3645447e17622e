"""cli: help, version, and that only our own errors become one line."""

import cv2
import pytest
import torch
import typer
from typer.testing import CliRunner

from iclora import __version__
from iclora.cli import app
from iclora.cli.app import OneLineErrors
from iclora.errors import MediaError

COMMANDS = (["generate"], ["plan"], ["inspect"], ["evaluate"], ["sweep"], ["control"], ["control", "canny"])


@pytest.mark.parametrize("command", [*COMMANDS, ["models"], ["models", "list"], []], ids=" ".join)
def test_every_help_has_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert f"Example: iclora {' '.join(command)}".strip() in " ".join(result.output.split())


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__


def test_no_words_show_the_help() -> None:
    assert "Usage" in CliRunner().invoke(app, []).output


def raising(error: Exception) -> typer.Typer:
    small = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)

    @small.callback()
    def group() -> None:
        """A group."""

    @small.command()
    def fail() -> None:
        """Fail."""
        raise error

    return small


def test_our_errors_become_one_line() -> None:
    result = CliRunner().invoke(raising(MediaError("It is [red]broken[/red]:\n  throw it away.")), ["fail"])
    assert result.exit_code == 1
    assert result.stderr == "iclora: It is [red]broken[/red]: throw it away.\n"


def no_memory(code: int) -> cv2.error:
    error = cv2.error("Failed to allocate\n30 bytes")
    error.code = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Failed to allocate 30 bytes"),
        no_memory(cv2.Error.StsNoMem),
        torch.OutOfMemoryError("Failed to allocate 30 bytes"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: Failed to allocate 30 bytes"),
    ],
)
def test_no_memory_is_one_line(error: Exception) -> None:
    result = CliRunner().invoke(raising(error), ["fail"])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("iclora: The memory does not suffice (")
    assert "Failed to allocate 30 bytes). Ask for a smaller size or fewer frames." in result.stderr


def test_errors_of_opencv_that_are_bugs_stay_loud() -> None:
    result = CliRunner().invoke(raising(no_memory(cv2.Error.StsBadArg)), ["fail"])
    assert isinstance(result.exception, cv2.error)


def test_other_errors_stay_loud() -> None:
    result = CliRunner().invoke(raising(ZeroDivisionError("a bug")), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)
