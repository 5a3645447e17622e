"""Trains the transformer (with its text encoder and connectors), or an adapter on the frozen result.

`python -m toyworld.train_base BANK OUT` trains the base on the encoded bank with flow matching, from nothing
or from the model folder named by `--begin`: captions are dropped from a tenth of the clips so that guidance
works, and in a tenth the first frame is given. Each fourth batch has references, the same clips at half size
in colours mixed at random: the base learns to read references at all, and that they say what is where, but
never sees what a control looks like. `--small` trains it on pictures of half the size instead, four times as
many in the same time, without references; that comes first.

`--adapter BASE` freezes the model in BASE and trains a canny IC-LoRA on it with half-size references, from
nothing or from the file named by `--begin`; with `--one-way` these look at nothing but themselves and the
prompt, so that generation need compute them only once.

`--guidance W` teaches in one pass what the start does with two: the base, to follow its prompt as with
classifier-free guidance of W; the adapter, its reference (what it adds to a video without one, W times).
`--feedback` judges what the adapter named by `--begin` makes, decoded, by its edges: see `toyworld.feedback`.
With `--reach R` what is written lies between the start and what was learnt (the mean of the weights, R of it
learnt): feedback alone goes on to scratches on flat colour, which have edges too.

All save `OUT/state.pt` as they go and resume from it. Several GPUs share a run (`torchrun --standalone
--nproc-per-node N -m toyworld.train_base ...`): each draws batches of its own. Positions, noise and
references come from `iclora`, as in generation.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import reduce
from diffusers import AutoencoderKLLTX2Video
from torch import Tensor, nn

import iclora
from iclora import adapters, checkpoints
from iclora.checkpoints import Components
from toyworld.architecture import MICRO, TINY, build, save
from toyworld.batches import Bank, Drawn, draw, read_captions
from toyworld.feedback import feedback_of
from toyworld.flow_loss import Teacher, loss_of
from toyworld.latents import DOWNSCALE, THICKNESS
from toyworld.logbook import write_row
from toyworld.optimizers import Muon, adam, cosine, split

SAVE_EVERY = 200
LOG_EVERY = 20
PROBE = 60
"""Step before which a run of so many minutes measures how many steps that makes."""
HINTS_EVERY = 4
"""Each so manieth batch of the base's training has references."""
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


def trainable(parts: Components, given: argparse.Namespace) -> tuple[nn.Module, list[Any]]:
    """Chooses what is trained and makes its optimizers.

    Args:
        parts: The model, with the adapter on it where one is trained.
        given: Options of the command line.

    Returns:
        A module that holds exactly the trained parameters, and optimizers with their schedules.
    """
    if given.adapter:
        named = parts.transformer.named_parameters()
        trained: nn.Module = nn.ParameterList([p for name, p in named if ".lora_" in name])
        trained.requires_grad_(True)
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


