"""What can be known of a model and its adapters without loading a weight: their configs and headers."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
from transformers import AutoTokenizer

from iclora import adapters, checkpoints, geometry
from iclora.adapters import Outline
from iclora.checkpoints import Recipe
from iclora.controls import CONTROLS, check_dials, dials_of
from iclora.errors import AdapterError, ModelError, RequestError
from iclora.geometry import LatentFactors, LatentGrid

_NOT_TRAINED = frozenset(
    {"mask", "body", "person", "estimator", "backend", "device", "render", "values", "canvas", "keypoints"}
)
"""Dials that say where a control is from rather than how it looks, and are not followed."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a model was made for.

    Attributes:
        recipe: Its own words: sizes, rate, schedule, limits.
        path: Its folder.
        factors: Pixels for one latent cell.
        adapters: Its own adapters by name.
    """

    recipe: Recipe
    path: Path
    factors: LatentFactors
    adapters: dict[str, Path]

    @property
    def grid(self) -> LatentGrid:
        """Latent grid at the model's own size."""
        space = math.lcm(self.factors.height, self.factors.width)
        height, width = geometry.snap_size(self.recipe.height, self.recipe.width, space)
        num_frames = geometry.snap_frames(self.recipe.num_frames, self.factors)
        return geometry.latent_grid(num_frames, height, width, self.factors)


@dataclass(frozen=True, kw_only=True)
class AdapterFacts:
    """What an adapter file says of itself.

    Attributes:
        path: Its file.
        outline: Its header.
        misfit: Why it cannot be used with the model; empty where it can.
        dials: How the control it was trained on was drawn, such as `{"thickness": 3}`: what differs from the
            control's own defaults.
    """

    path: Path
    outline: Outline
    misfit: str
    dials: Mapping[str, Any]


def model_facts(model: str) -> ModelFacts:
    """Read what a model was made for from its configs.

    Args:
        model: `tiny` or a model folder.

    Returns:
        The facts.

    Raises:
        ModelError: If there is no such model, or a config is missing or damaged.
    """
    folder = checkpoints.find(model)
    with torch.device("meta"):
        vae = AutoencoderKLLTX2Video.from_config(_config(folder, "vae"))
    return ModelFacts(
        recipe=checkpoints.read_recipe(folder),
        path=folder,
        factors=geometry.factors_of(vae),
        adapters={path.stem: path for path in sorted((folder / "adapters").glob("*.safetensors"))},
    )


def adapter_facts(facts: ModelFacts, name: str) -> AdapterFacts:
    """Read what an adapter is, and whether it fits a model.

    Args:
        facts: The model.
        name: One of the model's own adapters, or a file.

    Returns:
        The facts.

    Raises:
        AdapterError: If there is no such adapter, its file is damaged, or it asks for a control that cannot
            be drawn.
    """
    path = facts.adapters.get(name, Path(name))
    if not path.is_file():
        own = ", ".join(facts.adapters) or "none"
        raise AdapterError(
            f"There is no adapter {name!r}: it is neither a file nor one of the model's own ({own}). "
            "Give one of those names or the path of a .safetensors file."
        )
    outline = adapters.read_outline(path)
    dials = control_dials(outline)
    return AdapterFacts(path=path, outline=outline, misfit=_misfit(facts, outline), dials=dials)


def own_adapters(facts: ModelFacts, kinds: Sequence[str]) -> list[str]:
    """Choose the model's own adapters for some controls.

    Args:
        facts: The model.
        kinds: Names of the controls, each once.

    Returns:
        The one that follows most of them, and of several the one that follows the fewest others; then such a
        one for what is left. Files that are damaged or do not fit are passed over.
    """
    follows: dict[str, frozenset[str]] = {}
    for name in facts.adapters if kinds else ():
        with contextlib.suppress(AdapterError):
            found = adapter_facts(facts, name)
            if not found.misfit:
                follows[name] = frozenset(found.outline.controls)
    left, chosen = set(kinds), []
    while follows:
        best = min(follows, key=lambda name: (-len(left & follows[name]), len(follows[name]), name))
        if not left & follows[best]:
            break
        chosen.append(best)
        left -= follows.pop(best)
    return chosen


def control_dials(outline: Outline) -> dict[str, Any]:
    """Read from an adapter's `iclora.config` how the control it was trained on was drawn.

    Args:
        outline: The adapter's header.

    Returns:
        Dials of the control, but for those that say where it was from, such as its estimator; none where
        the adapter says nothing, or follows a control that is not ours.

    Raises:
        AdapterError: If what it says cannot be read, or the control has no such dial or value.
    """
    said = adapters.control_settings(outline)
    dials = {name: value for name, value in said.items() if name not in _NOT_TRAINED}
    kinds = [kind for kind in outline.controls if kind in CONTROLS]
    if not kinds or not dials:
        return {}
    known = {name for kind in kinds for name in dials_of(kind)}
    try:
        for name in dials.keys() - known:
            raise RequestError(f"It has no dial {name!r}.")
        for kind in kinds:
            dials |= check_dials(kind, {name: dials[name] for name in dials_of(kind) if name in dials})
    except RequestError as error:
        raise AdapterError(
            f"{outline.source} was trained on {' or '.join(kinds)} drawn with {json.dumps(dials)}, which "
            f"this version cannot draw: {error} Install the version that trained it."
        ) from error
    return dials


def _misfit(facts: ModelFacts, outline: Outline) -> str:
    """Why an adapter cannot be used with a model; empty where it can. Only shapes are built, no weights."""
    if outline.base not in (None, facts.recipe.base):
        return (
            f"{outline.source} was trained on the base '{outline.base}', but this model is "
            f"'{facts.recipe.base}'."
        )
    with torch.device("meta"):
        transformer = LTX2VideoTransformer3DModel.from_config(_config(facts.path, "transformer"))
    return adapters.misfit(transformer, outline)


def kept_values(facts: ModelFacts) -> int:
    """Count the values kept of one reference token: keys and values of all blocks.

    Args:
        facts: The model.

    Returns:
        Those that the video looks at and, where there is audio, those that the audio looks at.

    Raises:
        ModelError: If the model's config cannot be read.
    """
    with torch.device("meta"):
        config = LTX2VideoTransformer3DModel.from_config(_config(facts.path, "transformer")).config
    width = config.num_attention_heads * config.attention_head_dim
    if facts.recipe.has_audio:
        width += config.audio_num_attention_heads * config.audio_attention_head_dim
    return int(2 * width * config.num_layers)


def num_prompt_tokens(facts: ModelFacts, prompt: str) -> int:
    """Count the tokens of a prompt, special ones included.

    Args:
        facts: The model.
        prompt: Any text.

    Returns:
        Their number.

    Raises:
        ModelError: If the model's tokenizer cannot be read.
    """
    return len(_tokenizer(facts.path)(prompt.strip(), verbose=False).input_ids)


@lru_cache(maxsize=4)
def _tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be read ({error}). Fetch the model again."
        ) from error


def _config(folder: Path, part: str) -> dict[str, Any]:
    """Read the config of one part of a model."""
    return checkpoints.read_config(folder / part / "config.json")
