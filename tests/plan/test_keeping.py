"""plan.keeping: what is kept of references, what it takes, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from iclora import adapters
from iclora.checkpoints import read_recipe
from iclora.errors import AdapterError, RequestError
from iclora.plan import (
    ImageRequest,
    Plan,
    PlannedCache,
    ReferenceRequest,
    Request,
    Source,
    kept_values,
    make_plan,
    model_facts,
)
from tests.micro import save_one_way, save_thick

SOURCE = Source(label="in.mp4", height=64, width=64, num_frames=9, fps=16.0)
CANNY = ReferenceRequest(source=SOURCE, control="canny")
NOISED = ReferenceRequest(source=SOURCE, control="canny", strength=0.5)
UNSEEN = ReferenceRequest(source=SOURCE, control="canny", attention_strength=0.0)


@pytest.fixture(scope="module")
def one_way(micro_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_one_way(micro_model, tmp_path_factory.mktemp("adapters") / "apart.safetensors")


def planned(model: Path, mode: str, *references: ReferenceRequest, **changes: Any) -> Plan:
    return make_plan(
        Request(prompt="", model=str(model), references=references, reference_cache=mode, **changes)
    )


def said(plan: Plan, level: str) -> list[str]:
    return [str(finding) for finding in plan.findings if finding.level == level]


def test_values_kept_of_a_token(micro_model: Path) -> None:
    facts = model_facts(str(micro_model))
    config = json.loads((micro_model / "transformer" / "config.json").read_text())
    width = config["num_attention_heads"] * config["attention_head_dim"]
    assert not read_recipe(micro_model).has_audio
    assert kept_values(facts) == 2 * width * config["num_layers"]


def test_nothing_is_kept_unless_asked_for(micro_model: Path) -> None:
    plan = planned(micro_model, "off", CANNY)
    assert plan.reference_cache == PlannedCache() and plan.one_way is False
    assert plan.to_json()["reference_cache"] == {"mode": "off", "num_tokens": 0, "num_bytes": 0}


@pytest.mark.parametrize(
    ("mode", "changes", "bytes_of_a_value"),
    [
        ("every:4", {}, 4),
        ("every:4", {"dtype": torch.bfloat16}, 2),
        ("every:4,host", {"guidance_scale": 2.0}, 8),
        ("every:4,fp8", {}, 1),
    ],
)
def test_memory_is_counted(
    micro_model: Path, mode: str, changes: dict[str, Any], bytes_of_a_value: int
) -> None:
    plan = planned(micro_model, mode, CANNY, **changes)
    num_bytes = 8 * kept_values(model_facts(str(micro_model))) * bytes_of_a_value
    assert plan.reference_cache == PlannedCache(mode=mode, num_tokens=8, num_bytes=num_bytes)
    assert any("computed in 2 of 8 steps and kept between" in note for note in said(plan, "note"))


def test_keyframes_are_kept_with_references_that_look_at_them(micro_model: Path, one_way: Path) -> None:
    images = (ImageRequest(label="a.png", frame=0), ImageRequest(label="b.png", frame=8))
    assert planned(micro_model, "every:2", CANNY, images=images).reference_cache.num_tokens == 16 + 8
    apart = {"adapters": ((str(one_way), 1.0),)}
    assert planned(micro_model, "exact", CANNY, images=images, **apart).reference_cache.num_tokens == 8
    assert planned(micro_model, "every:2", UNSEEN, CANNY).reference_cache.num_tokens == 8
    # Without isolation others see what the target does not, so it stays, if there are others.
    assert planned(micro_model, "every:2", UNSEEN, CANNY, isolate=False).reference_cache.num_tokens == 16
    unseen = planned(micro_model, "every:2", UNSEEN, isolate=False, images=images)
    assert unseen.reference_cache.num_tokens == 16 + 8
    assert planned(micro_model, "every:2", UNSEEN, isolate=False).reference_cache.num_tokens == 0


def test_exact_is_for_one_way_adapters(micro_model: Path, one_way: Path) -> None:
    plan = planned(micro_model, "exact", CANNY, adapters=((str(one_way), 1.0),))
    plan.check()
    assert plan.one_way and plan.reference_cache.mode == "exact"
    assert plan.adapters[0].reference_attention == "one_way"
    refused = planned(micro_model, "exact", CANNY)
    with pytest.raises(RequestError, match="needs an adapter trained one_way.*Say every:2 or more"):
        refused.check()
    assert refused.reference_cache == PlannedCache()
    noised = planned(micro_model, "exact", CANNY, NOISED, adapters=((str(one_way), 1.0),))
    with pytest.raises(RequestError, match="in.mp4: at strength 0.5 it is noised.*Leave its strength at 1"):
        noised.check()
    kept = planned(micro_model, "every:2", CANNY, adapters=((str(one_way), 1.0),))
    assert any("without loss. Ask for the reference cache 'exact'." in note for note in said(kept, "note"))
    exact = planned(micro_model, "exact", CANNY, adapters=((str(one_way), 1.0),))
    assert not any("without loss" in note for note in said(exact, "note"))


def test_what_is_no_more_than_an_approximation_is_said(micro_model: Path, one_way: Path) -> None:
    apart = {"adapters": ((str(one_way), 1.0),)}
    rounded = (
        "What is kept of references is rounded to 8 bits a value: an approximation. Without ,fp8 it is kept "
        "as it is."
    )
    for adapter in ({}, apart):
        assert rounded in said(planned(micro_model, "every:2,fp8", CANNY, **adapter), "note")
        assert rounded not in said(planned(micro_model, "every:2", CANNY, **adapter), "note")
    # A picture that is kept looks at the video, whatever the reference that nobody sees was trained to do.
    images = (ImageRequest(label="b.png", frame=8),)
    picture = planned(micro_model, "every:2", UNSEEN, images=images, **apart)
    assert picture.reference_cache.num_tokens == 16
    assert any("computed in 4 of 8 steps and kept between" in note for note in said(picture, "note"))


def test_adapters_that_do_not_go_together(micro_model: Path, one_way: Path, tmp_path: Path) -> None:
    thick = save_thick(micro_model, tmp_path / "thick.safetensors")
    both = planned(micro_model, "off", CANNY, adapters=((str(one_way), 1.0), (str(thick), 1.0)))
    with pytest.raises(
        AdapterError, match=r"'apart' do not look at the video \(one_way\), those of 'thick' do"
    ):
        both.check()
    style = adapters.read(thick)
    plain = adapters.write(tmp_path / "style.safetensors", style.layers, {"reference_downscale_factor": "1"})
    stacked = planned(micro_model, "exact", CANNY, adapters=((str(plain), 1.0), (str(one_way), 1.0)))
    stacked.check()
    assert stacked.one_way
    warning = "'style' has references as well and does not say whether they look at the video"
    assert any(warning in text for text in said(stacked, "warning"))
    style_alone = adapters.write(tmp_path / "look.safetensors", style.layers, {})
    plain_stack = planned(
        micro_model, "exact", CANNY, adapters=((str(style_alone), 1.0), (str(one_way), 1.0))
    )
    assert plain_stack.one_way and not any(
        "does not say whether" in text for text in said(plain_stack, "warning")
    )


@pytest.mark.parametrize(
    ("mode", "references", "reason"),
    [
        ("every:4", (), "there is no reference that is seen"),
        ("every:4", (UNSEEN,), "there is no reference that is seen"),
        ("exact", (), "there is no reference that is seen"),
        ("every:1", (CANNY,), "every:1 computes references in every step, as off does"),
        ("every:4", (CANNY, NOISED), "references of a strength below 1 change in every step"),
    ],
)
def test_what_gains_nothing_is_told(
    micro_model: Path, mode: str, references: tuple[ReferenceRequest, ...], reason: str
) -> None:
    plan = planned(micro_model, mode, *references)
    plan.check()
    assert any(f"The reference cache does nothing: {reason}" in warning for warning in said(plan, "warning"))
    assert plan.reference_cache == PlannedCache()


@pytest.mark.parametrize("mode", ["sometimes", "every:0", "exact,fp8"])
def test_words_that_are_no_mode(micro_model: Path, mode: str) -> None:
    plan = planned(micro_model, mode, CANNY)
    with pytest.raises(RequestError, match=f"The reference cache '{mode}'"):
        plan.check()
