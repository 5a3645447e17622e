"""Feedback from the result: what an adapter makes is decoded, and its edges are looked at.

    noise ─► first steps of the schedule, as they are ─┬─► step: clean guess ─► pictures ─► edges ─┐
                                                       └── next step ◄── moved on ◄───────┘        ▼
                                                                             lines of the control ─► loss

Flow matching teaches the mean of all pictures that fit, and that is blurred; an edge half as strong at two
places is no edge. The steps from `FIRST` down, where lines are drawn, each give a guess, and each guess is
judged, on the model's own way through the schedule. The gradient's size replaces the yes or no of an edge
detector, in units of the threshold that `iclora.controls.canny` would choose for the clip.

Source: the cycle consistency of Li et al., "ControlNet++" (ECCV 2024), here over several steps.
"""

import argparse
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from iclora import sampling
from iclora.checkpoints import Components
from iclora.geometry import grid_of, unpatchify
from iclora.pipeline import encode_tokens, pixels_of
from iclora.training.judging import gradients_of, off_lines, threshold_of
from toyworld.batches import Drawn
from toyworld.flow_loss import Teacher, sequence_of

FIRST = 0.95
"""Noise level from which on guesses are judged."""


def edge_loss(pictures: Float[Tensor, "b 3 f h w"], lines: Float[Tensor, "b f h w"]) -> Tensor:
    """What edges of pictures lack on the lines of a control, and what there is away from them.

    Args:
        pictures: RGB, -1..1.
        lines: 1 on lines one pixel wide, 0 elsewhere; those on the border do not count.

    Returns:
        Scalar: 0 where each line has a strong edge within 2 pixels, and nothing shows 5 pixels off all lines.
    """
    sizes = gradients_of(pictures)
    sizes = sizes / threshold_of(sizes)
    border = (lines.shape[-1] - sizes.shape[-1]) // 2
    lines = lines[..., border:-border, border:-border]
    count = lines.sum(dim=(1, 2, 3)) + 1e-3 * lines[0].numel()
    return (off_lines(sizes, lines) / count).mean()


def feedback_of(
    parts: Components,
    drawn: Drawn,
    rng: np.random.Generator,
    given: argparse.Namespace,
    teacher: Teacher | None,
) -> Tensor:
    """Judges the guesses of a model on its way through the distilled schedule.

    Args:
        parts: The model, with the adapter that learns.
        drawn: From `draw`, with references and their lines.
        rng: Source of chance for the noise.
        given: Options of the command line; `likeness` is how much guesses are to stay like the teacher's.
        teacher: What the model began as.

    Returns:
        Scalar, the mean over the judged steps.
    """
    assert teacher is not None and drawn.reference is not None and drawn.lines is not None
    nobody = torch.zeros(len(drawn.target), dtype=torch.bool)
    sequence = sequence_of(torch.zeros_like(drawn.target), drawn.reference, nobody, one_way=given.one_way)
    generator = torch.Generator(given.device).manual_seed(int(rng.integers(2**62)))
    noisy = sampling.start(sequence, sampling.draw_noise(sequence, generator))
    count, losses = sequence.num_target, []
    half = partial(torch.autocast, noisy.device.type, torch.bfloat16, enabled=noisy.is_cuda)
    with half():
        student, before = (
            sampling.denoiser(one.transformer, encode_tokens(one, drawn.tokens), sequence)
            for one in (parts, teacher.parts)
        )
    for sigma, after in pairwise(sampling.DISTILLED_SIGMAS):
        judged = sigma <= FIRST
        with torch.set_grad_enabled(judged), half():
            guess = student(sampling.Latents(video=noisy), sigma).video
        if judged:
            with torch.no_grad(), half():
                wont = before(sampling.Latents(video=noisy), sigma).video
            pictures = pixels_of(parts.vae, unpatchify(guess[:, :count], grid_of(drawn.target)))
            unlike = (guess[:, :count] - wont[:, :count]).square().mean()
            losses.append(edge_loss(pictures, drawn.lines) + given.likeness * unlike)
        noisy = sampling.euler_step(noisy, guess.detach(), sigma, after)
    return torch.stack(losses).mean()
