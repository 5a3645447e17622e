"""Curves are drawn of what has a log."""

import json
from pathlib import Path

import cv2
import pytest

from toyworld.curves import draw, running_mean


def test_a_running_mean_ends_at_each_point() -> None:
    assert running_mean([4.0, 2.0, 6.0, 0.0], share=0.5) == [4.0, 3.0, 4.0, 3.0]


def test_each_stage_with_a_log_has_a_panel(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no log of any stage: codec"):
        draw(tmp_path, tmp_path / "none.png")
    widths = []
    for stage, key in (("vae", "psnr"), ("judged", "loss")):
        (tmp_path / stage).mkdir()
        rows = [json.dumps({"step": step, key: 1 / step}) for step in (1, 2, 2, 3)]
        (tmp_path / stage / "log.jsonl").write_text("\n".join(rows))
        draw(tmp_path, tmp_path / "curves.png")
        picture = cv2.imread(str(tmp_path / "curves.png"))
        assert (
            picture is not None and 0.0003 < (picture[..., 0] > picture[..., 2].astype(int) + 30).mean() < 0.2
        )
        widths.append(picture.shape[1])
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)
