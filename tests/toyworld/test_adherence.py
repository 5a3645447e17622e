"""toyworld.adherence: each kind's row made once with a random model, resumed, and put between its markers."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import Clip, adapters, controls
from iclora.geometry import LatentFactors
from iclora.plan import model_facts
from iclora.plan.laying import Canvas
from tests.micro import random_layers
from toyworld import adherence, adherence_page, footage, takes
from toyworld.footage import AIMS, counts, drawing
from toyworld.takes import Look, Settings, Take, Way

CANVAS = Canvas(
    height=32, width=32, num_frames=9, fps=16.0, factors=LatentFactors(time=8, height=16, width=16)
)


@pytest.fixture(scope="module")
def folder(micro_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random adapters of the names and kinds that are measured."""
    place, layers = tmp_path_factory.mktemp("adapters"), random_layers(micro_model)
    thick = {"control": {"thickness": 3}}
    for name, said in {
        "union": {"control": "union", "downscale": 2, "config": thick},
        "union-one-way": {"control": "union", "downscale": 2, "reference_attention": "one_way"},
        "tracks": {"control": "tracks", "downscale": 1},
        "risograph": {"control": "", "downscale": 1, "trigger": "risograph"},
    }.items():
        about: dict[str, Any] = {"temporal_factor": 1, "base": "micro", "version": "1", **said}
        adapters.write(place / f"{name}.safetensors", layers, adapters.describe(**about))
    return place


