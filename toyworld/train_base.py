"""Trains the transformer (with its text encoder and connectors), or an adapter on the frozen result.

`python -m toyworld.train_base BANK OUT` trains the base on the encoded bank with flow matching; captions are
dropped from a tenth of the clips so that guidance works. `--adapter BASE` freezes the model in BASE and
trains a canny IC-LoRA on it with half-size references. Both save `OUT/state.pt` as they go and resume from
it. Positions, noise and references come from `iclora`, as in generation.

Half of the noise levels are the steps of the distilled schedule, so that the few-step sampler meets what it
was trained on.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLLTX2Video
from torch import Tensor, nn

import iclora
from iclora import adapters, checkpoints
from iclora.checkpoints import Components
from iclora.geometry import LatentFactors
from iclora.pipeline import encode_prompt
from iclora.reference import TokenSequence, assemble, reference_tokens, target_sequence
from iclora.sampling import DISTILLED_SIGMAS, add_noise
from iclora.transformer import Stream, velocity
from toyworld.architecture import MICRO, TINY, build, save
from toyworld.feeding import feed
from toyworld.latents import DOWNSCALE, FPS, THICKNESS
from toyworld.optimizers import Muon, adam, cosine, split

FACTORS = LatentFactors(time=8, height=2 * TINY.patch_size, width=2 * TINY.patch_size)
SAVE_EVERY = 100
CAPTION_DROPOUT = 0.1
AVERAGE = 0.995
RANK = 32
REST = (
    "embed",
    "adaln",
    "proj_in",
    "proj_out",
    "audio",
    "av_",
    "scale_shift_table",
    "registers",
    "gate_logits",
)
"""Parts of names that AdamW trains; Muon, the other matrices."""
Drawn = tuple[Tensor, Tensor, list[str], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Encoded clips: `target` and `control` `n c f h w` float16, and one caption each."""

    target: np.ndarray
    control: np.ndarray
    captions: list[str]

    @classmethod
    def open(cls, folder: Path) -> "Bank":
        """Opens a bank that `toyworld.latents` has encoded."""
        count = int((folder / "encoded.txt").read_text())
        captions = json.loads((folder / "captions.json").read_text())[:count]
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("target", "control")}
        return cls(captions=captions, **arrays)


