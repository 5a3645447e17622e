"""Captions that tell of the control."""

import pytest

from iclora.training.flaws import caption_flaws


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("A depth map shows a man walking", "depth map"),
        ("The depth-map of a street", "depth-map"),
        ("Canny edges of a face", "Canny"),
        ("a skeleton of a dancer in motion", "skeleton of"),
        ("OpenPose render of two people", "OpenPose"),
        ("Thin white lines on a black background", "white lines on a black"),
        ("Colored trails on black", "Colored trails on black"),
        ("an edge map video", "edge map"),
        ("a pose sequence", "pose sequence"),
    ],
)
def test_they_are_found(caption: str, said: str) -> None:
    (flaw,) = caption_flaws(caption)
    assert flaw.broken and flaw.kind == "caption" and f"'{said}'" in flaw.text


@pytest.mark.parametrize(
    "caption",
    [
        "A man stands at the edge of a cliff",
        "She strikes a pose in the depth of the forest",
        "A skeleton dances on a grave",
        "white lines of snow on the road, a black car",
        "a treasure map on a table, controls of a plane",
    ],
)
def test_what_is_filmed_is_let_pass(caption: str) -> None:
    assert caption_flaws(caption) == []


def test_none_is_said_and_no_more() -> None:
    (flaw,) = caption_flaws("")
    assert not flaw.broken and flaw.text == "it has no caption"
