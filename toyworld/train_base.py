"""Trains the transformer (with its text encoder and connectors), or an adapter on the frozen result.

`python -m toyworld.train_base BANK OUT` trains the base on the encoded bank with flow matching, from nothing
or from the model folder named by `--start`: captions are dropped from a tenth of the clips so that guidance
works, and in a tenth the first frame is given. Each eighth batch is one of line drawings, with the same
drawings at half size as references: the base learns to enlarge what it is shown, and so to read references
at all, but nothing of what lines mean for a picture. `--adapter BASE` freezes the model in BASE and trains a
canny IC-LoRA on it with half-size references; with `--one-way` these look at nothing but themselves and the
prompt, so that generation need compute them only once. Both save `OUT/state.pt` as they go and resume from
it. Positions, noise and references come from `iclora`, as in generation.

A fifth of the noise levels are steps of the distilled schedule, so that the few-step sampler meets what it
was trained on; no more, as five of its eight steps are almost pure noise, where little can be learnt.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
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
from toyworld.batches import LINE_WORDS, Bank, Drawn, draw, shorten
from toyworld.latents import DOWNSCALE, FPS, THICKNESS
from toyworld.logbook import write_row
from toyworld.optimizers import Muon, adam, cosine, split

FACTORS = LatentFactors(time=8, height=2 * TINY.patch_size, width=2 * TINY.patch_size)
SAVE_EVERY = 200
LOG_EVERY = 20
PROBE = 110
"""Step before which a run of so many minutes measures how many steps that makes."""
FIRST_FRAME = 0.1
"""Share of the clips whose first frame is given."""
LINES_EVERY = 8
"""Each so manieth batch of the base's training is one of line drawings."""
ON_SCHEDULE = 0.2
"""Share of the noise levels that are steps of the distilled schedule."""
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


def sequence_of(
    target: Tensor, control: Tensor | None, given: Tensor, *, one_way: bool = False
) -> TokenSequence:
    """Lays a batch out as the model sees it.

    Args:
        target: `b c f h w`, the clean latents.
        control: `b c f h/2 w/2`, or None to train without a reference.
        given: Whose first frame stays clean, `b` bool.
        one_way: Whether the reference does not look at the target.

    Returns:
        The token sequence.
    """
    references = []
    if control is not None:
        references = [reference_tokens(control, factors=FACTORS, fps=FPS, downscale=DOWNSCALE)]
    alone = target_sequence(target, factors=FACTORS, fps=FPS)
    sequence = assemble(alone, references, num_one_way=len(references) if one_way else 0)
    _, _, _, height, width = target.shape
    sequence.mask[:, : height * width] *= ~given[:, None]
    return sequence


def draw_sigmas(rng: np.random.Generator, count: int) -> Tensor:
    """Draws noise levels: some from the distilled schedule, the others logit-normal towards much noise.

    Args:
        rng: Source of chance.
        count: How many.

    Returns:
        `b` float32 in 0..1.
    """
    steps = rng.choice(np.array(DISTILLED_SIGMAS[:-1]), size=count)
    free = 1 / (1 + np.exp(-(rng.standard_normal(count) + 0.8)))
    return torch.from_numpy(np.where(rng.random(count) < ON_SCHEDULE, steps, free)).float()


