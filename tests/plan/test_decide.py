"""plan.decide: what is chosen, changed, said and refused. The model: 64x64, 9 frames, 16 fps."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iclora import adapters
from iclora.errors import AdapterError, ModelError, RequestError
from iclora.plan import ImageRequest, Plan, ReferenceRequest, Request, Source, make_plan
from tests.micro import adapter_metadata, random_layers, save_thick


def source(**changes: Any) -> Source:
    facts: dict[str, Any] = {"label": "in.mp4", "height": 64, "width": 64, "num_frames": 9, "fps": 16.0}
    return Source(**(facts | changes))


def canny_of(**changes: Any) -> ReferenceRequest:
    return ReferenceRequest(source=source(**changes), control="canny")


def said(plan: Plan, level: str) -> list[str]:
    return [str(finding) for finding in plan.findings if finding.level == level]


def test_nothing_asked_is_the_models_own(micro_model: Path) -> None:
    plan = make_plan(Request(prompt="a red ball", model=str(micro_model)))
    assert (plan.height, plan.width, plan.num_frames, plan.fps) == (64, 64, 9, 16.0)
    assert plan.grid.shape == (2, 4, 4)
    assert (plan.num_target_tokens, plan.num_reference_tokens) == (32, 0)
    assert plan.sigmas[0] == 1.0 and len(plan.sigmas) == 9
    assert said(plan, "note") == ["The model 'micro' has no audio of its own: a silent clip."]
    plan.check()


def test_a_control_brings_the_models_adapter_and_its_half_size(micro_model: Path) -> None:
    plan = make_plan(Request(prompt="a ball", model=str(micro_model), references=(canny_of(),)))
    assert [(adapter.name, adapter.weight, adapter.rank) for adapter in plan.adapters] == [("canny", 1.0, 2)]
    reference = plan.references[0]
    assert (reference.downscale, reference.height, reference.width, reference.num_frames) == (2, 32, 32, 9)
    assert reference.grid.shape == (2, 2, 2) and plan.num_reference_tokens == 8
    assert "No adapter was named; the model's own 'canny' is used." in said(plan, "note")


def test_words_that_do_nothing_are_told(micro_model: Path) -> None:
    plan = make_plan(
        Request(prompt="", model=str(micro_model), negative_prompt="a box", adapters=(("canny", 1.0),))
    )
    assert said(plan, "warning") == [
        "The negative prompt does nothing, as there is no guidance. Ask for a guidance scale above 1, or "
        "leave it out.",
        "There is an adapter but no reference: there is nothing for it to follow. Add a control or "
        "a reference, unless it follows none.",
    ]


def test_adapters_that_saw_their_control_drawn_differently(micro_model: Path, tmp_path: Path) -> None:
    thick = save_thick(micro_model, tmp_path / "thick.safetensors")
    blurred = save_thick(micro_model, tmp_path / "blurred.safetensors", blur=2)
    request = Request(
        prompt="",
        model=str(micro_model),
        adapters=((str(thick), 1.0), (str(blurred), 1.0)),
        references=(canny_of(),),
    )
    plan = make_plan(request)
    assert plan.references[0].dials == {"thickness": 3}
    assert said(plan, "warning") == [
        "The adapters were trained on canny drawn in different ways; that of 'thick' is used. Say how by the "
        "dials of the control, or use one of these adapters at a time."
    ]
    assert "in.mp4: lines 3 px thick, as the adapter 'thick' was trained on." in said(plan, "note")


def test_a_plan_is_json(micro_model: Path) -> None:
    plan = make_plan(Request(prompt="a ball", model=str(micro_model), references=(canny_of(fps=30.0),)))
    content = json.loads(json.dumps(plan.to_json()))
    assert content["width"] == 64 and content["num_reference_tokens"] == 8
    assert content["references"][0]["grid"] == {"frames": 2, "height": 2, "width": 2}


@pytest.mark.parametrize(
    ("size", "with_reference", "expected"),
    [
        ((70, 58), False, (64, 64)),
        ((33, 36), False, (32, 32)),
        ((72, 64), True, (64, 64)),
        ((80, 64), True, (96, 64)),
    ],
)
def test_sizes_are_snapped_and_said(
    micro_model: Path, size: tuple[int, int], with_reference: bool, expected: tuple[int, int]
) -> None:
    """Multiples of 16; of 32 where a half-size reference must fit too."""
    references = (canny_of(),) if with_reference else ()
    plan = make_plan(Request(prompt="", model=str(micro_model), size=size, references=references))
    assert (plan.height, plan.width) == expected
    multiple = 32 if with_reference else 16
    text = f"Size {size[1]}x{size[0]} becomes {expected[1]}x{expected[0]}"
    advice = "Ask for multiples of that to choose the size yourself."
    assert said(plan, "warning") == [f"{text}: both sides must be multiples of {multiple}. {advice}"]


@pytest.mark.parametrize(("asked", "made"), [(9, 9), (12, 9), (13, 17), (21, 25), (1, 1), (2, 1), (5, 9)])
def test_frames_are_snapped_and_said(micro_model: Path, asked: int, made: int) -> None:
    plan = make_plan(Request(prompt="", model=str(micro_model), num_frames=asked))
    assert plan.num_frames == made
    text = (
        f"{asked} frames become {made}: the model makes 8k+1 frames. Ask for one more than a multiple of 8 "
    )
    text += "to choose yourself."
    assert said(plan, "warning") == ([] if asked == made else [text])


def test_frames_fit_references_of_fewer_frames_too(micro_model: Path) -> None:
    reference = ReferenceRequest(source=source(), temporal_factor=2)
    plan = make_plan(Request(prompt="", model=str(micro_model), num_frames=25, references=(reference,)))
    assert plan.num_frames == 33
    assert any("25 frames become 33: the model makes 16k+1 frames." in text for text in said(plan, "warning"))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("size", (64.5, 64), "The size is 64.5 and 64; give whole numbers"),
        ("num_frames", 2.5, "The number of frames is 2.5; give whole numbers"),
        ("num_frames", np.int64(9), None),
    ],
)
def test_counts_that_are_no_whole_numbers_are_refused(name: str, value: Any, text: str | None) -> None:
    request = Request(prompt="")
    object.__setattr__(request, name, value)  # as without the type checks of the test run
    if text is None:
        request.__post_init__()
        return
    with pytest.raises(RequestError, match=text):
        request.__post_init__()


def test_a_reference_smaller_than_anything_is_refused(micro_model: Path) -> None:
    reference = ReferenceRequest(source=source(), downscale=10**20)
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(reference,)))
    (text,) = said(plan, "error")
    assert f"the downscale factor is {10**20}; a whole number from 1 to 64 is accepted." in text


def test_a_loaded_model_has_the_adapters_it_has(micro_model: Path) -> None:
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(canny_of(),), loaded=True))
    assert plan.adapters == ()
    assert any("There are references but no adapter" in text for text in said(plan, "warning"))


def test_the_first_reference_gives_the_aspect_ratio(micro_model: Path) -> None:
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(canny_of(height=90, width=360),)))
    assert (plan.height, plan.width) == (32, 128)
    text = "Size 128x32, from the aspect ratio of in.mp4 (360x90). Another can be asked for."
    assert text in said(plan, "note")
    asked = Request(prompt="", model=str(micro_model), size=(64, 64), references=(canny_of(),))
    assert not any("aspect ratio" in note for note in said(make_plan(asked), "note"))


@pytest.mark.parametrize(("fps", "expected"), [(18.0, 18.0), (30.0, 16.0), (5.0, 16.0)])
def test_its_rate_is_followed_near_the_models(micro_model: Path, fps: float, expected: float) -> None:
    plan = make_plan(
        Request(prompt="", model=str(micro_model), references=(canny_of(fps=fps, num_frames=40),))
    )
    assert plan.fps == expected
    changed = f"resampled from {fps:g} to 16 frames per second"
    assert any(changed in text for text in said(plan, "note")) is (fps != expected)


@pytest.mark.parametrize(
    ("num_frames", "text"),
    [
        (40, "in.mp4: its first 0.562 seconds are used. Ask for more frames; for another part, cut it."),
        (5, "in.mp4: its last frame is held for the last 4 frames. Ask for fewer frames."),
        (1, "in.mp4: the still is repeated."),
        (9, None),
    ],
)
def test_length_is_matched_and_said(micro_model: Path, num_frames: int, text: str | None) -> None:
    plan = make_plan(
        Request(prompt="", model=str(micro_model), references=(canny_of(num_frames=num_frames),))
    )
    assert plan.num_frames == 9
    assert [note for note in said(plan, "note") if note.startswith("in.mp4")] == (
        [] if text is None else [text]
    )


def test_length_follows_a_short_clip(micro_model: Path) -> None:
    """The larger counts are cut to the model's 9; a clip of 12 frames makes 9, not 17."""
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(canny_of(num_frames=12),)))
    assert plan.num_frames == 9


