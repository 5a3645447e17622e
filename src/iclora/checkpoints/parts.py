"""One part of a model: a module or a tokenizer from its folder, every key accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLLTX2Audio, AutoencoderKLLTX2Video, LTX2VideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder, LTX2VocoderWithBWE
from safetensors import SafetensorError
from transformers import AutoModel, AutoModelForImageTextToText, AutoTokenizer

from iclora.checkpoints.released import read_config
from iclora.controls.bars import without_bars
from iclora.errors import ModelError

_CLASSES = {
    "transformer": LTX2VideoTransformer3DModel,
    "vae": AutoencoderKLLTX2Video,
    "connectors": LTX2TextConnectors,
    "audio_vae": AutoencoderKLLTX2Audio,
}

_GEMMA_3 = (("gemma3", "gemma3_text"), "LTX-2 and LTX-2.3 use Gemma 3")
_GEMMA_4 = (("gemma4_unified", "gemma4_unified_text"), "LTX-2.5 uses Gemma 4 (unified)")


def load_part(folder: Path, dtype: torch.dtype, *, base: str) -> Any:
    """Load one module; its class is known by the folder's name.

    Args:
        folder: `transformer`, `vae`, `connectors`, `text_encoder`, `audio_vae` or `vocoder` of a model.
        dtype: Type of the weights in memory, whatever it is on disk.
        base: What adapters call the model.

    Returns:
        The module on the CPU; of a text encoder with eyes, such as Gemma 3, the text model alone.

    Raises:
        ModelError: The part is missing or damaged, or of a kind that is not known.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"The model's part '{folder.name}' is missing: there is no {folder / 'config.json'}."
        )
    kind = _class_of(folder, base)
    word = "dtype" if folder.name == "text_encoder" else "torch_dtype"
    part = _loaded(kind, folder, {word: dtype})
    return part.model.language_model if kind is AutoModelForImageTextToText else part


def load_tokenizer(folder: Path) -> Any:
    """Load a tokenizer.

    Args:
        folder: Its folder.

    Returns:
        A tokenizer that can pad.

    Raises:
        ModelError: It is missing or damaged.
    """
    if not folder.is_dir():
        raise ModelError(f"The model's part 'tokenizer' is missing: there is no folder {folder}.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The tokenizer in {folder} cannot be loaded: {error} Fetch the model again."
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _class_of(folder: Path, base: str) -> Any:
    """The class of a part, read from its config where several are known."""
    if folder.name in _CLASSES:
        return _CLASSES[folder.name]
    if folder.name == "vocoder":
        bandwidth = read_config(folder / "config.json").get("_class_name") == LTX2VocoderWithBWE.__name__
        return LTX2VocoderWithBWE if bandwidth else LTX2Vocoder
    kind = read_config(folder / "config.json").get("model_type")
    wanted, named = _GEMMA_4 if base == "ltx-2.5" else _GEMMA_3
    if kind not in wanted:
        raise ModelError(f"The text encoder in {folder} is a {kind}; {named}. Give such a model.")
    return AutoModel if kind.endswith("_text") else AutoModelForImageTextToText


def _loaded(kind: Any, folder: Path, settings: dict[str, Any]) -> Any:
    try:
        with without_bars():
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
