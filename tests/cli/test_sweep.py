"""cli: sweep, with a random model: what is made, what is made again, and what is never replaced."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from iclora import media
from iclora.cli import app, asking
from iclora.cli.options import PlanWords
from iclora.cli.sweep_dials import parse_over, turned
from iclora.cli.sweep_folder import SweepFolder
from iclora.errors import RequestError
from iclora.pipeline import Pipeline


def sweep(model: Path, output: Path, *words: object) -> Result:
    said = ["sweep", "--model", model, "--prompt", "a ball", "-o", output, *words]
    return CliRunner().invoke(app, [str(word) for word in said])


@pytest.fixture
def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the seed of each result that is made."""
    made: list[int] = []
    run = Pipeline.run

    def counted(self: Pipeline, plan: Any, **given: Any) -> Any:
        made.append(plan.seed)
        return run(self, plan, **given)

    monkeypatch.setattr(Pipeline, "run", counted)
    return made


def test_a_folder_of_results_with_a_curve_that_goes_on(
    micro_model: Path, film_path: Path, tmp_path: Path, count_runs: list[int]
) -> None:
    words = ("--control", f"canny={film_path}", "--over", "attention-strength=1,0.5", "--seeds")
    done = sweep(micro_model, tmp_path / "out", *words, "0,1")
    assert done.exit_code == 0, done.output
    assert count_runs == [0, 1, 0, 1]
    notes = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert [(row["value"], row["seed"]) for row in notes["rows"]] == [
        ("1", 0),
        ("1", 1),
        ("0.5", 0),
        ("0.5", 1),
    ]
    row = notes["rows"][0]
    assert media.read(tmp_path / "out" / row["file"]).num_frames == 9 and row["file"] == "1_seed0.mp4"
    assert 0 <= row["scores"][0]["f1"] <= 1 and row["drift"] >= 0
    beside = json.loads((tmp_path / "out" / "0.5_seed1.mp4.json").read_text())["plan"]
    assert beside["references"][0]["attention_strength"] == 0.5 and beside["seed"] == 1
    points = notes["summary"]
    assert [(point["value"], point["count"]) for point in points] == [("1", 2), ("0.5", 2)]
    mean = sum(one["scores"][0]["f1"] for one in notes["rows"][:2]) / 2
    assert points[0]["mean"] == pytest.approx(mean) and f"{mean:.3f}" in done.stdout
    assert media.read(tmp_path / "out" / "curve.png").width == 720
    assert media.read(tmp_path / "out" / "sheet.png").height > 200
    assert "0.5_seed1.mp4" in (tmp_path / "out" / "index.html").read_text()

    before = (tmp_path / "out" / "1_seed0.mp4").stat().st_mtime_ns
    (tmp_path / "out" / "0.5_seed0.mp4").unlink()
    more = (*words[:3], "attention-strength=1,0.5,0", "--seeds", "0,1")
    assert sweep(micro_model, tmp_path / "out", *more).exit_code == 0
    assert count_runs[4:] == [0, 0, 1]  # the lost one, and those of the new value
    assert (tmp_path / "out" / "1_seed0.mp4").stat().st_mtime_ns == before
    notes = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert len(notes["rows"]) == 6 and len(notes["summary"]) == 3


def test_another_sweep_and_files_of_others_are_kept(
    micro_model: Path, film_path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "curve.png").write_text("mine")
    words = ("--control", f"canny={film_path}", "--over", "strength=1,0.5")
    refused = sweep(micro_model, folder, *words)
    assert refused.exit_code == 1 and "curve.png exists and is not of this sweep" in refused.stderr
    assert [path.name for path in folder.iterdir()] == ["curve.png"]
    (folder / "curve.png").rename(folder / "note.png")
    assert sweep(micro_model, folder, *words).exit_code == 0
    kept = (folder / "sweep.json").read_text()
    strengths = [
        json.loads((folder / f"{value}_seed0.mp4.json").read_text())["plan"]["references"][0]["strength"]
        for value in ("1", "0.5")
    ]
    assert strengths == [1.0, 0.5]
    other = sweep(micro_model, folder, *words, "--fps", "8")
    assert other.exit_code == 1 and "is of another sweep" in other.stderr
    assert (folder / "sweep.json").read_text() == kept
    assert sweep(micro_model, folder, *words, "--fps", "8", "--overwrite").exit_code == 0
    assert json.loads((folder / "1_seed0.mp4.json").read_text())["plan"]["fps"] == 8.0
    assert (folder / "note.png").read_text() == "mine"


