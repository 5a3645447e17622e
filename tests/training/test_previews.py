"""Previews of a run: what of them is scored."""

import re
import shutil
from pathlib import Path

from iclora.training import Told, resolve, train
from iclora.training.saving import read_rows
from tests.training.prepared import content_of


def test_references_of_the_dataset_are_scored_where_it_is_said_what_they_show(
    micro_model: Path, prepared: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(prepared, tmp_path / "data")
    for path, kept in (("prepared.json", '"controls": {}'), ("shards/00000.jsonl", '"control": ""')):
        text = (data / path).read_text()
        drawn = r'"controls": \{.*?\{.*?\}\s*\}' if path == "prepared.json" else '"control": "canny"'
        assert (changed := re.sub(drawn, kept, text, flags=re.DOTALL)) != text
        (data / path).write_text(changed)
    for control in ("", "canny"):
        told: list[str] = []
        folder = tmp_path / f"run{control}"
        changes = {"adapter": {"control": control}, "watch": {"previews_every": 1}, "steps": 1}
        done = train(resolve(content_of(micro_model, data, folder, **changes)), told=Told(say=told.append))
        scored = [row for row in read_rows(folder) if "adherence/canny" in row]
        assert [row["step"] for row in scored] == ([0, 1] if control else [])
        assert done.best is not None
        assert done.best.measure == ("adherence" if control else "held_out")
        assert any("set adapter.control" in line for line in told) is not bool(control)