def loss_of(parts: Components, drawn: Drawn, rng: np.random.Generator, given: argparse.Namespace) -> Tensor:
    """Computes the flow-matching loss of one batch, on noised target tokens only.

    Args:
        parts: The model.
        drawn: From `draw`; a control, where there is one, is the reference.
        rng: Source of chance for noise and noise levels.
        given: Options of the command line.

    Returns:
        Scalar.
    """
    target, control, captions = drawn
    first = torch.from_numpy(rng.random(len(target)) < FIRST_FRAME).to(target.device)
    sequence = sequence_of(target, control, first, one_way=given.one_way)
    generator = torch.Generator(given.device).manual_seed(int(rng.integers(2**62)))
    noise = torch.randn(sequence.clean.shape, generator=generator, device=given.device)
    sigma = draw_sigmas(rng, len(target)).to(given.device)
    noisy = add_noise(sequence, noise, sigma)
    device = given.device.split(":")[0]
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        prompt = encode_prompt(parts, *captions)
        stream = Stream(
            latents=noisy, sequence=sequence, sigma=sigma, context=prompt.video, context_mask=prompt.mask
        )
        moved, _ = velocity(parts.transformer, stream)
    count = sequence.num_target
    error = (moved[:, :count].float() - (noise - sequence.clean)[:, :count]).square().mean(dim=-1)
    noised = sequence.mask[:, :count]
    return (error * noised).sum() / noised.sum()


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
    else:
        trained = nn.ModuleList([parts.transformer, parts.text_encoder, parts.connectors])
    matrices, rest = split(trained, exclude=REST) if given.muon else ([], list(trained.parameters()))
    optimizers: list[Any] = [Muon(matrices, learning_rate=given.muon)] if matrices else []
    optimizers += [adam(rest, given.adam)] if rest else []
    warmup = max(1, min(100, given.steps // 20))
    schedules = [cosine(mover, num_steps=lambda: given.steps, warmup=warmup) for mover in optimizers]
    return trained, [*optimizers, *schedules]


def steps_within(given: argparse.Namespace, *, begun: float, probed: float) -> int:
    """Computes before step `PROBE` how many steps the minutes allow.

    Args:
        given: Options of the command line.
        begun: When the run began, in seconds of the monotonic clock.
        probed: When step `PROBE // 2` began, likewise.

    Returns:
        Length of the run: more than `PROBE`, unless the options ask for less, and at most what they ask for.
    """
    now = time.monotonic()
    rate = (now - probed) / (PROBE - PROBE // 2)
    left = 60 * given.minutes - (now - begun)
    steps: int = max(PROBE + 1, min(given.steps, PROBE + int(left / rate)))
    print(f"{rate * 1000:.0f} ms a step: {steps} steps", flush=True)
    return steps


def descend(trained: nn.Module, movers: list[Any], loss: Tensor) -> Tensor:
    """Takes one step against the gradient of a loss.

    Args:
        trained: Holds exactly the trained parameters.
        movers: Optimizers and their schedules.
        loss: Scalar.

    Returns:
        Loss and norm of the gradient, `2`.
    """
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
    for mover in movers:
        mover.step()
    trained.zero_grad(set_to_none=True)
    return torch.stack([loss.detach(), norm.detach()])


def train(parts: Components, bank: Bank, given: argparse.Namespace, finish: Callable[[], None]) -> None:
    """Trains, averaging the weights and saving state as it goes.

    Args:
        parts: The model.
        bank: Encoded clips.
        given: Options of the command line.
        finish: Writes the averaged weights, which are in place when it is called.
    """
    trained, movers = trainable(parts, given)
    state, step = given.out / "state.pt", 0
    begun = probed = time.monotonic()
    parameters: list[Tensor] = list(trained.parameters())
    average, rows = [p.detach().clone() for p in parameters], list[Tensor]()
    if state.exists():
        saved = torch.load(state, map_location=given.device)
        step, average = saved["step"], saved["average"]
        if given.minutes:
            given.steps = saved["steps"]
        trained.load_state_dict(saved["trained"])
        for mover, values in zip(movers, saved["movers"], strict=True):
            mover.load_state_dict(values)
    while step < given.steps:
        if step == PROBE and given.minutes:
            average[0].sum().item()  # waits for the device
            given.steps = steps_within(given, begun=begun, probed=probed)
        if step == PROBE // 2:
            probed = time.monotonic()
        rng = np.random.default_rng([given.seed, step])
        lines = not given.adapter and step % LINES_EVERY == LINES_EVERY - 1
        target, control, captions = draw(bank, rng, count=given.batch, lines=lines)
        loss = loss_of(parts, (target, control if given.adapter or lines else None, captions), rng, given)
        rows.append(descend(trained, movers, loss))
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, max(1 - AVERAGE, 1 / (step + 1)))
        if step % LOG_EVERY == 0 or step == given.steps:
            write_row(given.out, step, ("loss", "gradient"), rows, begun=begun)
            rows = []
        if step % SAVE_EVERY == 0 or step == given.steps:
            saved = {"step": step, "steps": given.steps, "average": average, "trained": trained.state_dict()}
            saved["movers"] = [mover.state_dict() for mover in movers]
            torch.save(saved, given.out / "new.pt")
            (given.out / "new.pt").replace(state)
    with torch.no_grad():
        torch._foreach_copy_(parameters, average)
    finish()


def base_model(bank: Bank, given: argparse.Namespace) -> tuple[Components, Callable[[], None]]:
    """Builds or loads a base to train.

    Args:
        bank: Encoded clips, whose captions make the tokenizer.
        given: Options of the command line.

    Returns:
        The model, and what writes it as a model folder.
    """
    shape = MICRO if given.micro else TINY
    if given.start:
        parts = checkpoints.load(given.start, device=given.device, dtype=torch.float32)
    else:
        parts = build([*bank.captions, LINE_WORDS], shape, seed=given.seed)
    parts = replace(parts, vae=AutoencoderKLLTX2Video.from_pretrained(given.vae))
    for name in ("transformer", "text_encoder", "connectors"):
        getattr(parts, name).to(given.device).requires_grad_(True)
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
            reference_attention="one_way" if given.one_way else "two_way",
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
    parser.add_argument("--start", type=Path, help="model folder whose weights the base begins with")
    parser.add_argument("--adapter", type=Path, help="train an adapter on this model folder")
    parser.add_argument(
        "--one-way", action="store_true", help="the adapter's references look at nothing but themselves"
    )
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument(
        "--minutes", type=float, help="do as many of the steps as this allows, without loading"
    )
    parser.add_argument("--batch", type=int, help="clips a step; 144, and 96 for an adapter")
    parser.add_argument(
        "--muon", type=float, default=8e-3, help="peak learning rate of matrices; 0: AdamW for all"
    )
    parser.add_argument("--adam", type=float, default=6e-4, help="peak learning rate of everything else")
    parser.add_argument("--compile", action="store_true", help="compile the blocks; pays in long runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--micro", action="store_true", help="a base small enough for unit tests")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    if given.one_way and not given.adapter:
        parser.error("--one-way is for adapters, whose files say it; name the base with --adapter.")
    given.batch = given.batch or (96 if given.adapter else 144)
    given.out.mkdir(parents=True, exist_ok=True)
    # On Hopper, PyTorch 2.11's backward through cuDNN attention is NaN for padded prompts of 64 tokens:
    # https://github.com/pytorch/pytorch/issues/196678
    torch.backends.cuda.enable_cudnn_sdp(False)
    bank = Bank.open(given.bank, given.device)
    parts, finish = adapter_model(given) if given.adapter else base_model(bank, given)
    bank = replace(bank, captions=shorten(bank.captions, parts))
    parts.text_encoder.set_attn_implementation("eager")  # finite where padding sees nothing, backwards too
    if given.compile:
        parts.transformer.compile_repeated_blocks()
    train(parts, bank, given, finish)


if __name__ == "__main__":
    main()
