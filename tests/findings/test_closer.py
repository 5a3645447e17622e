"""findings.closer and pictures: a plan looked at again; a first frame that disagrees with the control."""

from pathlib import Path

import numpy as np

from iclora.clip import Clip
from iclora.findings import Shown, agreement, look_closer
from iclora.plan import ImageRequest, Plan, ReferenceRequest, Request, Source, make_plan
from tests.findings import clips


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


def test_only_frames_that_are_used_are_looked_at(micro_model: Path) -> None:
    """The model makes 9 frames; black ones after them do not matter, those before do."""
    late = np.concatenate([clips.lines().frames, np.zeros((3, 96, 96, 3), np.uint8)])
    clip = Clip(frames=late, fps=16.0)
    assert added(planned(micro_model, clip), Shown(clip=clip)) == []
    early = Clip(frames=late[::-1].copy(), fps=16.0)
    assert "frames 0-2 of 9 show nothing" in added(planned(micro_model, early), Shown(clip=early))[0]


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
