"""pipeline.fitting: references on the clock and at the size of the result, and made smaller for the model."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from iclora import controls, media
from iclora.clip import Clip, Film
from iclora.pipeline import extract_control, fit_reference, shrink_reference
from iclora.plan import Plan, ReferenceRequest, Request, Source, make_plan
from tests.micro import moving_square, save_thick
from toyworld.latents import edges_of


def counting_clip(num_frames: int, *, size: int = 64, fps: float = 16.0) -> Clip:
    """Frame k is grey k."""
    levels = np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
    return Clip(frames=np.broadcast_to(levels, (num_frames, size, size, 3)).copy(), fps=fps)


def plan_for(model: Path, clip: Clip | Film) -> Plan:
    reference = ReferenceRequest(source=Source.of(clip, "reference"))
    return make_plan(
        Request(
            prompt="", model=str(model), adapters=(("canny", 1.0),), references=(reference,), size=(64, 64)
        )
    )


@pytest.mark.parametrize(
    ("num_frames", "fps", "expected"),
    [
        (40, 32.0, [0, 2, 4, 6, 8, 10, 12, 14, 16]),
        (4, 16.0, [0, 1, 2, 3, 3, 3, 3, 3, 3]),
        (1, 16.0, [0] * 9),
        (9, 16.0, list(range(9))),
    ],
)
def test_a_reference_is_put_on_the_clock(
    micro_model: Path, num_frames: int, fps: float, expected: list[int]
) -> None:
    clip = counting_clip(num_frames, fps=fps)
    plan = plan_for(micro_model, clip)
    fitted = fit_reference(clip, plan.references[0], plan)
    assert fitted.frames[:, 0, 0, 0].tolist() == expected and fitted.fps == 16.0


def test_large_lines_stay_white_and_thin(micro_model: Path) -> None:
    frames = np.zeros((9, 512, 512, 3), np.uint8)
    frames[:, :, 200] = 255
    clip = Clip(frames=frames, fps=16.0)
    plan = plan_for(micro_model, clip)
    assert plan.references[0].is_lines
    fitted = fit_reference(clip, plan.references[0], plan)
    assert fitted.frames.shape == (9, 64, 64, 3)
    assert np.flatnonzero(fitted.frames[0, 30, :, 0]).tolist() == [25]
    assert fitted.frames[0, 30, 25].tolist() == [255, 255, 255]


def test_other_references_are_resized_plainly(micro_model: Path) -> None:
    clip = moving_square(height=128, width=128)
    plan = plan_for(micro_model, clip)
    assert not plan.references[0].is_lines
    assert fit_reference(clip, plan.references[0], plan).frames.shape == (9, 64, 64, 3)


def test_a_control_is_extracted_at_the_size_of_the_result(micro_model: Path) -> None:
    clip = moving_square(height=256, width=256, num_frames=20, fps=32.0)
    plan = plan_for(micro_model, clip)
    lines = extract_control("canny", clip, plan)
    assert lines.frames.shape == (9, 64, 64, 3) and lines.fps == 16.0
    assert np.unique(lines.frames).tolist() == [0, 255]
    thick = extract_control("canny", clip, plan, thickness=3)
    assert (thick.frames > 0).sum() > 2 * (lines.frames > 0).sum()


def test_shrinking_averages_pixels(micro_model: Path) -> None:
    frames = np.zeros((9, 64, 64, 3), np.uint8)
    frames[:, :, 10] = 200
    clip = Clip(frames=frames, fps=16.0)
    small = shrink_reference(clip, plan_for(micro_model, clip).references[0])
    assert small.frames.shape == (9, 32, 32, 3)
    assert small.frames[0, 5, 4:7, 0].tolist() == [0, 100, 0]


def test_a_temporal_factor_keeps_the_first_and_then_every_so_many(micro_model: Path) -> None:
    clip = counting_clip(9)
    planned = dataclasses.replace(plan_for(micro_model, clip).references[0], temporal_factor=2)
    assert shrink_reference(clip, planned).frames[:, 0, 0, 0].tolist() == [0, 1, 3, 5, 7]


def thick_plan(model: Path, folder: Path, clip: Clip, control: str | None) -> Plan:
    """A plan with an adapter that was trained on lines 3 px thick."""
    adapter = save_thick(model, folder / "thick.safetensors")
    reference = ReferenceRequest(source=Source.of(clip, "in.mp4"), control=control)
    request = Request(
        prompt="",
        model=str(model),
        adapters=((str(adapter), 1.0),),
        references=(reference,),
        size=(64, 64),
    )
    return make_plan(request)


def test_the_adapter_sees_what_it_was_trained_on(micro_model: Path, tmp_path: Path) -> None:
    """The control of a film at the result's size equals that of training, pixel by pixel."""
    clip = moving_square(height=64, width=64)
    plan = thick_plan(micro_model, tmp_path, clip, "canny")
    planned = plan.references[0]
    assert "in.mp4: lines 3 px thick, as the adapter 'thick' was trained on." in map(str, plan.findings)
    lines = extract_control("canny", clip, plan, **planned.dials)
    assert np.array_equal(lines.frames, controls.canny(clip, thickness=3).frames)
    fitted = fit_reference(lines, planned, plan)
    assert np.array_equal(shrink_reference(fitted, planned).frames[..., :1], edges_of(clip.frames)[1])


