"""How much memory a plan needs, and whether the card has it.

    weights (all parts, in the type they are computed in) + what is kept of references
        + the larger of: a step of the transformer, decoding the frames

A step is estimated from its tokens, decoding is followed through the decoder's layers without computing.
"""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
from safetensors import SafetensorError, safe_open
from torch.utils._python_dispatch import TorchDispatchMode

from iclora import adapters, checkpoints
from iclora.errors import ModelError
from iclora.geometry import LatentGrid
from iclora.media.room import free_bytes, total_bytes
from iclora.plan.facts import ModelFacts
from iclora.plan.values import (
    Findings,
    PlannedAdapter,
    PlannedCache,
    PlannedMemory,
    PlannedReference,
    Request,
)

_PARTS = ("transformer", "vae", "connectors", "text_encoder")
_AUDIO_PARTS = ("audio_vae", "vocoder")
_VECTORS = 14
"""Vectors as wide as the model that a token takes in a block: states, their norms, queries, keys, values and
the four of the feed-forward layer, twice; held against `benchmarks/README.md`."""
_ROTARY_BYTES = 8
"""Bytes for each value of a token's vector that its rotary positions take: sine and cosine of half the
values, in float32, made and kept."""
ESTIMATE_ERROR = 0.25
"""A request is refused only where it would not fit even if the estimate were this much too high. Measured on
the CPU: steps of `benchmarks/README.md` -1% to +26%; whole runs of the embedded model at 512x512x33 -12%, at
256x256x33 -34%, as libraries take some 60 MiB of their own there. Not yet measured on a GPU."""


def plan_memory(
    request: Request,
    facts: ModelFacts,
    grid: LatentGrid,
    planned: Sequence[PlannedAdapter],
    references: Sequence[PlannedReference],
    cache: PlannedCache,
    findings: Findings,
) -> PlannedMemory:
    """Estimate the memory, and compare it with what the device and the computer have.

    Args:
        request: What is asked for.
        facts: The model.
        grid: Latent grid of the result.
        planned: The adapters to attach.
        references: The references as the model will be given them.
        cache: What is kept of them between steps.
        findings: What is said is added here.

    Returns:
        The parts of the estimate, in bytes of the device.
    """
    later = sum(image.frame > 0 for image in request.images) * grid.height * grid.width
    num_tokens = grid.num_tokens + later + sum(one.grid.num_tokens for one in references)
    elsewhere = ",host" in cache.mode and request.device != "cpu"
    kept = 0 if elsewhere else cache.num_bytes  # but for two blocks at a time, 4 % of it at 48 blocks
    memory = estimate_memory(facts, planned, grid, num_tokens, kept, request.dtype, fp8=request.fp8)
    check_memory(memory, request.device, findings, offload=request.offload, loaded=request.loaded)
    if elsewhere:
        check_kept(cache.num_bytes, findings)
    return memory


def estimate_memory(
    facts: ModelFacts,
    planned: Sequence[PlannedAdapter],
    grid: LatentGrid,
    num_tokens: int,
    num_kept_bytes: int,
    dtype: torch.dtype,
    *,
    fp8: bool = False,
) -> PlannedMemory:
    """Estimate the most memory in use at a time.

    Args:
        facts: The model.
        planned: The adapters to attach.
        grid: Latent grid of the result.
        num_tokens: Tokens that go through the transformer in a step, references included.
        num_kept_bytes: What is kept of references between steps, on the device.
        dtype: What is computed in.
        fp8: Whether the transformer is in 8 bits.

    Returns:
        The parts of the estimate, in bytes.

    Raises:
        ModelError: If a file of the model cannot be read.
        AdapterError: If an adapter cannot be read.
    """
    names = _PARTS + (_AUDIO_PARTS if facts.recipe.has_audio else ())
    values = sum(_num_values(facts.path / name) for name in names)
    values += sum(adapters.read_outline(adapter.path).num_parameters for adapter in planned)
    weights = values * dtype.itemsize
    if fp8:
        weights -= _num_values(facts.path / "transformer") * (dtype.itemsize - 1)
    return PlannedMemory(
        weights=weights,
        step=num_tokens * _width(facts.path) * (_VECTORS * dtype.itemsize + _ROTARY_BYTES),
        decoding=decoding_bytes(facts.path, grid, dtype),
        kept=num_kept_bytes,
    )


