"""The plan of the rooms, held: who may import whom, how long things may be, that each room has tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "iclora"
# A room imports only rooms before it; the surfaces, last, see everything but each other.
ROOMS = (
    *("errors", "clip", "media", "controls", "geometry", "reference", "attention", "transformer", "adapters"),
    *("checkpoints", "sampling", "plan", "findings", "pipeline", "adherence", "training", "doctor", "tiny"),
)
SURFACES = ("cli", "studio", "comfy")
# `Clip.save` is a convenience; it imports `media` inside the call.
EXCEPTIONS = {("clip", "media")}
DATA_ROOMS = {"tiny"}
DOORS = {"__init__", "__main__"}
MAX_BODY_LINES = 40
MAX_FILE_LINES = 400
FORBIDDEN_LIBRARIES = {
    "errors": {"av", "cv2", "torch", "diffusers", "transformers", "PIL"},
    "clip": {"av", "cv2", "torch", "diffusers", "transformers", "PIL", "os", "shutil", "io"},
    "media": {"torch", "diffusers", "transformers", "peft", "safetensors"},
    "controls": {"diffusers", "peft", "av"},
    "transformer": {"safetensors", "huggingface_hub", "json", "pathlib"},
    "sampling": {"diffusers", "transformers", "safetensors"},
}
SOURCE_FILES = sorted(PACKAGE.rglob("*.py"))
ALL_FILES = sorted(
    file
    for folder in ("src", "toyworld", "tests", "examples", "benchmarks")
    for file in (ROOT / folder).rglob("*.py")
)


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(file: Path, tree: ast.AST) -> Iterator[str]:
    """Full dotted names of all imports of a file, wherever they stand."""
    package = ("iclora", *file.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *(node.module.split(".") if node.module else ())))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def may_import(importer: str, imported: str) -> bool:
    if importer == imported or (importer, imported) in EXCEPTIONS:
        return True
    if importer in SURFACES:
        return imported not in SURFACES
    return imported in ROOMS and ROOMS.index(imported) < ROOMS.index(importer)


@pytest.mark.parametrize("file", SOURCE_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_rooms_above_it(file: Path) -> None:
    room = room_of(file)
    if room in DOORS:
        return  # the front doors show what the rooms hold
    assert room in ROOMS + SURFACES, f"{room} is no room of the plan"
    for name in imported_names(file, ast.parse(file.read_text("utf-8"))):
        top, *rest = name.split(".")
        if top == "iclora" and rest and rest[0] in ROOMS + SURFACES:
            assert may_import(room, rest[0]), f"{room} must not import {rest[0]}"
        assert top not in FORBIDDEN_LIBRARIES.get(room, set()), f"{room} must not know {top}"
        assert top not in {"toyworld", "tests", "argparse"}, f"{room} must not import {top}"


@pytest.mark.parametrize("file", ALL_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_and_functions_fit_a_screen(file: Path) -> None:
    text = file.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES, f"{file} is too long"
    long = [
        f"{node.name}: {body_lines(node)} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > MAX_BODY_LINES
    ]
    assert long == []


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, its docstring not counted."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    if not body:
        return 0
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def test_each_room_has_its_tests() -> None:
    rooms = {room_of(file) for file in SOURCE_FILES} - DOORS - DATA_ROOMS
    missing = [
        room
        for room in sorted(rooms)
        if not (ROOT / "tests" / f"test_{room}.py").exists()
        and not any((ROOT / "tests" / room).glob("test_*.py"))
    ]
    assert missing == []


def test_no_room_is_called_utils() -> None:
    names = {part for file in ALL_FILES for part in file.relative_to(ROOT).with_suffix("").parts}
    assert names & {"utils", "util", "helpers", "common", "misc"} == set()


def test_position_code_stands_in_geometry_alone() -> None:
    """Token positions exist once: only `geometry` defines functions of that name."""
    definers = {
        room_of(file)
        for file in SOURCE_FILES
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_positions")
    }
    assert definers <= {"geometry"}


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("media", "clip", True),
        ("clip", "media", True),
        ("errors", "clip", False),
        ("geometry", "pipeline", False),
        ("pipeline", "plan", True),
        ("cli", "pipeline", True),
        ("cli", "studio", False),
        ("pipeline", "cli", False),
    ],
)
def test_the_order_itself(importer: str, imported: str, allowed: bool) -> None:
    assert may_import(importer, imported) is allowed


def test_imports_of_every_form_are_seen() -> None:
    text = "import torch\nfrom iclora import media\nfrom . import timing\nfrom ..clip import Clip\n"
    names = list(imported_names(PACKAGE / "media" / "reading.py", ast.parse(text)))
    assert names == ["torch", "iclora.media", "iclora.media.timing", "iclora.clip.Clip"]