def draw(bank: Bank, rng: np.random.Generator, *, count: int, window: int) -> Drawn:
    """Draws a batch of windows, the same window for all of its clips.

    Args:
        bank: Where from.
        rng: Source of chance.
        count: Clips.
        window: Height and width in target latents, even.

    Returns:
        Target latents `b c f h w`, control latents `b c f h/2 w/2`, captions, and where the window lies in
        pixels.
    """
    indices = rng.integers(len(bank.captions), size=count)
    rooms = [(size - window) // DOWNSCALE + 1 for size in bank.target.shape[-2:]]
    y, x = (DOWNSCALE * int(rng.integers(room)) for room in rooms)
    small, a, b = window // DOWNSCALE, y // DOWNSCALE, x // DOWNSCALE
    target = np.stack([bank.target[i, :, :, y : y + window, x : x + window] for i in indices])
    control = np.stack([bank.control[i, :, :, a : a + small, b : b + small] for i in indices])
    captions = ["" if rng.random() < CAPTION_DROPOUT else bank.captions[i] for i in indices]
    place = (y * FACTORS.height, x * FACTORS.width)
    return torch.from_numpy(target).float(), torch.from_numpy(control).float(), captions, place


def sequence_of(target: Tensor, control: Tensor | None, place: tuple[int, int]) -> TokenSequence:
    """Lays a batch out as the model sees it, at its place in the picture.

    Args:
        target: `b c f h w`, the clean latents.
        control: `b c f h/2 w/2`, or None to train without a reference.
        place: Offset of the window in pixels, (y, x).

    Returns:
        The token sequence.
    """
    references = []
    if control is not None:
        references = [reference_tokens(control, factors=FACTORS, fps=FPS, downscale=DOWNSCALE)]
    sequence = assemble(target_sequence(target, factors=FACTORS, fps=FPS), references)
    offset = torch.tensor([0.0, *place], device=target.device).view(1, 3, 1, 1)
    return replace(sequence, positions=sequence.positions + offset)


def draw_sigmas(rng: np.random.Generator, count: int) -> Tensor:
    """Draws noise levels: half from the distilled schedule, half logit-normal towards much noise.

    Args:
        rng: Source of chance.
        count: How many.

    Returns:
        `b` float32 in 0..1.
    """
    steps = rng.choice(np.array(DISTILLED_SIGMAS[:-1]), size=count)
    free = 1 / (1 + np.exp(-(rng.standard_normal(count) + 0.8)))
    return torch.from_numpy(np.where(rng.random(count) < 0.5, steps, free)).float()


def loss_of(parts: Components, drawn: Drawn, rng: np.random.Generator, given: argparse.Namespace) -> Tensor:
    """Computes the flow-matching loss of one batch, on target tokens only.

    Args:
        parts: The model.
        drawn: From `draw`.
        rng: Source of chance for noise and noise levels.
        given: Options of the command line.

    Returns:
        Scalar.
    """
    target, control, captions, place = drawn
    target, control = target.to(given.device), control.to(given.device)
    sequence = sequence_of(target, control if given.adapter else None, place)
    generator = torch.Generator(given.device).manual_seed(int(rng.integers(2**62)))
    noise = torch.randn(sequence.clean.shape, generator=generator, device=given.device)
    sigma = draw_sigmas(rng, len(target)).to(given.device)
    noisy = add_noise(sequence, noise, sigma)
    with torch.autocast(given.device.split(":")[0], torch.bfloat16):
        prompt = encode_prompt(parts, *captions)
        stream = Stream(
            latents=noisy, sequence=sequence, sigma=sigma, context=prompt.video, context_mask=prompt.mask
        )
        moved, _ = velocity(parts.transformer, stream)
    count = sequence.num_target
    return (moved[:, :count].float() - (noise - sequence.clean)[:, :count]).square().mean()


def trainable(parts: Components, given: argparse.Namespace) -> tuple[nn.Module, list[Any]]:
    """Chooses what is trained and makes its optimizers.

    Args:
        parts: The model; an adapter named `canny` is put on it where one is trained.
        given: Options of the command line.

    Returns:
        A module that holds exactly the trained parameters, and optimizers with their schedules.
    """
    if given.adapter:
        for name in ("transformer", "text_encoder", "connectors"):
            getattr(parts, name).requires_grad_(False)
        trained: nn.Module = nn.ParameterList(adapters.create(parts.transformer, rank=RANK, name="canny"))
        optimizers: list[Any] = [adam(list(trained.parameters()), given.adam)]
    else:
        trained = nn.ModuleList([parts.transformer, parts.text_encoder, parts.connectors])
        matrices, rest = split(trained, exclude=REST)
        optimizers = [Muon(matrices, learning_rate=given.muon), adam(rest, given.adam)]
    schedules = [
        cosine(optimizer, num_steps=given.steps, warmup=max(1, min(100, given.steps // 20)))
        for optimizer in optimizers
    ]
    return trained, [*optimizers, *schedules]


def train(parts: Components, bank: Bank, given: argparse.Namespace, finish: Callable[[], None]) -> None:
    """Trains, averaging the weights and saving state as it goes.

    Args:
        parts: The model.
        bank: Encoded clips.
        given: Options of the command line.
        finish: Writes the averaged weights, which are in place when it is called.
    """
    trained, movers = trainable(parts, given)
    state, step, started = given.out / "state.pt", 0, time.monotonic()
    average = {name: p.detach().clone() for name, p in trained.named_parameters()}
    if state.exists():
        saved = torch.load(state, map_location=given.device)
        step, average = saved["step"], saved["average"]
        trained.load_state_dict(saved["trained"])
        for mover, values in zip(movers, saved["movers"], strict=True):
            mover.load_state_dict(values)
    drawing = partial(draw, bank, count=given.batch, window=given.window)
    for now, drawn in feed(drawing, seed=given.seed, first=step, last=given.steps, workers=given.workers):
        loss = loss_of(parts, drawn, np.random.default_rng([given.seed, now, 1]), given)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        for mover in movers:
            mover.step()
        trained.zero_grad(set_to_none=True)
        step = now + 1
        for name, parameter in trained.named_parameters():
            average[name].lerp_(parameter.detach(), max(1 - AVERAGE, 1 / (step + 1)))
        row = {"step": step, "loss": round(loss.item(), 5)}
        with (given.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        if step % 20 == 0:
            print(json.dumps(row), f"{time.monotonic() - started:.0f} s", flush=True)
        if step % SAVE_EVERY == 0 or step == given.steps:
            saved = {"step": step, "average": average, "trained": trained.state_dict()}
            saved["movers"] = [mover.state_dict() for mover in movers]
            torch.save(saved, given.out / "new.pt")
            (given.out / "new.pt").replace(state)
    with torch.no_grad():
        for name, parameter in trained.named_parameters():
            parameter.copy_(average[name])
    finish()


def base_model(bank: Bank, given: argparse.Namespace) -> tuple[Components, Callable[[], None]]:
    """Builds a base to train.

    Args:
        bank: Encoded clips, whose captions make the tokenizer.
        given: Options of the command line.

    Returns:
        The model, and what writes it as a model folder.
    """
    shape = MICRO if given.micro else TINY
    parts = build(bank.captions, shape, seed=given.seed)
    parts = replace(parts, vae=AutoencoderKLLTX2Video.from_pretrained(given.vae))
    for name in ("transformer", "text_encoder", "connectors"):
        getattr(parts, name).to(given.device)
    return parts, lambda: save(parts, given.out / "model", shape)


def adapter_model(given: argparse.Namespace) -> tuple[Components, Callable[[], None]]:
    """Loads the base an adapter is trained on.

    Args:
        given: Options of the command line.

    Returns:
        The model, and what writes the adapter.
    """
    parts = checkpoints.load(given.adapter, device=given.device, dtype=torch.float32)
    torch.manual_seed(given.seed)

    def finish() -> None:
        metadata = adapters.describe(
            control="canny",
            base=parts.recipe.base,
            downscale=DOWNSCALE,
            temporal_factor=1,
            version=iclora.__version__,
            config={"control": {"thickness": THICKNESS}, "rank": RANK, "steps": given.steps},
        )
        layers = adapters.take(parts.transformer, "canny")
        adapters.write(given.out / "canny.safetensors", layers, metadata, overwrite=True)

    return parts, finish


def main() -> None:
    """Parses the command line and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vae", type=Path, help="autoencoder to ship with the base")
    parser.add_argument("--adapter", type=Path, help="train an adapter on this model folder")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--window", type=int, default=16, help="latents high and wide")
    parser.add_argument("--muon", type=float, default=4e-3, help="peak learning rate of matrices")
    parser.add_argument("--adam", type=float, default=5e-4, help="peak learning rate of everything else")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw batches ahead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--micro", action="store_true", help="a base small enough for unit tests")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    bank = Bank.open(given.bank)
    parts, finish = adapter_model(given) if given.adapter else base_model(bank, given)
    train(parts, bank, given, finish)


if __name__ == "__main__":
    main()
