"""The base, frozen, with the adapter that is trained on it, and what moves the adapter's weights."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from iclora import adapters, checkpoints
from iclora.adapters import LowRank
from iclora.checkpoints.parts import load_part
from iclora.errors import AdapterError, MissingDependencyError, RequestError
from iclora.training import low_memory
from iclora.training.config import OptimizerSettings, TrainingSettings

ADAPTER = "trained"
"""Name of the adapter on the transformer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Base:
    """A frozen base with the adapter that is trained.

    Attributes:
        transformer: The transformer, on the device.
        components: All parts, those but the transformer in the computer's memory; None where only the
            transformer was loaded.
        dtype: What is computed in.
        scale: What the adapter's change is multiplied with, alpha by rank.
    """

    transformer: Any = field(repr=False)
    components: checkpoints.Components | None = field(repr=False)
    dtype: torch.dtype
    scale: float

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is trained."""
        return [parameter for parameter in self.transformer.parameters() if parameter.requires_grad]


def dtype_of(settings: TrainingSettings, device: torch.device) -> torch.dtype:
    """Tell what is computed in on a device."""
    precision = settings.memory.precision
    if precision == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return torch.bfloat16 if precision == "bf16" else torch.float32


_SPEAKING = ("text_encoder", "connectors", "audio_vae", "vocoder")
"""Parts that decoding needs none of."""


def load_base(
    settings: TrainingSettings, device: torch.device, *, dtype: torch.dtype, shows: bool, decodes: bool
) -> Base:
    """Load the base and put the adapter on it.

    Args:
        settings: What is trained.
        device: Where the transformer goes.
        dtype: What is computed in.
        shows: Whether all other parts are needed too, to make clips.
        decodes: Whether the autoencoder is, to look at guesses.

    Returns:
        The base.

    Raises:
        ModelError: There is no such base, or it is damaged.
        AdapterError: The adapter to begin with does not fit, or its rank is another one.
        MissingDependencyError: A package that saves memory is not installed.
    """
    components = None
    if shows or decodes:
        without = () if shows else _SPEAKING
        components = checkpoints.load(settings.model, device="cpu", dtype=dtype, without=without)
    if components is None:
        folder = checkpoints.find(settings.model)
        transformer = load_part(folder / "transformer", dtype, base=checkpoints.read_recipe(folder).base)
        transformer = transformer.eval().requires_grad_(False)
    else:
        transformer = components.transformer
    low_memory.quantise(transformer, settings.memory.quantise, device)
    scale = put_adapter(transformer, settings)
    low_memory.keep_on_host(transformer, settings.memory.blocks_on_host, device)
    if settings.memory.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    if settings.compile:
        transformer.compile_repeated_blocks()
    return Base(transformer=transformer, components=components, dtype=dtype, scale=scale)


def put_adapter(transformer: Any, settings: TrainingSettings) -> float:
    """Create the adapter, or go on with one that exists.

    Args:
        transformer: The frozen transformer.
        settings: What is trained.

    Returns:
        What its change is multiplied with.

    Raises:
        AdapterError: The adapter to begin with does not fit, or its rank or targets are others.
    """
    wanted = settings.adapter
    torch.manual_seed(settings.seed)
    with warnings.catch_warnings():
        # PEFT warns that layers of 8 bits cannot be merged; nothing here merges them.
        warnings.filterwarnings("ignore", message="TorchaoLoraLinear was instantiated")
        adapters.create(transformer, rank=wanted.rank, name=ADAPTER, targets=wanted.targets)
    scale = (wanted.alpha or wanted.rank) / wanted.rank
    adapters.set_weights(transformer, {ADAPTER: scale})
    if not wanted.begin:
        return scale
    begun = adapters.read(wanted.begin)
    reason = adapters.misfit(transformer, begun.outline)
    if reason:
        raise AdapterError(f"{reason} Begin with an adapter of this base.")
    layers = {name: layer for name, layer in transformer.named_modules() if hasattr(layer, "lora_A")}
    ranks = {layer.size.rank for layer in begun.layers.values()}
    if layers.keys() != begun.layers.keys() or ranks != {wanted.rank}:
        raise AdapterError(
            f"{wanted.begin} has rank {', '.join(map(str, sorted(ranks)))} and {len(begun.layers)} layers; "
            f"the settings ask for rank {wanted.rank} and {len(layers)} layers. Set adapter.rank and "
            "adapter.targets to what it has."
        )
    with torch.no_grad():
        for name, layer in begun.layers.items():
            layers[name].lora_A[ADAPTER].weight.copy_(layer.down)
            layers[name].lora_B[ADAPTER].weight.copy_(layer.up / scale)
    return scale


@contextmanager
def uncompiled(transformer: Any) -> Iterator[None]:
    """Run blocks as they are: compiling them again for other sizes, and without gradients, takes minutes."""
    blocks = list(transformer.transformer_blocks)
    compiled = [block._compiled_call_impl for block in blocks]
    for block in blocks:
        block._compiled_call_impl = None
    try:
        yield
    finally:
        for block, call in zip(blocks, compiled, strict=True):
            block._compiled_call_impl = call


def layers_of(weights: Mapping[str, Tensor], scale: float) -> dict[str, LowRank]:
    """Sort trained weights into layers, ready to be written.

    Args:
        weights: By parameter name, from `Learner`.
        scale: From `Base`.

    Returns:
        The change of each linear layer, by diffusers module name.
    """
    names = [name for name in weights if f".lora_A.{ADAPTER}." in name]
    return {
        _module(name): LowRank(down=weights[name], up=scale * weights[name.replace(".lora_A.", ".lora_B.")])
        for name in names
    }


def _module(name: str) -> str:
    start = name.index("transformer_blocks.")
    return name[start : name.index(".lora_A.")]


def make_optimizer(parameters: list[nn.Parameter], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Make the optimizer.

    Args:
        parameters: What is trained.
        settings: How.

    Returns:
        The optimizer.

    Raises:
        MissingDependencyError: bitsandbytes is not installed.
        RequestError: It does not work here.
    """
    said: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": settings.betas,
        "weight_decay": settings.weight_decay,
    }
    on_gpu = all(parameter.is_cuda for parameter in parameters)
    if settings.kind == "adamw":
        return torch.optim.AdamW(parameters, fused=on_gpu, **said)
    try:
        bitsandbytes: Any = importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise MissingDependencyError(
            f"optimizer.kind=adamw8bit needs bitsandbytes ({error}): pip install bitsandbytes, or set "
            "optimizer.kind=adamw."
        ) from error
    if not on_gpu:
        raise RequestError("optimizer.kind=adamw8bit works on a GPU alone; set optimizer.kind=adamw.")
    optimizer: torch.optim.Optimizer = bitsandbytes.optim.AdamW8bit(parameters, **said)
    return optimizer


def learning_rate(settings: OptimizerSettings, step: int, num_steps: int) -> float:
    """Compute the learning rate of a step.

    Args:
        settings: How it rises and falls.
        step: Steps done before it.
        num_steps: Steps of the run.

    Returns:
        The rate.
    """
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    progress = (step - settings.warmup) / max(1, num_steps - settings.warmup)
    fall = {"linear": progress, "cosine": (1 - math.cos(math.pi * progress)) / 2, "constant": 0.0}
    return settings.learning_rate * (1 - (1 - settings.final) * fall[settings.schedule])


def adapter_name(settings: TrainingSettings, control: str) -> str:
    """Tell what the adapter is called: as the settings say, else by the control it follows."""
    return settings.adapter.name or control or "style"
