"""findings.closer and pictures: a plan looked at again; a first frame that disagrees with the control."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iclora import adapters, controls, media
from iclora.clip import Clip, Film, Frames
from iclora.controls.depths.conventions import CONVENTIONS
from iclora.controls.poses.skeleton import NUM_POINTS
from iclora.errors import MissingDependencyError
from iclora.findings import Shown, agreement, figures_agreement, look_closer, looks_like_depth
from iclora.plan import ImageRequest, Plan, ReferenceRequest, Request, Source, make_plan
from tests.findings import clips
from tests.micro import random_layers


def planned(
    model: Path, clip: Clip, *frames: int, control: str | None = None, attention: float = 1.0
) -> Plan:
    source = Source.of(clip, "in.mp4")
    reference = ReferenceRequest(source=source, control=control, attention_strength=attention)
    images = tuple(ImageRequest(label=f"{frame}.png", frame=frame) for frame in frames)
    adapters = (("canny", 1.0),)
    return make_plan(
        Request(prompt="", model=str(model), adapters=adapters, references=(reference,), images=images)
    )


def added(plan: Plan, shown: Shown, *images: tuple[int, Clip]) -> list[str]:
    return [str(one) for one in look_closer(plan, [shown], images).findings[len(plan.findings) :]]


def scribble(seed: int) -> np.ndarray:
    """Blocks of random brightness."""
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 6, 1))
    return np.repeat(np.kron(blocks, np.ones((16, 16, 1))), 3, axis=2).astype(np.uint8)


def test_a_good_control_adds_nothing(micro_model: Path) -> None:
    assert added(planned(micro_model, clips.lines()), Shown(clip=clips.lines())) == []


def test_the_kind_comes_from_the_adapter(micro_model: Path) -> None:
    found = added(planned(micro_model, clips.film()), Shown(clip=clips.film()))
    assert len(found) == 1 and "For its edges use --control canny=in.mp4." in found[0]
    film = Shown(clip=clips.film(), is_film=True)
    assert added(planned(micro_model, clips.film(), control="canny"), film) == []


def with_adapter(model: Path, path: Path, clip: Clip, **metadata: str) -> list[str]:
    """What is added for a ready clip beside an adapter with its own metadata."""
    said = {"reference_downscale_factor": "1"} | {f"iclora.{key}": value for key, value in metadata.items()}
    file = adapters.write(path, random_layers(model), said)
    reference = ReferenceRequest(source=Source.of(clip, "in.mp4"))
    request = Request(
        prompt="", model=str(model), adapters=((str(file), 1.0),), references=(reference,), images=()
    )
    plan = make_plan(request)
    assert not any(finding.about == "adapter" for finding in plan.findings)
    return added(plan, Shown(clip=clip))


OFFICIAL = "ltx-2.3-22b-ic-lora-union-control-ref0.5"


@pytest.mark.parametrize(("name", "control"), [("mine", "union"), (OFFICIAL, "")])
def test_a_union_adapter_follows_edges_depth_and_poses(
    micro_model: Path, tmp_path: Path, name: str, control: str
) -> None:
    for number, clip in enumerate((clips.lines(), clips.depth(), clips.pose())):
        path = tmp_path / str(number) / f"{name}.safetensors"
        assert with_adapter(micro_model, path, clip, control=control, base="micro") == []
    path = tmp_path / f"{name}.safetensors"
    found = with_adapter(micro_model, path, clips.film(), control=control, base="micro")
    assert (
        len(found) == 1 and "the adapter follows canny, depth or pose, but this clip looks like" in found[0]
    )


def test_depth_is_judged_as_the_adapter_wants_it(micro_model: Path, tmp_path: Path) -> None:
    def judged(convention: str, clip: Clip) -> list[str]:
        config = json.dumps({"control": {"convention": convention}})
        path = tmp_path / f"{convention}-{len(list(tmp_path.iterdir()))}.safetensors"
        return with_adapter(micro_model, path, clip, control="depth", config=config)

    for convention in CONVENTIONS:
        assert judged(convention, clips.coloured(convention)) == []
    assert "but grey depth is expected" in judged("near-white", clips.coloured("inferno"))[0]
    assert "it may be inverted" in judged("near-black", clips.depth())[0]
    assert "colours of INFERNO is expected" in judged("inferno", clips.depth())[0]


def test_depth_is_judged_as_it_was_asked_for(micro_model: Path) -> None:
    source = Source.of(clips.film(), "in.mp4")
    for convention in CONVENTIONS:
        reference = ReferenceRequest(source=source, control="depth", dials={"convention": convention})
        plan = make_plan(Request(prompt="", model=str(micro_model), references=(reference,)))
        assert added(plan, Shown(clip=clips.coloured(convention))) == []
        other = clips.depth() if convention == "inferno" else clips.coloured("inferno")
        assert len(added(plan, Shown(clip=other))) == 1


def test_without_an_adapter_none_is_spoken_of(micro_model: Path) -> None:
    """A control that was asked for is judged as such, whoever follows it."""
    reference = ReferenceRequest(source=Source.of(clips.film(), "in.mp4"), control="depth")
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(reference,)))
    found = added(plan, Shown(clip=clips.film()))
    assert len(found) == 1 and "in.mp4: expected is depth, a smooth picture, but this clip" in found[0]
    assert "adapter follows" not in found[0]
    assert found[0].endswith("Choose other dials of the control, or another clip.")
    render = replace(reference, dials={"render": True})
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(render,)))
    (note,) = look_closer(plan, [Shown(clip=clips.film())]).findings[len(plan.findings) :]
    assert note.level == "note" and "this render looks like a film or a photo" in note.text
    assert "values=distance" in note.advice and "leave render out" in note.advice
    (inverted,) = look_closer(plan, [Shown(clip=clips.coloured("near-black"))]).findings[len(plan.findings) :]
    assert inverted.level == "warning" and inverted.advice == note.advice
    assert added(plan, Shown(clip=clips.depth())) == []
    bare = ReferenceRequest(source=Source.of(clips.film(), "in.mp4"))
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(bare,)))
    assert added(plan, Shown(clip=clips.film())) == []


def test_only_frames_that_are_used_are_looked_at(micro_model: Path) -> None:
    """The model makes 9 frames; black ones after them do not matter, those before do."""
    late = np.concatenate([clips.lines().frames, np.zeros((3, 96, 96, 3), np.uint8)])
    clip = Clip(frames=late, fps=16.0)
    assert added(planned(micro_model, clip), Shown(clip=clip)) == []
    early = Clip(frames=late[::-1].copy(), fps=16.0)
    assert "frames 0-2 of 9 show nothing" in added(planned(micro_model, early), Shown(clip=early))[0]


def test_depth_is_told_by_the_first_seconds_of_a_film() -> None:
    taken = []

    def film(frame: np.ndarray) -> Film:
        def frames() -> Iterator[np.ndarray]:
            for number in range(1000):
                taken.append(number)
                yield frame

        return Film(frames=Frames(frames), height=64, width=96, num_frames=1000, fps=5.0)

    assert looks_like_depth(film(clips.depth().frames[0]))
    assert taken == list(range(10))  # 2 seconds
    assert not looks_like_depth(film(clips.film().frames[0]))
    assert not looks_like_depth(film(np.zeros((64, 96, 3), np.uint8)))


def test_a_mask_is_looked_at(micro_model: Path) -> None:
    shown = Shown(clip=clips.lines(), mask=np.zeros((64, 64), np.float32))
    assert "black everywhere" in added(planned(micro_model, clips.lines()), shown)[0]


def test_a_first_frame_that_disagrees(micro_model: Path) -> None:
    film, lines = clips.film(), Shown(clip=clips.lines())
    agrees = (0, Clip(frames=film.frames[:1], fps=1.0))
    other = (0, Clip(frames=scribble(3)[None], fps=1.0))
    assert added(planned(micro_model, clips.lines(), 0), lines, agrees) == []
    found = added(planned(micro_model, clips.lines(), 0), lines, other)
    assert len(found) == 1 and "0.png at frame 0 disagrees with in.mp4 there" in found[0]
    unseen = planned(micro_model, clips.lines(), 0, attention=0.0)
    assert added(unseen, lines, other) == []


@pytest.mark.parametrize(
    ("clip", "disagrees"), [(clips.pose(), False), (clips.lines(), True), (clips.depth(), True)]
)
def test_a_union_compares_what_has_edges(
    micro_model: Path, tmp_path: Path, clip: Clip, *, disagrees: bool
) -> None:
    """Skeletons lie inside of people, and not where a picture has its edges."""
    metadata = {"reference_downscale_factor": "1", "iclora.control": "union", "iclora.base": "micro"}
    file = adapters.write(tmp_path / "a.safetensors", random_layers(micro_model), metadata)
    request = Request(
        prompt="",
        model=str(micro_model),
        adapters=((str(file), 1.0),),
        references=(ReferenceRequest(source=Source.of(clip, "in.mp4")),),
        images=(ImageRequest(label="0.png", frame=0),),
    )
    found = added(make_plan(request), Shown(clip=clip), (0, Clip(frames=scribble(3)[None], fps=1.0)))
    assert ["disagrees with in.mp4" in text for text in found] == [True] * disagrees


def standing_at(x: float) -> controls.Poses:
    """Somebody on a picture of 96x96, so many pixels from the left."""
    points = np.zeros((1, 1, NUM_POINTS, 3), np.float32)
    places = [(0, 16), (0, 28), (-10, 28), (-16, 42), (-18, 54), (10, 28), (16, 42), (18, 54), (-6, 54)]
    places += [(-8, 70), (-8, 86), (6, 54), (8, 70), (8, 86)]
    points[0, 0, : len(places), :2] = np.array(places) + (x, 0)
    points[0, 0, : len(places), 2] = 1
    return controls.Poses(points=points, height=96, width=96, fps=1.0)


def seeing(monkeypatch: pytest.MonkeyPatch, x: float | None) -> None:
    """Whatever the picture, somebody is found at a place in it, or nobody."""

    def found(clip: Clip) -> controls.Poses:
        one = standing_at(x or 0)
        scale = np.array([clip.width / 96, clip.height / 96, 1], np.float32)
        points = one.points * scale if x is not None else one.points[:, :0]
        return replace(one, points=points, height=clip.height, width=clip.width)

    monkeypatch.setattr(controls, "find_poses", found)
    monkeypatch.setattr(controls, "missing_weights", lambda estimator: [])
    monkeypatch.setattr(controls, "check_installed", lambda estimator: None)


def pose_judged(model: Path, folder: Path) -> list[str]:
    """What is added for a skeleton in the middle and a picture of the first frame."""
    metadata = {"reference_downscale_factor": "1", "iclora.control": "pose", "iclora.base": "micro"}
    file = adapters.write(folder / "a.safetensors", random_layers(model), metadata, overwrite=True)
    clip = controls.draw_poses(replace(standing_at(48), points=np.repeat(standing_at(48).points, 9, axis=0)))
    request = Request(
        prompt="",
        model=str(model),
        adapters=((str(file), 1.0),),
        references=(ReferenceRequest(source=Source.of(clip, "in.mp4")),),
        images=(ImageRequest(label="0.png", frame=0),),
    )
    return added(make_plan(request), Shown(clip=clip), (0, Clip(frames=scribble(3)[None], fps=1.0)))


def test_people_that_stand_elsewhere_than_the_skeletons(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing(monkeypatch, 48)
    assert pose_judged(micro_model, tmp_path) == []
    seeing(monkeypatch, 50)
    assert pose_judged(micro_model, tmp_path) == []
    seeing(monkeypatch, 20)
    found = pose_judged(micro_model, tmp_path)
    assert len(found) == 1 and "0.png at frame 0 disagrees with in.mp4 there" in found[0]
    assert "of the control's skeletons lie on people in the picture" in found[0]
    seeing(monkeypatch, None)
    assert pose_judged(micro_model, tmp_path) == []


def test_nothing_is_fetched_to_compare_people(
    micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(estimator: str) -> None:
        raise MissingDependencyError("no")

    seeing(monkeypatch, 20)
    monkeypatch.setattr(controls, "missing_weights", lambda estimator: [Path("a.tflite")])
    assert pose_judged(micro_model, tmp_path) == []
    seeing(monkeypatch, 20)
    monkeypatch.setattr(controls, "check_installed", not_installed)
    assert pose_judged(micro_model, tmp_path) == []


@pytest.mark.usefixtures("blazepose_weights")
def test_people_of_a_filmed_picture(filmed_clips: Path) -> None:
    film = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=3)
    skeletons = controls.pose(film).frames[0]
    assert (figures_agreement(skeletons, film.frames[0]) or 0) > 0.8
    beside = np.roll(film.frames[0], film.width // 4, axis=1)
    assert (figures_agreement(skeletons, beside) or 0) < 0.2


def test_a_later_picture_is_compared_with_its_frame(micro_model: Path) -> None:
    """The square moves by 16 pixels until frame 8."""
    film, lines = clips.film(), Shown(clip=clips.lines())
    last = (8, Clip(frames=film.frames[8:], fps=1.0))
    assert added(planned(micro_model, clips.lines(), 8), lines, last) == []


def test_agreement_counts_beyond_chance() -> None:
    picture = scribble(0)
    lines = clips.controls.canny(Clip(frames=picture[None], fps=1.0)).frames[0]
    assert (agreement(lines, picture) or 0) > 0.8
    assert (agreement(picture, picture) or 0) > 0.9
    assert agreement(np.zeros((96, 96, 3), np.uint8), picture) is None
    assert agreement(lines, np.zeros((96, 96, 3), np.uint8)) == 0.0
