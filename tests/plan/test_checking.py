"""plan.checking: references hardly looked at, and more of them than adapters were trained with."""

from pathlib import Path

import pytest

from iclora.plan import ReferenceRequest, Request, Source, make_plan

SOURCE = Source(label="in.mp4", height=64, width=64, num_frames=9, fps=16.0)


def warnings(model: Path, *strengths: float, adapters: int = 1) -> list[str]:
    references = tuple(
        ReferenceRequest(source=SOURCE, control="canny", attention_strength=strength)
        for strength in strengths
    )
    request = Request(
        prompt="",
        model=str(model),
        adapters=(("canny", 1.0),) * adapters,
        references=references,
        isolate=True,
    )
    return [str(finding) for finding in make_plan(request).findings if finding.level == "warning"]


@pytest.mark.parametrize(
    ("strength", "word"), [(0.0, "is 0: it is as if"), (0.1, "0.1 is low"), (0.2, "0.2 is low")]
)
def test_low_attention_is_told(micro_model: Path, strength: float, word: str) -> None:
    found = warnings(micro_model, strength)
    assert len(found) == 1 and f"in.mp4: the attention strength {word}" in found[0]


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_usual_attention_is_not(micro_model: Path, strength: float) -> None:
    assert warnings(micro_model, strength) == []


def test_two_controls_for_an_adapter_trained_with_one(micro_model: Path) -> None:
    found = warnings(micro_model, 1.0, 0.8)
    assert (
        len(found) == 1 and "2 references for 'canny': the adapter was trained with one at a time" in found[0]
    )


def test_one_that_is_not_seen_does_not_count_nor_one_for_each_adapter(micro_model: Path) -> None:
    assert not any("references for" in text for text in warnings(micro_model, 1.0, 0.0))
    assert not any("references for" in text for text in warnings(micro_model, 1.0, 1.0, adapters=2))
