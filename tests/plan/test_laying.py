"""plan.laying: a reference that is not what the adapter follows, its clock, and how its control is drawn."""

from pathlib import Path
from typing import Any

import pytest

from iclora import adapters
from iclora.errors import AdapterError
from iclora.plan import Plan, ReferenceRequest, Request, Source, make_plan
from tests.micro import random_layers, save_thick

SOURCE = Source(label="in.mp4", height=64, width=64, num_frames=9, fps=16.0)


def adapter(model: Path, path: Path, control: str, **dials: Any) -> Path:
    metadata = adapters.describe(
        downscale=1, temporal_factor=1, control=control, base="micro", version="1", config={"control": dials}
    )
    return adapters.write(path, random_layers(model), metadata)


def planned(model: Path, file: Path | str, reference: ReferenceRequest) -> Plan:
    return make_plan(
        Request(prompt="", model=str(model), adapters=((str(file), 1.0),), references=(reference,))
    )


def said(plan: Plan, level: str) -> list[str]:
    return [str(finding) for finding in plan.findings if finding.level == level]


@pytest.mark.parametrize(
    ("follows", "asked", "words"),
    [
        (
            "depth",
            "canny",
            "follows depth. Give it the control depth, or name an adapter that follows canny.",
        ),
        (
            "union",
            "tracks",
            "follows canny or depth or pose. Give it the control canny or the control depth",
        ),
        ("film", "canny", "follows film. Give it the film as it is, or name an adapter that follows canny."),
    ],
)
def test_a_control_that_the_adapter_does_not_follow(
    micro_model: Path, tmp_path: Path, follows: str, asked: str, words: str
) -> None:
    file = adapter(micro_model, tmp_path / "a.safetensors", follows)
    plan = planned(micro_model, file, ReferenceRequest(source=SOURCE, control=asked))
    (text,) = said(plan, "warning")
    assert f"in.mp4: the control is {asked}, but the adapter {words}" in text


@pytest.mark.parametrize("asked", ["canny", "depth", "pose", None])
def test_a_union_follows_each_of_its_controls(micro_model: Path, tmp_path: Path, asked: str | None) -> None:
    file = adapter(micro_model, tmp_path / "a.safetensors", "union")
    plan = planned(micro_model, file, ReferenceRequest(source=SOURCE, control=asked))
    assert said(plan, "warning") == [] and plan.adapters[0].controls == ("canny", "depth", "pose")


@pytest.mark.parametrize(("has_rate", "told"), [(False, True), (True, False)])
def test_pictures_without_a_rate(micro_model: Path, *, has_rate: bool, told: bool) -> None:
    source = Source(label="in", height=64, width=64, num_frames=9, fps=16.0, has_rate=has_rate)
    plan = planned(micro_model, "canny", ReferenceRequest(source=source, control="canny"))
    text = "in: pictures have no frame rate; 16 per second are taken. Say the rate (fps) they were made at."
    assert said(plan, "warning") == ([text] if told else [])


@pytest.mark.parametrize(
    ("side", "control", "size", "downscale", "level", "text"),
    [
        (
            *(30, None, (64, 64), 1, "warning"),
            "in.mp4: enlarged 2.13 times, from 30x30 to 64x64: what it shows becomes soft. "
            "Make it at 64x64 or larger, or ask for a smaller size.",
        ),
        (32, None, (64, 64), 1, "note", "in.mp4: scaled from 32x32 to 64x64."),
        (30, None, (64, 64), 2, "note", "in.mp4: scaled from 30x30 to 32x32."),
        (96, None, (64, 64), 1, "note", "in.mp4: scaled from 96x96 to 64x64."),
        (64, None, (64, 64), 1, "", ""),
        (96, None, None, 1, "", ""),  # the size is from its aspect ratio, which is said
        (30, "canny", (64, 64), 1, "", ""),
    ],
)
def test_the_scaling_of_a_ready_clip_is_told(  # noqa: PLR0913  what the cases differ in
    micro_model: Path,
    side: int,
    control: str | None,
    size: tuple[int, int] | None,
    downscale: int,
    level: str,
    text: str,
) -> None:
    source = Source(label="in.mp4", height=side, width=side, num_frames=9, fps=16.0)
    reference = ReferenceRequest(source=source, control=control, downscale=downscale)
    adapters = (("canny", 1.0),)
    plan = make_plan(
        Request(prompt="", model=str(micro_model), adapters=adapters, references=(reference,), size=size)
    )
    told = [(one.level, str(one)) for one in plan.findings if "scaled" in one.text or "enlarged" in one.text]
    assert told == ([(level, text)] if level else [])


