"""cli: generate and plan, the whole way with a random model, and every kind of bad input."""

import dataclasses
import errno
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from iclora import adapters, controls, media
from iclora.cli import app
from iclora.clip import Audio, Clip
from tests.micro import adapter_metadata, moving_square, random_layers, save_thick


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def generate(model: Path, *words: object) -> Result:
    return invoke("generate", "--model", model, "--prompt", "a red ball", *words)


def check_refused(result: Result, message: str, output: Path) -> None:
    """Exit 1, one last line that says why, and nothing left behind."""
    assert result.exit_code == 1, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("iclora: ")]
    assert len(lines) == 1 and result.stderr.splitlines()[-1] == lines[0], result.stderr
    assert message in lines[0]
    assert "Traceback" not in result.output
    assert [path.name for path in output.parent.iterdir() if path.name.startswith((output.name, "."))] == []


def test_from_a_film_to_a_controlled_clip(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    result = generate(micro_model, "--control", f"canny={film_path}", "-o", output)
    assert result.exit_code == 0, result.output
    assert "No adapter was named; the model's own 'canny' is used." in result.stderr
    assert "follows film.mp4: edge F1 0." in result.stderr
    made = media.read(output)
    assert made.frames.shape == (9, 64, 64, 3) and made.fps == 16.0
    notes = json.loads((tmp_path / "out.mp4.json").read_text())
    assert notes["plan"]["prompt"] == "a red ball" and notes["plan"]["adapters"][0]["name"] == "canny"
    assert notes["adherence"][0]["reference"] == "film.mp4"


def test_the_same_seed_gives_the_same_file(micro_model: Path, tmp_path: Path) -> None:
    for name, seed in (("a.mp4", 3), ("b.mp4", 3), ("c.mp4", 4)):
        assert generate(micro_model, "--seed", seed, "-o", tmp_path / name).exit_code == 0
    first, again, other = ((tmp_path / name).read_bytes() for name in ("a.mp4", "b.mp4", "c.mp4"))
    assert first == again != other


def test_all_words_together(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    lines, mask, picture = tmp_path / "lines.mp4", tmp_path / "mask.png", tmp_path / "first.png"
    assert invoke("control", "canny", film_path, "-o", lines).exit_code == 0
    half = np.zeros((1, 64, 64, 3), np.uint8)
    half[:, :, :32] = 255
    media.save(Clip(frames=half, fps=1.0), mask)
    media.save(moving_square(num_frames=1), picture)
    words = ["--adapter", "canny:0.5", "--attention-strength", "0.7", "--attention-mask", mask]
    words += ["--reference", f"{lines},strength=0.9,attention=0.5", "--image", f"{picture}@0:0.8"]
    words += ["--control", f"canny={film_path}", "--size", "96x64", "--frames", "17", "--fps", "12"]
    words += ["--guidance", "2", "--negative-prompt", "a box", "--no-isolate", "-o", tmp_path / "out.mp4"]
    result = generate(micro_model, *words)
    assert result.exit_code == 0, result.output
    plan = json.loads((tmp_path / "out.mp4.json").read_text())["plan"]
    assert (plan["width"], plan["height"], plan["num_frames"], plan["fps"]) == (96, 64, 17, 12.0)
    assert [one["attention_strength"] for one in plan["references"]] == [0.7, 0.5]
    assert [one["strength"] for one in plan["references"]] == [1.0, 0.9]
    assert all(one["masked"] for one in plan["references"])
    assert plan["isolate"] is False
    assert plan["adapters"][0]["weight"] == 0.5 and plan["images"][0]["strength"] == 0.8


def test_kept_references_are_told(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    words = ("--control", f"canny={film_path}", "-o", tmp_path / "out.mp4", "--reference-cache")
    result = generate(micro_model, *words, "every:4")
    assert result.exit_code == 0, result.output
    assert "cache     every:4: 8 tokens kept, " in result.stderr
    assert "computed in 2 of 8 steps and kept between: an approximation" in result.stderr
    kept = json.loads((tmp_path / "out.mp4.json").read_text())["plan"]["reference_cache"]
    assert kept["mode"] == "every:4" and kept["num_tokens"] == 8 and kept["num_bytes"] > 0


def test_overwrite_replaces(micro_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_text("mine")
    refused = generate(micro_model, "-o", output)
    assert refused.exit_code == 1 and "exists" in refused.stderr
    assert output.read_text() == "mine"
    assert generate(micro_model, "-o", output, "--overwrite").exit_code == 0
    assert media.read(output).num_frames == 9


def test_a_sidecar_of_others_is_kept(micro_model: Path, tmp_path: Path) -> None:
    beside = tmp_path / "out.mp4.json"
    beside.write_text("mine")
    result = generate(micro_model, "-o", tmp_path / "out.mp4")
    assert result.exit_code == 1 and f"{beside} exists" in result.stderr
    assert beside.read_text() == "mine"


@pytest.mark.parametrize("word", ["--control=canny={}", "--reference={}", "--image={}@0"])
def test_what_is_read_is_never_replaced(micro_model: Path, tmp_path: Path, word: str) -> None:
    film = media.save(moving_square(), tmp_path / "film.mp4")
    before = film.read_bytes()
    result = generate(micro_model, word.format(film), "-o", film, "--overwrite")
    assert result.exit_code == 1 and "is what the result is made from" in result.stderr
    assert film.read_bytes() == before and list(tmp_path.iterdir()) == [film]


def test_lines_are_drawn_as_the_adapter_was_trained_on(
    micro_model: Path, film_path: Path, tmp_path: Path
) -> None:
    """The film's control and a ready clip of one-pixel lines both reach the model with lines 3 px thick."""
    thick = save_thick(micro_model, tmp_path / "thick.safetensors")
    words = ("--adapter", thick, "--control", f"canny={film_path}", "-o", tmp_path / "out.mp4")
    result = generate(micro_model, *words)
    assert result.exit_code == 0, result.output
    assert "film.mp4: lines 3 px thick, as the adapter 'thick' was trained on." in result.stderr
    plan = json.loads((tmp_path / "out.mp4.json").read_text())["plan"]
    assert plan["references"][0]["dials"] == plan["adapters"][0]["dials"] == {"thickness": 3}
    same = tmp_path / "same.mp4"
    lines = media.save(controls.canny(moving_square(height=64, width=64), thickness=3), tmp_path / "lines")
    film = media.save(moving_square(height=64, width=64), tmp_path / "film")
    for source, output in (
        (("--reference", lines), tmp_path / "a.mp4"),
        (("--control", f"canny={film}"), same),
    ):
        assert generate(micro_model, "--adapter", thick, *source, "--fps", "16", "-o", output).exit_code == 0
    assert (tmp_path / "a.mp4").read_bytes() == same.read_bytes()


def test_plan_prints_what_generate_would_do(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    words = ("plan", "--model", micro_model, "--prompt", "a ball", "--control", f"canny={film_path}")
    shown = invoke(*words)
    assert shown.exit_code == 0
    assert "result    64x64, 9 frames at 16 per second (0.562 s), 32 tokens" in shown.stdout
    assert "reference canny of film.mp4: 32x32, 9 frames, 8 tokens" in shown.stdout
    assert json.loads(invoke(*words, "--json").stdout)["num_reference_tokens"] == 8
    assert list(tmp_path.iterdir()) == []


def test_plan_takes_the_words_of_generate(micro_model: Path, tmp_path: Path) -> None:
    words = (
        "plan",
        "--model",
        micro_model,
        "--prompt",
        "a ball",
        "--device",
        "cpu",
        "-o",
        tmp_path / "a.mp4",
    )
    assert invoke(*words).exit_code == 0
    (tmp_path / "a.mp4").write_text("mine")
    refused = invoke(*words)
    assert refused.exit_code == 1 and "a.mp4 exists" in refused.stderr
    assert invoke(*words, "--overwrite").exit_code == 0
    assert (tmp_path / "a.mp4").read_text() == "mine"


def test_the_sound_of_the_film_is_kept_if_asked(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    tone = np.sin(np.arange(48000, dtype=np.float32) / 20)[None] / 2
    clip = dataclasses.replace(moving_square(), audio=Audio(samples=tone, sample_rate=48000))
    film = media.save(clip, tmp_path / "film.mp4")
    words = ("--control", f"canny={film}", "-o")
    assert generate(micro_model, *words, tmp_path / "silent.mp4").exit_code == 0
    assert media.read(tmp_path / "silent.mp4", audio=True).audio is None
    assert generate(micro_model, *words, tmp_path / "a.mp4", "--keep-audio").exit_code == 0
    sound = media.read(tmp_path / "a.mp4", audio=True).audio
    assert sound is not None and 0.5 < sound.samples.shape[1] / sound.sample_rate < 0.65
    mute = generate(micro_model, "--control", f"canny={film_path}", "-o", tmp_path / "b.mp4", "--keep-audio")
    check_refused(mute, "film.mp4 has no sound to keep", tmp_path / "b.mp4")
    none = generate(micro_model, "-o", tmp_path / "b.mp4", "--keep-audio")
    check_refused(none, "--keep-audio keeps a control clip's sound", tmp_path / "b.mp4")


def test_plan_ends_with_1_on_an_error(micro_model: Path) -> None:
    result = invoke("plan", "--model", micro_model, "--prompt", "a ball", "--frames", "0")
    assert result.exit_code == 1
    row = next(line for line in result.stdout.splitlines() if line.startswith("error"))
    assert "0 frames are no clip." in row and row.rstrip().endswith("Ask for 9.")


def empty_video(path: Path) -> Path:
    """An mp4 with a video stream of no frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "There is no file"),
        ("garbage", "garbage.mp4"),
        ("empty", "empty.mp4"),
        ("folder", "folder"),
    ],
)
def test_controls_that_cannot_be_read(micro_model: Path, tmp_path: Path, kind: str, message: str) -> None:
    (tmp_path / "garbage.mp4").write_bytes(b"no video at all" * 100)
    (tmp_path / "folder").mkdir()
    empty_video(tmp_path / "empty.mp4")
    source = {"missing": "none.mp4", "garbage": "garbage.mp4", "empty": "empty.mp4", "folder": "folder"}[kind]
    output = tmp_path / "out.mp4"
    result = generate(micro_model, "--control", f"canny={tmp_path / source}", "-o", output)
    check_refused(result, message, output)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", "big"), "is not a size"),
        (("--size", "9000x9000"), "at most 64 times is accepted"),
        (("--frames", "-5"), "-5 frames are no clip"),
        (("--fps", "0"), "A frame rate of 0 is no rate"),
        (("--seed", "-1"), "The seed is -1"),
        (("--prompt", "word " * 100), "tokens; the model takes 16. Shorten it."),
        (("--adapter", "depth"), "There is no adapter 'depth'"),
        (("--device", "warp"), "There is no device 'warp' here"),
        (("--control", "sketch=in.mp4"), "is not KIND=CLIP with a known kind"),
        (("--reference", "in.mp4,power=2"), "unknown word 'power'"),
        (("--image", "in.png"), "is not FILE@FRAME"),
        (("--attention-strength", "2", "--reference", "FILM"), "the attention strength is 2"),
        (("--reference", "FILM,downscale=0"), "the downscale factor is 0"),
        (("--attention-mask", "FILM"), "--attention-mask is about references, but there are none"),
        (("--reference-cache", "often", "--reference", "FILM"), "'often' is not known: say off, exact or"),
        (("--reference-cache", "exact", "--reference", "FILM"), "needs an adapter trained one_way"),
        (("--attention-strength", "0.5"), "--attention-strength is about references, but there are none"),
    ],
)
def test_requests_that_cannot_be_met(
    micro_model: Path, film_path: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    output = tmp_path / "out.mp4"
    result = generate(micro_model, *(word.replace("FILM", str(film_path)) for word in words), "-o", output)
    check_refused(result, message, output)


def broken_adapter(model: Path, path: Path, kind: str) -> Path:
    base = "ltx-2.3" if kind == "base" else "micro"
    adapters.write(path, random_layers(model), adapter_metadata(base=base))
    tensors = load_file(path)
    name = next(iter(tensors))
    if kind == "unknown":
        tensors["diffusion_model.transformer_blocks.0.attn1.secret"] = torch.zeros(2)
    if kind == "non-finite":
        tensors[name][0, 0] = float("nan")
    if kind == "shape":
        tensors = {key: tensor.repeat(1, 2) if "lora_A" in key else tensor for key, tensor in tensors.items()}
    save_file(tensors, path, metadata=adapter_metadata(base=base))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("base", "was trained on the base 'ltx-2.3'"),
        ("shape", "does not fit this model"),
        ("unknown", "secret"),
        ("non-finite", "not finite"),
    ],
)
def test_adapters_that_cannot_be_used(micro_model: Path, tmp_path: Path, kind: str, message: str) -> None:
    file = broken_adapter(micro_model, tmp_path / "adapter.safetensors", kind)
    output = tmp_path / "out.mp4"
    check_refused(generate(micro_model, "--adapter", file, "-o", output), message, output)


def test_a_mask_that_is_not_there_is_found_before_loading(
    micro_model: Path, film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("iclora.checkpoints.load")
    for words in (
        ("--attention-mask", "no.png", "--reference", film_path),
        ("--reference", f"{film_path},mask=no.png"),
    ):
        result = generate(micro_model, *words, "-o", tmp_path / "out.mp4")
        check_refused(result, "There is no file no.png", tmp_path / "out.mp4")


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    check_refused(generate(tmp_path / "none", "-o", output), "There is no model", output)


@pytest.mark.parametrize(
    ("name", "message"),
    [("none/out.mp4", "does not exist"), ("out.avi", "unknown kind"), ("out.png", "one picture")],
)
def test_outputs_that_cannot_be_written(micro_model: Path, tmp_path: Path, name: str, message: str) -> None:
    result = generate(micro_model, "-o", tmp_path / name)
    assert result.exit_code == 1 and message in result.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_output_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    result = generate(
        tmp_path / "no-model", "--control", "canny=no-film.mp4", "-o", tmp_path / "none" / "out.mp4"
    )
    assert result.exit_code == 1 and "does not exist; make that folder" in result.stderr


def test_a_disk_that_fills_while_writing(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("iclora.media.files.os.fsync", full)
    output = tmp_path / "out.mp4"
    check_refused(generate(micro_model, "-o", output), "No room to write", output)


def test_a_folder_with_other_things_is_not_replaced(micro_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert generate(micro_model, "-o", f"{folder}/").exit_code == 0
    assert generate(micro_model, "-o", f"{folder}/", "--overwrite").exit_code == 0
    assert len(list(folder.iterdir())) == 9
    (folder / "mine.txt").write_text("kept")
    result = generate(micro_model, "-o", f"{folder}/", "--overwrite")
    assert result.exit_code == 1 and "holds mine.txt, which is no frame of a result" in result.stderr
    assert (folder / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize("name", ["out.gif", "out.png", "out/"])
def test_a_sound_that_the_result_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    """Before the film, which is not there, is looked for."""
    for command in ("generate", "plan"):
        words = (
            "--prompt",
            "a ball",
            "--control",
            "canny=none.mp4",
            "--keep-audio",
            "-o",
            f"{tmp_path}/{name}",
        )
        result = invoke(command, *words)
        assert result.exit_code == 1 and "holds no sound; write a .mp4 or .webm" in result.stderr
    assert "There is no file none.mp4" in invoke(*("plan", *words[:-2])).stderr


def test_the_rate_of_a_folder_of_pictures_is_told(micro_model: Path, tmp_path: Path) -> None:
    folder = media.save(moving_square(), tmp_path / "frames")
    words = ("plan", "--model", micro_model, "--prompt", "a ball", "--control", f"canny={folder}")
    told = "frames: pictures have no frame rate; 16 per second are taken."
    assert told in invoke(*words).stdout and "Say the rate (fps)" in invoke(*words).stdout
    assert told not in invoke(*words, "--fps", "12").stdout
    film = media.save(moving_square(), tmp_path / "film.mp4")
    assert "no frame rate" not in invoke(*words[:-1], f"canny={film}").stdout


def test_plan_prints_findings_as_a_table_and_as_json(micro_model: Path, tmp_path: Path) -> None:
    light = Clip(frames=moving_square().frames + np.uint8(50), fps=16.0)
    film_path = media.save(light, tmp_path / "film.mp4")
    words = (
        "plan",
        "--model",
        micro_model,
        "--prompt",
        "a ball",
        "--adapter",
        "canny",
        "--reference",
        film_path,
    )
    table = [line for line in invoke(*words).stdout.splitlines() if line.startswith(("finding", "warning"))]
    assert table[0].split() == "finding what is the case what to do".split()
    advice = "For its edges use --control canny=film.mp4."
    assert table[1].rstrip().endswith(advice) and table[1].index(advice) == table[0].index("what to do")
    findings = json.loads(invoke(*words, "--json").stdout)["findings"]
    assert any(one["level"] == "warning" and one["advice"] == advice for one in findings)


def test_generate_stops_at_an_empty_control_before_loading(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("iclora.checkpoints.load")
    flat = Clip(frames=np.full((9, 64, 64, 3), 90, np.uint8), fps=16.0)
    film, output = media.save(flat, tmp_path / "flat.mp4"), tmp_path / "out.mp4"
    result = generate(micro_model, "--control", f"canny={film}", "-o", output)
    check_refused(result, "flat.mp4: no frame shows anything: it controls nothing.", output)
    mask = media.save(Clip(frames=np.zeros((1, 64, 64, 3), np.uint8), fps=1.0), tmp_path / "mask.png")
    good = media.save(moving_square(), tmp_path / "good.mp4")
    result = generate(micro_model, "--control", f"canny={good}", "--attention-mask", mask, "-o", output)
    check_refused(result, "good.mp4: its attention mask is black everywhere", output)
