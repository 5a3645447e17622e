"""adherence.sweeps: means and spreads worked out by hand."""

import pytest

from iclora.adherence.sweeps import places_of, summarise


def row(value: str, f1: float, **parts: float) -> dict[str, object]:
    score = {"reference": "a.mp4", "measure": "edge F1", "value": f1, "f1": f1, "frame_f1": [f1]}
    return {"value": value, "scores": [score | {name: {"f1": part} for name, part in parts.items()}]}


def test_mean_and_spread_over_the_seeds() -> None:
    first, second = summarise([row("1", 0.6), row("1", 0.8), row("0", 0.1)])
    assert (first.score, first.value, first.count) == ("edge F1 to a.mp4", "1", 2)
    assert first.mean == pytest.approx(0.7) and first.spread == pytest.approx(0.02**0.5)
    assert (second.value, second.mean, second.spread, second.count) == ("0", 0.1, 0.0, 1)


def test_parts_are_scores_of_their_own() -> None:
    points = summarise([row("1", 0.6, inside=0.9, outside=0.2)])
    assert [(point.score, point.mean) for point in points] == [
        ("edge F1 to a.mp4", 0.6),
        ("edge F1 to a.mp4 inside", 0.9),
        ("edge F1 to a.mp4 outside", 0.2),
    ]
    assert summarise([{"value": "1", "scores": []}]) == []


def test_places_on_the_axis() -> None:
    assert places_of(["1", "0.5", "0"]) == [1.0, 0.5, 0.0]
    assert places_of(["off", "every:2", "1"]) == [0.0, 1.0, 2.0]
