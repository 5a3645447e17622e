"""cli.glimpses: contact sheets of films that are written frame by frame."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from iclora import controls, media
from iclora.cli import app
from iclora.cli.glimpses import Glimpses
from iclora.clip import Clip, Film


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["control", *(str(word) for word in words)])
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    "kind", ["canny", "soft-edges", "line-art", "normals", "grey", "blur", "blocks", "green"]
)
def test_a_sheet_of_every_control(kind: str, film_path: Path, tmp_path: Path) -> None:
    """The same as is made of the result."""
    source = tmp_path / film_path.name  # grey, as normals want it
    controls.grey(media.read(film_path)).save(source)
    words = (kind, source, "-o", f"{tmp_path}/made/", "--sheet", tmp_path / "sheet.png")
    assert run(*words)[0] == 0
    made = media.read(tmp_path / "made")
    expected = media.contact_sheet([made], labels=[f"{kind} of {film_path.name}"], num_columns=5, height=160)
    assert np.array_equal(media.read(tmp_path / "sheet.png").frames[0], expected)


def test_a_still_is_shown_once(tmp_path: Path) -> None:
    frames = [np.full((32, 48, 3), 90, np.uint8)]
    glimpses = Glimpses(Film(frames=frames, height=32, width=48, num_frames=1, fps=24.0))
    assert isinstance(glimpses.film.read(), Clip)
    glimpses.save(tmp_path / "one.png", "a still", overwrite=False)
    assert media.read(tmp_path / "one.png").width == 240


def test_a_sheet_that_could_not_be_written_is_refused_before_the_work(
    film_path: Path, tmp_path: Path
) -> None:
    code, said = run("grey", film_path, "-o", tmp_path / "a.mp4", "--sheet", tmp_path / "sheet.txt")
    assert code == 1 and "Cannot write a sheet as" in said and not (tmp_path / "a.mp4").exists()
