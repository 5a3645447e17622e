"""cli.asking and cli.looking: dials said with `--control`, and what `plan` sees of controls not yet taken."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from iclora import adapters, controls, media
from iclora.cli import app
from iclora.cli.asking import gather, references_of
from iclora.cli.options import PlanWords
from iclora.clip import Clip
from iclora.controls import write_keypoints
from iclora.controls.depths import finding
from iclora.plan import make_plan
from tests.controls.poses.people import person, poses_of
from tests.media.exr_files import write_exr
from tests.micro import adapter_metadata, moving_square, random_layers, save_thick


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def plan(model: Path, *words: object) -> Result:
    return invoke("plan", "--model", model, "--prompt", "a ball", *words)


def planned(model: Path, *words: object) -> dict[str, Any]:
    done = plan(model, *words, "--json")
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def texts(content: dict[str, Any], level: str) -> list[str]:
    return [f"{one['text']} {one['advice']}" for one in content["findings"] if one["level"] == level]


def test_dials_go_before_what_the_adapter_was_trained_on(
    micro_model: Path, film_path: Path, tmp_path: Path
) -> None:
    thick = save_thick(micro_model, tmp_path / "thick.safetensors", thickness=3, blur=2.5)
    film = f"canny={film_path}"
    content = planned(micro_model, "--adapter", thick, "--control", f"{film},thickness=2,stabilise=0.5")
    assert content["references"][0]["dials"] == {"blur": 2.5, "thickness": 2, "stabilise": 0.5}
    assert texts(content, "warning")[0] == (
        "film.mp4: lines 2 px thick as asked, but the adapter 'thick' was trained on lines 3 px thick. Leave "
        "thickness out, unless the control shall look otherwise."
    )
    assert "film.mp4: blur 2.5, as the adapter 'thick' was trained on. " in texts(content, "note")
    same = planned(micro_model, "--adapter", thick, "--control", f"{film},thickness=3")
    assert same["references"][0]["dials"] == {"blur": 2.5, "thickness": 3}
    assert not any("as asked" in text for text in texts(same, "warning"))


def test_what_was_found_is_not_found_again(
    micro_model: Path, film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    monkeypatch.setenv("ICLORA_CACHE_GB", "1")
    first = plan(micro_model, "--control", f"depth={film_path}")
    again = plan(micro_model, "--control", f"depth={film_path},stabilise=0.5,convention=near-black")
    assert first.exit_code == again.exit_code == 0
    assert "found before" not in first.stderr and "depth: found before" in again.stderr
    assert "found before" not in plan(micro_model, "--control", f"canny={film_path}").stderr


def test_nothing_is_kept_where_that_is_said(
    micro_model: Path, film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ICLORA_CACHE_GB", "1")
    words = ("--model", micro_model, "--prompt", "a ball", "--control", f"depth={film_path}", "--no-cache")
    assert invoke("plan", *words).exit_code == 0
    done = invoke("generate", *words, "-o", tmp_path / "a.mp4")
    assert done.exit_code == 0 and "found before" not in done.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("size", "drawn_at"), [("96x64", "768x512"), ("640x640", "512x512")])
def test_a_preset_is_drawn_at_its_own_size(
    micro_model: Path, tmp_path: Path, size: str, drawn_at: str
) -> None:
    """Then it is brought to the result: smaller with lines still white, larger as its workflow does."""
    film = media.save(moving_square(height=96, width=128, num_frames=1), tmp_path / "film.png")
    drawn, words = tmp_path / "edges.png", ("--preset", "union", "--size", drawn_at)
    assert invoke("control", "canny", film, "-o", drawn, *words).exit_code == 0
    said = ("generate", "--model", micro_model, "--prompt", "a", "--adapter", "canny", "--size", size)
    for way, name in ((("--control", f"canny={film},preset=union"), "a"), (("--reference", drawn), "b")):
        done = invoke(*said, "--frames", 1, *way, "-o", tmp_path / f"{name}.mp4")
        assert done.exit_code == 0, done.output
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(("height", "width"), [(64, 96), (640, 960)])
def test_the_union_preset_is_opencv_at_512(
    micro_model: Path, filmed_clips: Path, tmp_path: Path, height: int, width: int
) -> None:
    """The picture at 512 on its shorter side goes through cv2.Canny; then lines are brought to the result."""
    (picture,) = media.read(filmed_clips / "bigbuckbunny.mp4", max_frames=1).frames[:, :, 100:1180]
    film = media.save_image(picture, tmp_path / "film.png")
    control, size = [f"canny={film},preset=union"], f"{width}x{height}"
    words = PlanWords(model=str(micro_model), prompt="a", control=control, size=size, frames=1)
    asked = gather(words, lambda *_: None)
    (reference,) = references_of(asked, make_plan(asked.request), words, lambda *_: None)
    at_512 = cv2.Canny(cv2.resize(picture, (768, 512), interpolation=cv2.INTER_AREA), 92, 200)
    lines = Clip(frames=np.repeat(at_512[None, ..., None], 3, axis=3), fps=16.0)
    if height > 512:
        expected = cv2.resize(lines.frames[0], (width, height), interpolation=cv2.INTER_LANCZOS4)
    else:
        expected = controls.resize_lines(lines, height, width).frames[0]
    assert expected.any() and np.array_equal(reference.clip.frames[0], expected)


def test_the_control_is_drawn_with_the_dials(micro_model: Path, tmp_path: Path) -> None:
    """As drawn by `iclora control` with the same dials, and then given as a ready reference."""
    film = media.save(moving_square(height=64, width=64), tmp_path / "film")
    drawn = f"{tmp_path}/edges/"
    assert invoke("control", "canny", film, "-o", drawn, "--thickness", 3, "--fps", 16).exit_code == 0
    said = ("generate", "--model", micro_model, "--prompt", "a ball", "--adapter", "canny", "--fps", 16)
    for words, name in (
        (("--control", f"canny={film},thickness=3"), "a.mp4"),
        (("--reference", drawn), "b.mp4"),
        (("--control", f"canny={film}"), "c.mp4"),
    ):
        assert invoke(*said, *words, "-o", tmp_path / name).exit_code == 0
    first, second, thin = ((tmp_path / name).read_bytes() for name in ("a.mp4", "b.mp4", "c.mp4"))
    assert first == second != thin
    assert (
        "reference canny of film, thickness 3: "
        in plan(micro_model, "--control", f"canny={film},thickness=3").stdout
    )


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ("canny=FILM,glow=2", "The control canny has no dial 'glow'; it has: preset, low"),
        ("canny=FILM,glow=2", "It also takes strength, attention, mask, downscale, temporal"),
        ("canny=FILM,thickness=0", "The line thickness is 0 pixels"),
        ("canny=FILM,blur=1,blur=2", "says blur twice"),
        ("tracks=FILM,canvas=64x48", "canvas is about files of tracks"),
        ("tracks=FILM,canvas=64", "canvas '64' is not a size"),
        ("green=FILM,mask=none.png", "There is no file none.png"),
    ],
)
def test_dials_that_cannot_be_are_refused_before_the_clip_is_read(
    micro_model: Path, film_path: Path, control: str, message: str
) -> None:
    for path in (str(film_path), "none.mp4"):
        done = plan(micro_model, "--control", control.replace("FILM", path))
        assert done.exit_code == 1 and message in done.stderr and done.stderr.strip().count("\n") == 0


def test_what_is_not_installed_is_told_before_the_clip_is_read(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ai_edge_litert.interpreter", "rtmlib", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.onnx").touch()
    for control in (
        "pose=none.mp4",
        "pose=none.mp4,estimator=dwpose",
        f"depth=none.mp4,estimator={tmp_path}/a.onnx",
    ):
        done = plan(micro_model, "--control", control)
        assert done.exit_code == 1 and "pip install" in done.stderr, control
    # Keypoints need none of them.
    write_keypoints(poses_of(*[[person()]] * 9, fps=16.0), tmp_path / "pose.json")
    words = (
        "--control",
        f"pose={tmp_path}/pose.json,scale=0.5,person=0,face=no",
        "--size",
        "64x64",
        "--fps",
        16,
    )
    content = planned(micro_model, *words)
    assert content["references"][0]["dials"] == {"scale": 0.5, "person": 0, "face": False}
    assert not texts(content, "error")
    nobody = planned(micro_model, *words[:1], f"pose={tmp_path}/pose.json,scale=0.5,person=3", *words[2:])
    assert "There is no person 3; there are 1, counted from 0." in texts(nobody, "error")[0]


def test_a_render_and_a_list_of_keypoints(micro_model: Path, tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    for number in range(9):
        distances = np.linspace(1, 9 + number, 32 * 48, dtype=np.float32).reshape(32, 48)
        write_exr(tmp_path / "z" / f"{number}.exr", {"Z": distances})
    content = planned(
        micro_model, "--control", f"depth={tmp_path}/z,render=yes,convention=near-black", "--fps", 16
    )
    assert content["references"][0]["dials"] == {"render": True, "convention": "near-black"}
    assert not texts(content, "error") and content["num_frames"] == 9
    (tmp_path / "list.json").write_text('[[{"x": 4, "y": 4}, {"x": 40, "y": 40}]]')
    words = ("--control", f"tracks={tmp_path}/list.json,canvas=64x48,keypoints=yes")
    assert not texts(planned(micro_model, *words), "error")


def test_a_render_may_begin_with_nothing_but_sky(micro_model: Path, tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    for number in range(9):
        distances = np.linspace(1, 9, 32 * 48, dtype=np.float32).reshape(32, 48)
        sky = np.full((32, 48), 1e10, np.float32)
        write_exr(tmp_path / "z" / f"{number}.exr", {"Z": distances if number else sky})
    for fps in ((), ("--fps", 16)):
        content = planned(micro_model, "--control", f"depth={tmp_path}/z,render=yes", *fps)
        assert not texts(content, "error") and content["num_frames"] == 9


def test_a_render_is_not_steadied_as_the_adapter_was_trained(micro_model: Path, tmp_path: Path) -> None:
    distances = np.linspace(1, 9, 32 * 48, dtype=np.float32).reshape(32, 48)
    write_exr(tmp_path / "z.exr", {"Z": distances})
    about = {"iclora.control": "depth", "iclora.config": '{"control": {"stabilise": 0.5}}'}
    file = adapters.write(tmp_path / "a.safetensors", random_layers(micro_model), adapter_metadata() | about)
    content = planned(micro_model, "--adapter", file, "--control", f"depth={tmp_path}/z.exr,render=yes")
    assert content["references"][0]["dials"] == {"render": True} and not texts(content, "error")


def test_green_under_a_mask_of_another_size(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    half = np.zeros((1, 24, 32, 3), np.uint8)
    half[:, :, :16] = 255
    mask = media.save(Clip(frames=half, fps=1.0), tmp_path / "mask.png")
    assert not texts(planned(micro_model, "--control", f"green={film_path},mask={mask}"), "error")
    square = media.save(Clip(frames=half[:, :, :9], fps=1.0), tmp_path / "square.png")
    refused = planned(micro_model, "--control", f"green={film_path},mask={square}")
    assert "The mask is 9x24, another shape than the clip, 64x48" in texts(refused, "error")[0]


def test_plan_sees_what_generate_would(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    flat = media.save(Clip(frames=np.full((9, 64, 64, 3), 90, np.uint8), fps=16.0), tmp_path / "flat.mp4")
    done = plan(micro_model, "--control", f"canny={flat}")
    assert done.exit_code == 1 and "flat.mp4: no frame shows anything: it controls nothing." in done.stdout
    assert plan(micro_model, "--control", f"canny={film_path}").exit_code == 0
    noise = np.random.default_rng(3).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    other = media.save(
        Clip(frames=np.kron(noise[:, ::8, ::8], np.ones((1, 8, 8, 1), np.uint8)), fps=1.0), tmp_path / "o.png"
    )
    said = plan(micro_model, "--control", f"canny={film_path}", "--image", f"{other}@0").stdout
    assert "o.png at frame 0 disagrees with film.mp4 there" in said
    still = media.save(Clip(frames=moving_square().frames[:1], fps=1.0), tmp_path / "s.png")
    assert (
        "disagrees"
        not in plan(micro_model, "--control", f"canny={film_path}", "--image", f"{still}@0").stdout
    )


def test_normals_want_depth(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    coloured = plan(micro_model, "--control", f"normals={film_path}")
    assert coloured.exit_code == 1 and "made of a depth picture, and this clip has colours" in coloured.stdout
    noise = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 1), dtype=np.uint8)
    grey = media.save(Clip(frames=np.repeat(noise, 3, axis=3), fps=16.0), tmp_path / "grey")
    told = "grey: normals are drawn of depth, and this clip looks like a film or a photo."
    assert told in plan(micro_model, "--control", f"normals={grey}", "--fps", 16).stdout
    slope = np.broadcast_to(np.linspace(0, 255, 64)[None, :, None, None], (9, 64, 64, 3)).astype(np.uint8)
    depth = media.save(Clip(frames=slope, fps=16.0), tmp_path / "depth")
    assert "normals are drawn" not in plan(micro_model, "--control", f"normals={depth}", "--fps", 16).stdout
    already = "looks like depth already, and depth is looked for in it."
    for words, told in (
        (f"depth={depth}", True),
        (f"depth={depth},render=yes", False),
        (f"depth={film_path}", False),
    ):
        assert (already in plan(micro_model, "--control", words, "--fps", 16).stdout) == told


def test_slow_estimators_see_the_beginning_and_none_is_fetched(
    micro_model: Path, film_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    name = "depth-anything-v2-small"
    words = ("--control", f"depth={film_path},estimator={name}", "--frames", 17)
    content = planned(micro_model, *words)
    told = f"film.mp4: the film is looked at and not its depth, as {name} is fetched on first use"
    assert told in " ".join(texts(content, "note"))
    for path in controls.missing_weights(name):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    seen = []

    def guess(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for frame in frames:
            seen.append(frame)
            yield np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)

    monkeypatch.setattr(finding, "named", lambda *given, **dials: guess)
    content = planned(micro_model, *words)
    assert f"film.mp4: looked at in its first 9 frames, as {name} is slow. " in texts(content, "note")
    assert len(seen) == 9 and content["num_frames"] == 17


def test_the_device_is_looked_for_by_plan(micro_model: Path) -> None:
    for device, words in (
        ("warp", ("--control", "canny=none.mp4", "--device", "warp")),
        ("cuda:99", ("--control", "canny=none.mp4", "--device", "cuda:99")),
        ("meta", ("--device", "meta")),
        ("warp", ("--control", "depth=none.mp4,device=warp")),
    ):
        done = plan(micro_model, *words)
        assert done.exit_code == 1
        assert f"There is no device '{device}' here; use cpu" in done.stderr


def test_an_even_control_strength_becomes_an_attention_strength(micro_model: Path, film_path: Path) -> None:
    control = ("--control", f"canny={film_path}")
    for even, attention in ((1, 1.0), (0.5, pytest.approx(0.1087, abs=1e-4)), (0, 0.0)):
        content = planned(micro_model, *control, "--control-strength", even)
        assert content["references"][0]["attention_strength"] == attention
    both = plan(micro_model, *control, "--control-strength", 0.5, "--attention-strength", 0.5)
    assert both.exit_code == 1 and "are one dial; say one of them" in both.stderr
    none = plan(micro_model, "--control-strength", 0.5)
    assert none.exit_code == 1 and "--control-strength is about references" in none.stderr
    beyond = plan(micro_model, *control, "--control-strength", 1.5)
    assert beyond.exit_code == 1 and "The control strength is 1.5" in beyond.stderr
