"""controls.estimators: which networks are fetched, and that each of them is known everywhere."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from iclora import controls
from iclora.cli import app
from iclora.controls.depths import RELEASES
from iclora.controls.poses import ESTIMATORS
from iclora.doctor import examine
from iclora.errors import RequestError


def test_all_that_is_fetched_is_named_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set(controls.FETCHED) == {*ESTIMATORS, *RELEASES} - {"tiny"}  # which is in the package
    assert all(controls.weight_files(name) for name in controls.FETCHED)
    said = " ".join(CliRunner().invoke(app, ["models", "fetch", "--help"], terminal_width=200).stdout.split())
    checks = [check.about for check in examine(tmp_path)]
    for name in controls.FETCHED:
        assert name in said and f"weights {name}" in checks


def test_what_is_here_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    release = RELEASES["depth-anything-v2-small"]
    release.by_hand.mkdir(parents=True)
    for name in release.names:
        (release.by_hand / name).write_bytes(b"here")
    files = controls.fetch_weights("depth-anything-v2-small")
    assert [path.name for path in files] == list(release.names)
    assert all(path.read_bytes() == b"here" for path in files)
    assert CliRunner().invoke(app, ["models", "fetch", release.name]).stdout.split() == list(map(str, files))


def test_there_is_nothing_to_fetch_for_others() -> None:
    with pytest.raises(RequestError, match="nothing to fetch for 'tiny'; choose one of blazepose, dwpose"):
        controls.fetch_weights("tiny")