def test_cropping_is_said(micro_model: Path) -> None:
    asked = Request(prompt="", model=str(micro_model), size=(64, 64), references=(canny_of(height=48),))
    text = "in.mp4: its sides are cropped, 25% of the picture. A size as wide to high as 64 to 48 keeps all."
    assert text in said(make_plan(asked), "note")
    whole = dataclasses.replace(asked, size=(96, 128))
    assert not any("cropped" in note for note in said(make_plan(whole), "note"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (10, 64)}, "A size of 64x10 is too small: both sides must be 32 or more, and"),
        ({"size": (64, 10**6)}, "A size of 1000000x64 is too large: .* and 16384 at most. Ask for 64x64."),
        ({"num_frames": 10**21}, f"{10**21} frames are more than 100000. Ask for 9."),
        ({"fps": 1e-9}, "A frame rate of 1e-09 is no rate. Ask for 16."),
        ({"fps": 1e9}, r"A frame rate of 1e\+09 is no rate. Ask for 16."),
        ({"num_frames": 0}, "0 frames are no clip. Ask for 9."),
        ({"fps": 0.0}, "A frame rate of 0 is no rate. Ask for 16."),
        ({"fps": float("nan")}, "A frame rate of nan is no rate"),
        ({"size": (4096, 4096)}, "need 4096 times the 32 tokens the model was made for; at most 64 times"),
        ({"seed": -1}, "The seed is -1; a whole number from 0"),
        ({"guidance_scale": 0.5}, "The guidance scale is 0.5; a number from 1"),
        ({"prompt": "many words " * 20}, r"The prompt has \d+ tokens; the model takes 16. Shorten it."),
        (
            {"images": (ImageRequest(label="a.png", frame=9),)},
            "a.png is to stand at frame 9; there are frames 0 to 8",
        ),
        (
            {"images": (ImageRequest(label="a.png", frame=0, strength=2.0),)},
            "a.png: the strength is 2; a number from",
        ),
        (
            {"references": (ReferenceRequest(source=source(), strength=1.5),)},
            "the strength is 1.5; a number from 0",
        ),
        (
            {"references": (ReferenceRequest(source=source(), downscale=0),)},
            "the downscale factor is 0; a whole",
        ),
        ({"adapters": (("canny", float("inf")),)}, "The adapter weight inf is not a number"),
    ],
)
def test_what_cannot_be_met_is_an_error(micro_model: Path, changes: dict[str, Any], message: str) -> None:
    plan = make_plan(Request(**({"prompt": "", "model": str(micro_model)} | changes)))
    with pytest.raises(RequestError, match=message):
        plan.check()


