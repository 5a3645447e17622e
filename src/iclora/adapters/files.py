"""LoRA files: read with every key accounted for, and written in the official layout.

    diffusion_model.transformer_blocks.N.<module>.lora_A.weight  [r, in]
    diffusion_model.transformer_blocks.N.<module>.lora_B.weight  [out, r]      delta W = B @ A, no alpha

Source: Lightricks LTX-2, ``ltx_core``: ``loader/sd_ops.py`` and ``loader/fuse_loras.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor

from iclora.adapters.names import official_name
from iclora.adapters.outline import (
    RECIPES,
    REFERENCE_ATTENTIONS,
    LayerSize,
    Outline,
    listed,
    opened,
    read_outline,
    sort_keys,
)
from iclora.errors import AdapterError, OutputError
from iclora.media.files import write_file


@dataclass(frozen=True, kw_only=True, eq=False)
class LowRank:
    """The change of one linear layer: ``up @ down``, any alpha already in ``up``."""

    down: Float[Tensor, "rank d_in"]
    up: Float[Tensor, "d_out rank"]

    @property
    def size(self) -> LayerSize:
        """Its rank, inputs and outputs."""
        return LayerSize(rank=self.down.shape[0], num_inputs=self.down.shape[1], num_outputs=self.up.shape[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapter:
    """An adapter file in memory.

    Attributes:
        outline: What its header tells.
        layers: The change of each linear layer, by diffusers module name.
    """

    outline: Outline
    layers: Mapping[str, LowRank]

    @property
    def downscale(self) -> int:
        """How many times smaller than the target its references are."""
        return self.outline.downscale

    @property
    def temporal_factor(self) -> int:
        """How many target frames one of its reference frames stands for."""
        return self.outline.temporal_factor


def read(path: str | Path) -> Adapter:
    """Read an adapter, accounting for every key.

    Args:
        path: A ``.safetensors`` file in the official, diffusers, PEFT or kohya layout.

    Returns:
        The adapter, on the CPU, in the types of the file.

    Raises:
        AdapterError: The file is missing or damaged, has unknown keys, or values that are not floats or not
            finite, or is a DoRA.
    """
    path = Path(path)
    outline = read_outline(path)
    with opened(path) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    _refuse_other_types(path, tensors)
    _refuse_non_finite(path, tensors)
    declared = _declared_alpha(path, outline.metadata)
    layers = {}
    for name, keys in sort_keys(path, list(tensors)).items():
        rank = outline.sizes[name].rank
        alpha = tensors[keys["alpha"]].item() if "alpha" in keys else rank if declared is None else declared
        up = tensors[keys["up"]]
        layers[name] = LowRank(
            down=tensors[keys["down"]], up=up if alpha == rank else up.float() * (alpha / rank)
        )
    return Adapter(outline=outline, layers=layers)


def write(
    path: str | Path,
    layers: Mapping[str, LowRank],
    metadata: Mapping[str, str],
    *,
    dtype: torch.dtype = torch.bfloat16,
    overwrite: bool = False,
) -> Path:
    """Write an adapter in the official layout.

    Args:
        path: Where to, ending in ``.safetensors``; folders that are missing are made.
        layers: The change of each linear layer, by diffusers module name.
        metadata: Strings, for instance from `describe`.
        dtype: Type on disk.
        overwrite: Whether a file there may be replaced.

    Returns:
        The path written.

    Raises:
        OutputError: The file exists, or cannot be written.
        AdapterError: A value is not finite.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise OutputError(f"An adapter is written as '.safetensors', not '{path.name}'. Change the ending.")
    content = encode(layers, metadata, dtype=dtype, source=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder of {path} cannot be made ({error}). Choose another place.") from error
    write_file(path, content, overwrite=overwrite)
    return path


def encode(
    layers: Mapping[str, LowRank],
    metadata: Mapping[str, str],
    *,
    dtype: torch.dtype = torch.bfloat16,
    source: str = "The adapter",
) -> bytes:
    """Make the content of an adapter file in the official layout.

    Args:
        layers: The change of each linear layer, by diffusers module name.
        metadata: Strings, for instance from `describe`.
        dtype: Type on disk.
        source: What to call it in messages.

    Returns:
        What `write` writes.

    Raises:
        AdapterError: A value is not finite.
    """
    state = {}
    for name, layer in layers.items():
        for letter, tensor in (("A", layer.down), ("B", layer.up)):
            key = f"diffusion_model.{official_name(name)}.lora_{letter}.weight"
            state[key] = tensor.detach().to(device="cpu", dtype=dtype).contiguous()
    _refuse_non_finite(source, state)
    return save(state, metadata=dict(metadata))


def describe(  # noqa: PLR0913  each a line of the file
    *,
    downscale: int,
    temporal_factor: int,
    control: str,
    base: str,
    version: str,
    reference_attention: str = "two_way",
    recipe: str = "",
    trigger: str = "",
    config: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Make the metadata of an adapter of ours.

    Args:
        downscale: How many times smaller than the target its references are.
        temporal_factor: How many target frames one reference frame stands for.
        control: Name of the control it follows, or several with commas between, any one at a time; ``union``
            for edges, depth and poses.
        base: Name of the base it was trained on.
        version: Version of this package.
        reference_attention: ``two_way``, or ``one_way`` where references do not look at the target.
        recipe: ``distilled`` or ``dev``, where it was trained for the one kind of model; empty where not.
        trigger: Word the prompt must hold; empty for none.
        config: Training settings to keep beside the weights.

    Returns:
        Metadata for `write`.

    Raises:
        AdapterError: A factor, the kind of attention or the recipe is not known.
    """
    if reference_attention not in REFERENCE_ATTENTIONS:
        known = " or ".join(f"'{one}'" for one in REFERENCE_ATTENTIONS)
        raise AdapterError(f"The reference attention '{reference_attention}' is not known: {known}.")
    if recipe and recipe not in RECIPES:
        raise AdapterError(f"The recipe '{recipe}' is not known: {' or '.join(RECIPES)}.")
    if downscale < 1 or temporal_factor < 1:
        raise AdapterError(f"The factors {downscale} and {temporal_factor} must be whole numbers from 1 up.")
    said = {"iclora.recipe": recipe} if recipe else {}
    return {
        "reference_downscale_factor": str(downscale),
        "reference_temporal_scale_factor": str(temporal_factor),
        "iclora.version": version,
        "iclora.control": control,
        "iclora.base": base,
        "iclora.reference_attention": reference_attention,
        "iclora.trigger": trigger,
        "iclora.config": json.dumps(dict(config or {}), sort_keys=True),
        **said,
    }


def _declared_alpha(path: Path, metadata: Mapping[str, str]) -> float | None:
    """Return the alpha that PEFT or diffusers note beside the weights, None where they note none."""
    text = metadata.get("lora_adapter_metadata")
    sidecar = path.with_name("adapter_config.json")
    if text is None and path.name == "adapter_model.safetensors" and sidecar.is_file():
        text = sidecar.read_text(encoding="utf-8")
    if text is None:
        return None
    try:
        notes = {key.removeprefix("transformer."): value for key, value in json.loads(text).items()}
    except (json.JSONDecodeError, AttributeError) as error:
        raise AdapterError(
            f"The LoRA settings beside the weights of {path} are not JSON ({error})."
        ) from error
    for setting in ("alpha_pattern", "use_rslora", "use_dora"):
        if notes.get(setting):
            raise AdapterError(
                f"{path} was made with '{setting}', which is not supported. Save it with plain scaling."
            )
    alpha = notes.get("lora_alpha")
    return None if alpha is None else float(alpha)


def _refuse_other_types(path: Path, tensors: Mapping[str, Tensor]) -> None:
    weights = {key: tensor for key, tensor in tensors.items() if not key.endswith("alpha")}
    other = [key for key, tensor in weights.items() if not tensor.is_floating_point()]
    if other:
        raise AdapterError(
            f"{path} holds numbers of type {tensors[other[0]].dtype} in {listed(other)}, but weights are "
            "floats. Save it in bfloat16, float16 or float32."
        )


def _refuse_non_finite(path: Path | str, tensors: Mapping[str, Tensor]) -> None:
    # 8-bit floats know no `isfinite` of their own.
    broken = [key for key, tensor in tensors.items() if not bool(torch.isfinite(tensor.float()).all())]
    if broken:
        raise AdapterError(
            f"{path} holds values that are not finite in {listed(broken)}; the picture would be black. "
            "Use an earlier checkpoint of the training, or download the file again."
        )