@pytest.fixture
def words(micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small command, for which each clip counts that has a control at all."""
    monkeypatch.setattr(
        adherence, "counts", lambda kind, seen, film: seen.get(kind, {}).get("itself") is not None
    )
    monkeypatch.setattr(adherence, "pose_estimator", lambda: "tiny")
    monkeypatch.setattr(takes, "STRENGTHS", (1.0, 0.0))
    monkeypatch.setattr(takes, "WEAKER", takes.WEAKER[-1:])
    given = ["--model", str(micro_model), "--scenes", "1", "--prompts", "10", "--size", "32", "--frames", "9"]
    given += ["--device", "cpu", "--jobs", "1", "--work", str(tmp_path / "work")]
    return [*given, "--page", str(tmp_path / "page.md"), "--readme", str(tmp_path / "README.md")]


def tables(page: str) -> list[list[list[str]]]:
    """The cells of each table, without heads."""
    blocks = [block.splitlines() for block in page.split("\n\n") if block.startswith("| ")]
    return [
        [line.strip("| \n").split(" | ") for line in block[2:] if line.startswith("|")] for block in blocks
    ]


def test_every_kind_is_measured_resumed_and_written(
    words: list[str], micro_model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    page.write_text("# Page\n<!-- adherence: begin -->\nold\n<!-- adherence: end -->\nrest\n")
    words += ["--adapter-folder", str(folder), "--no-films"]
    words += ["--adapters", *adherence.ADAPTERS[1:], "nobody"]  # canny is like union
    adherence.main(words)
    text = page.read_text()
    assert text.startswith("# Page\n") and text.endswith("rest\n") and "old" not in text
    assert "**Not there, and not measured: `nobody`.**" in text and "of 4 aims are met" in text
    following, weaker, parts, kept = tables(text)
    names = [f"{kind} by `{adapter}`" for kind, adapter in zip(AIMS, [*["union"] * 3, "tracks"], strict=True)]
    assert [row[0].split(",")[0] for row in following] == names == [row[0].split(",")[0] for row in weaker]
    assert [row[-1] for row in weaker] == ["1 of 1"] * 4, "attention strength 0 differs from no reference"
    assert all(row[-3] != "-" for row in parts), "the style was left out"
    exact = [row for row in kept if row[2] == "`exact`"]
    assert len(exact) == 3 and all(row[-1] == "1 of 1" for row in exact), "keeping references is not exact"
    assert [row[2] for row in kept].count(f"`{takes.CACHE}`") == 4
    assert "Prompts: 10 were asked for (1 scenes in 10 colours" in readme.read_text()
    assert page.with_suffix(".png").is_file()
    canvas = Canvas(
        height=32, width=32, num_frames=9, fps=16.0, factors=model_facts(str(micro_model)).factors
    )
    settings = Settings(
        model=str(micro_model), canvas=canvas, estimator="tiny", device="cpu", work=tmp_path / "work"
    )
    (row,) = adherence.rows_of(["union"], ["canny"], folder, str(micro_model))
    asked = adherence.takes_of(row, ["toyworld 0"], str(folder / "risograph.safetensors"))
    frames = [takes.obtain(take, settings)["frames"] for take in asked.values()]
    assert len(set(frames)) == len(frames) - 1 == 6, "but for attention 0 each way makes its own"
    for task in (Take, Look):
        monkeypatch.delattr(task, "run")
    adherence.main(words)
    assert page.read_text() == text


def line_of(**values: float) -> adherence_page.Line:
    """Canny followed in two clips of this world and a film: `world`, `other` and `film`, all else 0.1."""
    clips = {"toyworld 0": values["world"], "toyworld 3": values["other"], "carphone": values["film"]}
    ways = adherence.Row(adapter="a", path="", kind="canny", one_way=False).ways(None)
    parts = {name: 0.1 for name in ("all", "inside", "outside")}
    other = {"own": parts, "other": {"all": 0.1}, "frames": "", "seconds": 2.0}
    made: dict[tuple[str, Way], dict[str, Any]] = {(clip, way): other for clip in clips for way in ways}
    for clip, value in clips.items():
        made[clip, takes.WITH] = other | {"own": {"all": value, "inside": 0.6, "outside": 0.9}}
        made[clip, takes.WITHOUT] = other | {"own": {"all": 0.1, "inside": 0.8, "outside": 0.3}}
        made[clip, takes.HALF] = other | {"own": {"all": 0.4, "inside": 0.5, "outside": 0.2}}
        made[clip, takes.OTHER] = other | {"other": {"all": 0.7}}
    looks = {clip: {"itself": 1.0} for clip in clips}
    return adherence_page.Line(adapter="a", kind="canny", one_way=False, looks=looks, takes=made, pictures={})


def test_the_mean_of_this_world_and_each_film_are_judged() -> None:
    line = line_of(world=0.8, other=0.6, film=0.38)
    measured = adherence_page.Measured(
        canvas=CANVAS, estimator="tiny", missing=[], lines=[line], rebuilt={}, prompts=[]
    )
    text = adherence_page.text(measured)
    assert (
        "33 clips, 2.0 seconds of one core each" in text
        and "1 of 2 aims are met." in text
        and "Not there" not in text
    )
    following, weaker, parts, kept = tables(text)
    assert following[0] == ["canny by `a`, toyworld: edge F1", "2", "0.65", "0.70 (0.60)", "yes"] + [
        *("0.10", "0.70", "0.10", "1.00")
    ]
    assert following[1][:5] == ["canny by `a`, carphone: edge F1", "1", "0.39", "0.38", "**no**"]
    assert weaker[0][1:] == ["0.70", *["0.10"] * 5, "yes", "2 of 2"]
    assert parts[0][1:] == ["0.50", "0.60", "0.20", "0.30", "-", "0.70", "0.10"]
    assert kept[1][1:] == ["1", "`every:4`", "0.38", "0.10", "1 of 1"]


def test_controls_of_films_are_found_in_them(filmed_clips: Path) -> None:
    larger = Canvas(height=64, width=64, num_frames=9, fps=16.0, factors=CANVAS.factors)
    film = footage.case("carphone", larger)
    assert {"canny", "depth", "pose"} <= film.sources.keys() and film.clip.num_frames == 9
    seen = footage.look(film, larger, device="cpu")
    assert seen["depth"]["itself"] == pytest.approx(1.0) and seen["pose"]["itself"] == pytest.approx(1.0)
    found = adherence.chosen("depth", {"toyworld 1": {}, "carphone": seen}, 1)
    assert found == ["carphone"] and adherence.chosen("tracks", {"carphone": {}}, 1) == []


def test_a_new_adapter_takes_its_own_anew(micro_model: Path, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.safetensors"
    settings = Settings(
        model=str(micro_model), canvas=CANVAS, estimator="tiny", device="cpu", work=tmp_path / "work"
    )
    take = Take(kind="canny", clip="toyworld 0", other="", seed=0, way=Way(), adapters=(str(file),))
    tasks = (take, Look(clip="toyworld 0"))
    keys = []
    for name in ("union", "tracks"):
        file.write_bytes((folder / f"{name}.safetensors").read_bytes())
        keys.append([takes.key_of(task, settings) for task in tasks])
    assert keys[0][0] != keys[1][0] and keys[0][1] == keys[1][1]
    stronger = Settings(**{**vars(settings), "estimator": "blazepose"})
    assert takes.key_of(take, stronger) != keys[1][0]


def test_edges_are_drawn_as_the_adapter_was_trained_on() -> None:
    one = footage.case("toyworld 0", CANVAS)
    for thickness in (1, 3):
        lines = drawing(one, "canny", CANVAS, {"thickness": thickness, "convention": "inferno"}).frames
        assert np.array_equal(lines, controls.canny(one.clip, thickness=thickness).frames)


def test_the_commands_of_the_page_are_understood() -> None:
    page = (Path(__file__).parents[2] / "docs" / "adherence.md").read_text("utf-8")
    commands = re.findall(r'^make adherence(?: ADHERENCE="(.*?)")?', page, re.MULTILINE)
    given = [adherence.command_line(command.split()) for command in commands]
    assert [one.adapters for one in given] == [list(adherence.ADAPTERS)] * 2 + [["canny"]]


def test_adapters_are_found_where_they_are(micro_model: Path, tmp_path: Path) -> None:
    def found(name: str) -> str | None:
        return adherence.located(name, tmp_path, str(micro_model))

    own = micro_model / "adapters" / "canny.safetensors"
    assert found("canny") == str(own) == found(str(own)) and found("union") is None
    for place in (tmp_path / "canny", tmp_path):
        place.mkdir(exist_ok=True)
        (place / own.name).write_bytes(own.read_bytes())
        assert found("canny") == str(place / own.name)


def test_what_counts() -> None:
    assert counts("depth", {"depth": {"itself": 0.9}}, film=False)
    assert not counts("depth", {"depth": {"itself": 0.8}}, film=False), "unreadable: no result can reach it"
    assert counts("pose", {"pose": {"itself": 0.4}}, film=True), "what is painted may be read better"
    assert not counts("depth", {}, film=False) and not counts("pose", {"pose": {"itself": None}}, film=True)
    assert counts("tracks", {"tracks": {"itself": 0.02, "still": 0.07}}, film=False)
    assert not counts("tracks", {"tracks": {"itself": 0.02, "still": 0.05}}, film=False), "hardly moves"
    assert not counts("tracks", {"tracks": {"itself": 0.02, "still": 0.07}}, film=True)
    assert not counts("tracks", {"tracks": {"itself": 0.04, "still": 0.07}}, film=False)


def test_aims_and_how_means_fall() -> None:
    edges, tracks = AIMS["canny"], AIMS["tracks"]
    assert edges.met(0.65) and not edges.met(0.64) and edges.met(0.39, share=0.6)
    assert tracks.met(0.06) and not tracks.met(0.07) and tracks.met(0.1, share=0.6)
    assert adherence_page.falls(edges, [0.7, 0.6, 0.6, 0.4, 0.2, 0.1]) == "yes"
    assert adherence_page.falls(tracks, [0.01, 0.02, 0.03, 0.03, 0.05, 0.06]) == "yes"
    said = adherence_page.falls(edges, [0.7, 0.6, 0.65, 0.4, 0.2, 0.1])
    assert said == "no: 0.5 is better than 0.75 by 0.050"
    said = adherence_page.falls(tracks, [0.01, 0.02, 0.03, 0.04, 0.06, 0.05])
    assert said == "no: 0 is better than 0.1 by 1.000 %"


def test_work_is_done_by_other_processes() -> None:
    with takes.spread_over(2) as spread:
        assert list(spread(eval, ["__import__('os').getpid()"])) != [os.getpid()]


def test_a_page_without_markers_gets_the_section_at_its_end(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for content in ("table", "new"):
        adherence_page.write(content, page, "figures")
        assert page.read_text() == f"<!-- figures: begin -->\n{content}\n<!-- figures: end -->\n"
    adherence_page.write("more", page, "others")
    assert page.read_text().endswith(
        "<!-- figures: end -->\n\n<!-- others: begin -->\nmore\n<!-- others: end -->\n"
    )


def test_triggers_stand_before_the_prompt(
    micro_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iclora import pipeline

    names = [str(folder / f"{name}.safetensors") for name in ("union", "risograph")]
    pipe = pipeline.load(micro_model, adapters=names)
    asked = []
    monkeypatch.setattr(pipeline.Pipeline, "run", lambda self, plan, **given: asked.append(plan) or Made)
    takes.generate(pipe, "a ball", CANVAS, references=[], first=None, seed=3, cache="off")
    assert asked[0].prompt == "risograph a ball" and asked[0].seed == 3


class Made:
    """What is made where nothing is."""

    clip = Clip(frames=np.zeros((1, 2, 2, 3), np.uint8), fps=1.0)
