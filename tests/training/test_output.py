"""What an adapter's file and card say, of one control, of several, of none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iclora import adapters
from iclora.errors import OutputError, RequestError
from iclora.plan import model_facts
from iclora.training import Store, TrainingSettings, output, resolve
from tests.micro import random_layers


def settings_of(**adapter: Any) -> TrainingSettings:
    return resolve({"output": "run", "data": {"path": "secret/place"}, "adapter": adapter})


def store_of(prepared: Path, controls: dict[str, dict[str, Any]]) -> Store:
    store = Store.open(prepared)
    return replace(store, settings=replace(store.settings, controls=controls))


@pytest.mark.parametrize(
    ("controls", "said", "told"),
    [
        (("canny",), "", ("canny",)),
        (("canny", "depth", "pose"), "", ("canny", "depth", "pose")),
        (("depth", "tracks"), "", ("depth", "tracks")),
        ((), "film", ("film",)),
        ((), "", ()),
    ],
)
def test_what_it_follows(
    controls: tuple[str, ...],
    said: str,
    told: tuple[str, ...],
    prepared: Path,
    micro_model: Path,
    tmp_path: Path,
) -> None:
    store = store_of(prepared, {kind: {} for kind in controls})
    facts = model_facts(str(micro_model))
    metadata = output.metadata_of(settings_of(control=said), store, facts, step=5, score={})
    path = tmp_path / "a.safetensors"
    adapters.write(path, random_layers(micro_model), metadata)
    outline = adapters.read_outline(path)
    assert outline.controls == told and outline.downscale == 2
    config = json.loads(metadata["iclora.config"])
    assert config["steps"] == 5 and "secret" not in metadata["iclora.config"]


def test_dials_of_all_controls_go_together_unless_they_differ(prepared: Path) -> None:
    both = store_of(prepared, {"canny": {"thickness": 3}, "pose": {"thickness": 3, "people": 2}})
    assert output.dials_of(both) == {"thickness": 3, "people": 2}
    with pytest.raises(RequestError, match="thickness=3 and, for pose, thickness=2"):
        output.dials_of(store_of(prepared, {"canny": {"thickness": 3}, "pose": {"thickness": 2}}))


def test_the_card_of_a_style_names_no_control(prepared: Path, micro_model: Path) -> None:
    store, facts = store_of(prepared, {}), model_facts(str(micro_model))
    settings = settings_of()
    metadata = output.metadata_of(settings, store, facts, step=5, score={})
    rows = [replace(row, num_references=0) for row in store.samples]
    style = replace(store, settings=replace(store.settings, trigger="INKY"), samples=tuple(rows))
    card = output.card(settings, style, facts, "style", metadata)
    assert "plain LoRA" in card and "The prompt must hold the word `INKY`" in card
    assert "--control" not in card and "Adherence" not in card
    shown = output.card(settings, store, facts, "mine", metadata)  # its references came with the dataset
    assert "of a kind that was not said" in shown and "--reference in.mp4" in shown


def test_the_hub_gets_the_adapter_and_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    class Hub:
        def create_repo(self, repository: str, exist_ok: bool) -> None:
            sent.append(repository)

        def upload_file(self, *, path_or_fileobj: Path, path_in_repo: str, repo_id: str) -> None:
            if path_in_repo == "README.md":
                raise OSError("offline")
            sent.append(path_in_repo)

    monkeypatch.setattr(output, "HfApi", Hub)
    with pytest.raises(OutputError, match="me/canny cannot be written to .offline.*hf auth login"):
        output.push(tmp_path, ("canny.safetensors", "README.md"), "me/canny")
    assert sent == ["me/canny", "canny.safetensors"]
