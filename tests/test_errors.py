import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import iclora
from iclora import errors

TREE = {
    errors.IcloraError: Exception,
    errors.InputError: errors.IcloraError,
    errors.MediaError: errors.InputError,
    errors.DatasetError: errors.InputError,
    errors.RequestError: errors.InputError,
    errors.NothingToFollowError: errors.RequestError,
    errors.OutputError: errors.IcloraError,
    errors.AdapterError: errors.IcloraError,
    errors.ModelError: errors.IcloraError,
    errors.TrainingError: errors.IcloraError,
    errors.MissingDependencyError: errors.IcloraError,
}


@pytest.mark.parametrize("kind", TREE)
def test_every_exception_hangs_where_it_is_drawn(kind: type[Exception]) -> None:
    assert kind.__bases__ == (TREE[kind],)
    assert errors.__doc__ is not None and kind.__name__ in errors.__doc__


def test_the_tree_is_complete() -> None:
    defined = {value for value in vars(errors).values() if isinstance(value, type)}
    assert defined == set(TREE)


def test_the_message_is_kept() -> None:
    assert str(errors.MediaError("There is no file a.mp4.")) == "There is no file a.mp4."


def sentences(file: Path) -> Iterator[str]:
    """The texts of a file that are not docstrings, joined as Python joins them."""
    tree = ast.parse(file.read_text("utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            if id(node) not in parts | alone:
                yield node.value


# `findings` and the commands speak to who uses commands.
@pytest.mark.parametrize(
    "room", ["media", "controls", "checkpoints", "adapters", "plan", "pipeline", "reference"]
)
def test_what_the_library_says_is_understood_in_python_too(room: str) -> None:
    """An option of a command stands beside the word of Python, or in the name of a command."""
    for file in sorted((Path(iclora.__file__).parent / room).rglob("*.py")):
        for text in sentences(file):
            if re.search(r"(^|[\s(])--[a-z]", text):
                assert re.search(r"iclora |pip |[a-z]=|save_tracks|command line", text), f"{file}: {text}"
