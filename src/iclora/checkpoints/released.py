"""What the configs of a released model say: folders in the layout of diffusers' LTX-2 pipeline.

model_index.json  transformer/  vae/  connectors/  text_encoder/  tokenizer/  audio_vae/  vocoder/  scheduler/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iclora.checkpoints.official import Form, form_of
from iclora.errors import ModelError

INDEX = "model_index.json"
"""Stands in every folder that diffusers writes for a pipeline."""

AUDIO_COMPRESSION = 4
"""Mel frames of one audio latent, and mel bins of one row. Source: diffusers' ``AutoencoderKLLTX2Audio``."""


@dataclass(frozen=True, kw_only=True)
class ReleasedFacts:
    """What tells one released model from another.

    Attributes:
        form: Family of its transformer.
        distilled: Whether it is made for few steps without guidance.
        audio_latents_per_second: Audio latents of a second of video.
        remark: How it was told whether it is distilled.
    """

    form: Form
    distilled: bool
    audio_latents_per_second: float
    remark: str


def read_facts(folder: Path) -> ReleasedFacts:
    """Read a released model's configs.

    Args:
        folder: A folder with a `model_index.json`.

    Returns:
        The facts.

    Raises:
        ModelError: A config is missing or damaged, or the model is not LTX-2, LTX-2.3 or LTX-2.5.
    """
    kind = read_config(folder / INDEX).get("_class_name")
    if not str(kind).startswith("LTX2"):
        raise ModelError(
            f"{folder} holds a {kind}, not an LTX-2 pipeline. Give an LTX-2, LTX-2.3 or LTX-2.5 model."
        )
    transformer = read_config(folder / "transformer" / "config.json")
    distilled, remark = _distilled(folder)
    return ReleasedFacts(
        form=form_of(transformer),
        distilled=distilled,
        audio_latents_per_second=_audio_rate(folder / "audio_vae" / "config.json"),
        remark=remark,
    )


def read_config(path: Path) -> dict[str, Any]:
    """Read a JSON file of settings.

    Args:
        path: The file.

    Returns:
        The settings.

    Raises:
        ModelError: The file is missing, or holds no settings.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}). Fetch the model again.") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON ({error}). Fetch the model again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no settings. Fetch the model again.")
    return content


def _distilled(folder: Path) -> tuple[bool, str]:
    """Whether a model is distilled, and how that is known: by its scheduler.

    Source: diffusers' scripts/convert_ltx2_to_diffusers.py, which switches the size-dependent shift off for
    distilled checkpoints, and writes nothing else that tells the two apart.
    """
    path = folder / "scheduler" / "scheduler_config.json"
    if not path.is_file():
        return True, f"{path} is not there to tell whether the model is distilled: 8 steps, as if it were."
    if read_config(path).get("use_dynamic_shifting"):
        return False, "The model's scheduler shifts noise levels by size: it is taken for a dev model."
    return True, "The model's scheduler shifts no noise levels: it is taken for a distilled model, 8 steps."


def _audio_rate(path: Path) -> float:
    config = read_config(path)
    rate, hop = config.get("sample_rate", 16000), config.get("mel_hop_length", 160)
    if not all(isinstance(value, int) and value > 0 for value in (rate, hop)):
        raise ModelError(
            f"{path} gives a sample rate of {rate!r} and {hop!r} samples a mel frame; both must be whole "
            "numbers above 0. Fetch the model again."
        )
    return float(rate / hop / AUDIO_COMPRESSION)
