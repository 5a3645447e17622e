"""Released models on the hub: found where they were fetched to, one clear line where they were not."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, OfflineModeIsEnabled

from iclora.checkpoints import fetch, find, hub
from iclora.errors import ModelError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def put(model: Path, cache: Path) -> Path:
    """Lay a model into the hub's cache, as if it had been fetched."""
    repository, commit = cache / "models--owner--name", "0" * 40
    folder = shutil.copytree(model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return folder


def test_a_fetched_model_is_found(cache: Path, released_models: dict[str, Path]) -> None:
    folder = put(released_models["2.3"], cache)
    assert find("owner/name") == folder


@pytest.mark.parametrize("name", ["owner/name", "owner/na--me"])
def test_a_model_that_was_not_fetched(cache: Path, name: str) -> None:
    message = f"There is no model '{name}': it is not a folder, .* Fetch it with: iclora models fetch {name}"
    with pytest.raises(ModelError, match=message):
        find(name)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LocalEntryNotFoundError("no network"), r"The hub cannot be reached for owner/name \(no network\)"),
        (OfflineModeIsEnabled("offline\nmode"), r"The hub cannot be reached for owner/name \(offline\)"),
        (EntryNotFoundError("404"), "owner/name has no model_index.json: it is not in diffusers' layout"),
        (
            OSError("gated"),
            r"cannot be fetched \(gated\). Check the name, accept its licence .* hf auth login",
        ),
        (OSError(""), r"cannot be fetched \(OSError\)"),
    ],
)
def test_what_keeps_a_model_from_being_fetched(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def refuse(*words: Any, **settings: Any) -> None:
        raise error

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(ModelError, match=message):
        fetch("owner/name")


@pytest.mark.parametrize("error", [ConnectionError("no network"), OfflineModeIsEnabled("offline")])
def test_what_was_fetched_before_needs_no_hub(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    released_models: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(hub.controls_hub, "reach", refuse)
    folder = put(released_models["2.3"], cache)
    assert fetch("owner/name") == folder
    assert "cannot be reached; owner/name is as it was fetched before" in caplog.text
    (folder / "model_index.json").unlink()
    with pytest.raises(ModelError, match="The hub cannot be reached for owner/name"):
        fetch("owner/name")


def test_only_the_parts_are_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def snapshot(repository: str, **settings: Any) -> str:
        asked.update(settings, repository=repository)
        return str(tmp_path)

    monkeypatch.setattr(hub, "hf_hub_download", lambda repository, name: str(tmp_path / name))
    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    assert fetch("owner/name") == tmp_path and asked["repository"] == "owner/name"
    assert "transformer/*" in asked["allow_patterns"] and "model_index.json" in asked["allow_patterns"]
