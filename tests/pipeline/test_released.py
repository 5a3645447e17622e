"""Released models the whole way: equal to diffusers' LTX2Pipeline where both do the same."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LTX2Pipeline

from iclora import checkpoints, controls
from iclora.pipeline import Pipeline, encode_prompt, load
from iclora.plan import Plan, Request, make_plan
from iclora.reference import Reference
from iclora.sampling import DISTILLED_SIGMAS
from tests.micro import moving_square, save_one_way

PROMPT = "a red ball that rolls over the snow"
# Everything that diffusers' pipeline guides with, switched off.
UNGUIDED = {
    "guidance_scale": 1.0,
    "stg_scale": 0.0,
    "modality_scale": 1.0,
    "guidance_rescale": 0.0,
    "audio_guidance_scale": 1.0,
    "audio_stg_scale": 0.0,
    "audio_modality_scale": 1.0,
    "audio_guidance_rescale": 0.0,
    "spatio_temporal_guidance_blocks": None,
}

# The official guidance of dev models, with a block that these small ones have.
OFFICIAL = checkpoints.MoreGuidance(
    audio_scale=7.0, stg_scale=1.0, stg_blocks=(1,), modality_scale=3.0, rescale=0.7
)
GUIDED = {
    "guidance_scale": 3.0,
    "stg_scale": 1.0,
    "modality_scale": 3.0,
    "guidance_rescale": 0.7,
    "audio_guidance_scale": 7.0,
    "audio_stg_scale": 1.0,
    "audio_modality_scale": 3.0,
    "audio_guidance_rescale": 0.7,
    "spatio_temporal_guidance_blocks": [1],
}


@pytest.fixture(scope="module", params=["2.3", "2.0", "2.5"])
def model(released_models: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    return released_models[request.param]


@pytest.fixture(scope="module")
def pipe(model: Path) -> Pipeline:
    return load(model)


@pytest.fixture(scope="module")
def theirs(model: Path) -> LTX2Pipeline:
    pipeline = LTX2Pipeline.from_pretrained(model)
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler()
    pipeline.set_progress_bar_config(disable=True)
    if pipeline.transformer.config.use_keyframes_abs_pos_embedding:
        # The official code marks the first latent frame of every video, this pipeline of none.
        marked = (torch.arange(72) < 24).float()[None, :, None]
        forward = pipeline.transformer.forward
        pipeline.transformer.forward = functools.partial(forward, video_keyframes_mask=marked)
    return pipeline


def begun(model: Path, prompt: str = PROMPT) -> str:
    """A prompt as diffusers wants it: its tokenizer lacks the first token of Gemma 4."""
    return f"<bos>{prompt}" if model.name == "2.5" else prompt


def planned(model: Path, **words: Any) -> Plan:
    asked: dict[str, Any] = {"prompt": PROMPT, "size": (64, 96), "num_frames": 17, "seed": 3}
    plan = make_plan(Request(model=str(model), **(asked | words)))
    return dataclasses.replace(plan, sigmas=DISTILLED_SIGMAS)


@torch.no_grad()
def test_prompts_are_encoded_as_by_diffusers(model: Path, pipe: Pipeline, theirs: LTX2Pipeline) -> None:
    ours = encode_prompt(pipe.components, PROMPT)
    hidden, mask, *_ = theirs.encode_prompt(begun(model), do_classifier_free_guidance=False)
    video, audio, _ = theirs.connectors(hidden, mask, padding_side="left")
    assert ours.video.shape[1] == 1024 and ours.audio is not None
    torch.testing.assert_close(ours.video, video, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.audio, audio, rtol=1e-5, atol=1e-6)
    other = encode_prompt(pipe.components, "snow")
    assert (other.video - ours.video).abs().max() > 1e-2


@pytest.mark.parametrize("guidance", [UNGUIDED, GUIDED], ids=["unguided", "guided"])
def test_video_and_sound_are_those_of_diffusers(
    model: Path, pipe: Pipeline, theirs: LTX2Pipeline, guidance: dict[str, Any]
) -> None:
    words = {} if guidance is UNGUIDED else {"guidance_scale": 3.0, "more_guidance": OFFICIAL}
    if words and not theirs.transformer.config.perturbed_attn:
        pytest.skip("diffusers leaves no self-attention out of this form")
    plan = planned(model, **words)
    assert plan.num_audio_tokens == 18 and plan.sound
    made = pipe.run(plan).clip
    # The order of the noise: the whole video first, then the audio, from one generator.
    generator = torch.Generator().manual_seed(plan.seed)
    video = torch.randn((1, plan.num_target_tokens, 8), generator=generator)
    audio = torch.randn((1, plan.num_audio_tokens, 4), generator=generator)
    wanted = theirs(
        prompt=begun(model),
        height=64,
        width=96,
        num_frames=17,
        frame_rate=24.0,
        sigmas=list(DISTILLED_SIGMAS[:-1]),
        num_inference_steps=8,
        latents=video,
        audio_latents=audio * theirs.audio_vae.latents_std + theirs.audio_vae.latents_mean,
        negative_prompt=begun(model, ""),
        output_type="np",
        **guidance,
    )
    assert made.frames.std() > 10 and made.audio is not None
    rounding = 0.5 + 255 * 1e-4
    np.testing.assert_allclose(made.frames, wanted.frames[0] * 255, rtol=0, atol=rounding)
    assert np.abs(made.audio.samples).max() > 0.05
    np.testing.assert_allclose(made.audio.samples, wanted.audio[0].numpy(), rtol=0, atol=1e-4)


def test_without_sound_the_audio_still_runs(model: Path, pipe: Pipeline) -> None:
    silent = pipe.run(planned(model, sound=False)).clip
    assert silent.audio is None
    assert np.array_equal(silent.frames, pipe.run(planned(model)).clip.frames)


def test_references_change_video_and_sound(model: Path, tmp_path: Path) -> None:
    adapter = save_one_way(model, tmp_path / "adapter.safetensors", base=checkpoints.read_recipe(model).base)
    pipe = load(model, adapters=[adapter])
    reference = Reference(clip=controls.canny(moving_square(height=64, width=64)))
    asked: dict[str, Any] = {"size": (64, 64), "num_frames": 9, "seed": 1}
    followed = pipe.generate(PROMPT, references=[reference], **asked).clip
    alone = pipe.generate(PROMPT, **asked).clip
    kept = pipe.generate(PROMPT, references=[reference], reference_cache="exact", **asked).clip
    assert followed.audio is not None and alone.audio is not None and kept.audio is not None
    assert not np.array_equal(followed.frames, alone.frames)
    assert not np.array_equal(followed.audio.samples, alone.audio.samples)
    assert np.array_equal(followed.frames, kept.frames)
    assert np.array_equal(followed.audio.samples, kept.audio.samples)


def test_half_precision(model: Path) -> None:
    clip = load(model, dtype=torch.bfloat16).run(planned(model, size=(64, 64), num_frames=9)).clip
    assert clip.audio is not None and clip.frames.std() > 10


def test_a_dev_model_is_guided(released_models: dict[str, Path]) -> None:
    plan = load(released_models["2.0"]).generate(PROMPT, size=(64, 64), num_frames=1, sound=False).plan
    assert plan.guidance_scale == 3 and len(plan.sigmas) == 41
    assert plan.more_guidance == dataclasses.replace(OFFICIAL, stg_blocks=(29,))
    assert plan.num_audio_tokens == 1
    texts = [finding.text for finding in make_plan(Request(prompt="", model=plan.model_path)).findings]
    assert "The model is made for a guidance scale of 3." in texts