def share_gradients(parameters: list[Tensor]) -> None:
    """Replaces the gradients of each process by the mean of all."""
    if PartialState().num_processes == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    mean = reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduction="mean")
    parts = torch.split(mean, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def descend(parameters: list[Tensor], movers: list[Any], loss: Tensor) -> Tensor:
    """Takes one step against the gradient of a loss.

    Args:
        parameters: All that is trained.
        movers: Optimizers and their schedules.
        loss: Scalar.

    Returns:
        Loss and norm of the gradient, `2`.
    """
    loss.backward()
    share_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for mover in movers:
        mover.step()
    for parameter in parameters:
        parameter.grad = None
    return torch.stack([loss.detach(), norm.detach()])


def batch_of(bank: Bank, step: int, rng: np.random.Generator, given: argparse.Namespace) -> Drawn:
    """Draws the batch of a step: what is to be made, and from which references."""
    shown = None
    if given.adapter:
        shown = "control"
    elif not given.small and given.guidance == 1 and step % HINTS_EVERY == HINTS_EVERY - 1:
        shown = "hint"
    return draw(bank, rng, count=given.batch, kind="small" if given.small else "target", shown=shown)


def train(
    parts: Components,
    bank: Bank,
    given: argparse.Namespace,
    finish: Callable[[], None],
    teacher: Teacher | None = None,
) -> None:
    """Trains, averaging the weights and saving state as it goes.

    Args:
        parts: The model.
        bank: Encoded clips.
        given: Options of the command line.
        finish: Writes the averaged weights, which are in place when it is called.
        teacher: Whose guidance is learnt; None: no one's.
    """
    process, lesson = PartialState(), feedback_of if given.feedback else loss_of
    trained, movers = trainable(parts, given)
    state, step = given.out / "state.pt", 0
    begun = probed = time.monotonic()
    parameters: list[Tensor] = list(trained.parameters())
    (first, average), rows = [[p.detach().clone() for p in parameters] for _ in range(2)], list[Tensor]()
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
            steps = torch.tensor(float(steps_within(given, begun=begun, probed=probed)), device=given.device)
            given.steps = int(reduce(steps, reduction="mean"))
        if step == PROBE // 2:
            probed = time.monotonic()
        rng = np.random.default_rng([given.seed, step, process.process_index])
        loss = lesson(parts, batch_of(bank, step, rng, given), rng, given, teacher)
        rows.append(descend(parameters, movers, loss))
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, max(1 - AVERAGE, 1 / (step + 1)))
        if step % LOG_EVERY == 0 or step == given.steps:
            write_row(given.log, step, ("loss", "gradient"), rows, begun=begun)
            rows = []
        if process.is_main_process and (step % SAVE_EVERY == 0 or step == given.steps):
            saved = {"step": step, "steps": given.steps, "average": average, "trained": trained.state_dict()}
            saved["movers"] = [mover.state_dict() for mover in movers]
            torch.save(saved, given.out / "new.pt")
            (given.out / "new.pt").replace(state)
    with torch.no_grad():
        torch._foreach_copy_(parameters, torch._foreach_lerp(first, average, given.reach))
    if process.is_main_process:
        finish()


def load_frozen(folder: Path, adapter: Path | None, given: argparse.Namespace) -> Components:
    """Loads a model to be trained on, with an adapter on it if one is named; nothing of it is trained yet."""
    parts = checkpoints.load(folder, device=given.device, dtype=torch.float32)
    parts.text_encoder.set_attn_implementation("eager")  # finite where padding sees nothing, backwards too
    for name in ("transformer", "text_encoder", "connectors", "vae"):
        getattr(parts, name).requires_grad_(False)
    if adapter is not None:
        adapters.attach(parts.transformer, adapters.read(adapter), 1.0, "canny")
    if given.compile:
        parts.transformer.compile_repeated_blocks()
    return parts


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
        parts = load_frozen(given.start, None, given)
    else:
        parts = build(bank.captions, shape, seed=given.seed)
        parts.text_encoder.set_attn_implementation("eager")
        if given.compile:
            parts.transformer.compile_repeated_blocks()
    parts = replace(parts, vae=AutoencoderKLLTX2Video.from_pretrained(given.vae))
    for name in ("transformer", "text_encoder", "connectors"):
        getattr(parts, name).to(given.device).requires_grad_(True)
    return parts, lambda: save(parts, given.out / "model", shape)


def trained_with(given: argparse.Namespace) -> dict[str, float]:
    """How an adapter was trained, for its file."""
    return {
        "steps": given.steps,
        "guidance": given.guidance,
        "feedback": float(given.feedback),
        "reach": given.reach,
    }


def adapter_model(given: argparse.Namespace) -> tuple[Components, Callable[[], None]]:
    """Loads the base an adapter is trained on.

    Args:
        given: Options of the command line.

    Returns:
        The model, and what writes the adapter.
    """
    parts = load_frozen(given.adapter, given.start, given)
    if not given.start:
        torch.manual_seed(given.seed)
        adapters.create(parts.transformer, rank=RANK, name="canny")

    def finish() -> None:
        metadata = adapters.describe(
            control="canny",
            base=parts.recipe.base,
            downscale=DOWNSCALE,
            temporal_factor=1,
            version=iclora.__version__,
            reference_attention="one_way" if given.one_way else "two_way",
            config={"control": {"thickness": THICKNESS}, "rank": RANK} | trained_with(given),
        )
        layers = adapters.take(parts.transformer, "canny")
        adapters.write(given.out / "canny.safetensors", layers, metadata, overwrite=True)

    return parts, finish