def test_large_requests_are_warned_of(micro_model: Path) -> None:
    plan = make_plan(Request(prompt="", model=str(micro_model), size=(128, 192)))
    assert (
        "need 6 times the 32 tokens the model was made for; quality may suffer." in said(plan, "warning")[0]
    )
    plan.check()


def test_a_rate_far_from_the_models_is_warned_of(micro_model: Path) -> None:
    plan = make_plan(Request(prompt="", model=str(micro_model), fps=60.0))
    assert said(plan, "warning") == [
        "60 frames per second is far from the model's 16: motion may suffer. Ask for 12 to 20, and change "
        "the rate of the result afterwards."
    ]
    assert said(make_plan(Request(prompt="", model=str(micro_model), fps=18.0)), "warning") == []


def test_references_without_an_adapter_are_warned_of(micro_model: Path) -> None:
    plan = make_plan(
        Request(prompt="", model=str(micro_model), references=(ReferenceRequest(source=source()),))
    )
    assert plan.references[0].downscale == 1
    assert "There are references but no adapter" in said(plan, "warning")[0]


def test_tracks_without_a_first_picture_are_told_of(micro_model: Path) -> None:
    tracks = dataclasses.replace(canny_of(), control="tracks", source=source(is_lines=False))

    def told(frames: list[int], control: ReferenceRequest) -> bool:
        images = tuple(ImageRequest(label="a.png", frame=frame) for frame in frames)
        asked = Request(prompt="a", model=str(micro_model), references=(control,), images=images)
        return any("what moves along the tracks" in text for text in said(make_plan(asked), "note"))

    assert told([], tracks) and told([8], tracks)
    assert not told([0], tracks) and not told([], canny_of())


def test_a_downscale_other_than_the_adapters_is_warned_of(micro_model: Path) -> None:
    reference = ReferenceRequest(source=source(is_lines=True), downscale=1)
    plan = make_plan(
        Request(prompt="", model=str(micro_model), adapters=(("canny", 1.0),), references=(reference,))
    )
    assert plan.references[0].downscale == 1
    text = "in.mp4: downscale factor 1 as asked, but the adapter learned 2. Leave it out to take that."
    assert said(plan, "warning") == [text]
    same = dataclasses.replace(reference, downscale=2)
    request = Request(prompt="", model=str(micro_model), adapters=(("canny", 1.0),), references=(same,))
    assert said(make_plan(request), "warning") == []


