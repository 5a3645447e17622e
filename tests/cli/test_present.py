"""cli.present: what is shown, and the JSON beside a result."""

import json
from pathlib import Path

import pytest

from iclora.cli import present
from iclora.errors import OutputError, RequestError
from iclora.plan import Finding


def test_findings_are_said_errors_first(capsys: pytest.CaptureFixture[str]) -> None:
    note = Finding(level="note", text="A [note].")
    error = Finding(level="error", text="An error.", advice="Mend it.")
    present.say_findings((note, error))
    assert capsys.readouterr().err.splitlines() == ["  error: An error. Mend it.", "   note: A [note]."]


def test_bars_take_each_kind_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    with present.bars() as report:
        report("reading", 1, None)
        present.steps_of(report, "sampling")(8, 8)
    shown = capsys.readouterr().err
    assert "reading" in shown and "sampling" in shown and "8/8" in shown


def test_words_stand_behind_a_bar_once_it_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with present.bars_with_words() as (report, tell):
        tell("training", "too early")
        report("training", 1, 2)
        tell("training", "loss 0.5")
    said = capsys.readouterr().err
    assert "loss 0.5" in said and "too early" not in said


def test_the_sidecar_stands_beside_the_result(tmp_path: Path) -> None:
    path = present.write_sidecar(tmp_path / "a.mp4", {"prompt": "añ"})
    assert path == tmp_path / "a.mp4.json"
    assert json.loads(path.read_text(encoding="utf-8")) == {"prompt": "añ"}


def test_a_folder_in_the_sidecars_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4.json").mkdir()
    with pytest.raises(OutputError, match="is a folder, but the notes on the result go there"):
        present.check_outputs(str(tmp_path / "a.mp4"), overwrite=True)


def test_a_sidecar_that_could_not_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.mp4.json").symlink_to(tmp_path / "gone.json")
    with pytest.raises(OutputError, match=r"a.mp4.json exists; choose another name or allow overwriting"):
        present.check_outputs(str(tmp_path / "a.mp4"), overwrite=False)
    with pytest.raises(OutputError, match="File name too long"):
        present.check_outputs(str(tmp_path / ("a" * 233 + ".mp4")), overwrite=False)


def test_notes_that_find_no_room_leave_a_whole_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: object, **settings: object) -> None:
        raise OutputError("No room.")

    monkeypatch.setattr(present, "write_file", full)
    with pytest.raises(OutputError, match=r"a.mp4 is whole, but its notes are not there. No room."):
        present.write_sidecar(tmp_path / "a.mp4", {})


def test_nothing_that_a_result_is_made_from_is_replaced(tmp_path: Path) -> None:
    frames, clip = tmp_path / "frames", tmp_path / "clip.mp4"
    frames.mkdir()
    for number in range(3):
        (frames / f"frame_{number:04d}.png").write_bytes(b"frame")
    clip.write_bytes(b"clip")
    pattern, one = frames / "frame_%04d.png", frames / "frame_0001.png"
    for output, source in (
        (f"{frames}/", pattern),
        (f"{frames}/", one),
        (str(one), frames),
        (str(clip), clip),
    ):
        with pytest.raises(OutputError, match="is what the result is made from, and would be lost"):
            present.check_outputs(output, overwrite=True, sources=[source])
    out = tmp_path / "out"
    for path, taken in ((one, frames), (one, pattern), (out / "sheet.png", out), (clip, clip)):
        with pytest.raises(RequestError, match="is another result or a source of it"):
            present.check_beside([("a sheet", path, (path.suffix,))], taken=[taken], overwrite=True)
    assert present.check_outputs(str(frames / "edges.mp4"), overwrite=True, sources=[frames, pattern])
    present.check_beside([("a sheet", tmp_path / "s.png", (".png",))], taken=[frames, clip], overwrite=False)


def test_nothing_is_put_into_a_folder_that_is_a_result(tmp_path: Path) -> None:
    """It would be in the way of the frames, which are put there once all are drawn."""
    out, film = tmp_path / "out", tmp_path / "film"
    for folder in (out, film):
        (folder / "deeper").mkdir(parents=True)
    for place in (out / "tracks.json", out / "deeper" / "tracks.json", film / ".." / "out" / "a.json"):
        with pytest.raises(RequestError, match=r"lies inside the result .*out, which holds frames alone"):
            named = [("tracks", place, (".json",))]
            present.check_beside(named, taken=[out, film], overwrite=True, result=out)
    named = [("tracks", film / "tracks.json", (".json",))]
    present.check_beside(named, taken=[out, film], overwrite=True, result=out)