def test_dials_are_said_where_there_are_any(micro_model: Path, tmp_path: Path) -> None:
    thick = save_thick(micro_model, tmp_path / "thick.safetensors")
    lines = Source(label="in.mp4", height=64, width=64, num_frames=9, fps=16.0, is_lines=True)
    for file, told in ((thick, True), ("canny", False)):
        for reference in (
            ReferenceRequest(source=SOURCE, control="canny"),
            ReferenceRequest(source=lines),
        ):
            notes = said(planned(micro_model, file, reference), "note")
            assert any("lines 3 px thick, as the adapter 'thick'" in note for note in notes) is told


@pytest.mark.parametrize(("control", "dial"), [("depth", "stabilise"), ("pose", "smooth")])
def test_what_is_not_filmed_is_not_steadied(
    micro_model: Path, tmp_path: Path, control: str, dial: str
) -> None:
    file = adapter(micro_model, tmp_path / "a.safetensors", control, **{dial: 0.5})
    for filmed, dials in ((True, {dial: 0.5}), (False, {})):
        plan = planned(micro_model, file, ReferenceRequest(source=SOURCE, control=control, filmed=filmed))
        assert plan.references[0].dials == dials
        assert any(f"{dial} 0.5, as the adapter 'a'" in note for note in said(plan, "note")) is filmed


def test_a_union_has_dials_of_each_control(micro_model: Path, tmp_path: Path) -> None:
    file = adapter(micro_model, tmp_path / "a.safetensors", "union", thickness=3, convention="inferno")
    for control, dials in (("canny", {"thickness": 3}), ("depth", {"convention": "inferno"}), ("pose", {})):
        plan = planned(micro_model, file, ReferenceRequest(source=SOURCE, control=control))
        assert plan.references[0].dials == dials
        told = "in.mp4: convention inferno, as the adapter 'a' was trained on." in said(plan, "note")
        assert told is (control == "depth")
    assert plan.adapters[0].conventions == ("inferno",)
    broken = adapter(micro_model, tmp_path / "b.safetensors", "union", glow=3)
    with pytest.raises(AdapterError, match="on canny or depth or pose drawn with .*It has no dial 'glow'"):
        planned(micro_model, broken, ReferenceRequest(source=SOURCE))


@pytest.mark.parametrize(
    ("name", "dials", "asked", "trained"),
    [
        ("a", {}, "inferno", "near-white"),
        ("a", {}, "near-white", None),
        ("a", {"convention": "inferno"}, "near-white", "inferno"),
        ("ltx-2.3-22b-ic-lora-union-control-ref0.5", {}, "near-black", "near-white"),
        ("ltx-2.3-22b-ic-lora-union-control-ref0.5", {}, "inferno", None),
    ],
)
def test_depth_drawn_otherwise_than_in_training_is_told_once(
    micro_model: Path, tmp_path: Path, name: str, dials: dict[str, str], asked: str, trained: str | None
) -> None:
    file = adapter(micro_model, tmp_path / f"{name}.safetensors", "depth" if name == "a" else "", **dials)
    reference = ReferenceRequest(source=SOURCE, control="depth", dials={"convention": asked})
    told = [text for text in said(planned(micro_model, file, reference), "warning") if "as asked" in text]
    text = (
        f"in.mp4: convention {asked} as asked, but the adapter '{name}' was trained on convention "
        f"{trained}. Leave convention out, unless the control shall look otherwise."
    )
    assert told == ([] if trained is None else [text])


def test_every_finding_that_changes_something_says_what_to_do(micro_model: Path) -> None:
    reference = ReferenceRequest(source=SOURCE, control="canny", strength=2.0, downscale=0)
    plan = planned(micro_model, "canny", reference)
    wrong = [finding for finding in plan.findings if finding.level != "note"]
    assert len(wrong) == 2 and all(finding.advice for finding in wrong)
