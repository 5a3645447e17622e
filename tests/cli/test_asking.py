"""cli.asking, and control: films are brought to what is needed while they are read, not held."""

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
from iclora.clip import Audio, Clip
from iclora.controls.poses import finding
from iclora.media import room, video_reader
from tests.controls.poses.people import person
from tests.micro import moving_square

BIG = {"height": 192, "width": 256, "num_frames": 12}
"""The micro model makes 64x64: all that is held of a film is to be far smaller than this."""


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A film, lines and a render of it, and a mask of its right half, all larger than the result."""
    film = moving_square(**BIG)
    film = Clip(frames=film.frames, fps=film.fps, audio=Audio(samples=_tone(48_000), sample_rate=48_000))
    media.save(film, tmp_path / "film.mp4")
    media.save(controls.canny(film), tmp_path / "lines")
    media.save(controls.depth(film), tmp_path / "depth")
    mask = np.zeros_like(film.frames)
    mask[:, :, 128:] = 255
    mask[4:, :, 64:128] = 120
    media.save(Clip(frames=mask, fps=film.fps), tmp_path / "mask")
    return tmp_path


def _tone(num_samples: int) -> np.ndarray:
    return np.sin(np.arange(num_samples, dtype=np.float32) / 20)[None] / 2


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each clip that is made, films of no size being small enough to hold."""
    monkeypatch.setattr(room, "HELD_BYTES", 0)
    sizes: list[int] = []
    check = Clip.__post_init__

    def counted(clip: Clip) -> None:
        check(clip)
        sizes.append(clip.frames.nbytes)

    monkeypatch.setattr(Clip, "__post_init__", counted)
    return sizes


WAYS = [
    "--control canny={0}/film.mp4 --keep-audio",
    "--control soft-edges={0}/film.mp4,stabilise=0.5 --fps 12 --frames 17",
    "--control green={0}/film.mp4,mask={0}/mask",
    "--control normals={0}/depth",
    "--control depth={0}/depth,render=yes",
    "--reference {0}/film.mp4,mask={0}/mask",
    "--reference {0}/lines --fps 12",
]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_held_gives_the_same(micro_model: Path, folder: Path, way: str, held: list[int]) -> None:
    words = ("generate", "--model", micro_model, "--prompt", "a ball", "--size", "64x48")
    words += tuple(way.format(folder).split())
    streamed = invoke(*words, "-o", folder / "streamed.mp4")
    assert streamed.exit_code == 0, streamed.output
    assert max(held) <= 9 * 96 * 128 * 3  # as large as the depth of a result is found, to score it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "HELD_BYTES", 2**29)
        assert invoke(*words, "-o", folder / "held.mp4").exit_code == 0
    assert (folder / "streamed.mp4").read_bytes() == (folder / "held.mp4").read_bytes()
    notes = [json.loads((folder / f"{name}.mp4.json").read_text()) for name in ("streamed", "held")]
    assert notes[0] == notes[1]


def test_plan_holds_no_film_either(micro_model: Path, folder: Path, held: list[int]) -> None:
    words = ("plan", "--model", micro_model, "--prompt", "a ball", "--size", "64x64", "--json")
    sources = (
        "--reference",
        f"{folder}/film.mp4,mask={folder}/mask",
        "--control",
        f"canny={folder}/film.mp4",
    )
    done = invoke(*words, *sources)
    assert done.exit_code == 0, done.output
    assert max(held) <= 192 * 256 * 3  # a frame of the mask, to see that it can be read