def check_memory(
    memory: PlannedMemory, device: str, findings: Findings, *, offload: bool = False, loaded: bool = False
) -> None:
    """Compare an estimate with what a card, or the computer, has.

    Args:
        memory: The estimate.
        device: Where to compute; anything but the CPU and a CUDA device that is there is not compared.
        findings: What is said is added here.
        offload: Whether the computer holds the weights for the card, which is then not compared: it has one
            part at a time, which the estimate does not follow.
        loaded: Whether the weights are there already.
    """
    # What the computer must hold for a card are the weights alone, as a step is on the card.
    guest = offload and device != "cpu"
    device = "cpu" if offload else device
    found = _free_and_total(device)
    if found is None:
        return
    free, total = found
    needed = memory.total - (memory.weights if loaded else 0)
    if needed <= free:
        return
    where = "the computer" if device == "cpu" else device
    text = (
        f"About {_gib(needed)} of memory are needed, and {where} has {_gib(free)} free of {_gib(total)}: "
        f"weights {_gib(memory.weights)}, a step {_gib(memory.step)}, decoding {_gib(memory.decoding)}, kept "
        f"references {_gib(memory.kept)}."
    )
    advice = "Ask for a smaller size or fewer frames"
    advice += ", or keep references in the computer's memory (,host)." if memory.kept else "."
    least = memory.weights if guest else memory.total * (1 - ESTIMATE_ERROR)
    if least > total:
        findings.error(text, advice)
    else:
        findings.warning(
            text, f"{advice} Or end what else uses the {'memory' if device == 'cpu' else 'card'}."
        )


def check_kept(num_bytes: int, findings: Findings) -> None:
    """Compare what a card's references take in the computer's memory with what is there.

    Args:
        num_bytes: What is kept of references; in pinned memory, which is not swapped.
        findings: What is said is added here.
    """
    found = _free_and_total("cpu")
    if found is None or num_bytes <= found[0]:
        return
    free, total = found
    text = (
        f"About {_gib(num_bytes)} are kept of references in the computer's memory, which has {_gib(free)} "
        f"free of {_gib(total)}."
    )
    advice = (
        "Keep them on the card (without ,host) or in 8 bits there (every:K,fp8), or ask for fewer frames."
    )
    (findings.error if num_bytes > total else findings.warning)(text, advice)


def _free_and_total(device: str) -> tuple[int, int] | None:
    """Bytes of memory of a device; None where that is not known, or there is no such device."""
    if device == "cpu":
        free, total = free_bytes(), total_bytes()
        return None if free is None or total is None else (free, total)
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    try:
        free, total = torch.cuda.mem_get_info(torch.device(device))
    except (RuntimeError, AssertionError, ValueError):
        return None  # loading says that there is no such device
    return free, total


@lru_cache(maxsize=16)
def decoding_bytes(folder: Path, grid: LatentGrid, dtype: torch.dtype) -> int:
    """Follow the frames through the decoder, and count the most bytes alive at a time.

    Args:
        folder: The model's folder.
        grid: Latent grid of the result.
        dtype: What is computed in.

    Returns:
        Bytes, weights not counted.
    """
    with torch.device("meta"):
        vae = AutoencoderKLLTX2Video.from_config(checkpoints.read_config(folder / "vae" / "config.json"))
        latent = torch.empty(1, vae.config.latent_channels, *grid.shape, dtype=dtype)
    torch.nn.Module.to(vae, dtype).eval().requires_grad_(False)
    pixels: list[torch.Tensor] = []
    peak = peak_bytes(lambda: pixels.append(vae.decode(latent, return_dict=False)[0]))
    # Then the pixels stand there as they came, in float32, and once more on their way to whole levels.
    return max(peak, pixels[0].numel() * (dtype.itemsize + 2 * torch.float32.itemsize))


def peak_bytes(call: Callable[[], Any]) -> int:
    """Count the most bytes of tensors alive at a time among those that a call makes.

    Args:
        call: What to follow; on tensors of the device `meta` nothing is computed.

    Returns:
        Bytes.
    """
    with _Follower() as follower, torch.no_grad():
        call()
    return int(follower.peak)


class _Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each tensor made, and the end of its storage."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive: int = 0
        self.peak: int = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            # What an operation works on in place, or shows another view of, is no new memory.
            if isinstance(one, torch.Tensor) and one._base is None:
                self._add(one.untyped_storage(), func)
        return made

    def _add(self, storage: Any, func: Any) -> None:
        key = storage._cdata
        if key in self._known or func._schema.returns and func._schema.returns[0].alias_info is not None:
            return
        self._known[key] = storage.nbytes()
        self.alive += storage.nbytes()
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._end, key)

    def _end(self, key: int) -> None:
        self.alive -= self._known.pop(key, 0)


def _width(folder: Path) -> int:
    with torch.device("meta"):
        config = LTX2VideoTransformer3DModel.from_config(
            checkpoints.read_config(folder / "transformer" / "config.json")
        ).config
    return int(config.num_attention_heads * config.attention_head_dim)


@lru_cache(maxsize=64)
def _num_values(folder: Path) -> int:
    """Values in the weight files of a part, read from their headers."""
    count = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                count += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())
        except (OSError, SafetensorError, json.JSONDecodeError) as error:
            raise ModelError(f"{path} is not readable ({error}). Fetch the model again.") from error
    return count


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.3g} GiB"
