"""toyworld.adherence: the whole table with a random model, resumed, and put between its markers."""

from pathlib import Path

import numpy as np
import pytest

from iclora import controls, pipeline
from tests.micro import moving_square, save_thick
from toyworld import adherence


def test_the_table_is_measured_resumed_and_written(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme, work = tmp_path / "README.md", tmp_path / "work"
    readme.write_text(f"# World\n{adherence.BEGIN}\nold\n{adherence.END}\nrest\n")
    words = ["--model", str(micro_model), "--scenes", "2", "--prompts", "10", "--size", "32", "--frames", "9"]
    words += ["--device", "cpu", "--work", str(work), "--readme", str(readme)]
    adherence.main(words)
    text = readme.read_text()
    assert text.startswith("# World\n") and text.endswith("rest\n") and "old" not in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0].strip("| ") for row in rows] == [
        "clip",
        "mean of all toyworld clips",
        "worst of them",
        "carphone",
        "bikes",
        "bigbuckbunny",
    ]
    zeros = [row[5] for row in rows[1:]]
    assert zeros == ["0"] * 5, "attention strength 0 differs from no reference"
    assert "Prompts: 10 were asked for (1 scenes in 10 colours" in capsys.readouterr().out
    monkeypatch.delattr(adherence, "measure")
    adherence.main(words)
    assert readme.read_text() == text


def test_edges_are_drawn_as_the_adapter_was_trained_on(micro_model: Path, tmp_path: Path) -> None:
    clip = moving_square(height=64, width=64)
    thick = save_thick(micro_model, tmp_path / "thick.safetensors")
    for adapter, thickness in (("canny", 1), (str(thick), 3)):
        pipe = pipeline.load(micro_model, adapters=[adapter])
        lines = adherence.drawn(clip, pipe).frames
        assert np.array_equal(lines, controls.canny(clip, thickness=thickness).frames)


def test_a_readme_without_markers_gets_the_table_at_its_end(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    adherence.write_table("table", readme)
    assert readme.read_text() == f"# toyworld\n\n{adherence.BEGIN}\ntable\n{adherence.END}\n"
    adherence.write_table("new", readme)
    assert readme.read_text() == f"# toyworld\n\n{adherence.BEGIN}\nnew\n{adherence.END}\n"
