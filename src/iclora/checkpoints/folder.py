"""Model folders: our own, with a `model.json` that holds the recipe, and released ones in diffusers' layout.

model.json        transformer/  vae/  connectors/  text_encoder/  tokenizer/  adapters/*.safetensors
model_index.json  the same, and audio_vae/  vocoder/  scheduler/
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from iclora.checkpoints import hub
from iclora.checkpoints.official import check_supported
from iclora.checkpoints.parts import load_part, load_tokenizer
from iclora.checkpoints.recipe import OWN, Recipe, read_recipe
from iclora.checkpoints.released import INDEX
from iclora.controls.hub import is_repository
from iclora.errors import ModelError

TINY = Path(__file__).parents[1] / "tiny"


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """The loaded parts of a model.

    Attributes:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        vae: A diffusers ``AutoencoderKLLTX2Video``.
        connectors: A diffusers ``LTX2TextConnectors``.
        text_encoder: A transformers text model.
        tokenizer: Its tokenizer.
        audio_vae: A diffusers ``AutoencoderKLLTX2Audio``; None where the model makes no audio.
        vocoder: A diffusers ``LTX2Vocoder`` or ``LTX2VocoderWithBWE``, in float32; None likewise.
        recipe: What the model was made for.
        path: Where it was loaded from.
    """

    transformer: Any = field(repr=False)
    vae: Any = field(repr=False)
    connectors: Any = field(repr=False)
    text_encoder: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    audio_vae: Any = field(default=None, repr=False)
    vocoder: Any = field(default=None, repr=False)
    recipe: Recipe
    path: Path


def find(model: str | Path) -> Path:
    """Find the folder of a model.

    Args:
        model: `tiny`, the model inside the package, a model folder, or a fetched repository of the hub.

    Returns:
        The folder, which holds a `model.json` or a `model_index.json`.

    Raises:
        ModelError: There is no such folder, or it is not a model.
    """
    path = TINY if str(model) == "tiny" else Path(model)
    if path.suffix == ".safetensors" and path.is_file():
        raise ModelError(
            f"{path} is a single file, without the text encoder. Make a folder of it with: iclora models "
            f"convert {path} --text-encoder GEMMA -o FOLDER"
        )
    if not path.exists() and is_repository(str(model)):
        path = hub.find_fetched(str(model))
    if not any((path / name).is_file() for name in (OWN, INDEX)):
        reason = f"it has no {OWN} and no {INDEX}" if path.is_dir() else f"{path} is not a folder"
        raise ModelError(f"There is no model '{model}': {reason}. Give 'tiny' or a model folder.")
    return path


def load(
    model: str | Path = "tiny",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    progress: Callable[[str], None] | None = None,
    without: Collection[str] = (),
) -> Components:
    """Load the parts of a model, one after the other: the CPU's memory holds one part that goes elsewhere.

    Args:
        model: `tiny`, the model inside the package, a model folder, or a fetched repository of the hub.
        device: Where the weights go.
        dtype: Their type in memory, whatever it is on disk; None: what the model is computed in there.
        progress: Called with the name of each part before it is loaded.
        without: Parts that are not needed, such as `transformer`; they are None.

    Returns:
        The parts, in evaluation mode, without gradients.

    Raises:
        ModelError: There is no such model, or a part is missing or damaged.
    """
    folder = find(model)
    recipe = read_recipe(folder)
    dtype = recipe.dtype_on(device) if dtype is None else dtype
    names = ["transformer", "vae", "connectors", "text_encoder"]
    names += ["audio_vae", "vocoder"] if recipe.has_audio else []
    parts: dict[str, Any] = dict.fromkeys(names)
    for name in names:
        if name in without:
            continue
        if progress is not None:
            progress(name)
        # Rounding adds up over the many convolutions of a vocoder, and it is small.
        part = load_part(folder / name, torch.float32 if name == "vocoder" else dtype)
        parts[name] = part.to(device).eval().requires_grad_(False)
    if parts["transformer"] is not None:
        check_supported(parts["transformer"].config, folder)
    return Components(tokenizer=load_tokenizer(folder / "tokenizer"), recipe=recipe, path=folder, **parts)
