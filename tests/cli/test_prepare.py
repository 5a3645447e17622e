"""`iclora prepare`."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora.cli import app
from iclora.training import Store
from tests.training.clips import save_pairs


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pairs(tmp_path_factory.mktemp("pairs"), 4)


@pytest.fixture
def pairs(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "pairs")


@pytest.fixture
def words(pairs: Path, micro_model: Path, tmp_path: Path) -> list[str]:
    return ["prepare", str(pairs), "-o", str(tmp_path / "out"), "--model", str(micro_model)]


def run(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1, done.output
    return done.output


def test_a_dataset_is_prepared_and_not_twice(words: list[str], tmp_path: Path) -> None:
    said = run(*words, "--downscale", "2", "--held-out", "1", "--trigger", "T")
    assert "4 of 4 pairs can be prepared" in said and "4 samples, 1 of them held out; 4 encoded now" in said
    store = Store.open(tmp_path / "out")
    assert (store.settings.downscale, store.settings.trigger) == (2, "T")
    assert len(store.settings.fingerprint) == 16 and len(store.settings.dataset) == 16
    again = run(*words, "--downscale", "2", "--held-out", "1", "--trigger", "T")
    assert "audit is taken from" in again and "0 encoded now, 4 clips before" in again
    assert "other settings: downscale" in refused(*words, "--held-out", "1", "--trigger", "T")
    run(*words, "--overwrite")
    assert Store.open(tmp_path / "out").settings.downscale == 1


def test_overwriting_takes_nothing_away_before_all_is_looked_at(words: list[str], tmp_path: Path) -> None:
    run(*words)
    held = sorted(path.name for path in (tmp_path / "out").rglob("*"))
    assert "does not exist" in refused("prepare", str(tmp_path / "none"), *words[2:], "--overwrite")
    refused(*words, "--overwrite", "--bucket", "1x1x1")
    run(*words, "--overwrite", "--audit-only")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == held


def test_broken_pairs_are_refused_or_left_out(words: list[str], pairs: Path, tmp_path: Path) -> None:
    (pairs / "1.mp4").write_bytes(b"no film")
    (pairs / "2.txt").write_text("a depth map")
    said = refused(*words)
    assert "1 of 4 pairs are broken" in said and "its caption tells of the control: 'depth map'" in said
    assert not (tmp_path / "out" / "prepared.json").exists()
    assert (tmp_path / "out" / "audit.png").is_file()
    report = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert [len(pair["flaws"]) for pair in report["pairs"]] == [0, 1, 1, 0]
    run(*words, "--skip-broken")
    assert [row.id for row in Store.open(tmp_path / "out").samples] == ["0", "3"]
    run(*words, "--skip-broken", "--accept", "caption", "--overwrite")
    assert [row.id for row in Store.open(tmp_path / "out").samples] == ["0", "2", "3"]


def test_a_file_that_cannot_be_read_is_said_and_left_out(
    words: list[str], pairs: Path, tmp_path: Path
) -> None:
    (pairs / "1_reference.mp4").write_bytes(b"no film")
    said = run(*words)
    assert "Cannot read" in said and "3 of 4 pairs can be prepared" in said
    assert [row.id for row in Store.open(tmp_path / "out").samples] == ["0", "2", "3"]
    for number in (0, 2, 3):
        (pairs / f"{number}.mp4").write_bytes(b"no film")
    assert "No pair of" in refused(*words, "--overwrite")


def test_looking_alone_encodes_nothing(words: list[str], tmp_path: Path) -> None:
    run(*words, "--audit-only")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["audit.json", "audit.png"]


def test_parts_and_controls(words: list[str], pairs: Path, tmp_path: Path) -> None:
    for reference in pairs.glob("*_reference.mp4"):
        reference.unlink()
    assert "it has no reference, and no control is drawn for it" in refused(*words)
    drawn = [*words, "--control", "canny,thickness=2", "--control", "blur", "--shard-size", "2"]
    run(*drawn, "--shard", "1/2")
    assert [row.id for row in Store.open(tmp_path / "out").samples] == [
        "2@canny",
        "2@blur",
        "3@canny",
        "3@blur",
    ]
    run(*drawn, "--shard", "0/2")
    store = Store.open(tmp_path / "out")
    assert len(store.samples) == 8 and store.settings.control == "union"
    assert store.settings.controls == {"canny": {"thickness": 2}, "blur": {}}


def test_a_part_may_have_nothing_to_do(words: list[str]) -> None:
    assert "has nothing to do" in run(*words, "--shard", "1/2")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--bucket", "64x64"], "WIDTHxHEIGHTxFRAMES"),
        (["--bucket", "64x64x10"], "10 frames do not fit the model"),
        (["--downscale", "3"], "references 3 times smaller take multiples of"),
        (["--control", "cany"], "no known kind"),
        (["--control", "canny,thickness=x"], "thickness"),
        (["--control", "canny", "--control", "canny,low=3"], "said twice"),
        (["--accept", "file"], "it is always broken"),
        (["--accept", "colour"], "there is no such kind"),
        (["--shard", "2/2"], "is not i/n"),
        (["--held-out", "-1"], "0 or more"),
        (["--shard", "0/2", "--overwrite"], "for one process"),
    ],
)
def test_words_that_cannot_be_met_are_refused(
    words: list[str], tmp_path: Path, more: list[str], message: str
) -> None:
    (tmp_path / "out").mkdir()
    assert message in refused(*words, *more)


def test_other_folders_are_left_alone(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "holds other things (mine.txt)" in refused(*words, "--overwrite")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
