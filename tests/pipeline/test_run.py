"""pipeline.run: the whole way with a random model; what must be equal, what must differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import iclora
from iclora import controls, media
from iclora.errors import AdapterError, RequestError
from iclora.pipeline import Image, Pipeline, load, load_planned, run
from iclora.plan import ImageRequest, ReferenceRequest, Request, Source, make_plan
from iclora.reference import Reference, assemble, fade_in
from tests.micro import moving_square, save_one_way, save_thick


@pytest.fixture(scope="module")
def pipe(micro_model: Path) -> Pipeline:
    return load(micro_model, adapters=["canny"])


@pytest.fixture(scope="module")
def lines() -> iclora.Clip:
    return controls.canny(moving_square(height=64, width=64))


def test_the_same_seed_gives_the_same_bytes(pipe: Pipeline, lines: iclora.Clip) -> None:
    first, again = (pipe.generate("a red ball", references=[Reference(clip=lines)], seed=3) for _ in range(2))
    other = pipe.generate("a red ball", references=[Reference(clip=lines)], seed=4)
    assert first.clip.frames.shape == (9, 64, 64, 3) and first.clip.fps == 16.0
    assert np.array_equal(first.clip.frames, again.clip.frames)
    assert not np.array_equal(first.clip.frames, other.clip.frames)
    assert np.array_equal(first.references[0].frames, lines.frames)


def test_every_dial_changes_the_result(pipe: Pipeline, lines: iclora.Clip) -> None:
    def frames(**dials: object) -> np.ndarray:
        return pipe.generate("a ball", references=[Reference(clip=lines, **dials)]).clip.frames

    mask = np.zeros((64, 64), np.float32)
    mask[:, :32] = 1
    results = [
        frames(),
        frames(attention_strength=0.5),
        frames(attention_mask=mask),
        frames(attention_mask=fade_in(8, num_frames=9)),
        frames(strength=0.5),
        frames(downscale=1),
        pipe.generate("a box", references=[Reference(clip=lines)]).clip.frames,
        pipe.generate("a ball").clip.frames,
    ]
    for index, one in enumerate(results):
        assert not any(np.array_equal(one, other) for other in results[:index]), index


@pytest.mark.parametrize("isolate", [None, True, False])
def test_isolation_is_a_choice(
    pipe: Pipeline, lines: iclora.Clip, monkeypatch: pytest.MonkeyPatch, *, isolate: bool | None
) -> None:
    seen = []

    def watched(*sequence: Any, **settings: Any) -> Any:
        seen.append(assemble(*sequence, **settings).isolate)
        return assemble(*sequence, **settings)

    monkeypatch.setattr(run, "assemble", watched)
    pair = [Reference(clip=lines), Reference(clip=lines, attention_strength=0.5)]
    assert pipe.generate("a ball", references=pair, isolate=isolate).plan.isolate is isolate
    assert seen == [isolate]


def test_attention_strength_0_is_no_reference(pipe: Pipeline, lines: iclora.Clip) -> None:
    unseen = pipe.generate("a ball", references=[Reference(clip=lines, attention_strength=0.0)], seed=5)
    without = pipe.generate("a ball", seed=5)
    assert np.array_equal(unseen.clip.frames, without.clip.frames)


def test_the_adapter_and_its_weight_matter(micro_model: Path, pipe: Pipeline) -> None:
    none = load(str(micro_model)).generate("a ball").clip.frames
    zero = load(micro_model, adapters=[("canny", 0.0)])
    assert zero.adapters[0][1] == 0.0
    assert np.array_equal(zero.generate("a ball").clip.frames, none)
    assert not np.array_equal(pipe.generate("a ball").clip.frames, none)


def test_a_result_that_is_not_finite_is_not_shown(micro_model: Path) -> None:
    pipe = load(micro_model, adapters=[("canny", 1e30)])
    with pytest.raises(RequestError, match=r"not finite, which would be a black picture. Lower the weights"):
        pipe.generate("a ball")


def test_progress_is_told(pipe: Pipeline, lines: iclora.Clip) -> None:
    seen: list[tuple[str, int, int | None]] = []
    pipe.generate(
        "a ball",
        references=[Reference(clip=lines)],
        progress=lambda what, done, total: seen.append((what, done, total)),
    )
    assert seen[:3] == [("encoding", 0, 1), ("encoding", 1, 1), ("sampling", 0, 8)]
    assert seen[-3:] == [("sampling", 8, 8), ("decoding", 0, 1), ("decoding", 1, 1)]


def test_images_guidance_and_negative_prompt(micro_model: Path, pipe: Pipeline) -> None:
    picture = moving_square(num_frames=1)

    def frames(*at: int, guidance: float = 1.0, negative: str = "") -> np.ndarray:
        request = Request(
            prompt="a ball",
            model=str(micro_model),
            negative_prompt=negative,
            images=tuple(ImageRequest(label="a.png", frame=frame) for frame in at),
            guidance_scale=guidance,
        )
        images = [Image(clip=picture, frame=frame) for frame in at]
        return load_planned(make_plan(request)).run(make_plan(request), images=images).clip.frames

    results = [frames(), frames(0), frames(8), frames(0, 8), frames(guidance=3.0)]
    results.append(frames(guidance=3.0, negative="a box"))
    for index, one in enumerate(results):
        assert not any(np.array_equal(one, other) for other in results[:index]), index


def test_a_plan_and_what_is_given_must_match(micro_model: Path, pipe: Pipeline, lines: iclora.Clip) -> None:
    reference = ReferenceRequest(source=Source.of(lines, "a"))
    plan = make_plan(Request(prompt="", model=str(micro_model), references=(reference,)))
    with pytest.raises(RequestError, match="The plan has 1 references, but 0 were given"):
        pipe.run(plan)


def test_errors_come_before_anything_is_loaded(micro_model: Path, pipe: Pipeline) -> None:
    with pytest.raises(AdapterError, match="There is no adapter 'depth'"):
        load(micro_model, adapters=["depth"])
    with pytest.raises(RequestError, match="0 frames are no clip"):
        pipe.generate("a ball", num_frames=0)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_exactly_kept_references_change_no_byte(
    micro_model: Path, lines: iclora.Clip, tmp_path: Path, guidance: float
) -> None:
    adapter = save_one_way(micro_model, tmp_path / "apart.safetensors")
    apart = load(micro_model, adapters=[adapter])

    def frames(mode: str, model: Pipeline) -> np.ndarray:
        request = Request(
            prompt="a ball",
            model=str(micro_model),
            adapters=model.adapters,
            references=(ReferenceRequest(source=Source.of(lines, "a"), attention_strength=0.7),),
            images=(ImageRequest(label="a.png", frame=8),),
            guidance_scale=guidance,
            reference_cache=mode,
        )
        reference = Reference(clip=lines, attention_strength=0.7)
        picture = Image(clip=moving_square(num_frames=1), frame=8)
        return model.run(make_plan(request), references=[reference], images=[picture]).clip.frames

    off = frames("off", apart)
    assert np.array_equal(frames("exact", apart), off)
    assert np.array_equal(frames("exact,host", apart), off)
    assert np.array_equal(frames("every:3", apart), off)
    two_way = load(micro_model, adapters=["canny"])
    assert not np.array_equal(frames("off", two_way), off)


def test_references_kept_for_some_steps(pipe: Pipeline, lines: iclora.Clip) -> None:
    def result(mode: str, **dials: Any) -> Any:
        return pipe.generate("a ball", references=[Reference(clip=lines, **dials)], reference_cache=mode)

    off, kept = result("off").clip.frames.astype(int), result("every:4").clip.frames.astype(int)
    assert 0 < np.abs(off - kept).mean() < 8
    assert np.array_equal(result("every:1").clip.frames, off)
    assert result("every:4").plan.reference_cache.mode == "every:4"
    with pytest.raises(RequestError, match="needs an adapter trained one_way"):
        result("exact")


def test_a_control_is_taken_from_its_film(pipe: Pipeline, micro_model: Path, tmp_path: Path) -> None:
    film = moving_square(height=64, width=64)
    thick = iclora.load(micro_model, adapters=[save_thick(micro_model, tmp_path / "thick.safetensors")])
    made = thick.generate("a ball", references=[iclora.Reference(film, control="canny")])
    assert made.plan.references[0].dials == {"thickness": 3}
    assert np.array_equal(made.references[0].frames, iclora.controls.canny(film, thickness=3).frames)
    said = iclora.Reference(film, control="canny", dials={"thickness": 1, "preset": "union"})
    made = thick.generate("a ball", references=[said])
    assert made.plan.references[0].dials == {"thickness": 1, "preset": "union"}
    assert "thickness" in str(next(one for one in made.plan.findings if "as asked" in one.text))
    lines = iclora.controls.canny(media.resize(film, 512, 512), preset="union")
    shrunk = iclora.controls.resize_lines(lines, 64, 64)
    assert np.array_equal(made.references[0].frames, shrunk.frames)
    opened = media.film(media.save(media.resize(film, 96, 96), tmp_path / "film.mp4"))
    streamed, held = (
        pipe.generate("", references=[iclora.Reference(one, control="canny"), iclora.Reference(one)])
        for one in (opened, opened.read())
    )
    assert np.array_equal(streamed.clip.frames, held.clip.frames) and streamed.plan == held.plan
    half = np.zeros((1, 32, 32, 3), np.uint8)
    half[:, :, :16] = 255
    mask = iclora.Clip(frames=half, fps=1.0)
    made = pipe.generate("", references=[iclora.Reference(film, control="green", dials={"mask": mask})])
    green = (made.references[0].frames == (0, 255, 0)).all(axis=-1)
    assert green[:, :, :32].all() and not green[:, :, 32:].any() and made.plan.references[0].dials == {}


def test_dials_are_checked_when_they_are_said() -> None:
    with pytest.raises(RequestError, match="The control canny has no dial 'glow'"):
        iclora.Reference(moving_square(), control="canny", dials={"glow": 1})
    with pytest.raises(RequestError, match="The dials thickness are of no control; say which"):
        iclora.Reference(moving_square(), dials={"thickness": 1})
