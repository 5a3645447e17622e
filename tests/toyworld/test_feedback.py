"""What feedback makes of edges, by hand, and a run of it in small."""

import argparse
import importlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from iclora import Clip, adapters, checkpoints, controls, sampling
from iclora.training.judging import STRONG
from tests.toyworld.runs import call
from tests.training.edges import pictures_of, step
from toyworld import feedback, train_base
from toyworld.batches import Bank, draw, read_captions
from toyworld.flow_loss import Teacher

detector = importlib.import_module("iclora.controls.canny")  # the package's name of that is the function


def line(at: int) -> Tensor:
    lines = torch.zeros(1, 1, 48, 64)
    lines[..., at] = 1
    return lines


def test_edges_on_their_lines_cost_nothing() -> None:
    on, near, far = (feedback.edge_loss(pictures_of(step(30)), line(at)).item() for at in (30, 31, 36))
    assert on == near == 0 and far > 1.5


def test_missing_edges_and_wrong_ones_cost() -> None:
    flat = pictures_of(np.full((48, 64), 90, np.float32))
    rows, columns = 48 - 2 * 7, 64 - 2 * 7  # without the border
    count = rows + 1e-3 * rows * columns
    missing = feedback.edge_loss(flat, line(30)).item()
    assert missing == pytest.approx(rows * STRONG / count, rel=0.01)
    elsewhere = feedback.edge_loss(pictures_of(step(50)), line(30)).item()
    only_wrong = elsewhere - missing
    assert only_wrong > 1
    more = feedback.edge_loss(pictures_of(step(50)), torch.zeros_like(line(30)))
    assert more.item() == pytest.approx(only_wrong * count / (1e-3 * rows * columns), rel=0.05)


def test_following_the_loss_brings_edges_to_their_lines() -> None:
    torch.manual_seed(0)
    picture = (0.3 * torch.randn(1, 3, 2, 6, 8)).requires_grad_()
    lines = torch.zeros(1, 2, 48, 64)
    lines[..., 30] = 1

    def enlarged() -> Tensor:
        return torch.nn.functional.interpolate(picture.tanh(), (2, 48, 64), mode="trilinear")

    optimizer, seen = torch.optim.Adam([picture], lr=0.05), []
    for _ in range(150):
        loss = feedback.edge_loss(enlarged(), lines)
        seen.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert seen[-1] < 0.2 * seen[0]
    frames = ((enlarged()[0].detach() + 1) * 127.5).clamp(0, 255).byte().permute(1, 2, 3, 0).numpy()
    found = controls.canny(Clip(frames=frames, fps=8.0)).frames[..., 0] > 0
    assert found[:, 8:40, 28:33].any(axis=2).mean() > 0.9 and found[:, 8:40, :24].mean() < 0.02


@pytest.fixture
def opened(bank: Path, base_folder: Path) -> tuple[checkpoints.Components, Bank]:
    parts = checkpoints.load(base_folder)
    return parts, read_captions(Bank.open(bank, kinds=("target", "control", "lines")), parts, "cpu")


def test_guesses_are_judged_on_the_models_own_way(
    opened: tuple[checkpoints.Components, Bank], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, bank = opened
    drawn = draw(bank, np.random.default_rng(0), count=2, kind="target", shown="control")
    judged: list[Tensor] = []
    monkeypatch.setattr(
        feedback, "edge_loss", lambda pictures, lines: judged.append(pictures) or lines.sum() * 0
    )
    given = argparse.Namespace(device="cpu", one_way=False, likeness=1.0)
    teacher = Teacher(parts=parts, guidance=1.0)
    loss = feedback.feedback_of(parts, drawn, np.random.default_rng(5), given, teacher)
    assert loss.item() == pytest.approx(0, abs=1e-10)  # like itself
    steps = [sigma for sigma, _ in pairwise(sampling.DISTILLED_SIGMAS) if sigma <= feedback.FIRST]
    assert len(judged) == len(steps) == 3
    assert judged[0].shape == (2, 3, 9, 64, 64)
    # The last guess is what generation ends with.
    sequence = feedback.sequence_of(
        torch.zeros_like(drawn.target), drawn.reference, torch.tensor([False, False])
    )
    generator = torch.Generator().manual_seed(int(np.random.default_rng(5).integers(2**62)))
    noisy = sampling.start(sequence, sampling.draw_noise(sequence, generator))
    with torch.no_grad():
        denoise = sampling.denoiser(parts.transformer, feedback.encode_tokens(parts, drawn.tokens), sequence)
        made = sampling.sample(denoise, sampling.Latents(video=noisy), sequence).video
        grid = feedback.grid_of(drawn.target)
        whole = feedback.pixels_of(parts.vae, feedback.unpatchify(made, grid))
    torch.testing.assert_close(judged[-1], whole, atol=1e-4, rtol=1e-4)


def test_an_adapter_is_trained_by_feedback(
    bank: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canny = tmp_path / "first" / "canny.safetensors"
    words = ("--adapter", base_folder, "--batch", 2, "--device", "cpu", "--adam", 0.01)
    call(monkeypatch, train_base.main, bank, canny.parent, *words, "--steps", 3)
    call(
        monkeypatch,
        train_base.main,
        bank,
        tmp_path / "judged",
        *words,
        "--begin",
        canny,
        "--feedback",
        "--steps",
        2,
    )
    before, after = (adapters.read(tmp_path / name / "canny.safetensors") for name in ("first", "judged"))
    assert any(not torch.equal(layer.up, after.layers[name].up) for name, layer in before.layers.items())
    assert '"feedback": 1.0' in after.outline.metadata["iclora.config"]
    half = ("--begin", canny, "--feedback", "--steps", 2, "--reach", 0.5)
    call(monkeypatch, train_base.main, bank, tmp_path / "half", *words, *half)
    halfway = adapters.read(tmp_path / "half" / "canny.safetensors").layers
    for name, layer in before.layers.items():
        torch.testing.assert_close(
            halfway[name].up, (layer.up + after.layers[name].up) / 2, atol=1e-4, rtol=0.01
        )
    with pytest.raises(SystemExit):  # there is no adapter to judge
        call(monkeypatch, train_base.main, bank, tmp_path / "none", *words, "--feedback")
