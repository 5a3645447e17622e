"""`iclora inspect`: what an adapter is, and which base it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iclora.cli.present import to_stdout

if TYPE_CHECKING:
    from iclora.adapters import Outline


def inspect(
    adapter: Annotated[str, typer.Argument(help="One of the model's own adapters, or a .safetensors file.")],
    model: Annotated[
        str, typer.Option("--model", help="The model to fit it to: tiny, or a model folder.")
    ] = "tiny",
    keys: Annotated[bool, typer.Option("--keys", help="List each layer with its rank and sizes.")] = False,
) -> None:
    """Say what an adapter is: its control, base, rank, factors, metadata, and whether it fits a model.

    Example: iclora inspect canny --keys
    """
    # Imported here: it takes seconds, which --help shall not.
    from iclora import adapters
    from iclora.errors import ModelError
    from iclora.plan import adapter_facts, model_facts

    try:
        facts = adapter_facts(model_facts(model), adapter)
        fits = facts.misfit or f"fits the model {model!r}"
        outline, path = facts.outline, facts.path
    except ModelError as error:
        path = Path(adapter)
        outline = adapters.read_outline(path)
        fits = f"whether it fits is not known: {error}"
    adapters.read(path)
    lines = [
        f"file       {path}",
        f"control    {_control(outline)}",
        *([f"prompt     begins with '{outline.trigger}'"] if outline.trigger else []),
        f"base       {outline.base or _named(outline.named_base)}; {outline.geometry}",
        f"fit        {fits}",
        f"rank       {outline.rank}, {len(outline.sizes)} layers, {outline.num_parameters} finite values",
        f"reference  1/{outline.downscale} of the size (from the {outline.downscale_source}), "
        f"every {outline.temporal_factor} frame(s)",
        f"attention  {outline.reference_attention or 'not said, so two_way'}",
    ]
    lines += [f"  {key} = {_short(value)}" for key, value in sorted(outline.metadata.items())]
    if keys:
        lines += [
            f"  {name}: rank {size.rank}, {size.num_inputs} to {size.num_outputs}"
            for name, size in outline.sizes.items()
        ]
    to_stdout().print("\n".join(lines), markup=False)


def _control(outline: Outline) -> str:
    if outline.is_style:
        return "none: a style"
    kinds = " or ".join(outline.controls)
    if "depth" in outline.controls:
        kinds += f" (depth {' or '.join(outline.conventions)})"
    return f"{kinds}, from the {outline.controls_source}" if kinds else "not said"


def _named(base: str | None) -> str:
    return "not said" if base is None else f"{base}, from the file name"


def _short(value: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 90 else f"{text[:87]}..."
