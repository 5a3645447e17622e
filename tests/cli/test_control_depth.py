"""cli: control depth."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
from tests.media.exr_files import write_exr


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["control", "depth", *map(str, words)])
    return result.exit_code, result.stderr


def adapter(path: Path, convention: str) -> Path:
    """An adapter that says how it wants depth drawn."""
    name = "diffusion_model.transformer_blocks.0.attn1.to_q"
    weights = {
        f"{name}.lora_A.weight": np.zeros((2, 8), np.float32),
        f"{name}.lora_B.weight": np.zeros((8, 2), np.float32),
    }
    config = json.dumps({"control": {"convention": convention}})
    save_file(weights, path, metadata={"iclora.control": "depth", "iclora.config": config})
    return path


def test_depth_of_a_film(film_path: Path, tmp_path: Path) -> None:
    code, said = run(film_path, "-o", f"{tmp_path}/depth/", "--sheet", tmp_path / "s.png")
    assert code == 0 and "near-white, 64x48, 9 frames at 16 per second; nearness" in said
    drawn = media.read(tmp_path / "depth", fps=16.0)
    assert np.array_equal(drawn.frames, controls.depth(media.read(film_path)).frames)
    notes = json.loads((tmp_path / "depth.json").read_text())
    assert notes["result"]["convention"] == "near-white" and notes["asked"]["estimator"] == "tiny"
    assert notes["result"]["nearest"] > notes["result"]["farthest"]
    assert media.read(tmp_path / "s.png").frames.any()


def test_size_frames_rate_and_convention(film_path: Path, tmp_path: Path) -> None:
    words = ("--size", "32x64", "--frames", "12", "--fps", "8", "--convention", "near-black", "--near", "90")
    code, _ = run(film_path, "-o", tmp_path / "a.mp4", *words)
    assert code == 0
    made = media.read(tmp_path / "a.mp4")
    assert made.frames.shape == (12, 64, 32, 3) and made.fps == 8.0


def test_a_render_is_taken_as_it_is(tmp_path: Path) -> None:
    for number, distance in enumerate((1, 2)):
        values = np.full((4, 6), distance, np.float32)
        values[0] = 1e10
        (tmp_path / "z").mkdir(exist_ok=True)
        write_exr(tmp_path / "z" / f"{number}.exr", {"ViewLayer.Depth.Z": values})
    words = ("--render", "--near", "100", "--far", "0", "--fps", "12", "--frames", "3")
    assert run(tmp_path / "z", "-o", f"{tmp_path}/out/", *words)[0] == 0
    drawn = media.read(tmp_path / "out").frames[..., 0]
    assert drawn.shape == (3, 4, 6) and (drawn[:, 0] == 0).all()
    assert drawn[:, 2, 2].tolist() == [255, 128, 128]  # 1 m, 2 m on one scale, then held


def test_an_adapter_says_the_convention(film_path: Path, tmp_path: Path) -> None:
    file = adapter(tmp_path / "mine.safetensors", "inferno")
    code, said = run(film_path, "-o", f"{tmp_path}/out/", "--adapter", file)
    assert code == 0 and "inferno" in said
    expected = controls.depth(media.read(film_path), convention="inferno")
    assert np.array_equal(media.read(tmp_path / "out").frames, expected.frames)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.mp4", "-o", "OUT/a.mp4"), "There is no file none.mp4"),
        (("FILM", "-o", "OUT/a.mp4", "--estimator", "midas"), "There is no depth estimator 'midas'"),
        (("FILM", "-o", "OUT/a.mp4", "--estimator", "no.onnx"), "There is no file no.onnx"),
        (("FILM", "-o", "OUT/a.mp4", "--convention", "grey"), "There is no depth convention 'grey'"),
        (
            ("FILM", "-o", "OUT/a.mp4", "--near", "1", "--far", "2"),
            "The percentiles are far 2.0 and near 1.0",
        ),
        (("FILM", "-o", "OUT/a.mp4", "--device", "nowhere"), "There is no device 'nowhere' here"),
        (("FILM", "-o", "OUT/a.mp4", "--stabilise", "3"), "The stabilising is 3.0"),
        (("FILM", "-o", "OUT/a.mp4", "--render", "--stabilise", "1"), "--stabilise is about a filmed clip"),
        (("FILM", "-o", "OUT/a.mp4", "--values", "near"), "values is about a render or an .onnx file"),
        (("FILM", "-o", "OUT/a.mp4", "--render", "--values", "m"), "Values of depth cannot be 'm'"),
        (("FILM", "-o", "OUT/a.mp4", "--adapter", "no.safetensors"), "There is no adapter file"),
        (("FILM", "-o", "OUT/a.mp4", "--adapter", "a", "--convention", "inferno"), "and not both"),
        (("FILM", "-o", "OUT/a.mp4", "--sheet", "OUT/a.tif"), "Cannot write a sheet as"),
        (("FILM", "-o", "OUT/a.png", "--sheet", "OUT/a.png"), "is another result or a source of it"),
    ],
)
def test_bad_input_is_one_line(film_path: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    code, said = run(*(word.replace("FILM", str(film_path)).replace("OUT", str(tmp_path)) for word in words))
    assert code == 1
    last = said.splitlines()[-1]
    assert last.startswith("iclora: ") and message in last
    assert list(tmp_path.iterdir()) == []


def test_generate_follows_depth(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    words = ["generate", "--model", str(micro_model), "-p", "a", "--control", f"depth={film_path}"]
    done = CliRunner().invoke(app, [*words, "--adapter", "canny", "-o", str(tmp_path / "out.mp4")])
    assert done.exit_code == 0, done.output
    plan = json.loads((tmp_path / "out.mp4.json").read_text())["plan"]
    assert plan["references"][0]["control"] == "depth"


def test_stabilised_depth_says_what_it_did(film_path: Path, tmp_path: Path) -> None:
    code, said = run(film_path, "-o", f"{tmp_path}/out/", "--stabilise", "0.5")
    notes = json.loads((tmp_path / "out.json").read_text())["result"]
    assert code == 0 and "% to " in said and "lag " in said
    assert notes["flicker_after"] < notes["flicker_before"] and abs(notes["lag_frames"]) < 0.05
    expected = controls.depth(media.read(film_path), stabilise=0.5)
    assert np.array_equal(media.read(tmp_path / "out").frames, expected.frames)


def test_depth_is_found_once(film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ICLORA_CACHE_GB")
    made = []
    for number, words in enumerate(((), ("--near", "90"), ("--no-cache",), ("--fps", "8"))):
        code, said = run(film_path, "-o", f"{tmp_path}/{number}/", *words)
        assert code == 0
        made.append("depth: found before, and taken from" in said)
    assert made == [False, True, False, False]
    assert len(list((tmp_path / "cache" / "found").iterdir())) == 2
    assert np.array_equal(media.read(tmp_path / "0").frames, media.read(tmp_path / "2").frames)


def test_generate_takes_what_was_found(
    micro_model: Path, film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ICLORA_CACHE_GB")
    said = []
    for number in range(2):
        words = [
            "generate",
            "--model",
            str(micro_model),
            "-p",
            f"{number}",
            "--control",
            f"depth={film_path}",
        ]
        done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / f"{number}.mp4")])
        assert done.exit_code == 0, done.output
        said.append("depth: found before" in done.stderr)
    assert said == [False, True]


def test_fetching_without_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    done = CliRunner().invoke(app, ["models", "fetch", "depth-anything-v2-large"])
    assert done.exit_code == 1
    assert "depth-anything/Depth-Anything-V2-Large-hf (1340 MB, CC-BY-NC-4.0" in done.stderr.splitlines()[-1]


def test_a_still_has_no_rate_and_no_flicker(film_path: Path, tmp_path: Path) -> None:
    media.read(film_path, max_frames=1).save(tmp_path / "still.png")
    code, said = run(tmp_path / "still.png", "-o", tmp_path / "depth.png", "--stabilise", "0.5")
    assert code == 0 and "near-white, 64x48, 1 frame; nearness" in said and "flicker" not in said
