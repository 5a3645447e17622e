"""Model folders in the layout of a diffusers pipeline, with a `model.json` that holds the recipe.

model.json  transformer/  vae/  connectors/  text_encoder/  tokenizer/  adapters/*.safetensors
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from iclora.checkpoints.official import check_supported
from iclora.errors import ModelError

TINY = Path(__file__).parents[1] / "tiny"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a model was made for and how it is sampled, from its `model.json`.

    Attributes:
        name: Name of the model.
        base: What adapters call it in their metadata.
        sigmas: Its schedule, falling noise levels.
        width: Usual width in pixels.
        height: Usual height in pixels.
        num_frames: Usual number of pixel frames.
        fps: Usual frame rate in frames per second.
        has_audio: Whether it was trained to make audio.
        max_prompt_tokens: Longest prompt in tokens.
    """

    name: str
    base: str
    sigmas: tuple[float, ...]
    width: int
    height: int
    num_frames: int
    fps: float
    has_audio: bool
    max_prompt_tokens: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """The loaded parts of a model.

    Attributes:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        vae: A diffusers ``AutoencoderKLLTX2Video``.
        connectors: A diffusers ``LTX2TextConnectors``.
        text_encoder: A transformers text model.
        tokenizer: Its tokenizer.
        recipe: What the model was made for.
        path: Where it was loaded from.
    """

    transformer: Any = field(repr=False)
    vae: Any = field(repr=False)
    connectors: Any = field(repr=False)
    text_encoder: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    recipe: Recipe
    path: Path


def find(model: str | Path) -> Path:
    """Find the folder of a model.

    Args:
        model: `tiny`, the model inside the package, or a model folder.

    Returns:
        The folder, which holds a `model.json`.

    Raises:
        ModelError: There is no such folder, or it is not a model.
    """
    path = TINY if str(model) == "tiny" else Path(model)
    if path.suffix == ".safetensors" and path.is_file():
        raise ModelError(
            f"{path} holds a transformer alone; text encoder, connectors and autoencoder are needed too. "
            "Give a folder with all of them."
        )
    if not (path / "model.json").is_file():
        reason = "it has no model.json" if path.is_dir() else f"{path} is not a folder"
        raise ModelError(f"There is no model '{model}': {reason}. Give 'tiny' or a model folder.")
    return path


def read_recipe(folder: Path) -> Recipe:
    """Read a model's `model.json`.

    Args:
        folder: The model's folder.

    Returns:
        What the model was made for.

    Raises:
        ModelError: The file is missing, damaged, or leaves something out.
    """
    path = folder / "model.json"
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        return Recipe(
            name=notes["name"],
            base=notes["base"],
            sigmas=tuple(float(sigma) for sigma in notes["sigmas"]),
            width=int(notes["width"]),
            height=int(notes["height"]),
            num_frames=int(notes["num_frames"]),
            fps=float(notes["fps"]),
            has_audio=bool(notes["has_audio"]),
            max_prompt_tokens=int(notes["max_prompt_tokens"]),
        )
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}). Fetch the model again.") from error
    except KeyError as error:
        raise ModelError(f"{path} does not say {error}. Fetch the model again.") from error
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path} is not a readable recipe ({error}). Fetch the model again.") from error


def load(
    model: str | Path = "tiny",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Callable[[str], None] | None = None,
) -> Components:
    """Load all parts of a model.

    Args:
        model: `tiny`, the model inside the package, or a model folder.
        device: Where the weights go.
        dtype: Their type in memory, whatever it is on disk.
        progress: Called with the name of each part before it is loaded.

    Returns:
        The parts, in evaluation mode, without gradients.

    Raises:
        ModelError: There is no such model, or a part is missing or damaged.
    """
    folder = find(model)
    recipe = read_recipe(folder)
    classes = {
        "transformer": (LTX2VideoTransformer3DModel, "torch_dtype"),
        "vae": (AutoencoderKLLTX2Video, "torch_dtype"),
        "connectors": (LTX2TextConnectors, "torch_dtype"),
        "text_encoder": (AutoModel, "dtype"),
    }
    parts = {}
    for name, (kind, dtype_word) in classes.items():
        if progress is not None:
            progress(name)
        part = _load_part(kind, folder / name, {dtype_word: dtype})
        parts[name] = part.to(device).eval().requires_grad_(False)
    check_supported(parts["transformer"].config, folder)
    return Components(tokenizer=_load_tokenizer(folder / "tokenizer"), recipe=recipe, path=folder, **parts)


def _load_part(kind: Any, folder: Path, settings: dict[str, Any]) -> Any:
    """Load one module, every key accounted for."""
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"The model's part '{folder.name}' is missing: there is no {folder / 'config.json'}."
        )
    try:
        with _no_bars():
            part, report = kind.from_pretrained(
                str(folder), local_files_only=True, output_loading_info=True, **settings
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"The model's part in {folder} cannot be loaded: {error} Fetch the model again."
        ) from error
    left = {what: sorted(report[what]) for what in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    if any(left.values()):
        said = "; ".join(
            f"{len(keys)} {what.replace('_', ' ')} ({keys[0]})" for what, keys in left.items() if keys
        )
        raise ModelError(f"The weights in {folder} do not fit their config: {said}. Fetch the model again.")
    return part


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep transformers from drawing progress bars of its own."""
    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()


def _load_tokenizer(folder: Path) -> Any:
    if not folder.is_dir():
        raise ModelError(f"The model's part 'tokenizer' is missing: there is no folder {folder}.")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be loaded: {error} Fetch the model again."
        ) from error
