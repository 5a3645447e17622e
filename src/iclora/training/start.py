"""Putting everything of a run in its place."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, InitProcessGroupKwargs
from torch.nn.parallel import DistributedDataParallel
from torch.utils import deterministic

from iclora.checkpoints import Components, load
from iclora.errors import DatasetError, MissingDependencyError, ModelError, RequestError
from iclora.media.room import free_bytes
from iclora.plan import ModelFacts, model_facts
from iclora.training.batches import Disk, Memory, Order, Size, sort_by_size
from iclora.training.config import TrainingSettings, to_yaml
from iclora.training.estimate import bytes_of_clips
from iclora.training.judging import FROM_FIRST_FRAME, JUDGED, Judge, judged_steps
from iclora.training.loss import Feedback, Learner, Place
from iclora.training.model import Base, dtype_of, load_base, make_optimizer
from iclora.training.official import find_root
from iclora.training.run import Run
from iclora.training.store import SETTINGS, Row, Store, fingerprint
from iclora.transformer import call_blocks

_PACKAGES = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb"}
_PATIENCE = timedelta(hours=2)
"""How long processes wait for one that makes previews or writes."""
_SHARE_OF_DEVICE, _SHARE_OF_HOST = 0.25, 0.5
"""Most of the free memory that clips may take where nothing is said."""


def make_accelerator(settings: TrainingSettings, device: str) -> Any:
    """Set up processes, devices and trackers as `accelerate launch` or a single process has them.

    Args:
        settings: What is trained.
        device: `cpu`, or `cuda` for whatever GPUs the launcher gives.

    Returns:
        The accelerator.

    Raises:
        MissingDependencyError: A tracker's package is not installed.
    """
    for tracker in settings.watch.trackers:
        try:
            importlib.import_module(_PACKAGES[tracker])
        except ImportError as error:
            raise MissingDependencyError(
                f"watch.trackers: {tracker} is not installed: pip install {_PACKAGES[tracker]}"
            ) from error
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="no",  # the learner casts by itself, the same with and without accelerate
        log_with=list(settings.watch.trackers) or None,
        project_dir=settings.output,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def begin_trackers(settings: TrainingSettings, accelerator: Any) -> None:
    """Tell trackers of the run; they may write into its folder."""
    if settings.watch.trackers:
        accelerator.init_trackers("iclora", config={"settings": to_yaml(settings)})


def exact_products(settings: TrainingSettings) -> None:
    """Have cuBLAS give the same numbers each time; it reads this once, at its first product in the process.

    Args:
        settings: Whether it must.
    """
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def exact_kernels(settings: TrainingSettings) -> Iterator[None]:
    """Choose kernels for training, and those of before afterwards.

    On Hopper, PyTorch 2.11's backward through cuDNN attention is NaN for padded prompts:
    https://github.com/pytorch/pytorch/issues/196678

    What cuBLAS does is chosen before it is first used, by `exact_products`.

    Args:
        settings: Whether they must give the same numbers each time.
    """
    cuda: Any = torch.backends.cuda
    dynamo, filling = torch._dynamo.config, cast(Any, deterministic)
    before = cuda.cudnn_sdp_enabled(), torch.are_deterministic_algorithms_enabled()
    filled, shapes = filling.fill_uninitialized_memory, dynamo.automatic_dynamic_shapes
    cuda.enable_cudnn_sdp(False)
    dynamo.automatic_dynamic_shapes = False  # sizes are few: each is compiled as it is
    if settings.deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
        filling.fill_uninitialized_memory = False  # nothing here reads what was not written
    try:
        yield
    finally:
        cuda.enable_cudnn_sdp(before[0])
        torch.use_deterministic_algorithms(before[1])
        filling.fill_uninitialized_memory, dynamo.automatic_dynamic_shapes = filled, shapes


def open_store(settings: TrainingSettings, facts: ModelFacts) -> Store:
    """Open the prepared folder, and check that it was prepared for this base.

    Args:
        settings: What is trained.
        facts: The base.

    Returns:
        The store; references that came with the dataset show what the settings say they do.

    Raises:
        DatasetError: It is missing or damaged, was prepared for another base, or lacks what is asked for.
        ModelError: The base's connectors, which a folder of the official trainer needs, are damaged.
    """
    store = Store.open(settings.data.path, components=_encoders(settings))
    if store.settings.base != facts.recipe.base:
        raise DatasetError(
            f"{settings.data.path} was prepared for the base '{store.settings.base}', but {settings.model} "
            f"is '{facts.recipe.base}'. Prepare the dataset for it: iclora prepare DATASET --model "
            f"{settings.model} -o FOLDER"
        )
    if store.settings.fingerprint not in ("", fingerprint(facts.path)):
        raise DatasetError(
            f"{settings.data.path} was encoded with another autoencoder or text encoder than that of "
            f"{settings.model}. Prepare it again: iclora prepare DATASET --model {settings.model} -o FOLDER"
        )
    _check_whole(settings, store)
    said = settings.adapter.control
    named = (replace(row, control=said) if is_unnamed(row) else row for row in store.samples)
    return replace(store, samples=tuple(named))


def is_unnamed(row: Row) -> bool:
    """Tell whether a sample has references, and nobody said what they show."""
    return row.num_references > 0 and not row.control


def _encoders(settings: TrainingSettings) -> Components | None:
    """The parts of the base that a folder of the official trainer is read with."""
    folder = Path(settings.data.path)
    if (folder / SETTINGS).is_file():
        return None
    find_root(folder)  # refused before anything is loaded
    return load(settings.model, without=("transformer", "text_encoder", "audio_vae", "vocoder"))


def _check_whole(settings: TrainingSettings, store: Store) -> None:
    """Refuse a folder that lacks what the settings ask for; one of the official trainer may."""
    if store.empty is None and settings.conditioning.prompt_dropout > 0:
        raise DatasetError(
            f"{store.path} holds no empty prompt, which clips without their caption need. Set "
            "conditioning.prompt_dropout=0, or prepare the dataset with 'iclora prepare'."
        )
    rates = sorted({row.bucket.fps for row in store.samples})
    if len(rates) > 1:
        raise DatasetError(
            f"The clips of {store.path} have several rates ({', '.join(f'{one:g}' for one in rates)} frames "
            "a second), and training knows one. Bring them to one rate and precompute them again."
        )
    if not store.indices("train"):
        raise DatasetError(f"{store.path} holds no clips to train on; all of them are held out.")


def begin(
    settings: TrainingSettings,
    accelerator: Any,
    facts: ModelFacts,
    store: Store,
    progress: Callable[[str, int, int | None], None],
) -> Run:
    """Load the base and the clips, and make the optimizer.

    Args:
        settings: What is trained.
        accelerator: From `make_accelerator`.
        facts: The base.
        store: From `open_store`.
        progress: Called with what is being done, how much of it is done, and of how much.

    Returns:
        The run at its first step.

    Raises:
        IcloraError: Something cannot be loaded.
    """
    device = accelerator.device
    in_parts = accelerator.distributed_type == DistributedType.FSDP
    shows = settings.watch.previews_every > 0 and bool(store.indices("held_out")) and not in_parts
    judged = _judged(settings, store) if settings.feedback.weight else []
    progress("loading", 0, None)
    dtype = dtype_of(settings, device)
    # Parts are laid out by FSDP: each device gets its own from the computer's memory.
    home = torch.device("cpu") if in_parts else device
    base = load_base(settings, home, dtype=dtype, shows=shows, decodes=bool(judged))
    if in_parts:
        _check_parts(accelerator, settings)
        call_blocks(base.transformer)
    feedback = _feedback(settings, judged, base, facts, device)
    learner = Learner(base.transformer, _place(settings, store, facts), base.dtype, feedback)
    # What is frozen is the same everywhere as it is.
    ignore: Any = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
    ignore(learner, _frozen(learner))
    optimizer = make_optimizer(base.parameters, settings.optimizer)
    learner, optimizer = accelerator.prepare(learner, optimizer, device_placement=[False, False])
    sizes = sort_by_size(store, "train")
    return Run(
        settings=settings,
        folder=Path(settings.output),
        accelerator=accelerator,
        store=store,
        order=Order(sizes, clips_per_step=clips_per_step(settings, accelerator), seed=settings.seed),
        clips=_clips(settings, store, sizes, device, progress),
        base=base,
        learner=learner,
        optimizer=optimizer,
        factors=facts.factors,
        schedule=facts.recipe.sigmas,
    )


def clips_per_step(settings: TrainingSettings, accelerator: Any) -> int:
    """Count the clips that a step takes, in all processes."""
    count: int = settings.data.batch_size * settings.data.accumulation * accelerator.num_processes
    return count


def _place(settings: TrainingSettings, store: Store, facts: ModelFacts) -> Place:
    return Place(
        factors=facts.factors,
        fps=store.settings.fps,
        downscale=store.settings.downscale,
        temporal_factor=store.settings.temporal_factor,
        one_way=settings.adapter.reference_attention == "one_way",
        with_first_frames=settings.conditioning.first_frame > 0,
    )


def _judged(settings: TrainingSettings, store: Store) -> list[str]:
    """Controls of the clips, all of which can be judged.

    Raises:
        DatasetError: One cannot be.
        RequestError: None ever is, for want of first frames.
    """
    found = sorted({store.samples[place].control for place in store.indices("train")})
    unknown = [name or "a reference of unknown kind" for name in found if name not in JUDGED]
    if unknown:
        raise DatasetError(
            f"Feedback judges {', '.join(JUDGED)}, but {settings.data.path} has {', '.join(unknown)}. Set "
            "feedback.weight=0, or adapter.control to what its references show."
        )
    if set(found) <= set(FROM_FIRST_FRAME) and not settings.conditioning.first_frame:
        raise RequestError(
            f"Feedback judges {', '.join(found)} where the first frame is given alone, but "
            "conditioning.first_frame is 0. Set it, to 0.9 for instance, or feedback.weight=0."
        )
    return found


def _feedback(
    settings: TrainingSettings, judged: list[str], base: Base, facts: ModelFacts, device: torch.device
) -> Feedback | None:
    if not judged or base.components is None:
        return None
    schedule, first = facts.recipe.sigmas, settings.feedback.from_noise
    if not judged_steps(schedule, first):
        raise RequestError(
            f"No step of {settings.model}'s schedule begins at a noise level below {first}; set "
            f"feedback.from_noise to one of {', '.join(map(str, schedule[1:-1]))}."
        )
    judge = Judge(base.components.vae.to(device), judged, crop=settings.feedback.crop)
    return Feedback(judge=judge, schedule=schedule, from_noise=first)


def _frozen(learner: Learner) -> list[str]:
    frozen = [name for name, parameter in learner.named_parameters() if not parameter.requires_grad]
    return frozen + [name for name, _ in learner.named_buffers()]


def _check_parts(accelerator: Any, settings: TrainingSettings) -> None:
    """Refuse kinds of FSDP that do not go with frozen weights beside trained ones, or with waiting blocks."""
    if accelerator.state.fsdp_plugin.fsdp_version != 2:
        raise RequestError("FSDP 1 is not supported; set fsdp_version: 2 in the configuration of accelerate.")
    if settings.feedback.weight:
        raise RequestError("Feedback does not go with FSDP; set feedback.weight=0, or share no weights out.")
    if settings.memory.blocks_on_host or settings.memory.quantise != "none":
        raise RequestError(
            "FSDP shares the base's weights out among the GPUs; set memory.blocks_on_host=0 and "
            "memory.quantise=none."
        )


def facts_of(model: str) -> ModelFacts:
    """Read what a base was made for.

    Raises:
        ModelError: There is no such base, or its schedule is of another kind.
    """
    facts = model_facts(model)
    if len(facts.recipe.sigmas) < 2:
        raise ModelError(f"{model} says no schedule to sample it with. Fetch the model again.")
    return facts


def _clips(
    settings: TrainingSettings,
    store: Store,
    sizes: dict[Size, list[int]],
    device: torch.device,
    progress: Callable[[str, int, int | None], None],
) -> Disk | Memory:
    keep: str = settings.data.keep
    if keep == "auto":
        keep = _fitting(bytes_of_clips(store, sizes), device)
    if keep == "disk":
        return Disk(store, device)
    home = device if keep == "device" else torch.device("cpu")
    told: Callable[[int, int], None] = lambda done, total: progress("reading", done, total)  # noqa: E731
    return Memory(store, sizes, device, home=home, progress=told)


def _fitting(num_bytes: int, device: torch.device) -> str:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if num_bytes < _SHARE_OF_DEVICE * free:
            return "device"
    free_on_host = free_bytes() or 0
    return "host" if num_bytes < _SHARE_OF_HOST * free_on_host else "disk"
