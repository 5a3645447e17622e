"""The loss of flow matching, by hand and in small."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from iclora import checkpoints
from iclora.geometry import LatentGrid, reference_positions, target_positions
from iclora.pipeline import encode_prompt, tokenise
from iclora.sampling import DISTILLED_SIGMAS, add_noise
from iclora.transformer import Stream, velocity
from toyworld import flow_loss
from toyworld.batches import Bank, draw, read_captions
from toyworld.flow_loss import FACTORS, FPS, draw_sigmas, sequence_of


def test_training_lowers_the_loss(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = checkpoints.load(base_folder)
    generator, options = (
        np.random.default_rng,
        argparse.Namespace(device="cpu", one_way=False, on_schedule=0.2),
    )

    parameters = list(parts.transformer.requires_grad_(True).parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    drawn, seen = (
        draw(
            read_captions(Bank.open(bank), parts, "cpu"),
            generator(1),
            count=3,
            kind="target",
            shown="control",
        ),
        [],
    )
    for _ in range(40):
        loss = flow_loss.loss_of(parts, drawn, generator(1), options)
        seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert seen[-1] < 0.8 * seen[0]


def true_velocity(transformer: object, stream: Stream) -> tuple[torch.Tensor, None]:
    """Noise minus clean of noised tokens; of clean ones 0, which is not what the loss would ask of them."""
    shift = stream.latents - stream.sequence.clean  # sigma times noise minus clean, on noised tokens
    return shift / stream.sigma[:, None, None], None


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.5, 3), (1.0, 4)])
def test_the_loss_is_the_error_on_noised_tokens_alone(
    share: float, count: int, bank: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = argparse.Namespace(device="cpu", one_way=False, on_schedule=0.2)
    parts = checkpoints.load(base_folder)
    opened = read_captions(Bank.open(bank), parts, "cpu")
    drawn = draw(opened, np.random.default_rng(1), count=4, kind="target", shown="control")
    given: list[int] = []

    def off_by(error: float, stream: Stream) -> tuple[torch.Tensor, None]:
        clean = (stream.latents == stream.sequence.clean).all(dim=-1)
        assert torch.equal(clean, stream.sequence.mask == 0)
        given.append(int(clean[:, :16].all(dim=1).sum()))
        return true_velocity(None, stream)[0] + error, None

    monkeypatch.setattr(flow_loss, "FIRST_FRAME", share)
    for error in (0.0, 2.0):
        monkeypatch.setattr(flow_loss, "velocity", lambda _, stream, error=error: off_by(error, stream))
        rng = np.random.default_rng(0)  # begins with 0.64, 0.27, 0.04, 0.02
        loss = flow_loss.loss_of(parts, drawn, rng, options)
        assert loss.item() == pytest.approx(error**2, abs=1e-5)
    assert given == [count, count]


def test_a_batch_is_laid_out_as_in_generation() -> None:
    target, control = torch.randn(2, 8, 2, 4, 6), torch.randn(2, 8, 2, 2, 3)
    sequence = sequence_of(target, control, torch.tensor([False, True]))
    assert sequence.lengths == (48, 12)
    whole = target_positions(LatentGrid(frames=2, height=4, width=6), FACTORS, FPS)
    small = reference_positions(LatentGrid(frames=2, height=2, width=3), FACTORS, FPS, downscale=2)
    assert torch.equal(sequence.positions[1], torch.cat([whole, small], dim=1))
    assert torch.equal(sequence.clean[0, 0], target[0, :, 0, 0, 0])
    assert torch.equal(sequence.clean[0, 48], control[0, :, 0, 0, 0])
    # The first frame's 24 tokens of the second clip and all of the references stay clean.
    assert sequence.mask.tolist() == [[1] * 48 + [0] * 12, [0] * 24 + [1] * 24 + [0] * 12]
    alone = sequence_of(target, None, torch.tensor([True, False]))
    assert alone.lengths == (48,) and alone.mask.tolist() == [[0] * 24 + [1] * 24, [1] * 48]
    # What is known of the mask beforehand is what its values say.
    for known in (sequence, alone):
        read = replace(known, mask=known.mask.clone())
        assert (vars(known)["runs"], vars(known)["num_moving"]) == (read.runs, read.num_moving)


def test_some_of_the_noise_levels_are_steps_of_the_schedule() -> None:
    sigmas = draw_sigmas(np.random.default_rng(0), 4000, on_schedule=0.2)
    assert sigmas.dtype == torch.float32 and 0 < sigmas.min() and sigmas.max() <= 1
    steps = torch.tensor(DISTILLED_SIGMAS[:-1])
    on_step = (sigmas[:, None] == steps).any(dim=1)
    assert 0.18 < on_step.float().mean() < 0.22
    assert set(sigmas[on_step].tolist()) == set(steps.tolist())
    assert 0.6 < sigmas[~on_step].mean() < 0.75


@pytest.mark.parametrize("by_reference", [True, False])
def test_guidance_pushes_along_what_prompt_or_reference_change(
    *, by_reference: bool, bank: Path, base_folder: Path
) -> None:
    parts = checkpoints.load(base_folder)
    shown = "control" if by_reference else None
    drawn = draw(
        read_captions(Bank.open(bank), parts, "cpu"),
        np.random.default_rng(3),
        count=3,
        kind="target",
        shown=shown,
    )
    target, control, captions = drawn.target, drawn.reference, ["a red ball rolling", "", "two neon boxes"]
    first = torch.tensor([False, True, False])
    sequence, alone = sequence_of(target, control, first), sequence_of(target, None, first)
    sigma = torch.tensor([0.3, 0.6, 0.9])
    noisy = add_noise(sequence, torch.randn_like(sequence.clean), sigma)
    context = torch.zeros_like(encode_prompt(parts, *captions).video)  # the student's is not the teacher's
    stream = Stream(latents=noisy, sequence=sequence, sigma=sigma, context=context)
    teacher = flow_loss.Teacher(parts=parts, guidance=3.0)
    push = teacher.push(stream, alone if by_reference else None, tokenise(parts, *captions))
    with torch.no_grad():
        said, unsaid = (encode_prompt(parts, *texts).video for texts in (captions, [""] * 3))
        count = sequence.num_target
        towards, _ = velocity(parts.transformer, replace(stream, context=said))
        away = replace(stream, context=unsaid)
        if by_reference:
            away = replace(stream, context=said, latents=noisy[:, :count], sequence=alone)
        without, _ = velocity(parts.transformer, away)
    torch.testing.assert_close(push, 2 * (towards[:, :count] - without[:, :count]))
    assert push.shape == target.flatten(2).mT.shape and push.abs().max() > 1e-4
    assert (push[1] == 0).all() == (not by_reference)  # no prompt, nothing to follow


def test_a_loss_learns_what_guidance_adds(
    bank: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = argparse.Namespace(device="cpu", one_way=False, on_schedule=0.2)
    parts = checkpoints.load(base_folder)
    drawn = draw(
        read_captions(Bank.open(bank), parts, "cpu"),
        np.random.default_rng(1),
        count=2,
        kind="target",
        shown="control",
    )
    monkeypatch.setattr(flow_loss, "velocity", true_velocity)
    monkeypatch.setattr(flow_loss.Teacher, "push", lambda *_: torch.tensor(0.5))
    teacher = flow_loss.Teacher(parts=parts, guidance=2.0)
    losses = [
        flow_loss.loss_of(parts, drawn, np.random.default_rng(0), options, one) for one in (None, teacher)
    ]
    assert [loss.item() for loss in losses] == pytest.approx([0, 0.25], abs=1e-5)
