"""plan.values: findings, and the facts of a clip."""

import numpy as np
import pytest

from iclora.clip import Clip
from iclora.plan import Finding, Source
from iclora.plan.values import Findings


def test_findings_keep_their_order_and_speak() -> None:
    findings = Findings()
    findings.note("One.")
    findings.error("Two.", "Do three.", about="adapter")
    assert [str(finding) for finding in findings] == ["One.", "Two. Do three."]
    assert findings[1] == Finding(level="error", text="Two.", advice="Do three.", about="adapter")


@pytest.mark.parametrize(("level", "is_lines"), [(0, True), (100, False)])
def test_source_reads_the_facts_off_a_clip(level: int, is_lines: bool) -> None:
    frames = np.full((2, 8, 12, 3), level, np.uint8)
    frames[:, 4] = 255
    facts = Source.of(Clip(frames=frames, fps=12.5), "a.mp4")
    assert facts == Source(label="a.mp4", height=8, width=12, num_frames=2, fps=12.5, is_lines=is_lines)
