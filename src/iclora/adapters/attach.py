"""Adapters on a transformer: attach, weigh, detach, create and take out, all through PEFT."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from iclora.adapters.files import Adapter, LowRank
from iclora.adapters.outline import Outline
from iclora.errors import AdapterError

# The modules of the official IC-LoRA recipe: both attentions of the video stream and its feed-forward.
VIDEO_TARGETS = (
    *(
        f"{attention}.{part}"
        for attention in ("attn1", "attn2")
        for part in ("to_q", "to_k", "to_v", "to_out.0")
    ),
    "ff.net.0.proj",
    "ff.net.2",
)


def misfit(transformer: Any, outline: Outline) -> str:
    """Say why an adapter cannot be attached to a transformer.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``; on the meta device is enough.
        outline: From `read_outline`.

    Returns:
        The reason, or an empty text where it fits.
    """
    linears = {}
    for name, layer in transformer.named_modules():
        if isinstance(layer, (nn.Linear, LoraLayer)):
            base = layer.get_base_layer() if isinstance(layer, LoraLayer) else layer
            linears[name] = (base.in_features, base.out_features)
    wrong = [name for name in outline.sizes if name not in linears]
    for name, size in outline.sizes.items():
        wanted, present = (size.num_inputs, size.num_outputs), linears.get(name)
        if present is not None and present != wanted:
            wrong.append(f"{name} (wants {wanted[0]} to {wanted[1]}, has {present[0]} to {present[1]})")
    if not wrong:
        return ""
    config = transformer.config
    return (
        f"{outline.source} does not fit this model: {len(wrong)} of its {len(outline.sizes)} layers have no "
        f"counterpart of their size: {', '.join(wrong[:6])}{', ...' if len(wrong) > 6 else ''}. It fits "
        f"{outline.geometry}; this model has video width "
        f"{config.num_attention_heads * config.attention_head_dim} and {config.num_layers} blocks."
    )


def attach(transformer: Any, adapter: Adapter, weight: float, name: str) -> None:
    """Attach an adapter; several stack.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        adapter: From `read`.
        weight: How much of the change is added; 1 is all of it.
        name: Name of the adapter on this transformer, free to choose.

    Raises:
        AdapterError: The name is taken, layers do not fit this transformer, or it is in 8 bits already.
    """
    if name in attached(transformer):
        raise AdapterError(
            f"An adapter named '{name}' is attached already. Detach it or choose another name."
        )
    _check_rounding(transformer)
    reason = misfit(transformer, adapter.outline)
    if reason:
        raise AdapterError(f"{reason} Load the base the adapter was trained on.")
    ranks = {module: layer.size.rank for module, layer in adapter.layers.items()}
    _inject(transformer, ranks, name)
    with torch.no_grad():
        for module, layer in adapter.layers.items():
            linear = transformer.get_submodule(module)
            base = linear.get_base_layer().weight
            dtype = base.dtype if base.is_floating_point() else torch.get_default_dtype()
            for side, values in ((linear.lora_A, layer.down), (linear.lora_B, layer.up)):
                moved = values.to(device=base.device, dtype=dtype)
                side[name].weight = nn.Parameter(moved.clone(), requires_grad=False)
    set_weights(transformer, attached(transformer) | {name: weight})


def create(
    transformer: Any, *, rank: int, name: str, targets: Sequence[str] = VIDEO_TARGETS
) -> list[nn.Parameter]:
    """Put a new adapter on a transformer, to be trained; it changes nothing yet.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        rank: Rank of each layer, from 1 up; alpha equals it.
        name: Name of the adapter.
        targets: Ends of the names of the modules inside each block.

    Returns:
        Its parameters, float32, the only ones of this adapter and all requiring gradients.

    Raises:
        AdapterError: The name is taken, the rank is below 1, or a target fits no module.
    """
    if name in attached(transformer):
        raise AdapterError(
            f"An adapter named '{name}' is attached already. Detach it or choose another name."
        )
    if rank < 1:
        raise AdapterError(f"The rank is {rank}; a whole number from 1 up is accepted.")
    linears = [
        module for module, layer in transformer.named_modules() if isinstance(layer, (nn.Linear, LoraLayer))
    ]
    pattern = re.compile(
        r"transformer_blocks\.\d+\.(" + "|".join(re.escape(target) for target in targets) + ")"
    )
    chosen = [module for module in linears if pattern.fullmatch(module)]
    idle = [target for target in targets if not any(module.endswith(f".{target}") for module in chosen)]
    if idle:
        raise AdapterError(
            f"The targets {idle} fit no linear layer of the transformer's blocks. Check their names."
        )
    weights = attached(transformer)
    _inject(transformer, dict.fromkeys(chosen, rank), name)
    set_weights(transformer, weights | {name: 1.0})
    parameters = []
    for module in chosen:
        linear = transformer.get_submodule(module)
        device = linear.get_base_layer().weight.device
        for side in (linear.lora_A, linear.lora_B):
            side[name].to(device=device, dtype=torch.float32).requires_grad_(True)
            parameters.append(side[name].weight)
        nn.init.kaiming_uniform_(linear.lora_A[name].weight, a=5**0.5)
        nn.init.zeros_(linear.lora_B[name].weight)
    return parameters


def take(transformer: Any, name: str) -> dict[str, LowRank]:
    """Take the layers of an attached adapter out, to be written.

    Args:
        transformer: The transformer it is attached to.
        name: Name of the adapter.

    Returns:
        Copies of its layers on the CPU, by diffusers module name.

    Raises:
        AdapterError: No adapter of that name is attached.
    """
    layers = {
        module: LowRank(down=_copy(layer.lora_A[name].weight), up=_copy(layer.lora_B[name].weight))
        for module, layer in _lora_layers(transformer).items()
        if name in layer.lora_A
    }
    if not layers:
        raise AdapterError(_not_attached(transformer, name))
    return layers


def attached(transformer: Any) -> dict[str, float]:
    """Return the names of the attached adapters and their weights."""
    weights: dict[str, float] = {}
    for layer in _lora_layers(transformer).values():
        for name in layer.lora_A:
            weights.setdefault(name, layer.scaling[name])
    return weights


def set_weights(transformer: Any, weights: Mapping[str, float]) -> None:
    """Set how much of each attached adapter is added.

    Args:
        transformer: The transformer they are attached to.
        weights: By name; names left out keep their weight.

    Raises:
        AdapterError: A name is not attached.
    """
    present = attached(transformer)
    for name in weights:
        if name not in present:
            raise AdapterError(_not_attached(transformer, name))
    for layer in _lora_layers(transformer).values():
        trained = {name: [p.requires_grad for p in _parameters(layer, name)] for name in layer.lora_A}
        layer.set_adapter(list(layer.lora_A))
        for name, flags in trained.items():
            # PEFT turns gradients on for every active adapter.
            for parameter, flag in zip(_parameters(layer, name), flags, strict=True):
                parameter.requires_grad_(flag)
            layer.scaling[name] = (present | dict(weights))[name]  # alpha equals the rank in all of ours


def detach(transformer: Any, name: str) -> None:
    """Remove an attached adapter.

    Args:
        transformer: The transformer it is attached to.
        name: Name of the adapter.

    Raises:
        AdapterError: No adapter of that name is attached.
    """
    weights = attached(transformer)
    if name not in weights:
        raise AdapterError(_not_attached(transformer, name))
    del weights[name]
    if weights:
        transformer.delete_adapters(name)
        set_weights(transformer, weights)
    else:
        transformer.unload_lora()


def merge(transformer: Any) -> None:
    """Add the attached adapters to the weights for good: a step then costs what it does without them.

    In half precision the sum is rounded to the weights' type.

    Args:
        transformer: The transformer they are attached to; afterwards none is.

    Raises:
        AdapterError: It is in 8 bits already.
    """
    _check_rounding(transformer)
    with torch.no_grad():
        for name, layer in _lora_layers(transformer).items():
            layer.merge()
            transformer.set_submodule(name, layer.get_base_layer())
    if getattr(transformer, "peft_config", None):
        transformer.unload_lora()


def _inject(transformer: Any, ranks: Mapping[str, int], name: str) -> None:
    most = max(ranks.values())
    other = {re.escape(module): rank for module, rank in ranks.items() if rank != most}
    config = LoraConfig(
        r=most,
        lora_alpha=most,
        rank_pattern=other,
        alpha_pattern=other,
        target_modules=list(ranks),
        init_lora_weights=False,
    )
    with warnings.catch_warnings():
        # PEFT wonders at a second adapter; stacking them is what is asked for.
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        transformer.add_adapter(config, adapter_name=name)


def _check_rounding(transformer: Any) -> None:
    """Refuse weights of 8 bits: nothing can be added to them, and adapters would be rounded like them."""
    if any(weight.is_floating_point() and weight.itemsize == 1 for weight in transformer.parameters()):
        raise AdapterError(
            "This transformer is in 8 bits already. Load it anew; attach and merge adapters, then round it."
        )


def _lora_layers(transformer: Any) -> dict[str, Any]:
    return {name: layer for name, layer in transformer.named_modules() if isinstance(layer, LoraLayer)}


def _parameters(layer: Any, name: str) -> tuple[nn.Parameter, nn.Parameter]:
    return layer.lora_A[name].weight, layer.lora_B[name].weight


def _copy(values: Tensor) -> Tensor:
    return values.detach().to("cpu", copy=True)


def _not_attached(transformer: Any, name: str) -> str:
    names = ", ".join(f"'{other}'" for other in attached(transformer)) or "none"
    return f"No adapter named '{name}' is attached; attached are: {names}."