@pytest.mark.parametrize("kind", ["canny", "depth", "pose", "tracks"])
def test_control_holds_no_film_either(
    folder: Path, held: list[int], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def somebody(frames: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for number, _ in enumerate(frames):
            yield [person(number)]

    monkeypatch.setattr(finding, "ESTIMATORS", {"tiny": lambda: somebody})
    estimator = ("--estimator", "tiny") if kind == "pose" else ()
    done = invoke("control", kind, folder / "film.mp4", "-o", f"{folder}/drawn/", *estimator)
    assert done.exit_code == 0, done.output
    assert len(list((folder / "drawn").glob("*.png"))) == 12
    assert max(held, default=0) <= 192 * 256 * 3  # a frame at most


def test_the_rate_of_an_uneven_film_is_its_average(micro_model: Path, tmp_path: Path) -> None:
    """Five frames at 60 a second, then fifteen at 10: 20 frames in 1.58 seconds."""
    film, frames = tmp_path / "uneven.mkv", moving_square(num_frames=20).frames
    with av.open(str(film), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(1000))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = (
                round(16.7 * min(index, 5) + 100 * max(0, index - 5)),
                Fraction(1, 1000),
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    words = ("plan", "--model", micro_model, "--prompt", "a ball", "--control", f"canny={film}", "--fps", 16)
    done = invoke(*words)
    average = media.read(film).fps
    assert 12 < average < 13.5
    assert f"uneven.mkv: resampled from {average:.4g} to 16 frames per second" in done.stdout, done.output


def test_a_small_film_is_decoded_once(
    micro_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference that is gone through several times is decoded once, after its clock was learned."""
    decoded: list[int] = []
    begin = video_reader._timed
    monkeypatch.setattr(video_reader, "_timed", lambda *file: decoded.append(1) or begin(*file))
    words = ("plan", "--model", micro_model, "--prompt", "a ball", "--reference", folder / "film.mp4")
    assert invoke(*words).exit_code == 0
    assert len(decoded) == 2


def test_controls_of_one_film_are_told_apart(micro_model: Path, film_path: Path) -> None:
    """What is so of the film is said once; what is so of a control by its name."""
    film = film_path.name
    words = ["plan", "--model", micro_model, "-p", "a", "--size", "96x64", "--json"]
    twice = ["--control", f"canny={film_path}", "--control", f"blur={film_path}"]
    planned = json.loads(invoke(*words, *twice).stdout)
    assert [one["label"] for one in planned["references"]] == [f"canny of {film}", f"blur of {film}"]
    texts = [one["text"] for one in planned["findings"]]
    assert texts.count(next(text for text in texts if "are cropped" in text)) == 1
    assert len([text for text in texts if "are cropped" in text]) == 1
    assert any(text.startswith(f"blur of {film}: the control is blur, but") for text in texts)
    shown = invoke(*words[:-1], *twice).stdout
    assert f"reference canny of {film}, " in shown or f"reference canny of {film}:" in shown


@pytest.mark.parametrize("other", [False, True])
def test_labels_of_what_is_named_once_or_alike(
    micro_model: Path, film_path: Path, tmp_path: Path, *, other: bool
) -> None:
    """One film is called by its name; a film of the same name elsewhere, or the same twice, by numbers."""
    name = film_path.name
    same = tmp_path / name
    same.write_bytes(film_path.read_bytes())
    words = ["plan", "--model", micro_model, "-p", "a", "--json", "--control", f"canny={film_path}"]
    (one,) = json.loads(invoke(*words).stdout)["references"]
    assert one["label"] == name
    again = same if other else film_path
    references = json.loads(invoke(*words, "--control", f"canny={again},thickness=3").stdout)["references"]
    called = name if other else f"canny of {name}"
    assert [one["label"] for one in references] == [f"{called} (1)", f"{called} (2)"]


def test_a_result_of_one_frame_is_said_right(micro_model: Path) -> None:
    shown = invoke("plan", "--model", micro_model, "-p", "a", "--frames", "1").stdout
    assert "result    64x64, 1 frame, " in shown


def test_each_control_has_words_of_its_own(micro_model: Path, folder: Path) -> None:
    film, mask, output = folder / "film.mp4", folder / "mask", folder / "out.mp4"
    words = ["generate", "--model", micro_model, "--prompt", "a ball", "-o", output, "--frames", 17]
    words += ["--control", f"canny={film},attention=0.4,strength=0.9,mask={mask},thickness=2"]
    words += ["--control", f"canny={film},downscale=1,temporal=2"]
    assert (result := invoke(*words)).exit_code == 0, result.output
    first, second = json.loads((folder / "out.mp4.json").read_text())["plan"]["references"]
    assert (first["attention_strength"], first["strength"], first["masked"]) == (0.4, 0.9, True)
    assert (first["temporal_factor"], first["num_frames"], first["dials"]["thickness"]) == (1, 17, 2)
    assert (second["attention_strength"], second["strength"], second["masked"]) == (1.0, 1.0, False)
    assert (second["downscale"], second["temporal_factor"], second["num_frames"]) == (1, 2, 9)
    wrong = invoke(*words, "--overwrite", "--control", f"canny={film},attention=much")
    assert wrong.exit_code == 1 and "attention='much' is not a number" in wrong.stderr
    still = media.save(moving_square(num_frames=1), folder / "still.mp4").read_bytes()
    onto = ["--control", f"canny={film},mask={folder / 'still.mp4'}", "-o", folder / "still.mp4"]
    assert invoke(*words[:5], *onto, "--overwrite").exit_code == 1
    assert (folder / "still.mp4").read_bytes() == still
