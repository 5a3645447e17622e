"""A model and its adapters, loaded: as they are, or made faster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from iclora import adapters as adapter_files
from iclora import checkpoints
from iclora.controls.devices import check_device
from iclora.pipeline.placing import move
from iclora.pipeline.run import Pipeline, Progress, silent
from iclora.plan import Plan, Request, make_plan, model_facts
from iclora.transformer import to_fp8


def load(  # noqa: PLR0913  every dial has a default
    model: str | Path = "tiny",
    adapters: Sequence[str | Path | tuple[str | Path, float]] = (),
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    offload: bool = False,
    merge: bool = False,
    fp8: bool = False,
    compile: bool = False,
    progress: Progress | None = None,
) -> Pipeline:
    """Load a model and attach adapters to it.

    Args:
        model: `tiny`, the model inside the package, a model folder, or a fetched repository of the hub.
        adapters: Names of the model's own adapters, or files; each alone or with its weight.
        device: Where to compute.
        dtype: What to compute in; None: float32 on the CPU, and bfloat16 on a GPU for released models.
        offload: Whether each part is on the device only while it is at work, and frames are decoded in tiles.
        merge: Whether adapters are added to the weights, for speed; rounded to the weights' type.
        fp8: Whether the transformer's matrix products are of 8 bits: half its memory, faster on GPUs that
            have them, an approximation.
        compile: Whether the transformer is compiled: faster after a first step of a minute.
        progress: Told of each part loaded.

    Returns:
        The pipeline, ready to generate.

    Raises:
        ModelError: If the model is missing or damaged.
        AdapterError: If an adapter is missing, damaged, or made for another base.
    """
    pairs = (item if isinstance(item, tuple) else (item, 1.0) for item in adapters)
    wanted = tuple((str(name), weight) for name, weight in pairs)
    # The size is still to come: memory is compared with what one frame takes.
    where: dict[str, Any] = {"device": device, "offload": offload, "num_frames": 1, "fp8": fp8}
    where["dtype"] = dtype or model_facts(str(model)).recipe.dtype_on(device)
    plan = make_plan(Request(prompt="", model=str(model), adapters=wanted, **where))
    plan.check()
    made = {"offload": offload, "merge": merge, "compile": compile}
    return load_planned(plan, device=device, dtype=dtype, **made, progress=progress)


def load_planned(
    plan: Plan,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    offload: bool = False,
    merge: bool = False,
    compile: bool = False,
    progress: Progress | None = None,
) -> Pipeline:
    """Load what a plan names.

    Args:
        plan: A plan without errors.
        device: Where to compute.
        dtype: What to compute in; None: float32 on the CPU, and bfloat16 on a GPU for released models.
        offload: Whether each part is on the device only while it is at work, and frames are decoded in tiles.
        merge: Whether adapters are added to the weights, for speed.
        compile: Whether the transformer is compiled.
        progress: Told of each part loaded.

    Returns:
        The pipeline, with the plan's adapters attached.

    Raises:
        RequestError: If there is no such device.
        ModelError: If a part of the model is missing or damaged.
        AdapterError: If an adapter is damaged.
    """
    check_device(device)
    report = progress if progress is not None else silent
    total = 1 + len(plan.adapters)
    report("loading", 0, total)
    dtype = checkpoints.read_recipe(Path(plan.model_path)).dtype_on(device) if dtype is None else dtype
    first = "cpu" if offload or plan.fp8 else device
    components = checkpoints.load(plan.model_path, device=first, dtype=dtype)
    report("loading", 1, total)
    for number, planned in enumerate(plan.adapters):
        adapter = adapter_files.read(planned.path)
        adapter_files.attach(components.transformer, adapter, planned.weight, f"adapter_{number}")
        report("loading", 2 + number, total)
    if merge:
        adapter_files.merge(components.transformer)
    if plan.fp8:
        to_fp8(components.transformer)
    if not offload:
        move(components, device)
    if compile:
        components.transformer.compile_repeated_blocks()
    return Pipeline(
        components=components,
        model=plan.model,
        adapters=tuple((planned.path, planned.weight) for planned in plan.adapters),
        guest_of=device if offload else None,
        fp8=plan.fp8,
    )