@pytest.mark.parametrize("thickness", [1, 3])
def test_ready_lines_are_drawn_as_the_adapter_knows_them(
    micro_model: Path, tmp_path: Path, thickness: int
) -> None:
    lines = controls.canny(moving_square(height=64, width=64), thickness=thickness)
    plan = thick_plan(micro_model, tmp_path, lines, None)
    assert "in.mp4: thinner lines 3 px thick, as the adapter" in " ".join(map(str, plan.findings))
    fitted = fit_reference(lines, plan.references[0], plan)
    as_trained = controls.canny(moving_square(height=64, width=64), thickness=3)
    if thickness == 3:
        assert np.array_equal(fitted.frames, lines.frames)
    assert ((fitted.frames > 0) != (as_trained.frames > 0)).mean() < 0.005


def test_large_ready_lines_become_as_thick(micro_model: Path, tmp_path: Path) -> None:
    frames = np.zeros((9, 512, 512, 3), np.uint8)
    frames[:, :, 200] = 255
    clip = Clip(frames=frames, fps=16.0)
    plan = thick_plan(micro_model, tmp_path, clip, None)
    fitted = fit_reference(clip, plan.references[0], plan)
    assert np.flatnonzero(fitted.frames[0, 30, :, 0]).tolist() == [24, 25, 26]


def test_extraction_is_what_the_control_does_by_itself(micro_model: Path) -> None:
    clip = moving_square(height=64, width=64)
    lines = extract_control("canny", clip, plan_for(micro_model, clip))
    assert np.array_equal(lines.frames, controls.canny(clip).frames)


@pytest.mark.parametrize("kind", ["canny", "depth", "tracks"])
def test_a_film_is_drawn_as_its_clip_is(micro_model: Path, tmp_path: Path, kind: str) -> None:
    path = media.save(moving_square(height=128, width=160, num_frames=20, fps=32.0), tmp_path / "film.mp4")
    film, clip = media.film(path), media.read(path)
    plan = plan_for(micro_model, clip)
    assert plan == plan_for(micro_model, film)
    made, same = (extract_control(kind, one, plan) for one in (film, clip))
    assert isinstance(made, Clip) and np.array_equal(made.frames, same.frames)
    fitted, too = (fit_reference(one, plan.references[0], plan) for one in (film, clip))
    assert np.array_equal(fitted.frames, too.frames)


def test_lines_of_a_film_are_brought_to_the_plan_too(micro_model: Path, tmp_path: Path) -> None:
    lines = controls.canny(moving_square(height=192, width=192))
    film = media.film(media.save(lines, tmp_path / "lines"), fps=16.0)
    plan = plan_for(micro_model, film)
    assert plan.references[0].is_lines
    made, same = (fit_reference(one, plan.references[0], plan) for one in (film, lines))
    assert np.unique(made.frames).tolist() == [0, 255] and np.array_equal(made.frames, same.frames)
