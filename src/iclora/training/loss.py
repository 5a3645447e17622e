"""The loss of flow matching: the velocity from clean latents to noise, learned at all noise levels.

    clean latents ─┬─ noised ─► model ─► velocity ─┐
    noise ─────────┴─ noise minus clean ───────────┴─► mean square over the noised target tokens of each clip

With feedback the model is beside that sampled from noise, and one of its guesses on the way is judged:

    noise ─► first steps of the schedule, without a gradient ─► guess ─► `judging`

Positions, reference tokens, attention weights and noise are those of generation: nothing of them is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from iclora.geometry import LatentFactors, LatentGrid, grid_of, unpatchify
from iclora.reference import (
    ReferenceTokens,
    TokenSequence,
    assemble,
    mask_to_tokens,
    reference_tokens,
    target_sequence,
)
from iclora.sampling import Latents, Prompt, add_noise, denoiser, sample, start
from iclora.training.batches import Batch
from iclora.training.chance import Chance, noise_of
from iclora.training.judging import FROM_FIRST_FRAME, Judge, judged_steps
from iclora.transformer import Stream, velocity


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where tokens stand, and who looks at whom.

    Attributes:
        factors: Pixels of one latent cell.
        fps: Frames per second of targets.
        downscale: How many times smaller than the target references are.
        temporal_factor: How many target frames one reference frame stands for.
        one_way: Whether references look at nothing but themselves.
        with_first_frames: Whether first frames are ever given; then they are modulated apart in every batch,
            so that all batches are compiled alike.
    """

    factors: LatentFactors
    fps: float
    downscale: int = 1
    temporal_factor: int = 1
    one_way: bool = False
    with_first_frames: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Feedback:
    """How guesses are judged.

    Attributes:
        judge: Compares them with the clips.
        schedule: Noise levels that the base is sampled at, the last one 0.
        from_noise: The noise level from which on guesses are judged.
    """

    judge: Judge
    schedule: tuple[float, ...]
    from_noise: float


