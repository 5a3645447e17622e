"""What a training will take, in memory and time, from its settings alone; then held against its first steps.

weights (in the type of the frozen base) + the adapter with its gradients and moments + clips kept there
    + what backward needs: all blocks' values, or with checkpoints each block's input and one block's values;
      with feedback twice that, and what decoding a guess keeps

A step's time: products of the transformer's passes, and with feedback of a guess's decoding, there and back,
and of the clip's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
from torch.utils.flop_counter import FlopCounterMode

from iclora import checkpoints
from iclora.geometry import latent_grid
from iclora.pipeline import pixels_of
from iclora.plan import ModelFacts
from iclora.training.batches import Size, sort_by_size
from iclora.training.config import TrainingSettings
from iclora.training.judging import judged_steps
from iclora.training.model import dtype_of
from iclora.training.store import Store

_KEPT, _PASSING = 37, 120
"""Vectors as wide as the model that backward needs of a token in a block (norms, queries, keys, values, the
mixed ones, four of the feed-forward layer twice, inputs of low-rank layers), and those that come and go in a
block. Measured on the CPU in float32 with the embedded model, 4 clips of 1600 tokens: 334 vectors without
checkpoints (342 by this), 170 with them (163)."""
_COMPILED = 0.57
"""Share of these that compiled blocks keep: 14.4 and 21.3 GiB on an H100 in bfloat16, 96 clips of 1600 and
2560 tokens without checkpoints, where the count says 25.1 and 40.1."""
_EFFICIENCY = {"cuda": 0.35, "cpu": 0.35}
"""Share of a plain matrix product's speed that a step reaches."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a training will take on each device.

    Attributes:
        weights: Bytes of the frozen base.
        adapter: Bytes of the adapter with its gradients and moments.
        clips: Bytes of all encoded clips.
        step: Bytes that a step takes beside these.
        num_trained: Values that are trained.
        tokens: Tokens of one clip with its references, at most.
        seconds_per_step: Time of a step.
        num_steps: Steps of the run.
    """

    weights: int
    adapter: int
    clips: int
    step: int
    num_trained: int
    tokens: int
    seconds_per_step: float
    num_steps: int

    @property
    def memory(self) -> int:
        """Bytes on the device, clips not counted."""
        return self.weights + self.adapter + self.step

    @property
    def hours(self) -> float:
        """Length of the run."""
        return self.seconds_per_step * self.num_steps / 3600

    def told(self) -> str:
        """The estimate in words."""
        return (
            f"About {gib(self.memory)} on each device (base {gib(self.weights)}, adapter with its optimizer "
            f"{gib(self.adapter)}, a step {gib(self.step)}), clips {gib(self.clips)}; "
            f"{self.num_trained / 1e6:.3g} million values are trained on {self.tokens} tokens a clip. "
            f"{self.num_steps} steps of about {duration(self.seconds_per_step)}: "
            f"{duration(self.hours * 3600)}."
        )

    def compared(self, *, seconds_per_step: float, memory: int | None) -> str:
        """The estimate beside what the first steps took."""
        text = (
            f"Measured in the first steps: {duration(seconds_per_step)} a step (estimated "
            f"{duration(self.seconds_per_step)}), {duration(seconds_per_step * self.num_steps)} in all"
        )
        return text + (f"; {gib(memory)} of memory (estimated {gib(self.memory)})." if memory else ".")


def estimate(settings: TrainingSettings, facts: ModelFacts, store: Store, device: torch.device) -> Estimate:
    """Estimate what a training takes, before a weight is loaded.

    Args:
        settings: What is trained.
        facts: The base.
        store: What is learned from.
        device: Where it is trained.

    Returns:
        The estimate; its time comes from how fast the device multiplies matrices now.
    """
    with torch.device("meta"):
        config = checkpoints.read_config(facts.path / "transformer" / "config.json")
        transformer = LTX2VideoTransformer3DModel.from_config(config)
    sizes = sort_by_size(store, "train")
    dtype = dtype_of(settings, device)
    frozen, seen = _count(transformer)
    trained = _trained(transformer, settings)
    tokens = max(_tokens(size, store, facts) for size in sizes)
    batch, memory = settings.data.batch_size, settings.memory
    width = transformer.config.num_attention_heads * transformer.config.attention_head_dim
    blocks = transformer.config.num_layers
    on_device = (blocks - min(memory.blocks_on_host, blocks)) / blocks
    vectors = _PASSING + (_KEPT + blocks if memory.gradient_checkpointing else _KEPT * blocks)
    passes = 4.0 if memory.gradient_checkpointing else 3.0
    products, decoded = passes - 1, 0  # weights that are frozen have no gradient
    step = int(batch * tokens * width * vectors * dtype.itemsize * (_COMPILED if settings.compile else 1))
    if settings.feedback.weight:  # sampling up to a guess, the guess, and its decoding
        kept, decoded = max(_decoding(size, settings, facts) for size in sizes)
        step = 2 * step + batch * kept
        judged = judged_steps(facts.recipe.sigmas, settings.feedback.from_noise)
        sampled = sum(judged) / max(1, len(judged))
        products, passes = 2 * products + sampled, 2 * passes + sampled
    work = 2 * seen * tokens * products + 4 * tokens**2 * width * blocks * passes + 3 * decoded
    speed = _speed(device, dtype) * _EFFICIENCY.get(device.type, _EFFICIENCY["cpu"])
    return Estimate(
        weights=int(frozen * on_device) * (dtype.itemsize if memory.quantise == "none" else 1),
        adapter=trained * (8 + (2 if settings.optimizer.kind == "adamw8bit" else 8)),
        clips=bytes_of_clips(store, sizes),
        step=step,
        num_trained=trained,
        tokens=tokens,
        seconds_per_step=batch * settings.data.accumulation * work / speed,
        num_steps=settings.steps,
    )


def bytes_of_clips(store: Store, sizes: dict[Size, list[int]]) -> int:
    """Count the bytes that encoded clips take, as they are kept: targets and captions once a clip."""
    total = 0
    for places in sizes.values():
        sample = store.load(places[0])
        clips = len({store.samples[place].clip for place in places})
        references = sum(2 * latents.numel() for latents in sample.references)
        total += clips * (2 * sample.target.numel() + sample.context.nbytes) + len(places) * references
    return total


def _tokens(size: Size, store: Store, facts: ModelFacts) -> int:
    bucket, num_references = size
    grid = latent_grid(bucket.num_frames, bucket.height, bucket.width, facts.factors)
    shrunk = store.settings.downscale**2 * store.settings.temporal_factor
    return grid.num_tokens + num_references * -(-grid.num_tokens // shrunk)


def _decoding(size: Size, settings: TrainingSettings, facts: ModelFacts) -> tuple[int, int]:
    """Count the bytes that decoding the judged square of a clip keeps for backward, and its operations.

    37.7 GiB were measured on an H100 for 64 clips of 33 frames, 192 pixels square, where a step's values are
    counted as 15.2 and this as 7.3.
    """
    bucket, crop = size[0], settings.feedback.crop
    grid = latent_grid(bucket.num_frames, min(bucket.height, crop), min(bucket.width, crop), facts.factors)
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with torch.device("meta"):
        vae = AutoencoderKLLTX2Video.from_config(
            checkpoints.read_config(facts.path / "vae" / "config.json")
        ).requires_grad_(False)
        shape = (1, vae.config.latent_channels, grid.frames, grid.height, grid.width)
        counted = FlopCounterMode(display=False)
        with counted, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            pixels = pixels_of(vae, torch.empty(shape, requires_grad=True))
    for parameter in vae.parameters():
        kept.pop(parameter.untyped_storage()._cdata, None)
    del pixels
    return sum(storage.nbytes() for storage in kept.values()), counted.get_total_flops()


def _count(transformer: Any) -> tuple[int, int]:
    """Values of the transformer, and those that video tokens go through."""
    sizes = {name: parameter.numel() for name, parameter in transformer.named_parameters()}
    seen = sum(size for name, size in sizes.items() if "audio" not in name and "av_" not in name)
    return sum(sizes.values()), seen


def _trained(transformer: Any, settings: TrainingSettings) -> int:
    ends = tuple(f".{target}" for target in settings.adapter.targets)
    linears = [
        layer
        for name, layer in transformer.named_modules()
        if isinstance(layer, torch.nn.Linear) and name.endswith(ends) and "audio" not in name
    ]
    return settings.adapter.rank * sum(layer.in_features + layer.out_features for layer in linears)


def _speed(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a plain matrix product."""
    side = 4096 if device.type == "cuda" else 512
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    seconds = []
    for _ in range(4):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        matrix @ matrix  # noqa: B018  only its time is wanted
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)


def gib(num_bytes: int) -> str:
    """Bytes in words."""
    return f"{num_bytes / 2**30:.3g} GiB" if num_bytes >= 2**28 else f"{num_bytes / 2**20:.3g} MiB"


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