def test_weights_and_caches(
    micro_model: Path, film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = ("--control", f"canny={film_path}")
    gathered: list[tuple[str, ...]] = []
    gather = asking.gather

    def counted(said: PlanWords, report: Any) -> Any:
        gathered.append(tuple(said.adapter))
        return gather(said, report)

    monkeypatch.setattr(asking, "gather", counted)
    assert sweep(micro_model, tmp_path / "w", *control, "--over", "adapter-weight=0,1").exit_code == 0
    assert gathered.count(()) == 1  # the adapters that none names are looked up once
    weights = [
        json.loads((tmp_path / "w" / f"{value}_seed0.mp4.json").read_text())["plan"]["adapters"][0]["weight"]
        for value in ("0", "1")
    ]
    assert weights == [0.0, 1.0]
    done = sweep(
        micro_model, tmp_path / "c", *control, "--over", "reference-cache=off;every:2,host", "--seed", 3
    )
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "c").glob("*.mp4")}
    assert names == {"off_seed3.mp4", "every_2_host_d7b29f9a_seed3.mp4"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--over", "attention-strength"), "is not DIAL=V1,V2"),
        (("--over", "power=1,2"), "there is no dial 'power'; there are strength, adapter-weight"),
        (("--over", "strength=1,1.0"), "says 1 twice"),
        (("--over", "guidance=1,x"), "'x' is not guidance"),
        (("--over", "frames=9,9.5"), "'9.5' is not a whole number"),
        (("--over", "isolate=maybe"), "'maybe' is not yes, no or auto"),
        (("--over", "adapter-weight:style=1,0"), "no adapter is meant by that; there are: canny"),
        (("--over", "depth.near=90,95"), "is about --control depth=IN, and there is none"),
        (("--over", "canny.width=1,2"), "there is no dial 'canny.width'"),
        (("--over", "guidance=2,3", "--seeds", "1,-2"), "--seeds '1,-2' are not whole numbers"),
        (("--over", "attention-strength=0.5,2"), "the attention strength is 2"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_made(
    micro_model: Path, film_path: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    control = ("--control", f"canny={film_path}", "--adapter", "canny")
    done = sweep(micro_model, tmp_path / "out", *control, *words)
    assert done.exit_code == 1 and message in done.stderr.splitlines()[-1], done.output
    assert not (tmp_path / "out").exists()


def test_strength_is_about_references(micro_model: Path, tmp_path: Path) -> None:
    done = sweep(micro_model, tmp_path / "out", "--over", "strength=1,0.5")
    assert done.exit_code == 1 and "about references, and there are none" in done.stderr


def said(**words: Any) -> PlanWords:
    return PlanWords(prompt="a ball", **words)


def test_dials_become_words() -> None:
    over = parse_over("adapter-weight:style=0.5,2")
    two = said(adapter=["a/canny.safetensors", "b/style.safetensors:0.7"])
    assert turned(two, over, "2", own=[]).adapter == ["a/canny.safetensors:1.0", "b/style.safetensors:2"]
    both = turned(two, parse_over("adapter-weight=2"), "2", own=[])
    assert both.adapter == ["a/canny.safetensors:2", "b/style.safetensors:2"]
    drawn = turned(said(control=["canny=a.mp4", "depth=b.mp4"]), parse_over("canny.thickness=3"), "3", own=[])
    assert drawn.control == ["canny=a.mp4,thickness=3", "depth=b.mp4"]
    assert turned(said(), parse_over("isolate=yes"), "yes", own=[]).isolate is True
    assert turned(said(), parse_over("frames=9"), "9", own=[]).frames == 9
    assert turned(said(), parse_over("size=64x64"), "64x64", own=[]).size == "64x64"
    with pytest.raises(RequestError, match="no dial 'control'"):
        parse_over("control=a,b")


def test_a_dial_that_changes_nothing_is_told(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    words = ("--reference", f"{film_path},attention=0.5", "--over", "attention-strength=1,0.2")
    done = sweep(micro_model, tmp_path / "out", *words)
    assert done.exit_code == 1 and "does nothing here: the plan is the same at all values" in done.stderr


def test_processes_of_torchrun_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    words = ["sweep", "--prompt", "a ball", "--over", "seed=1,2", "-o", str(tmp_path / "sweep")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "by one process" in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_values_that_a_name_cannot_hold_have_files_of_their_own(tmp_path: Path) -> None:
    paths = set()
    for value in (
        "a cat, red",
        "a cat red",
        "\u043a\u043e\u0442",
        "\u043f\u0435\u0441",
        "long " * 100,
        "a_cat_red",
    ):
        words = {"suffix": ".mp4", "made_from": "x", "overwrite": False}
        folder = SweepFolder(tmp_path / "s", parse_over(f"prompt={value.replace(',', ';')}"), [0], **words)
        path = folder.path(value, 0)
        path.write_bytes(b"")  # a name that the disk takes
        paths.add(path.name)
    assert len(paths) == 6


def test_numbers_keep_all_their_digits() -> None:
    assert parse_over("fps=23.976023976,24.0").values == ("23.976023976", "24")
    with pytest.raises(RequestError):
        parse_over("model=a,b")  # whose files are not those the sweep is known by
