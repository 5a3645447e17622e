"""plan.checking: references hardly looked at, more than adapters know, and adapters made for other models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iclora import adapters
from iclora.checkpoints import MoreGuidance, read_recipe
from iclora.plan import ReferenceRequest, Request, Source, make_plan
from tests.micro import random_layers

SOURCE = Source(label="in.mp4", height=64, width=64, num_frames=9, fps=16.0)


def warnings(model: Path, *strengths: float, adapters: int = 1) -> list[str]:
    references = tuple(
        ReferenceRequest(source=SOURCE, control="canny", attention_strength=strength)
        for strength in strengths
    )
    request = Request(
        prompt="",
        model=str(model),
        adapters=(("canny", 1.0),) * adapters,
        references=references,
        isolate=True,
    )
    return [str(finding) for finding in make_plan(request).findings if finding.level == "warning"]


@pytest.mark.parametrize(
    ("strength", "word"), [(0.0, "is 0: the video does not"), (0.1, "0.1 is low"), (0.2, "0.2 is low")]
)
def test_low_attention_is_told(micro_model: Path, strength: float, word: str) -> None:
    found = warnings(micro_model, strength)
    assert len(found) == 1 and f"in.mp4: the attention strength {word}" in found[0]


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_usual_attention_is_not(micro_model: Path, strength: float) -> None:
    assert warnings(micro_model, strength) == []


def test_two_controls_for_an_adapter_trained_with_one(micro_model: Path) -> None:
    found = warnings(micro_model, 1.0, 0.8)
    assert (
        len(found) == 1 and "2 references for 'canny': the adapter was trained with one at a time" in found[0]
    )


def test_one_that_is_not_seen_does_not_count_nor_one_for_each_adapter(micro_model: Path) -> None:
    assert not any("references for" in text for text in warnings(micro_model, 1.0, 0.0))
    assert not any("references for" in text for text in warnings(micro_model, 1.0, 1.0, adapters=2))


def told(model: Path, adapter: Path, level: str) -> list[str]:
    request = Request(
        prompt="",
        model=str(model),
        adapters=((str(adapter), 1.0),),
        references=(ReferenceRequest(source=replace(SOURCE, height=640, width=640)),),
        guidance_scale=read_recipe(model).guidance_scale,
    )
    return [str(finding) for finding in make_plan(request).findings if finding.level == level]


def released(model: Path, folder: Path, name: str, **metadata: str) -> Path:
    """Write a file that fits a model, under the name of a released one."""
    said = {key.replace("__", "."): value for key, value in metadata.items()}
    said = {"reference_downscale_factor": "1"} | said
    return adapters.write(folder / f"{name}.safetensors", random_layers(model), said)


UNION = "ltx-2.3-22b-ic-lora-union-control-ref0.5"


def test_a_released_adapter_is_known_by_its_name(released_models: dict[str, Path], tmp_path: Path) -> None:
    model = released_models["2.3"]
    union = released(model, tmp_path, UNION)
    text = (
        f"{UNION}.safetensors does not say what it follows; known by its file name: canny or depth or pose."
    )
    assert any(text in note for note in told(model, union, "note")) and told(model, union, "warning") == []
    deblur = released(model, tmp_path, "ltx-2.3-22b-ic-lora-deblur-0.9")
    assert any("by its file name: the film as it is." in note for note in told(model, deblur, "note"))
    own = released(model, tmp_path, "mine", iclora__control="canny")
    assert not any("file name" in note for note in told(model, own, "note"))


def test_a_released_adapter_of_another_base(released_models: dict[str, Path], tmp_path: Path) -> None:
    model = released_models["2.3"]
    older = released(model, tmp_path, "ltx-2-19b-ic-lora-depth-control")
    found = told(model, older, "warning")
    assert len(found) == 1 and "is for the base 'ltx-2.0' (known by its file name)" in found[0]
    assert "this model is 'ltx-2.3'" in found[0] and "Load the base it was" in found[0]
    said = released(model, tmp_path, "ltx-2-19b-ic-lora-pose-control", iclora__base="ltx-2.3")
    assert told(model, said, "warning") == []


def test_a_distilled_adapter_on_a_dev_model(released_models: dict[str, Path], tmp_path: Path) -> None:
    dev, distilled = released_models["2.0"], released_models["2.3"]
    known = released(dev, tmp_path, "ltx-2-19b-ic-lora-canny-control")
    found = told(dev, known, "warning")
    assert len(found) == 1 and "is made for distilled models (known by its file name)" in found[0]
    assert "this is a dev one, with 40 steps and guidance 3." in found[0]
    assert "Load the distilled model of its base." in found[0]
    said = {"iclora__control": "canny", "iclora__recipe": "distilled"}
    assert (
        "is made for distilled models, but" in told(dev, released(dev, tmp_path, "a", **said), "warning")[0]
    )
    other = said | {"iclora__recipe": "dev"}
    assert told(dev, released(dev, tmp_path, "b", **other), "warning") == []
    found = told(distilled, released(distilled, tmp_path, "c", **other), "warning")
    assert len(found) == 1 and "is made for dev models, but this is a distilled one, with 8 steps" in found[0]
    assert told(distilled, released(distilled, tmp_path, "d", **said), "warning") == []
    silent = released(dev, tmp_path, "ltx-2-19b-ic-lora-detailer")
    assert told(dev, silent, "warning") == []


def test_a_model_of_another_kind_is_not_compared(micro_model: Path, tmp_path: Path) -> None:
    said = {"iclora__control": "canny", "iclora__recipe": "dev"}
    assert told(micro_model, released(micro_model, tmp_path, "a", **said), "warning") == []


def test_guidance_that_cannot_be(micro_model: Path, released_models: dict[str, Path]) -> None:
    def found(model: Path, **words: Any) -> str:
        asked = Request(prompt="", model=str(model), more_guidance=MoreGuidance(**words))
        return " ".join(map(str, make_plan(asked).findings))

    assert "not known which blocks of this model stg leaves" in found(micro_model, stg_scale=1.0)
    assert "audio and modality do nothing" in found(micro_model, modality_scale=3.0)
    assert "audio and modality do nothing" not in found(released_models["2.3"], modality_scale=3.0)
