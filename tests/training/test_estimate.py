"""The estimate's parts, by hand, and its words."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from iclora import checkpoints
from iclora.pipeline import pixels_of
from iclora.plan import model_facts
from iclora.training import Store, resolve
from iclora.training import estimate as estimating
from iclora.training.estimate import Estimate, duration, estimate, gib
from iclora.training.judging import judged_steps
from tests.training.prepared import content_of

WIDTH, TOKENS, BLOCKS = 16, 32 + 8, 2


def foreseen(prepared: Path, model: Path, **said: Any) -> Estimate:
    settings = resolve(content_of(model, prepared, Path("run"), **said))
    return estimate(settings, model_facts(str(model)), Store.open(prepared), torch.device("cpu"))


def test_a_step_keeps_blocks_or_their_inputs(prepared: Path, micro_model: Path) -> None:
    kept = foreseen(prepared, micro_model, memory={"gradient_checkpointing": False})
    again = foreseen(prepared, micro_model, memory={"gradient_checkpointing": True})
    assert kept.step == 2 * TOKENS * WIDTH * 4 * (120 + 37 * BLOCKS)
    assert again.step == 2 * TOKENS * WIDTH * 4 * (120 + 37 + BLOCKS)


def test_feedback_takes_a_second_pass_and_a_decoding(
    prepared: Path, micro_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = 1 / estimating._EFFICIENCY["cpu"]  # an operation a second
    monkeypatch.setattr(estimating, "_speed", lambda device, dtype: reached)
    plain = foreseen(prepared, micro_model)
    judged = foreseen(prepared, micro_model, feedback={"weight": 1.0})
    vae = checkpoints.load(str(micro_model)).vae.requires_grad_(False)
    weights = {one.untyped_storage().data_ptr() for one in vae.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    latents = torch.zeros(1, vae.config.latent_channels, 2, 4, 4, requires_grad=True)  # as the clips have it
    there = FlopCounterMode(display=False)
    with there, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        pictures = pixels_of(vae, latents)
    decoding = sum(one.untyped_storage().nbytes() for at, one in kept.items() if at not in weights)
    assert judged.step == 2 * plain.step + 2 * decoding and decoding > 0
    and_back = FlopCounterMode(display=False)
    with and_back:
        pictures.sum().backward()
    clips, attention = 2, 4 * TOKENS**2 * WIDTH * BLOCKS
    products = (
        plain.seconds_per_step / clips - 4 * attention
    ) / 3  # of one pass; with checkpoints 4, 1 frozen
    steps = judged_steps(model_facts(str(micro_model)).recipe.sigmas, 0.95)
    sampled = sum(steps) / len(steps)
    decoded = 2 * there.get_total_flops() + and_back.get_total_flops()  # the guess's, and the clip's
    work = (6 + sampled) * products + (8 + sampled) * attention + decoded
    assert judged.seconds_per_step == pytest.approx(clips * work)


def test_weights_in_eight_bits_or_on_the_host_take_less(prepared: Path, micro_model: Path) -> None:
    plain = foreseen(prepared, micro_model)
    assert foreseen(prepared, micro_model, memory={"quantise": "int8"}).weights == plain.weights // 4
    assert foreseen(prepared, micro_model, memory={"blocks_on_host": 1}).weights == plain.weights // 2
    small = foreseen(prepared, micro_model, optimizer={"kind": "adamw8bit"})
    assert (plain.adapter, small.adapter) == (16 * plain.num_trained, 10 * plain.num_trained)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.11, "110 ms"), (3.93, "3.93 s"), (600.0, "10 min"), (9000.0, "2.5 h")]
)
def test_times_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_what_is_said_and_what_was_measured(prepared: Path, micro_model: Path) -> None:
    told = foreseen(prepared, micro_model)
    assert "6 steps of about" in told.told() and "tokens a clip" in told.told()
    text = told.compared(seconds_per_step=10.0, memory=3 * 2**30)
    assert text.startswith("Measured in the first steps: 10 s a step (estimated ") and "60 s in all" in text
    assert "3 GiB of memory (estimated " in text
    assert gib(2**20) == "1 MiB"
