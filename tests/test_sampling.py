"""Noise, steps and guidance."""

import pytest
import torch
from torch import Tensor

from iclora.errors import RequestError
from iclora.reference import assemble
from iclora.sampling import (
    DISTILLED_SIGMAS,
    REFINE_SIGMAS,
    Away,
    Latents,
    Prompt,
    add_noise,
    denoiser,
    draw_noise,
    euler_step,
    guided,
    sample,
    start,
)
from tests.small_models import CHANNELS, audio_target, contexts, control, transformer, video_target


def test_schedules() -> None:
    assert DISTILLED_SIGMAS == (1, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0)
    assert REFINE_SIGMAS == DISTILLED_SIGMAS[-4:]


def test_noise_is_one_draw_for_the_whole_sequence() -> None:
    sequence = assemble(video_target(), [control()])
    noise = draw_noise(sequence, torch.Generator().manual_seed(10))
    expected = torch.randn(1, 24, CHANNELS, generator=torch.Generator().manual_seed(10))
    assert torch.equal(noise, expected)


def test_noise_is_drawn_in_the_dtype_of_the_latents() -> None:
    sequence = video_target()
    half = type(sequence)(
        clean=sequence.clean.bfloat16(),
        positions=sequence.positions,
        mask=sequence.mask,
        lengths=sequence.lengths,
    )
    noise = draw_noise(half, torch.Generator().manual_seed(10))
    expected = torch.randn(1, 12, CHANNELS, generator=torch.Generator().manual_seed(10), dtype=torch.bfloat16)
    assert torch.equal(noise, expected)
    assert start(half, noise).dtype == torch.bfloat16


def test_training_noise_is_mask_times_sigma() -> None:
    sequence = assemble(video_target(), [control(strength=0.75)])
    noise = torch.ones_like(sequence.clean)
    noisy = add_noise(sequence, noise, torch.tensor([0.5]))
    torch.testing.assert_close(noisy[:, :12], torch.full((1, 12, CHANNELS), 0.5))
    torch.testing.assert_close(noisy[:, 12:], 0.875 * sequence.clean[:, 12:] + 0.125)


def test_sampling_starts_from_noise_and_clean_tokens() -> None:
    sequence = assemble(video_target(), [control(strength=0.75)])
    noise = torch.ones_like(sequence.clean)
    assert torch.equal(start(sequence, noise)[:, :12], noise[:, :12])
    refined = start(sequence, noise, sigma=0.5)
    torch.testing.assert_close(refined[:, :12], noise[:, :12] / 2)
    torch.testing.assert_close(refined[:, 12:], 0.75 * sequence.clean[:, 12:] + 0.25 * 0.5)


def test_euler_step_by_hand() -> None:
    noisy, clean = torch.full((1, 1, 1), 3.0), torch.full((1, 1, 1), 1.0)
    assert euler_step(noisy, clean, 0.5, 0.25).item() == 2
    assert euler_step(noisy, clean, 0.5, 0.0).item() == 1


def test_a_perfect_guess_is_reached_and_clean_tokens_are_held() -> None:
    sequence = assemble(video_target(), [control()])
    noisy = Latents(video=start(sequence, draw_noise(sequence, torch.Generator().manual_seed(0))))
    goal, seen, told = torch.full_like(sequence.clean, 2.0), [], []

    def denoise(noisy: Latents, sigma: float) -> Latents:
        seen.append((sigma, noisy.video[:, 12:].clone()))
        return Latents(video=goal)

    made = sample(denoise, noisy, sequence, progress=lambda step, total: told.append((step, total)))
    torch.testing.assert_close(made.video, goal[:, :12])
    assert made.audio is None
    assert [sigma for sigma, _ in seen] == list(DISTILLED_SIGMAS[:-1])
    assert all(torch.equal(tokens, sequence.clean[:, 12:]) for _, tokens in seen)
    assert told == [(step, 8) for step in range(1, 9)]


@pytest.mark.parametrize("sigmas", [(1.0,), (1.0, 1.0, 0.0), (0.5, 0.7, 0.0), (1.5, 0.0), (1.0, -0.1)])
def test_unusable_schedules_are_refused(sigmas: tuple[float, ...]) -> None:
    with pytest.raises(RequestError, match="is not usable: give two or more falling noise levels"):
        sample(lambda noisy, sigma: noisy, Latents(video=video_target().clean), video_target(), sigmas=sigmas)


def test_guidance_by_hand() -> None:
    def guess(value: float) -> Latents:
        return Latents(video=torch.full((1, 1, 1), value), audio=torch.full((1, 1, 1), 10 * value))

    noisy, first = guess(0.0), lambda noisy, sigma: guess(2.0)
    negative = Away(guess=lambda noisy, sigma: guess(1.0), video=2.0, audio=1.0)
    perturbed = Away(guess=lambda noisy, sigma: guess(1.5), video=1.0, audio=0.0)
    moved = guided(first, [negative, perturbed])(noisy, 1.0)
    assert moved.video.item() == 2 + 2 * (2 - 1) + (2 - 1.5)
    assert moved.audio is not None and moved.audio.item() == 20 + (20 - 10)


def test_rescaling_gives_the_spread_back() -> None:
    values = torch.tensor([[[-1.0], [1.0]], [[-2.0], [2.0]]])  # each element of a batch by itself
    nothing = Away(guess=lambda noisy, sigma: Latents(video=0 * values), video=3.0, audio=3.0)

    def moved(rescale: float) -> Tensor:
        given = guided(lambda noisy, sigma: Latents(video=values), [nothing], rescale=rescale)
        return given(Latents(video=values), 1.0).video

    torch.testing.assert_close(moved(0.0), 4 * values)
    torch.testing.assert_close(moved(1.0), values)
    torch.testing.assert_close(moved(0.5), 4 * values * 0.625)


def test_without_guidance_one_pass_runs() -> None:
    def positive(noisy: Latents, sigma: float) -> Latents:
        return noisy

    assert guided(positive, []) is positive


def test_the_guess_takes_each_tokens_own_noise_level() -> None:
    model = transformer()
    video_context, audio_context = contexts(model)
    sequence = assemble(video_target(), [control(strength=1.0)])
    audio = audio_target()
    noisy = Latents(
        video=start(sequence, torch.randn_like(sequence.clean)), audio=torch.randn_like(audio.clean)
    )
    denoise = denoiser(model, Prompt(video=video_context, audio=audio_context), sequence, audio)
    with torch.inference_mode():
        guess = denoise(noisy, 1.0)
    assert torch.equal(guess.video[:, 12:], sequence.clean[:, 12:])
    assert guess.audio is not None and guess.audio.shape == audio.clean.shape
    assert not torch.allclose(guess.video[:, :12], noisy.video[:, :12])


def test_audio_needs_a_prompt_for_audio() -> None:
    with pytest.raises(RequestError, match="the prompt was encoded for video alone"):
        denoiser(transformer(), Prompt(video=torch.zeros(1, 3, 24)), video_target(), audio_target())