def command_line() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vae", type=Path, help="autoencoder to ship with the base")
    parser.add_argument("--begin", dest="start", type=Path, help="model folder or adapter file to begin with")
    parser.add_argument("--adapter", type=Path, help="train an adapter on this model folder")
    parser.add_argument(
        "--one-way", action="store_true", help="the adapter's references look at nothing but themselves"
    )
    parser.add_argument("--small", action="store_true", help="train the base on pictures of half the size")
    parser.add_argument("--guidance", type=float, default=1.0, help="learn guidance of this scale by heart")
    parser.add_argument("--feedback", action="store_true", help="judge what the adapter makes by its edges")
    parser.add_argument("--likeness", type=float, default=1.0, help="how much feedback leaves all else alone")
    parser.add_argument(
        "--reach", type=float, default=1.0, help="how far to go from the start to what is learnt"
    )
    parser.add_argument(
        "--on-schedule", type=float, default=0.2, help="share of noise levels of the distilled schedule"
    )
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument(
        "--minutes", type=float, help="do as many of the steps as this allows, without loading"
    )
    parser.add_argument("--batch", type=int, help="clips a step and GPU; 96, 384 small ones, 16 judged")
    parser.add_argument(
        "--muon", type=float, default=8e-3, help="peak learning rate of matrices; 0: AdamW for all"
    )
    parser.add_argument("--adam", type=float, default=6e-4, help="peak learning rate of everything else")
    parser.add_argument("--compile", action="store_true", help="compile the blocks; pays in long runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--micro", action="store_true", help="a base small enough for unit tests")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.batch = given.batch or (16 if given.feedback else 384 if given.small else 96)
    check(given, parser)
    return given


def check(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuses options that do not go together."""
    if given.one_way and not given.adapter:
        parser.error("--one-way is for adapters, whose files say it; name the base with --adapter.")
    if given.guidance != 1 and not given.start:
        parser.error("--guidance is learnt from what was trained already; name it with --begin.")
    if given.reach != 1 and not (given.start and 0 <= given.reach < 1):
        parser.error("--reach is a share, 0 to 1, of the way from what is named with --begin.")
    if given.feedback and not (given.adapter and given.start):
        parser.error("--feedback is for adapters that exist; name the base with --adapter, one with --begin.")


def main() -> None:
    """Parses the command line and trains."""
    given = command_line()
    process = PartialState(cpu=given.device == "cpu")
    if process.num_processes > 1:
        given.device = str(process.device)
    given.log = given.out if process.is_main_process else given.out / f"process{process.process_index}"
    given.log.mkdir(parents=True, exist_ok=True)
    # On Hopper, PyTorch 2.11's backward through cuDNN attention is NaN for padded prompts of 64 tokens:
    # https://github.com/pytorch/pytorch/issues/196678
    torch.backends.cuda.enable_cudnn_sdp(False)
    kinds = ("target", "control") if given.adapter else ("small",) if given.small else ("target", "hint")
    bank = Bank.open(given.bank, given.device, kinds=(*kinds, "lines") if given.feedback else kinds)
    parts, finish = adapter_model(given) if given.adapter else base_model(bank, given)
    bank = read_captions(bank, parts, given.device)
    teacher = None
    if given.guidance != 1 or given.feedback:
        start = (given.adapter, given.start) if given.adapter else (given.start, None)
        teacher = Teacher(parts=load_frozen(*start, given), guidance=given.guidance)
    # Sizes are few: each is compiled as it is.
    with torch._dynamo.config.patch(automatic_dynamic_shapes=False):
        train(parts, bank, given, finish, teacher)


if __name__ == "__main__":
    main()
