"""plan.facts: read from configs and headers, whatever is wrong with them said."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from iclora import adapters
from iclora.errors import AdapterError, ModelError
from iclora.geometry import LatentFactors
from iclora.plan import adapter_facts, model_facts, num_prompt_tokens
from iclora.plan.facts import own_adapters
from tests.micro import adapter_metadata, random_layers, save_thick


def test_model_facts(micro_model: Path) -> None:
    facts = model_facts(str(micro_model))
    assert facts.recipe.name == "micro" and facts.path == micro_model
    assert facts.factors == LatentFactors(time=8, height=16, width=16)
    assert facts.grid.shape == (2, 4, 4)
    assert list(facts.adapters) == ["canny"]


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("[]", "holds no settings"), (None, "cannot be read")]
)
def test_a_damaged_config_is_named(micro_model: Path, tmp_path: Path, text: str | None, message: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(micro_model, folder)
    config = folder / "vae" / "config.json"
    config.unlink()
    if text is not None:
        config.write_text(text)
    with pytest.raises(ModelError, match=message):
        model_facts(str(folder))


def test_a_missing_tokenizer_is_named(micro_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(micro_model, folder, ignore=shutil.ignore_patterns("tokenizer"))
    with pytest.raises(ModelError, match="The tokenizer in .* cannot be read"):
        num_prompt_tokens(model_facts(str(folder)), "a ball")


def test_prompt_tokens_are_counted_with_the_first(micro_model: Path) -> None:
    facts = model_facts(str(micro_model))
    assert num_prompt_tokens(facts, "") == 1
    assert num_prompt_tokens(facts, " a red ball ") == 4


def test_adapter_facts(micro_model: Path) -> None:
    facts = adapter_facts(model_facts(str(micro_model)), "canny")
    assert (facts.outline.controls, facts.outline.base, facts.outline.downscale) == (("canny",), "micro", 2)
    assert facts.misfit == ""


def test_the_adapter_that_follows_all_controls_and_little_else_is_chosen(
    micro_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(micro_model, tmp_path / "model")
    layers = random_layers(micro_model)
    follow = {"union": "union", "union-one-way": "union", "style": "", "trails": "tracks"}
    for name, control in follow.items():
        metadata = adapter_metadata() | {"iclora.control": control}
        adapters.write(folder / "adapters" / f"{name}.safetensors", layers, metadata)
    (folder / "adapters" / "a-broken-one.safetensors").write_bytes(b"")
    facts = model_facts(str(folder))
    assert own_adapters(facts, ["canny", "pose", "tracks"]) == ["union", "trails"]
    assert own_adapters(facts, ["canny"]) == ["canny"]
    assert own_adapters(facts, ["depth"]) == ["union"]
    assert own_adapters(facts, ["canny", "pose"]) == ["union"]
    assert own_adapters(facts, ["depth", "tracks"]) == ["trails", "union"]
    assert own_adapters(facts, ["blur"]) == own_adapters(facts, []) == []


def test_how_the_control_was_drawn_is_read(micro_model: Path, tmp_path: Path) -> None:
    facts = model_facts(str(micro_model))
    assert adapter_facts(facts, "canny").dials == {}
    thick = save_thick(micro_model, tmp_path / "thick.safetensors", thickness=3, blur=2.5)
    assert adapter_facts(facts, str(thick)).dials == {"thickness": 3, "blur": 2.5}
    named = save_thick(micro_model, tmp_path / "named.safetensors", preset="ltx-2")
    assert adapter_facts(facts, str(named)).dials == {"preset": "ltx-2"}
    # Where it was from is not how it looks, and need not be installed here.
    found = save_thick(micro_model, tmp_path / "found.safetensors", blur=2.5, backend="none", estimator="no")
    assert adapter_facts(facts, str(found)).dials == {"blur": 2.5}


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"glow": 2}, "drawn with {\"glow\": 2}, which this version cannot draw: It has no dial 'glow'"),
        ({"thickness": "3"}, "thickness='3' of the control canny is not a whole number"),
        ({"thickness": 0}, "which this version cannot draw: The line thickness is 0"),
        ({"thickness": 2.5}, "thickness=2.5 of the control canny is not a whole number"),
        ({"progress": 1}, "It has no dial 'progress'"),
        ({"low": 9.0, "high": 5.0}, "9"),
        ({"blur": float("nan")}, "The blur is nan"),
    ],
)
def test_a_control_that_cannot_be_drawn_is_refused(
    micro_model: Path, tmp_path: Path, dials: dict[str, Any], message: str
) -> None:
    file = save_thick(micro_model, tmp_path / "a.safetensors", **dials)
    with pytest.raises(AdapterError, match=message):
        adapter_facts(model_facts(str(micro_model)), str(file))


@pytest.mark.parametrize("text", ["{", "[]", '{"control": 3}'])
def test_settings_that_are_no_settings_are_named(micro_model: Path, tmp_path: Path, text: str) -> None:
    metadata = adapter_metadata() | {"iclora.config": text}
    file = adapters.write(tmp_path / "a.safetensors", random_layers(micro_model), metadata)
    with pytest.raises(AdapterError, match="'iclora.config' of a.safetensors is not readable JSON settings"):
        adapter_facts(model_facts(str(micro_model)), str(file))


def test_layers_of_another_size_do_not_fit(micro_model: Path, tmp_path: Path) -> None:
    name, layer = next(iter(random_layers(micro_model).items()))
    wide = adapters.LowRank(down=layer.down.repeat(1, 2), up=layer.up)
    file = adapters.write(tmp_path / "wide.safetensors", {name: wide}, {})
    assert "does not fit this model" in adapter_facts(model_facts(str(micro_model)), str(file)).misfit


def test_a_missing_adapter_is_named(micro_model: Path) -> None:
    with pytest.raises(AdapterError, match="There is no adapter 'x.safetensors'"):
        adapter_facts(model_facts(str(micro_model)), "x.safetensors")
