"""Matrix products of the blocks in 8 bits: faster than bfloat16 on GPUs that have them, and half the memory.

    tokens ── largest value of each ──► 8 bits ─┐
                                                ├─ product, summed in 32 bits ──► times both scales, plus bias
    weights, one scale for each output ─────────┘

It is an approximation. On other devices the same rounding is computed in the tokens' own type, which saves
memory and no time.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from iclora.errors import RequestError

_FP8 = torch.float8_e4m3fn
_MIN_FEATURES = 64
"""Narrower layers, gates and adapters, stay as they are: they cost nothing."""


class Fp8Linear(nn.Linear):
    """A linear layer with weights of 8 bits and a scale for each output, whose inputs are rounded so too."""

    scale: Tensor

    @classmethod
    def of(cls, linear: nn.Linear) -> Fp8Linear:
        """Round a layer; its bias stays."""
        made = cls(linear.in_features, linear.out_features, bias=False, device="meta")
        values, scale = _rounded(linear.weight.detach())
        made.weight = nn.Parameter(values, requires_grad=False)
        made.bias = linear.bias
        made.register_buffer("scale", scale)
        return made.train(linear.training)

    def forward(self, tokens: Float[Tensor, "*s c"]) -> Float[Tensor, "*s d"]:  # noqa: D102
        rows = tokens.reshape(-1, self.in_features)
        values, scale = _rounded(rows)
        if _multiplies(tokens):
            product = torch._scaled_mm(
                values,
                self.weight.t(),
                scale_a=scale,
                scale_b=self.scale.t(),
                bias=self.bias,
                out_dtype=tokens.dtype,
                use_fast_accum=True,
            )
        else:
            weight = (self.weight.float() * self.scale).to(tokens.dtype)
            product = F.linear((values.float() * scale).to(tokens.dtype), weight, self.bias)
        return product.reshape(*tokens.shape[:-1], self.out_features)


def to_fp8(transformer: Any) -> None:
    """Round the blocks' wide linear layers to 8 bits, in place; attach or merge adapters before.

    What adapters add beside a layer stays as it is.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``, with or without adapters.

    Raises:
        RequestError: It is rounded already, or the blocks have no layer that could be.
    """
    found = 0
    for block in transformer.transformer_blocks:
        linears = [(name, module) for name, module in block.named_modules() if isinstance(module, nn.Linear)]
        for name, linear in linears:
            if isinstance(linear, Fp8Linear):
                raise RequestError("This transformer is in 8 bits already: load it anew to change it.")
            if ".lora_" not in name and _is_wide(linear):
                block.set_submodule(name, Fp8Linear.of(linear))
                found += 1
    if not found:
        raise RequestError("This transformer has no layer that could be rounded to 8 bits.")


def _is_wide(linear: nn.Linear) -> bool:
    sizes = (linear.in_features, linear.out_features)
    return all(size >= _MIN_FEATURES and size % 16 == 0 for size in sizes)


def _rounded(rows: Float[Tensor, "s c"]) -> tuple[Tensor, Float[Tensor, "s 1"]]:
    """Round each row to 8 bits, with its scale."""
    wide = rows.float()
    scale = (wide.abs().amax(dim=-1, keepdim=True) / torch.finfo(_FP8).max).clamp(min=1e-12)
    return (wide / scale).to(_FP8), scale


def _multiplies(tokens: Tensor) -> bool:
    return tokens.device.type == "cuda" and tokens.dtype == torch.bfloat16 and _has_products(tokens.device)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _has_products(device: torch.device) -> bool:
    """Whether a GPU multiplies in 8 bits with one scale for each row."""
    return torch.cuda.get_device_capability(device) >= (9, 0)
