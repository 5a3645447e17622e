"""The loss of flow matching: the velocity from clean latents to noise, learnt at all noise levels.

    clean latents ─┬─ noised ─► model ─► velocity ─┐
    noise ─────────┴─ noise minus clean (and what guidance would add) ─► mean square of the difference

A fifth of the noise levels are steps of the distilled schedule, so that the few-step sampler meets what it
was trained on; no more, as five of its eight steps are almost pure noise, where little can be learnt.
"""

import argparse
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from iclora.checkpoints import Components
from iclora.geometry import LatentFactors
from iclora.pipeline import encode_tokens, tokenise
from iclora.reference import TokenSequence, assemble, reference_tokens, target_sequence
from iclora.sampling import DISTILLED_SIGMAS, add_noise
from iclora.transformer import Stream, velocity
from toyworld.architecture import TINY
from toyworld.batches import Drawn
from toyworld.latents import DOWNSCALE, FPS

FACTORS = LatentFactors(time=8, height=2 * TINY.patch_size, width=2 * TINY.patch_size)
FIRST_FRAME = 0.1
"""Share of the clips whose first frame is given."""


def sequence_of(
    target: Tensor, control: Tensor | None, given: Tensor, *, one_way: bool = False
) -> TokenSequence:
    """Lays a batch out as the model sees it.

    Args:
        target: `b c f h w`, the clean latents.
        control: `b c f h/2 w/2`, or None to train without a reference.
        given: Whose first frame stays clean, `b` bool, on the CPU.
        one_way: Whether the reference does not look at the target.

    Returns:
        The token sequence.
    """
    references = []
    if control is not None:
        references = [reference_tokens(control, factors=FACTORS, fps=FPS, downscale=DOWNSCALE)]
    alone = target_sequence(target, factors=FACTORS, fps=FPS)
    sequence = assemble(alone, references, num_one_way=len(references) if one_way else 0)
    first = target.shape[-2] * target.shape[-1]
    sequence.mask[:, :first] *= ~given.to(target.device)[:, None]
    # What is read off the mask is read here, off its like on the CPU: reading the device's waits for all it
    # has to do, in every step.
    mask = torch.zeros(len(target), sum(sequence.lengths))
    mask[:, : sequence.num_target] = 1
    mask[given, :first] = 0
    known = replace(sequence, mask=mask)
    vars(sequence).update(runs=known.runs, num_moving=known.num_moving)
    return sequence


def draw_sigmas(rng: np.random.Generator, count: int, *, on_schedule: float) -> Tensor:
    """Draws noise levels: some from the distilled schedule, the others logit-normal towards much noise.

    Args:
        rng: Source of chance.
        count: How many.
        on_schedule: Share of those from the schedule.

    Returns:
        `b` float32 in 0..1.
    """
    steps = rng.choice(np.array(DISTILLED_SIGMAS[:-1]), size=count)
    free = 1 / (1 + np.exp(-(rng.standard_normal(count) + 0.8)))
    return torch.from_numpy(np.where(rng.random(count) < on_schedule, steps, free)).float()


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """What a run begins with, frozen, and how far its guidance goes.

    Attributes:
        parts: The model, with the adapter where one is trained.
        guidance: How many times the difference that prompt or reference make is to show; 1 is as it is.
    """

    parts: Components
    guidance: float

    @cached_property
    def nothing(self) -> Tensor:
        """The tokens of a prompt without words, `1 2 t`."""
        return tokenise(self.parts, "").to(self.parts.text_encoder.device)

    @torch.no_grad()
    def push(self, stream: Stream, alone: TokenSequence | None, tokens: Tensor) -> Tensor:
        """What guidance adds to the velocity of a batch's target tokens.

        Args:
            stream: The batch.
            alone: Its target alone, where the reference guides; None: the prompt does.
            tokens: Its prompts, `b 2 t`.

        Returns:
            `b n c`.
        """
        count = stream.sequence.num_target
        context = encode_tokens(self.parts, tokens).video
        positive, _ = velocity(self.parts.transformer, replace(stream, context=context))
        if alone is None:
            context = encode_tokens(self.parts, self.nothing.expand_as(tokens)).video
            without = replace(stream, context=context)
        else:
            without = replace(stream, latents=stream.latents[:, :count], sequence=alone, context=context)
        negative, _ = velocity(self.parts.transformer, without)
        return (self.guidance - 1) * (positive[:, :count] - negative[:, :count]).float()


def loss_of(
    parts: Components,
    drawn: Drawn,
    rng: np.random.Generator,
    given: argparse.Namespace,
    teacher: Teacher | None = None,
) -> Tensor:
    """Computes the flow-matching loss of one batch, on noised target tokens only.

    Args:
        parts: The model.
        drawn: From `draw`; a control, where there is one, is the reference.
        rng: Source of chance for noise and noise levels.
        given: Options of the command line.
        teacher: Whose guidance is learnt; None: no one's.

    Returns:
        Scalar.
    """
    target, control, tokens = drawn.target, drawn.reference, drawn.tokens
    first = torch.from_numpy(rng.random(len(target)) < FIRST_FRAME)
    sequence = sequence_of(target, control, first, one_way=given.one_way)
    generator = torch.Generator(given.device).manual_seed(int(rng.integers(2**62)))
    noise = torch.randn(sequence.clean.shape, generator=generator, device=given.device)
    sigma = draw_sigmas(rng, len(target), on_schedule=given.on_schedule).to(given.device)
    noisy = add_noise(sequence, noise, sigma)
    count = sequence.num_target
    wanted = (noise - sequence.clean)[:, :count]
    device = given.device.split(":")[0]
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        prompt = encode_tokens(parts, tokens)
        stream = Stream(
            latents=noisy, sequence=sequence, sigma=sigma, context=prompt.video, context_mask=prompt.mask
        )
        moved, _ = velocity(parts.transformer, stream)
        if teacher is not None:
            alone = None if control is None else sequence_of(target, None, first)
            wanted = wanted + teacher.push(stream, alone, tokens)
    error = (moved[:, :count].float() - wanted).square().mean(dim=-1)
    noised = sequence.mask[:, :count]
    return (error * noised).sum() / noised.sum()
