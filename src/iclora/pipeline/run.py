"""Loading what a plan names, and doing what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from iclora import checkpoints, geometry, media, sampling
from iclora.clip import Clip
from iclora.errors import RequestError
from iclora.findings import Shown, look_closer
from iclora.pipeline.coding import decode_frames, encode_frames, encode_prompt
from iclora.pipeline.fitting import draw_reference, fit_reference, shrink_reference
from iclora.pipeline.guiding import guided_by
from iclora.pipeline.placing import at_work, decoded_in_tiles
from iclora.pipeline.sound import audio_target, decode_sound
from iclora.plan import Plan, PlannedReference, ReferenceRequest, Request, Source, make_plan
from iclora.reference import (
    Reference,
    ReferenceTokens,
    TokenSequence,
    assemble,
    keyframe_tokens,
    reference_tokens,
    target_sequence,
)

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done (such as `sampling`), how much of it is done, and of how much."""
_IN_JSON = (bool, int, float, str, tuple)
"""Values of dials that a plan holds; the others, such as a mask that is a clip, go by its side."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture that a frame of the result shall show.

    Attributes:
        clip: The picture, a clip of one frame.
        frame: The frame it stands at; 0 is the first.
        strength: How clean it stays, 0..1.
    """

    clip: Clip
    frame: int = 0
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was made.

    Attributes:
        clip: The generated clip.
        plan: The plan it was made by.
        references: Each reference at the result's size and rate, before it was made smaller for the model.
    """

    clip: Clip
    plan: Plan
    references: tuple[Clip, ...]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A loaded model with its adapters.

    Attributes:
        components: The parts of the model.
        model: The name or folder it was loaded from.
        adapters: The attached adapters, each with its weight.
        guest_of: The device where each part is only while it is at work; None: all stay where they are.
        fp8: Whether the transformer's matrix products are of 8 bits.
    """

    components: checkpoints.Components
    model: str
    adapters: tuple[tuple[str, float], ...] = ()
    guest_of: str | None = None
    fp8: bool = False

    def generate(  # noqa: PLR0913  the one call of the package: every dial has a default
        self,
        prompt: str,
        *,
        references: Sequence[Reference] = (),
        size: tuple[int, int] | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        seed: int = 0,
        isolate: bool | None = None,
        reference_cache: str = "off",
        sound: bool = True,
        progress: Progress | None = None,
    ) -> Result:
        """Make a clip. Anything left out follows the first reference, or else the model.

        Args:
            prompt: What the clip shall show.
            references: Control clips it shall follow.
            size: Height and width in pixels; brought to the nearest the model makes.
            num_frames: Frames; brought to the nearest count the model makes.
            fps: Frames per second, above 0.
            seed: Seed of the noise; the same seed gives the same clip on the same machine.
            isolate: Whether references are hidden from each other; None is the official rule, by which they
                are from the first weighted one on.
            reference_cache: Whether keys and values of references are kept between steps: `off`; `exact`,
                for adapters trained one_way; `every:K`, an approximation that computes them every K steps.
                With `,host` they are kept in the computer's memory, with `every:K,fp8` in 8 bits a value.
            sound: Whether the clip gets the sound that the model makes beside the video, if it makes any.
            progress: Told of encoding, sampling and decoding.

        Returns:
            The clip, the plan it was made by, and the references as they were used.

        Raises:
            RequestError: If the request cannot be met.
        """
        request = Request(
            prompt=prompt,
            model=self.model,
            adapters=self.adapters,
            references=tuple(
                _request_of(reference, f"reference {number}")
                for number, reference in enumerate(references, 1)
            ),
            size=size,
            num_frames=num_frames,
            fps=fps,
            seed=seed,
            isolate=isolate,
            reference_cache=reference_cache,
            guidance_scale=self.components.recipe.guidance_scale,
            more_guidance=self.components.recipe.more_guidance,
            sound=sound,
            dtype=self.components.transformer.dtype,
            device=self.guest_of or str(self.components.transformer.device),
            offload=self.guest_of is not None,
            loaded=True,
            fp8=self.fp8,
        )
        plan = make_plan(request)
        plan.check()
        films = [one.clip if one.control is not None else None for one in references]
        references = [
            draw_reference(one, planned, plan)
            for one, planned in zip(references, plan.references, strict=True)
        ]
        shown = [
            Shown(clip=one.clip, mask=one.attention_mask, film=film)
            for one, film in zip(references, films, strict=True)
        ]
        plan = look_closer(plan, shown)
        return self.run(plan, references=references, progress=progress)

    @torch.inference_mode()
    def run(
        self,
        plan: Plan,
        *,
        references: Sequence[Reference] = (),
        images: Sequence[Image] = (),
        progress: Progress | None = None,
    ) -> Result:
        """Do what a plan says.

        Args:
            plan: A plan for this model and these adapters.
            references: The control clips, one for each reference of the plan, in its order.
            images: The pictures, one for each image of the plan, in its order.
            progress: Told of encoding, sampling and decoding.

        Returns:
            The clip, the plan, and the references as they were used.

        Raises:
            RequestError: The plan holds an error or does not fit what is given, or the result is not finite.
        """
        plan.check()
        _check_count("references", len(references), len(plan.references))
        _check_count("images", len(images), len(plan.images))
        report = progress if progress is not None else silent
        prompts = self._prompts(plan)
        fitted = tuple(
            fit_reference(reference.clip, planned, plan)
            for reference, planned in zip(references, plan.references, strict=True)
        )
        with at_work(self.guest_of, self.components.vae):
            sequence = self._sequence(plan, references, fitted, images, report)
        with at_work(self.guest_of, self.components.transformer):
            made = self._sample(plan, prompts, sequence, report)
        report("decoding", 0, 1)
        clip = self._decode(plan, made)
        report("decoding", 1, 1)
        return Result(clip=clip, plan=plan, references=fitted)

    def _prompts(self, plan: Plan) -> list[sampling.Prompt]:
        """The prompt, and the negative one where guidance needs it."""
        wanted = [plan.prompt]
        if plan.more_guidance.wants_negative(plan.guidance_scale):
            wanted.append(plan.negative_prompt)
        parts = self.components
        with at_work(self.guest_of, parts.text_encoder, parts.connectors):
            return [encode_prompt(parts, text) for text in wanted]

    def _sequence(
        self,
        plan: Plan,
        references: Sequence[Reference],
        fitted: Sequence[Clip],
        images: Sequence[Image],
        report: Progress,
    ) -> TokenSequence:
        """Target, then pictures at later frames, then references."""
        vae, total = self.components.vae, len(fitted) + len(images)
        factors = geometry.factors_of(vae)
        place: dict[str, Any] = {"factors": factors, "fps": plan.fps}
        first: dict[str, Any] = {}
        appended: list[ReferenceTokens] = []
        for number, image in enumerate(images):
            report("encoding", number, total)
            latent = encode_frames(vae, media.resize(image.clip, plan.height, plan.width).frames[:1])
            if image.frame == 0:
                first = {"first_frame": latent, "first_frame_strength": image.strength}
            else:
                appended.append(keyframe_tokens(latent, frame=image.frame, strength=image.strength, **place))
        for number, reference in enumerate(references):
            report("encoding", len(images) + number, total)
            planned = plan.references[number]
            latent = encode_frames(vae, shrink_reference(fitted[number], planned).frames)
            appended.append(_reference_tokens(latent, reference, planned, place))
        report("encoding", total, total)
        shape = (1, vae.config.latent_channels, *plan.grid.shape)
        clean = torch.zeros(shape, device=vae.device, dtype=self.components.transformer.dtype)
        target = target_sequence(clean, **first, **place)
        num_one_way = len(references) if plan.one_way else 0
        return assemble(target, appended, isolate=plan.isolate, num_one_way=num_one_way)

    def _sample(
        self, plan: Plan, prompts: list[sampling.Prompt], sequence: TokenSequence, report: Progress
    ) -> sampling.Latents:
        """Noise, then the steps of the schedule; the clean target tokens.

        One generator gives the noise of the whole video sequence in one call, then that of the audio.
        """
        generator = torch.Generator(sequence.clean.device).manual_seed(plan.seed)
        noise = sampling.draw_noise(sequence, generator)
        transformer, audio, heard = self.components.transformer, None, None
        if plan.has_audio:
            audio = audio_target(transformer, plan.num_audio_tokens)
            heard = sampling.start(audio, sampling.draw_noise(audio, generator), sigma=plan.sigmas[0])
        denoise = guided_by(plan, transformer, prompts, sequence, audio)
        video = sampling.start(sequence, noise, sigma=plan.sigmas[0])
        report("sampling", 0, len(plan.sigmas) - 1)
        return sampling.sample(
            denoise,
            sampling.Latents(video=video, audio=heard),
            sequence,
            audio,
            sigmas=plan.sigmas,
            progress=lambda step, total: report("sampling", step, total),
        )

    def _decode(self, plan: Plan, made: sampling.Latents) -> Clip:
        """Frames, and the sound if the result gets it."""
        parts, audio = self.components, None
        with at_work(self.guest_of, parts.vae), ExitStack() as stack:
            if self.guest_of is not None:
                stack.enter_context(decoded_in_tiles(parts.vae))
            frames = decode_frames(parts.vae, geometry.unpatchify(made.video, plan.grid))
        if plan.sound:
            assert made.audio is not None
            with at_work(self.guest_of, parts.audio_vae, parts.vocoder):
                audio = decode_sound(parts.audio_vae, parts.vocoder, made.audio)
        return Clip(frames=frames, fps=plan.fps, audio=audio)


def _reference_tokens(
    latent: Tensor, reference: Reference, planned: PlannedReference, place: dict[str, Any]
) -> ReferenceTokens:
    mask = reference.attention_mask
    return reference_tokens(
        latent,
        strength=reference.strength,
        attention_strength=reference.attention_strength,
        attention_mask=None if mask is None else torch.as_tensor(mask, dtype=torch.float32),
        downscale=planned.downscale,
        temporal_factor=planned.temporal_factor,
        **place,
    )


def _request_of(reference: Reference, label: str) -> ReferenceRequest:
    return ReferenceRequest(
        source=Source.of(reference.clip, label),
        control=reference.control,
        dials={name: value for name, value in reference.dials.items() if isinstance(value, _IN_JSON)},
        strength=reference.strength,
        attention_strength=reference.attention_strength,
        masked=reference.attention_mask is not None,
        downscale=reference.downscale,
        temporal_factor=reference.temporal_factor,
    )


def _check_count(what: str, given: int, planned: int) -> None:
    if given != planned:
        text = f"The plan has {planned} {what}, but {given} were given"
        raise RequestError(f"{text}; plan and run with the same ones.")


def silent(what: str, done: int, total: int | None) -> None:
    """Report to nobody."""
