"""The table of official settings in docs/controls.md names tests that are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "controls.md").read_text("utf-8")


def test_the_tests_it_names_are_there() -> None:
    rows = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(rows) >= 9
    for file, name in rows:
        within = TESTS.glob(f"controls/{file}" if "/" in file else f"controls/**/{file}")
        (path,) = [*within, *TESTS.glob(file)]
        assert f"def {name}(" in path.read_text("utf-8"), f"{file} has no {name}"