def test_adapters_that_disagree_need_a_word(micro_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "third.safetensors"
    adapters.write(file, random_layers(micro_model), adapter_metadata(downscale=3))
    asked = Request(
        prompt="",
        model=str(micro_model),
        adapters=(("canny", 1.0), (str(file), 1.0)),
        references=(ReferenceRequest(source=source(is_lines=True)),),
    )
    with pytest.raises(AdapterError, match="different values of the downscale factor: 2 or 3"):
        make_plan(asked).check()


def test_an_adapter_that_does_not_say_its_factor_is_warned_of(micro_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "quiet-ref0.5.safetensors"
    adapters.write(file, random_layers(micro_model), {})
    plan = make_plan(Request(prompt="", model=str(micro_model), adapters=((str(file), 1.0),)))
    assert plan.adapters[0].downscale == 2
    assert "2 is taken, from the file name." in said(plan, "warning")[0]


def test_an_adapter_for_another_base_is_refused(micro_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    adapters.write(file, random_layers(micro_model), adapter_metadata(base="ltx-2.3"))
    plan = make_plan(Request(prompt="", model=str(micro_model), adapters=((str(file), 1.0),)))
    with pytest.raises(AdapterError, match="was trained on the base 'ltx-2.3', but this model is 'micro'"):
        plan.check()


def test_an_unknown_adapter_names_those_there_are(micro_model: Path) -> None:
    with pytest.raises(AdapterError, match=r"There is no adapter 'depth'.*the model's own \(canny\)"):
        make_plan(Request(prompt="", model=str(micro_model), adapters=(("depth", 1.0),)))


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model"):
        make_plan(Request(prompt="", model=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("dials", "isolate", "warned"),
    [
        ([{}, {}], None, False),
        ([{}, {"attention_strength": 0.5}], None, True),
        ([{"masked": True}, {}], None, True),
        ([{"attention_strength": 0.5}], None, False),
        ([{}, {"attention_strength": 0.0}, {}], None, False),
        ([{"masked": True}, {"attention_strength": 0.0}, {}], None, True),
        ([{}, {"attention_strength": 0.5}], True, False),
        ([{}, {"attention_strength": 0.5}], False, False),
    ],
)
def test_a_jump_between_references_is_warned_of(
    micro_model: Path, dials: list[dict[str, Any]], *, isolate: bool | None, warned: bool
) -> None:
    references = tuple(ReferenceRequest(source=source(), **dial) for dial in dials)
    plan = make_plan(Request(prompt="", model=str(micro_model), references=references, isolate=isolate))
    assert any("the result jumps" in text for text in said(plan, "warning")) == warned
    assert plan.isolate is isolate and plan.to_json()["isolate"] is isolate


def test_a_later_image_counts_among_the_references(micro_model: Path) -> None:
    asked = Request(
        prompt="",
        model=str(micro_model),
        references=(ReferenceRequest(source=source(), attention_strength=0.5),),
        images=(ImageRequest(label="a.png", frame=8),),
    )
    assert any("the result jumps" in text for text in said(make_plan(asked), "warning"))
    first = dataclasses.replace(asked, images=(ImageRequest(label="a.png", frame=0),))
    assert not any("the result jumps" in text for text in said(make_plan(first), "warning"))


def test_guidance_is_held_against_the_models_own(micro_model: Path, released_models: dict[str, Path]) -> None:
    """`micro` is distilled, `2.0` is made for a scale of 3."""

    def found(model: Path, scale: float) -> str:
        asked = Request(prompt="", model=str(model), guidance_scale=scale, negative_prompt="a")
        return " ".join(map(str, make_plan(asked).findings))

    doubled, idle, own = (
        "Guidance doubles the time",
        "The negative prompt does nothing",
        "Ask for a guidance of 3.",
    )
    assert doubled in found(micro_model, 2.0) and doubled not in found(micro_model, 1.0)
    assert idle in found(micro_model, 1.0) and idle not in found(micro_model, 2.0)
    assert own in found(released_models["2.0"], 1.0) and own not in found(released_models["2.0"], 3.0)


def test_what_the_plan_takes_for_itself_is_said(micro_model: Path, released_models: dict[str, Path]) -> None:
    def notes(model: Path, **clip: Any) -> str:
        return " ".join(
            said(make_plan(Request(prompt="", model=str(model), references=(canny_of(**clip),))), "note")
        )

    rate = "16 frames per second, the model's own, as in.mp4 has 30. Another can be asked for."
    assert rate in notes(micro_model, fps=30.0) and "the model's own, as" not in notes(micro_model, fps=18.0)
    silent = "'iclora generate --keep-audio' keeps that of the first control."
    assert silent in notes(micro_model) and silent not in notes(released_models["2.3"])
    schedule = "taken for a distilled model"
    assert schedule in notes(released_models["2.3"]) and schedule not in notes(micro_model)
