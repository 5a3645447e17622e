"""Schedules, noise, the Euler step and guidance: free functions over a `denoise` callable.

noise ─ start ─► noisy ─┬─ denoise ─► clean guess ─ hold clean tokens ─ euler step ─┬─► target tokens
                        └───────────────◄── next sigma ◄────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from iclora.checkpoints.schedules import DISTILLED_SIGMAS as DISTILLED_SIGMAS
from iclora.checkpoints.schedules import REFINE_SIGMAS as REFINE_SIGMAS
from iclora.errors import RequestError
from iclora.reference import TokenSequence
from iclora.transformer import CachePolicy, Perturbation, ReferenceCache, Stream, keepable_of, velocity


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """Tokens of both streams: noisy ones, or a guess of the clean ones.

    Attributes:
        video: ``[b, s, c]``.
        audio: ``[b, a, c_a]``, or None for a silent video.
    """

    video: Float[Tensor, "b s c"]
    audio: Float[Tensor, "b a c_a"] | None = None


Denoise = Callable[[Latents, float], Latents]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """An encoded prompt.

    Attributes:
        video: Context of the video stream ``[b, t, d]``.
        audio: Context of the audio stream ``[b, t, d_a]``; None where there is none.
        mask: True where a token counts ``[b, t]``; None means all do.
    """

    video: Float[Tensor, "b t d"]
    audio: Float[Tensor, "b t d_a"] | None = None
    mask: Bool[Tensor, "b t"] | None = None


def draw_noise(sequence: TokenSequence, generator: torch.Generator) -> Float[Tensor, "b s c"]:
    """Draw noise for a whole sequence in one call, in the latents' dtype: so seeds match the official ones.

    Args:
        sequence: The sequence to draw for; its device must be the generator's.
        generator: Source of randomness.

    Returns:
        Standard normal noise.
    """
    clean = sequence.clean
    return torch.randn(clean.shape, generator=generator, dtype=clean.dtype, device=clean.device)


def add_noise(
    sequence: TokenSequence, noise: Float[Tensor, "b s c"], sigma: Float[Tensor, " b"]
) -> Float[Tensor, "b s c"]:
    """Noise every token to its own level, ``mask * sigma``: what training shows the model.

    Args:
        sequence: Clean tokens and their mask.
        noise: Standard normal noise of the same shape.
        sigma: Noise level of each batch element, 0 to 1.

    Returns:
        Noisy tokens in the clean tokens' dtype, mixed in float32.
    """
    level = (sigma[:, None] * sequence.mask).float()[..., None]
    return torch.lerp(sequence.clean.float(), noise.float(), level).to(sequence.clean.dtype)


def start(
    sequence: TokenSequence, noise: Float[Tensor, "b s c"], *, sigma: float = 1.0
) -> Float[Tensor, "b s c"]:
    """Make the noisy tokens that sampling starts from.

    Target tokens are mixed with the noise at the first sigma; appended tokens keep ``strength`` of the clean
    token and take ``(1 - strength) * sigma`` of the noise.

    Args:
        sequence: The sequence; clean target tokens are zeros, or the video to refine where sigma is below 1.
        noise: Standard normal noise of the same shape.
        sigma: First noise level of the schedule.

    Returns:
        Noisy tokens in the clean tokens' dtype, mixed in float32.
    """
    clean, noise = sequence.clean.float(), noise.float()
    begin = clean.clone()
    begin[:, sequence.num_target :] = 0
    mixed = torch.lerp(clean, torch.lerp(begin, noise, sigma), sequence.mask.float()[..., None])
    return mixed.to(sequence.clean.dtype)


def denoiser(
    transformer: nn.Module,
    prompt: Prompt,
    video: TokenSequence,
    audio: TokenSequence | None = None,
    *,
    perturbation: Perturbation | None = None,
    reference_cache: CachePolicy | None = None,
) -> Denoise:
    """Make the callable that guesses the clean tokens with a transformer.

    With a reference cache the callable keeps what it computed of the references: make one for each video and
    guidance pass, and call it once a step.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        prompt: The encoded prompt.
        video: The video sequence.
        audio: The audio sequence, or None for a silent video.
        perturbation: What a guidance pass leaves out.
        reference_cache: How long references are kept; None computes them in every step.

    Returns:
        A function of noisy tokens and the noise level.

    Raises:
        RequestError: There is audio to make but the prompt has no audio context, or references that change
            are to be kept exactly.
    """
    cache = None if reference_cache is None else ReferenceCache(reference_cache)
    if reference_cache is not None:
        _check_exact(reference_cache, video)
    if audio is not None and prompt.audio is None:
        raise RequestError("Audio is asked for, but the prompt was encoded for video alone. Encode both.")

    def denoise(noisy: Latents, sigma: float) -> Latents:
        video_stream = _stream(noisy.video, video, sigma, prompt.video, prompt.mask)
        audio_stream = None
        if audio is not None:
            assert noisy.audio is not None and prompt.audio is not None
            audio_stream = _stream(noisy.audio, audio, sigma, prompt.audio, prompt.mask)
        moved, moved_audio = velocity(
            transformer, video_stream, audio_stream, perturbation=perturbation, cache=cache
        )
        clean = _clean_guess(video_stream, moved)
        if audio_stream is None or moved_audio is None:
            return Latents(video=clean)
        return Latents(video=clean, audio=_clean_guess(audio_stream, moved_audio))

    return denoise


@dataclass(frozen=True, kw_only=True, eq=False)
class Away:
    """A guess that guidance moves away from.

    Attributes:
        guess: Makes it.
        video: How far the video moves, times the difference; 0 is not at all.
        audio: How far the audio does.
    """

    guess: Denoise
    video: float
    audio: float


def guided(towards: Denoise, away: Sequence[Away], *, rescale: float = 0.0) -> Denoise:
    """Compose guidance: a guess, moved along its differences to others.

    Args:
        towards: Guess for the prompt.
        away: What is moved away from: the guess for the negative prompt, or those of perturbed passes.
        rescale: How much of the spread of the first guess is given back, 0 to 1.

    Returns:
        A denoise callable that runs all, or ``towards`` itself where there is nothing to move away from.

    Source: Lightricks LTX-2, ``ltx_core``: ``components/guiders.py``.
    """
    if not away:
        return towards

    def denoise(noisy: Latents, sigma: float) -> Latents:
        first = towards(noisy, sigma)
        others = [(one, one.guess(noisy, sigma)) for one in away]
        video = _moved(first.video, [(one.video, other.video) for one, other in others], rescale)
        if first.audio is None:
            return Latents(video=video)
        heard = [(one.audio, other.audio) for one, other in others if other.audio is not None]
        return Latents(video=video, audio=_moved(first.audio, heard, rescale))

    return denoise


def euler_step(
    noisy: Float[Tensor, "b s c"], clean: Float[Tensor, "b s c"], sigma: float, next_sigma: float
) -> Float[Tensor, "b s c"]:
    """Move noisy tokens along the straight line to the guessed clean ones.

    Args:
        noisy: Tokens at ``sigma``.
        clean: Guess of the clean tokens.
        sigma: Noise level, above 0.
        next_sigma: Noise level to go to, below ``sigma``.

    Returns:
        Tokens at ``next_sigma``, computed in float32, in the noisy tokens' dtype.
    """
    slope = (noisy.float() - clean.float()) / sigma
    return (noisy.float() + slope * (next_sigma - sigma)).to(noisy.dtype)


def sample(
    denoise: Denoise,
    noisy: Latents,
    video: TokenSequence,
    audio: TokenSequence | None = None,
    *,
    sigmas: Sequence[float] = DISTILLED_SIGMAS,
    progress: Callable[[int, int], None] | None = None,
) -> Latents:
    """Take all Euler steps of a schedule.

    Args:
        denoise: Guesses clean tokens.
        noisy: Tokens to start from, from `start`.
        video: The video sequence, whose clean tokens are held.
        audio: The audio sequence, or None.
        sigmas: Falling noise levels; the last is usually 0.
        progress: Called after each step with the steps done and their total.

    Returns:
        The target tokens alone (and the audio).

    Raises:
        RequestError: The schedule does not fall, or has fewer than two levels.
    """
    _check_sigmas(sigmas)
    total = len(sigmas) - 1
    for step in range(total):
        guess = denoise(noisy, sigmas[step])
        stepped = _held_step(noisy.video, guess.video, video, (sigmas[step], sigmas[step + 1]))
        heard = noisy.audio
        if audio is not None:
            assert noisy.audio is not None and guess.audio is not None
            heard = _held_step(noisy.audio, guess.audio, audio, (sigmas[step], sigmas[step + 1]))
        noisy = Latents(video=stepped, audio=heard)
        if progress is not None:
            progress(step + 1, total)
    return Latents(video=noisy.video[:, : video.num_target], audio=noisy.audio)


def _moved(guess: Tensor, others: list[tuple[float, Tensor]], rescale: float) -> Tensor:
    moved = guess + sum(far * (guess - other) for far, other in others)
    if rescale:
        spread = guess.std(dim=(1, 2), keepdim=True) / moved.std(dim=(1, 2), keepdim=True)
        moved = moved * (rescale * spread + (1 - rescale))
    return moved


def _held_step(noisy: Tensor, guess: Tensor, sequence: TokenSequence, span: tuple[float, float]) -> Tensor:
    held = torch.lerp(sequence.clean.float(), guess.float(), sequence.mask.float()[..., None])
    return euler_step(noisy, held, *span)


def _stream(
    latents: Tensor, sequence: TokenSequence, sigma: float, context: Tensor, mask: Tensor | None
) -> Stream:
    levels = torch.full((latents.shape[0],), sigma, dtype=torch.float32, device=latents.device)
    return Stream(latents=latents, sequence=sequence, sigma=levels, context=context, context_mask=mask)


def _clean_guess(stream: Stream, moved: Tensor) -> Tensor:
    levels = rearrange(stream.sigma, "b -> b 1 1") * stream.sequence.mask.float()[..., None]
    return stream.latents.float() - moved.float() * levels


def _check_exact(policy: CachePolicy, video: TokenSequence) -> None:
    if policy.every is None and len(video.lengths) > 1 and not keepable_of(policy, video):
        raise RequestError(
            "References can be kept exactly only if they are one-way and clean (strength 1), for others "
            "change in every step. Keep them for some steps (every:K), or do without the reference cache."
        )


def _check_sigmas(sigmas: Sequence[float]) -> None:
    falls = all(after < before for before, after in zip(sigmas, sigmas[1:], strict=False))
    if len(sigmas) < 2 or not falls or sigmas[-1] < 0 or sigmas[0] > 1:
        raise RequestError(
            f"The schedule {tuple(sigmas)} is not usable: give two or more falling noise levels from 1 to 0."
        )
