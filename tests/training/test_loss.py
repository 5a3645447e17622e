"""The loss by hand, and that a batch is laid out as generation lays it out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from iclora import adapters, checkpoints
from iclora.geometry import LatentFactors, LatentGrid, reference_positions, target_positions, unpatchify
from iclora.reference import TokenSequence
from iclora.sampling import Latents, Prompt, add_noise, denoiser, sample, start
from iclora.training import loss
from iclora.training.batches import Batch
from iclora.training.chance import Chance, noise_of
from iclora.training.judging import Judge
from iclora.training.loss import Feedback, Learner, Place, lay_out
from iclora.transformer import Stream

FACTORS = LatentFactors(time=8, height=16, width=16)
PLACE = Place(factors=FACTORS, fps=16.0, downscale=2, temporal_factor=1)


def batch_of(count: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(count, *shape, generator=generator)  # noqa: E731
    return Batch(target=draw(8, 2, 4, 4), references=(draw(8, 2, 2, 2),), context=draw(16, 16))


def chance_like(count: int = 3, **said: object) -> Chance:
    nobody = np.zeros(count, bool)
    chance = Chance(
        sigma=np.linspace(0.2, 0.9, count, dtype=np.float32),
        first_frame=nobody,
        silent=nobody,
        strangers=nobody,
        with_references=True,
        strengths=None,
        masks=None,
        noise_seed=5,
    )
    return replace(chance, **said)  # type: ignore[arg-type]


def as_read_from_values(sequence: TokenSequence) -> TokenSequence:
    """The same sequence, with nothing known beforehand."""
    return replace(sequence)


def test_positions_are_those_of_generation() -> None:
    sequence = lay_out(batch_of(), chance_like(), PLACE)
    assert sequence.lengths == (32, 8)
    target = target_positions(LatentGrid(frames=2, height=4, width=4), FACTORS, 16.0)
    shown = reference_positions(LatentGrid(frames=2, height=2, width=2), FACTORS, 16.0, downscale=2)
    assert torch.equal(sequence.positions[0], torch.cat([target, shown], dim=1))
    assert sequence.mask[:, :32].eq(1).all() and sequence.mask[:, 32:].eq(0).all()


def test_first_frames_stay_clean_for_whom_they_are_given() -> None:
    given = np.array([True, False, True])
    sequence = lay_out(batch_of(), chance_like(first_frame=given), PLACE)
    assert sequence.mask[:, :16].sum(dim=1).tolist() == [0, 16, 0]
    assert sequence.mask[:, 16:32].eq(1).all()


@pytest.mark.parametrize("given", [[True, False, True], [True] * 3, [False] * 3])
def test_what_is_known_beforehand_is_what_the_values_say(given: list[bool]) -> None:
    sequence = lay_out(batch_of(), chance_like(first_frame=np.array(given)), PLACE)
    read = as_read_from_values(sequence)
    assert sequence.num_moving == read.num_moving
    bounds, coarse = (np.cumsum(one.runs) for one in (sequence, read))
    assert set(coarse) <= set(bounds)  # every change of the mask is a bound; more bounds do no harm


def test_strengths_and_masks_become_weights_of_each_clip() -> None:
    masks = np.ones((3, 64, 64), np.float32)
    masks[1, :, 32:] = 0
    chance = chance_like(strengths=np.array([1.0, 0.5, 0.25]), masks=masks)
    sequence = lay_out(batch_of(), chance, PLACE)
    (weights,) = sequence.weights
    assert weights is not None
    assert weights[0].tolist() == [1.0] * 8 and weights[2].tolist() == [0.25] * 8
    assert weights[1].tolist() == [0.5, 0.0] * 4
    read = as_read_from_values(sequence)
    assert (sequence.seen, sequence.even) == (read.seen, read.even) == ((True,), (False,))


def test_tokens_of_one_weight_are_not_told_apart() -> None:
    """Their number differs from step to step: blocks would be compiled for each."""
    masks = np.ones((1, 64, 64), np.float32)
    masks[:, :, 32:] = 0
    sequence = lay_out(batch_of(1), chance_like(1, masks=masks), PLACE)
    assert sequence.alike == (None,) and as_read_from_values(sequence).alike != (None,)


def test_without_strengths_and_masks_there_are_no_weights() -> None:
    assert lay_out(batch_of(), chance_like(), PLACE).weights == (None,)
    assert lay_out(batch_of(), chance_like(strengths=np.ones(3)), PLACE).weights == (None,)


def test_references_may_be_left_out_and_may_be_one_way() -> None:
    assert lay_out(batch_of(), chance_like(with_references=False), PLACE).lengths == (32,)
    assert lay_out(batch_of(), chance_like(), replace(PLACE, one_way=True)).num_one_way == 1


@pytest.mark.parametrize(("given", "expected"), [([False, False], [3.0, 5.0]), ([True, False], [4.0, 5.0])])
def test_the_loss_is_the_mean_over_the_noised_target_tokens_of_each_clip(
    given: list[bool], expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong_velocity(transformer: object, stream: Stream) -> tuple[torch.Tensor, None]:
        true = noise_of(5, stream.sequence.clean) - stream.sequence.clean
        off = torch.zeros_like(true)
        off[0, :16], off[0, 16:32] = 2**0.5, 2.0  # squared 2 and 4
        off[1, :32], off[:, 32:] = 5**0.5, 100.0  # references do not count
        return true + off, None

    monkeypatch.setattr(loss, "velocity", wrong_velocity)
    learner = Learner(torch.nn.Identity(), PLACE, torch.float32)
    losses = learner(batch_of(2), chance_like(2, first_frame=np.array(given)))
    assert losses.shape == (1, 2)
    assert losses[0].tolist() == pytest.approx(expected, rel=1e-4)


def test_the_model_sees_noise_at_each_clips_level(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Stream] = []

    def look(transformer: object, stream: Stream) -> tuple[torch.Tensor, None]:
        seen.append(stream)
        return torch.zeros_like(stream.latents), None

    monkeypatch.setattr(loss, "velocity", look)
    Learner(torch.nn.Identity(), PLACE, torch.float32)(batch_of(), chance_like())
    (stream,) = seen
    noise = noise_of(5, stream.sequence.clean)
    sigma = torch.from_numpy(chance_like().sigma)
    assert torch.equal(stream.latents, add_noise(stream.sequence, noise, sigma))
    assert torch.equal(stream.latents[:, 32:], stream.sequence.clean[:, 32:])


@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_lowers_the_loss_and_moves_the_adapter_alone(
    one_way: bool, checkpointing: bool, micro_model: Path
) -> None:
    transformer = checkpoints.load(micro_model).transformer
    torch.manual_seed(0)
    parameters = adapters.create(transformer, rank=4, name="new")
    if checkpointing:
        transformer.enable_gradient_checkpointing()
    before = transformer.proj_in.weight.clone()
    learner = Learner(transformer, replace(PLACE, one_way=one_way), torch.float32)
    optimizer = torch.optim.Adam(parameters, lr=0.03)
    weights = np.array([1.0, 0.5, 0.7])
    found = []
    for _ in range(20):
        losses = learner(
            batch_of(), chance_like(strengths=weights, first_frame=np.array([True, False, False]))
        )
        found.append(losses.mean().item())
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    assert found[-1] < 0.9 * found[0]
    assert torch.equal(transformer.proj_in.weight, before)


class Asked(Judge):
    """Notes what it is asked, and says how large guesses are."""

    def __init__(self) -> None:
        self.guesses: list[torch.Tensor] = []
        self.controls: list[list[str]] = []

    def losses(
        self, guess: torch.Tensor, target: torch.Tensor, controls: Sequence[str], *, seed: int
    ) -> torch.Tensor:
        assert guess.shape == target.shape
        self.guesses.append(guess)
        self.controls.append(list(controls))
        return guess.square().mean(dim=(1, 2, 3, 4))


def test_the_judged_guess_is_that_of_sampling(micro_model: Path) -> None:
    transformer = checkpoints.load(micro_model).transformer
    torch.manual_seed(0)
    parameters = adapters.create(transformer, rank=4, name="new")
    schedule, judge = (1.0, 0.9, 0.5, 0.0), Asked()
    feedback = Feedback(judge=judge, schedule=schedule, from_noise=0.6)
    learner = Learner(transformer, PLACE, torch.float32, feedback)
    batch, chance = batch_of(), chance_like(first_frame=np.array([True, False, False]))
    strangers = replace(chance, strangers=np.array([False, True, False]))
    controls = ["canny", "depth", "pose"]
    losses, judged = learner(batch, strangers, controls)
    assert judge.controls == [controls] and judged[1] == 0 and judged[0] > 0
    judged.mean().backward()
    assert all(parameter.grad is not None for parameter in parameters)
    # By hand: two steps of the sampler from the same noise, then the guess of the third.
    sequence = lay_out(batch, chance, PLACE)
    rng = np.random.default_rng(chance.noise_seed)
    rng.choice([2])
    noise = noise_of(int(rng.integers(2**62)), sequence.clean)
    guess = denoiser(transformer, Prompt(video=batch.context), sequence)
    with torch.no_grad():
        moved = sample(guess, Latents(video=start(sequence, noise)), sequence, sigmas=schedule[:3]).video
        noisy = torch.cat([moved, sequence.clean[:, 32:]], dim=1)
        expected = guess(Latents(video=noisy), 0.5).video[:, :32]
    found = judge.guesses[0].detach()
    assert torch.allclose(found, unpatchify(expected, LatentGrid(frames=2, height=4, width=4)), atol=1e-6)
    assert torch.equal(learner(batch, chance)[0], losses)  # nothing judged, the same loss
    # What moves is judged where the first frame is given alone.
    assert (learner(batch, chance, ["tracks"] * 3)[1] > 0).tolist() == [True, False, False]
