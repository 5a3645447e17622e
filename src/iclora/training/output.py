"""What a training leaves: the adapter with its metadata, and a card that says how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

import iclora
from iclora import adapters
from iclora.adapters.known import UNION
from iclora.controls import CONTROLS
from iclora.controls.hub import is_repository
from iclora.errors import OutputError, RequestError
from iclora.plan import ModelFacts
from iclora.training.config import TrainingSettings
from iclora.training.store import Store

_PLACES: Any = {"output": True, "model": True, "data": {"path"}, "adapter": {"begin"}}
"""Settings that name places on a machine, which are no one else's business."""


def metadata_of(
    settings: TrainingSettings, store: Store, facts: ModelFacts, *, step: int, score: Mapping[str, float]
) -> dict[str, str]:
    """Make the metadata of the adapter.

    Args:
        settings: What was trained.
        store: What it learned from.
        facts: The base.
        step: Steps done.
        score: Adherence by control, where it was measured.

    Returns:
        Strings, as design section 5 has them.
    """
    distilled = facts.recipe.distilled
    return adapters.describe(
        downscale=store.settings.downscale,
        temporal_factor=store.settings.temporal_factor,
        control=control_of(settings, store),
        base=facts.recipe.base,
        version=iclora.__version__,
        reference_attention=settings.adapter.reference_attention,
        recipe="" if distilled is None else "distilled" if distilled else "dev",
        trigger=store.settings.trigger,
        config={
            "control": dials_of(store),
            "steps": step,
            "adherence": dict(score),
            "training": settings.model_dump(mode="json", exclude=_PLACES),
        },
    )


def control_of(settings: TrainingSettings, store: Store) -> str:
    """Tell what the adapter follows: as the settings say, else the controls of its references."""
    kinds = tuple(store.settings.controls)
    if settings.adapter.control or not kinds:
        return settings.adapter.control
    return "union" if set(kinds) == set(UNION) else ",".join(kinds)


def dials_of(store: Store) -> dict[str, Any]:
    """Tell how the controls of the references were drawn.

    Args:
        store: What is learned from.

    Returns:
        The dials of all controls together, as adapter files keep them.

    Raises:
        RequestError: Two controls were drawn with different values of one dial.
    """
    found: dict[str, Any] = {}
    for kind, dials in store.settings.controls.items():
        for name, value in dials.items():
            if found.setdefault(name, value) != value:
                raise RequestError(
                    f"{store.path} was prepared with {name}={found[name]} and, for {kind}, {name}={value}; "
                    "an adapter's file keeps one value for all its controls. Prepare them with the same."
                )
    return found


def card(
    settings: TrainingSettings, store: Store, facts: ModelFacts, name: str, metadata: Mapping[str, str]
) -> str:
    """Write the model card.

    Args:
        settings: What was trained.
        store: What it learned from.
        facts: The base.
        name: Of the adapter.
        metadata: From `metadata_of`.

    Returns:
        Markdown with the hub's front matter.
    """
    fetched = is_repository(settings.model) and not Path(settings.model).exists()
    base = settings.model if fetched else facts.recipe.base
    control = metadata["iclora.control"]
    shows = any(row.num_references for row in store.samples)
    follows = control or (
        "references of a kind that was not said" if shows else "no reference, it is a plain LoRA"
    )
    config = json.loads(metadata["iclora.config"])
    scores = "".join(f"| {kind} | {value:.3f} |\n" for kind, value in config["adherence"].items())
    kind = control.split(",")[0] if control != "union" else UNION[0]
    follow = f" --control {kind}=in.mp4" if kind in CONTROLS else " --reference in.mp4" if shows else ""
    trigger = store.settings.trigger
    word = f" The prompt must hold the word `{trigger}`." if trigger else ""
    front: dict[str, Any] = {
        "base_model": base,
        "library_name": "diffusers",
        "pipeline_tag": "video-to-video",
    }
    front |= {"tags": ["lora", "ic-lora", "ltx-2", *([control] if control else [])]}
    lines = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n# {name}\n",
        f"An IC-LoRA for `{facts.recipe.base}`, trained with iclora {metadata['iclora.version']} for "
        f"{config['steps']} steps. It follows: {follows}.{word}\n",
        f"```sh\niclora generate --model {base} --adapter {name}.safetensors{follow} "
        f'--prompt "..." -o out.mp4\n```\n',
        "| | |\n|---|---|",
        f"| reference downscale factor | {metadata['reference_downscale_factor']} |",
        f"| reference temporal factor | {metadata['reference_temporal_scale_factor']} |",
        f"| reference attention | {metadata['iclora.reference_attention']} |",
        f"| rank | {settings.adapter.rank} |",
        f"\nAdherence on held-out clips:\n\n| control | score |\n|---|---|\n{scores}" if scores else "",
        f"## Settings\n```yaml\n{yaml.safe_dump(config['training'], sort_keys=False)}```",
    ]
    return "\n".join(lines) + "\n"


def push(folder: Path, files: tuple[str, ...], repository: str) -> None:
    """Upload the finished adapter and its card to the hub.

    Args:
        folder: Where they are.
        files: Their names.
        repository: OWNER/NAME.

    Raises:
        OutputError: The hub refuses.
    """
    api = HfApi()
    try:
        api.create_repo(repository, exist_ok=True)
        for name in files:
            api.upload_file(path_or_fileobj=folder / name, path_in_repo=name, repo_id=repository)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise OutputError(
            f"{repository} cannot be written to ({error}). Log in with 'hf auth login'; the adapter is in "
            f"{folder}."
        ) from error
