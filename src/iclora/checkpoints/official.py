"""Official single files: one ``.safetensors`` with the keys and the config of Lightricks' own code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import LTX2VideoTransformer3DModel
from safetensors import SafetensorError, safe_open
from torch import Tensor

from iclora.adapters import diffusers_name
from iclora.checkpoints.official_parts import PREFIX
from iclora.errors import ModelError

Form = Literal["2.0", "2.3", "2.5"]
"""Families of the transformer that differ in their layers."""

# Text connectors sit among the transformer's keys; they are components of their own.
_CONNECTORS = ("video_embeddings_connector.", "audio_embeddings_connector.")

# Keys of the official config whose value is taken over under another, or the same, name.
_CONFIG_KEYS = {
    "in_channels": "in_channels",
    "out_channels": "out_channels",
    "num_attention_heads": "num_attention_heads",
    "attention_head_dim": "attention_head_dim",
    "cross_attention_dim": "cross_attention_dim",
    "audio_in_channels": "audio_in_channels",
    "audio_out_channels": "audio_out_channels",
    "audio_num_attention_heads": "audio_num_attention_heads",
    "audio_attention_head_dim": "audio_attention_head_dim",
    "audio_cross_attention_dim": "audio_cross_attention_dim",
    "num_layers": "num_layers",
    "activation_fn": "activation_fn",
    "attention_bias": "attention_bias",
    "caption_channels": "caption_channels",
    "norm_eps": "norm_eps",
    "positional_embedding_theta": "rope_theta",
    "timestep_scale_multiplier": "timestep_scale_multiplier",
    "rope_type": "rope_type",
}


def load_transformer(path: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.bfloat16) -> Any:
    """Load the transformer of an official single file.

    Args:
        path: A ``.safetensors`` file with ``model.diffusion_model.*`` keys and a ``config`` in its metadata.
        device: Where the weights go.
        dtype: Their type in memory, whatever it is on disk.

    Returns:
        A diffusers ``LTX2VideoTransformer3DModel`` in evaluation mode.

    Raises:
        ModelError: The file is missing, damaged, or not a checkpoint of LTX-2.0, 2.3 or 2.5.
    """
    path = Path(path)
    with opened(path) as file:
        config = _official_config(path, file.metadata())
        names = [name for name in file.keys() if name.startswith(PREFIX)]
        state = {
            diffusers_name(name[len(PREFIX) :]): file.get_tensor(name).to(device=device, dtype=dtype)
            for name in names
            if not name[len(PREFIX) :].startswith(_CONNECTORS)
        }
    if not state:
        raise ModelError(
            f"{path} holds no key that starts with '{PREFIX}'. Give an official LTX-2 checkpoint."
        )
    arguments = diffusers_config(config, state)
    with torch.device("meta"):
        model = LTX2VideoTransformer3DModel.from_config(arguments)
    fill(model, state, path)
    return model.eval()


def diffusers_config(config: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
    """Bring an official config to the arguments of the diffusers class.

    What tells the 2.0, 2.3 and 2.5 forms from each other is read from the weights themselves.

    Args:
        config: The ``transformer`` part of the official config.
        state: Weights under diffusers names.

    Returns:
        Arguments of ``LTX2VideoTransformer3DModel``.
    """
    arguments = {ours: config[theirs] for theirs, ours in _CONFIG_KEYS.items() if theirs in config}
    time, height, width = config.get("positional_embedding_max_pos", [20, 2048, 2048])
    block = "transformer_blocks.0."
    video_rows = state[block + "scale_shift_table"].shape[0] if block + "scale_shift_table" in state else 6
    audio_table = block + "audio_scale_shift_table"
    audio_rows = state[audio_table].shape[0] if audio_table in state else video_rows
    return arguments | {
        "pos_embed_max_pos": time,
        "base_height": height,
        "base_width": width,
        "audio_pos_embed_max_pos": config.get("audio_positional_embedding_max_pos", [20])[0],
        "rope_type": config.get("rope_type", "interleaved"),
        "rope_double_precision": config.get("frequencies_precision") == "float64",
        # The official code falls back to 1 where the key is missing.
        "cross_attn_timestep_scale_multiplier": config.get("av_ca_timestep_scale_multiplier", 1),
        "gated_attn": block + "attn1.to_gate_logits.weight" in state,
        "audio_gated_attn": block + "audio_attn1.to_gate_logits.weight" in state,
        "cross_attn_mod": video_rows == 9,
        "perturbed_attn": video_rows == 9,  # of diffusers' own forward alone, as its converter says it
        "audio_cross_attn_mod": audio_rows == 9,
        "use_prompt_adaln_single": 9 not in (video_rows, audio_rows) or "prompt_adaln.linear.weight" in state,
        "use_prompt_embeddings": "caption_projection.linear_1.weight" in state,
        "ff_bias": block + "ff.net.2.bias" in state,
        "audio_ff_bias": block + "audio_ff.net.2.bias" in state,
        "use_keyframes_abs_pos_embedding": "keyframes_abs_pos_embedding" in state,
    }


def form_of(config: Mapping[str, Any]) -> Form:
    """Tell the family of a transformer.

    Args:
        config: Arguments of ``LTX2VideoTransformer3DModel``.

    Returns:
        Its form.
    """
    if config.get("use_keyframes_abs_pos_embedding"):
        return "2.5"
    return "2.3" if config.get("cross_attn_mod") else "2.0"


def fill(model: torch.nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Put weights into a model, every key accounted for.

    Args:
        model: The model, its parameters possibly on the meta device.
        state: Weights by parameter name.
        path: The file they come from, for messages.

    Raises:
        ModelError: Keys are missing, left over, or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shaped = [name for name in wanted.keys() & state.keys() if tuple(state[name].shape) != wanted[name]]
    if missing or extra or shaped:
        raise ModelError(
            f"{path} does not fit {type(model).__name__}: {_listed('missing', missing)}; "
            f"{_listed('unknown', extra)}; {_listed('of another shape', sorted(shaped))}. "
            "The file is damaged or of another model family."
        )
    model.load_state_dict(state, strict=True, assign=True)


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} keys {what}" + (f" ({shown})" if names else "")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a ``.safetensors`` file; a ModelError says why it cannot be read."""
    if not path.is_file():
        raise ModelError(f"There is no checkpoint at {path}. Give an existing .safetensors file.")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} is not a readable .safetensors file ({error}). Download it again."
        ) from error


def _official_config(path: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    text = (metadata or {}).get("config")
    if text is None:
        raise ModelError(f"{path} has no 'config' in its metadata. Give an official LTX-2 checkpoint.")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelError(
            f"The 'config' in the metadata of {path} is not JSON ({error}). Download it again."
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("transformer"), dict):
        raise ModelError(
            f"The 'config' in the metadata of {path} has no 'transformer' part. Give an LTX-2 checkpoint."
        )
    return dict(config["transformer"])
