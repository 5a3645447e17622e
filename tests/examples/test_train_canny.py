"""examples/train_canny, shortened: from rendered clips to an adapter and its report, with a random model."""

from collections.abc import Sequence
from pathlib import Path

from typer.testing import CliRunner

from examples.train_canny import run as example
from iclora import adapters
from iclora.cli import app


def run_here(words: Sequence[str]) -> None:
    """Run the command in this process: starting one takes seconds."""
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, f"{words}\n{done.output}"


def test_from_clips_to_an_adapter(micro_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    example.render_clips(folder / "clips", count=8, size=64)
    for path in (folder / "clips").glob("*.txt"):
        path.write_text("a red ball")  # the random model takes no long captions
    words = ["--output", str(folder), "--model", str(micro_model), "--count", "8", "--size", "64"]
    words += ["--set", "steps=4", "--set", "data.batch_size=2", "--set", "watch.previews_every=4"]
    example.main([*words, "--set", "watch.num_previews=1"], run=run_here)
    outline = adapters.read_outline(folder / "run" / "canny.safetensors")
    assert (outline.base, outline.controls, outline.rank) == ("micro", ("canny",), 16)
    page = (folder / "run" / "report.html").read_text()
    assert "Previews at step 4" in page and page.count("<svg") >= 7
    clips = {path: path.stat().st_mtime_ns for path in (folder / "clips").iterdir()}
    example.main([*words, "--set", "watch.num_previews=1"], run=run_here)  # all of it is there already
    assert {path: path.stat().st_mtime_ns for path in (folder / "clips").iterdir()} == clips
