"""What a model was made for and how it is sampled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from iclora.checkpoints.guidance import MoreGuidance
from iclora.checkpoints.released import INDEX, read_facts
from iclora.checkpoints.schedules import DISTILLED_SIGMAS, dev_sigmas
from iclora.errors import ModelError

OWN = "model.json"
"""Holds the recipe of a model of our own layout."""

_DEV_STEPS = {"2.0": 40, "2.3": 30, "2.5": 30}
_DEV_GUIDANCE = 3.0
_DEV_STG_BLOCK = {"2.0": 29, "2.3": 28, "2.5": 28}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a model was made for and how it is sampled, from its `model.json` or its configs.

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
        audio_latents_per_second: Audio latents of a second of video; 0 where there is no audio.
        guidance_scale: Guidance it was made for; 1 is none.
        more_guidance: What else it is guided by.
        gpu_dtype: What it is computed in on a GPU.
        remark: What there is to say of how the recipe was found; empty for nothing.
        distilled: Whether a released model is distilled; None for other models.
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
    audio_latents_per_second: float = 0.0
    guidance_scale: float = 1.0
    more_guidance: MoreGuidance = MoreGuidance()
    gpu_dtype: torch.dtype = torch.float32
    remark: str = ""
    distilled: bool | None = None

    def dtype_on(self, device: str | torch.device) -> torch.dtype:
        """What to compute in on a device where nothing else is asked: float32 on the CPU."""
        return torch.float32 if str(device).startswith("cpu") else self.gpu_dtype


def read_recipe(folder: Path) -> Recipe:
    """Read what a model was made for.

    Args:
        folder: The model's folder, with a `model.json` of ours or a `model_index.json` of diffusers.

    Returns:
        What the model was made for.

    Raises:
        ModelError: A file is missing, damaged, or leaves something out, or the model is not supported.
    """
    if not (folder / OWN).is_file() and (folder / INDEX).is_file():
        return _released(folder)
    return _own(folder / OWN)


def _own(path: Path) -> Recipe:
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


def _released(folder: Path) -> Recipe:
    """The recipe of a released model.

    Source: Lightricks LTX-2 pipelines, utils/constants.py and args.py, for sizes, steps and guidance; the
    schedule and the guidance of a model that is not distilled are those of the official pipelines.
    """
    facts = read_facts(folder)
    kind = "distilled" if facts.distilled else "dev"
    block = (_DEV_STG_BLOCK[facts.form],)
    dev = MoreGuidance(audio_scale=7.0, stg_scale=1.0, stg_blocks=block, modality_scale=3.0, rescale=0.7)
    return Recipe(
        name=f"LTX-{facts.form} {kind}",
        base=f"ltx-{facts.form}",
        sigmas=DISTILLED_SIGMAS if facts.distilled else dev_sigmas(_DEV_STEPS[facts.form]),
        width=768,
        height=512,
        num_frames=121,
        fps=24.0,
        has_audio=True,
        max_prompt_tokens=1024,
        audio_latents_per_second=facts.audio_latents_per_second,
        guidance_scale=1.0 if facts.distilled else _DEV_GUIDANCE,
        more_guidance=MoreGuidance(stg_blocks=block) if facts.distilled else dev,
        gpu_dtype=torch.bfloat16,
        remark=facts.remark,
        distilled=facts.distilled,
    )