class Learner(nn.Module):
    """The transformer with its loss in its forward, which is what DDP and FSDP wrap.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel`` with the adapter that is trained.
        place: Where tokens stand.
        dtype: What latents are computed in.
        feedback: How guesses are judged; None: they are not.
    """

    def __init__(
        self, transformer: Any, place: Place, dtype: torch.dtype, feedback: Feedback | None = None
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.place = place
        self.dtype = dtype
        self.feedback = feedback

    def forward(self, batch: Batch, chance: Chance, controls: Sequence[str] = ()) -> Float[Tensor, "n b"]:
        """Compute the losses of each clip of a batch.

        Args:
            batch: The clips.
            chance: What was drawn for it.
            controls: The control of each clip's reference, to be judged by; empty: nothing is judged.

        Returns:
            Mean squared error over the noised target tokens, and where clips are judged what `Judge` says;
            float32, differentiable.
        """
        sequence = lay_out(batch, chance, self.place)
        losses = self._flow_matching(batch, chance, sequence)
        if self.feedback is None or not controls:
            return losses[None]
        if not chance.with_references:  # nothing to follow
            return torch.stack([losses, torch.zeros_like(losses)])
        return torch.stack([losses, self._judged(batch, chance, sequence, controls, self.feedback)])

    def _flow_matching(self, batch: Batch, chance: Chance, sequence: TokenSequence) -> Float[Tensor, " b"]:
        device = sequence.clean.device
        noise = noise_of(chance.noise_seed, sequence.clean)
        sigma = torch.from_numpy(chance.sigma).to(device, non_blocking=True)
        noisy = add_noise(sequence, noise, sigma).to(self.dtype)
        with self._mixed(device):
            stream = Stream(
                latents=noisy,
                sequence=sequence,
                sigma=sigma,
                context=batch.context.to(self.dtype),
                context_mask=batch.context_mask,
            )
            moved, _ = velocity(self.transformer, stream)
        count = sequence.num_target
        error = (moved[:, :count].float() - (noise - sequence.clean)[:, :count]).square().mean(dim=-1)
        noised = sequence.mask[:, :count]
        losses: Tensor = (error * noised).sum(dim=1) / noised.sum(dim=1)
        return losses

    def _judged(
        self,
        batch: Batch,
        chance: Chance,
        sequence: TokenSequence,
        controls: Sequence[str],
        feedback: Feedback,
    ) -> Float[Tensor, " b"]:
        """Sample up to a step of the schedule, and judge the guess there."""
        device, schedule = sequence.clean.device, feedback.schedule
        steps = judged_steps(schedule, feedback.from_noise)
        rng = np.random.default_rng(chance.noise_seed)
        step, seed, place = int(rng.choice(steps)), int(rng.integers(2**62)), int(rng.integers(2**62))
        prompt = Prompt(video=batch.context.to(self.dtype), mask=batch.context_mask)
        denoise = denoiser(self.transformer, prompt, sequence)
        with torch.no_grad(), self._mixed(device):
            begun = Latents(video=start(sequence, noise_of(seed, sequence.clean)))
            moved = sample(denoise, begun, sequence, sigmas=schedule[: step + 1]).video
            noisy = torch.cat([moved, sequence.clean[:, sequence.num_target :]], dim=1)
        # Apart from that: weights cast without a gradient would be taken again, in older versions of PyTorch.
        with self._mixed(device):
            guess = denoise(Latents(video=noisy), schedule[step]).video[:, : sequence.num_target]
        grid = grid_of(batch.target)
        losses = feedback.judge.losses(unpatchify(guess, grid), batch.target, controls, seed=place)
        return losses * torch.from_numpy(_can_be_judged(controls, chance)).to(device, non_blocking=True)

    def _mixed(self, device: torch.device) -> torch.autocast:
        mixed = self.dtype in (torch.bfloat16, torch.float16)
        return torch.autocast(device.type, self.dtype, enabled=mixed)


def _can_be_judged(controls: Sequence[str], chance: Chance) -> np.ndarray:
    """Say which clips have something to follow: their own reference, and a first frame where it takes one."""
    needs = np.isin(np.asarray(controls), FROM_FIRST_FRAME)
    own: np.ndarray = ~np.asarray(chance.strangers) & (~needs | np.asarray(chance.first_frame))
    return own


def lay_out(batch: Batch, chance: Chance, place: Place) -> TokenSequence:
    """Lay a batch out as the model sees it, with clean latents in float32.

    Args:
        batch: The clips.
        chance: What was drawn for it.
        place: Where tokens stand.

    Returns:
        The sequence, with what is read off its values read beforehand: reading the device's waits for all it
        has to do, in every step.
    """
    target = batch.target.float()
    where: dict[str, Any] = {"factors": place.factors, "fps": place.fps}
    factors: dict[str, Any] = {"downscale": place.downscale, "temporal_factor": place.temporal_factor}
    shown = batch.references if chance.with_references else ()
    # Weights stay on the host until all that is asked of their values was asked.
    items = [
        replace(
            reference_tokens(latents.float(), **where, **factors), weights=attention_weights(chance, latents)
        )
        for latents in shown
    ]
    sequence = assemble(target_sequence(target, **where), items, num_one_way=len(items) * place.one_way)
    return _read_beforehand(sequence, items, chance, place, grid_of(target))


def attention_weights(chance: Chance, latents: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b r"] | None:
    """Work out how much each token of a reference is looked at.

    Args:
        chance: What was drawn for the batch.
        latents: The reference's latents.

    Returns:
        Attention strength times mask, on the CPU; None where strengths and masks are not drawn.
    """
    if chance.strengths is None and chance.masks is None:
        return None
    grid = grid_of(latents)
    weights = torch.ones(len(latents), grid.num_tokens)
    if chance.masks is not None:
        weights = torch.stack([mask_to_tokens(torch.from_numpy(mask), grid) for mask in chance.masks])
    if chance.strengths is not None:
        weights = weights * torch.from_numpy(chance.strengths).float()[:, None]
    return weights


def _read_beforehand(
    sequence: TokenSequence, items: list[ReferenceTokens], chance: Chance, place: Place, grid: LatentGrid
) -> TokenSequence:
    device = sequence.mask.device
    weights = tuple(None if one is None else one.to(device, non_blocking=True) for one in sequence.weights)
    known: dict[str, Any] = {"num_moving": sequence.num_target}
    if any(one is not None for one in weights):
        # Tokens of one weight are not told apart: other numbers of them would be compiled anew in each step.
        alike = tuple(None for _ in sequence.weights)
        known |= {"seen": sequence.seen, "even": sequence.even, "alike": alike}
    first = grid.height * grid.width
    runs = [sequence.num_target, *(item.latents.shape[1] for item in items)]
    if place.with_first_frames and first < sequence.num_target:
        runs[:1] = [first, sequence.num_target - first]
        given = torch.from_numpy(np.asarray(chance.first_frame)).to(device, non_blocking=True)
        sequence.mask[:, :first] *= ~given[:, None]
    laid = replace(sequence, weights=weights)
    vars(laid).update(known, runs=tuple(runs))
    return laid
