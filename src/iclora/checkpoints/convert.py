"""Official single files to model folders.

ltx-2.3-22b.safetensors ──► transformer/ vae/ connectors/ audio_vae/ vocoder/ scheduler/ model_index.json
a folder of Gemma 3 ─ links ─► text_encoder/ tokenizer/
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from iclora.checkpoints.official import fill, form_of, load_transformer, opened
from iclora.checkpoints.official_parts import ARGUMENTS, PARTS, PREFIX, part_name
from iclora.checkpoints.released import INDEX, read_config
from iclora.errors import ModelError, OutputError


def convert(
    path: Path,
    text_encoder: Path,
    folder: Path,
    *,
    dtype: torch.dtype = torch.bfloat16,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Make a model folder of an official single file; it appears when it is whole.

    Args:
        path: A ``.safetensors`` file of LTX-2 or LTX-2.3 with all parts but the text encoder. One with
            `distilled` in its name is taken for a distilled model.
        text_encoder: A folder of Gemma 3 with its tokenizer in it, or in `tokenizer/` beside it.
        folder: Where to; must not exist.
        dtype: Type of the weights on disk.
        progress: Called with the parts done and their number.

    Returns:
        The folder. It links to the text encoder.

    Raises:
        ModelError: The file or the text encoder is missing, damaged, of another family, or lacks a part.
        OutputError: The folder exists or cannot be written.
    """
    report = progress if progress is not None else _silent
    _check_form(path)
    encoder, tokenizer = _check_text_encoder(text_encoder)
    if folder.exists():
        raise OutputError(f"{folder} exists; choose another name for the model folder.")
    report(0, 1 + len(PARTS))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}); choose another place.") from error
    try:
        form = _write_transformer(path, draft, dtype)
        report(1, 1 + len(PARTS))
        _write_parts(path, form, draft, dtype, report)
        _write_rest(draft, distilled="distilled" in path.name)
        (draft / "text_encoder").symlink_to(encoder, target_is_directory=True)
        (draft / "tokenizer").symlink_to(tokenizer, target_is_directory=True)
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}); is the disk full?") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _check_form(path: Path) -> None:
    """Refuse what only LTX-2.5 has: the parts beside its transformer are in files of their own."""
    if not path.is_file():
        return  # which is said where it is read
    with opened(path) as file:
        if PREFIX + "keyframes_abs_pos_embedding" in file.keys():
            raise ModelError(
                f"{path} is of LTX-2.5, whose other parts lie in files that are not converted. "
                "Fetch the folder in diffusers' layout: iclora models fetch Lightricks/LTX-2.5-Diffusers"
            )


def _check_text_encoder(folder: Path) -> tuple[Path, Path]:
    """The folders of text encoder and tokenizer, found and looked at before any work is done."""
    kind = read_config(folder / "config.json").get("model_type")
    if kind not in ("gemma3", "gemma3_text"):
        raise ModelError(f"{folder} holds a {kind}; give a folder of Gemma 3 12B, which LTX-2 and 2.3 use.")
    for tokenizer in (folder, folder.parent / "tokenizer"):
        if (tokenizer / "tokenizer_config.json").is_file():
            return folder.resolve(), tokenizer.resolve()
    raise ModelError(
        f"There is no tokenizer in {folder} nor beside it; fetch tokenizer_config.json and its kin."
    )


def _write_transformer(path: Path, draft: Path, dtype: torch.dtype) -> str:
    transformer = load_transformer(path, dtype=dtype)
    transformer.save_pretrained(draft / "transformer")
    return form_of(transformer.config)


def _write_parts(
    path: Path, form: str, draft: Path, dtype: torch.dtype, report: Callable[[int, int | None], None]
) -> None:
    num_down_blocks = len(ARGUMENTS[form]["vae"][1].get("block_out_channels", range(4)))
    with opened(path) as file:
        names: dict[str, dict[str, str]] = {part: {} for part in PARTS}
        for name in file.keys():
            found = part_name(name, num_down_blocks)
            if found is not None:
                names[found[0]][found[1]] = name
        for done, (part, (kind, arguments)) in enumerate(ARGUMENTS[form].items(), 2):
            state = {ours: file.get_tensor(name).to(dtype) for ours, name in names[part].items()}
            _built(path, part, kind, arguments, state).save_pretrained(draft / part)
            report(done, 1 + len(PARTS))


def _built(path: Path, part: str, kind: Any, arguments: dict[str, Any], state: dict[str, Tensor]) -> Any:
    if not state:
        raise ModelError(
            f"{path} holds no {part}. Download the whole checkpoint, or a folder in diffusers' layout: "
            "iclora models fetch diffusers/LTX-2.3-Distilled-Diffusers"
        )
    with torch.device("meta"):
        model = kind.from_config(arguments)
    fill(model, state, path)
    return model


def _write_rest(draft: Path, *, distilled: bool) -> None:
    """Scheduler and index, as diffusers' converter writes them."""
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=not distilled,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=None if distilled else 0.1,
    )
    scheduler.save_pretrained(draft / "scheduler")
    (draft / INDEX).write_text(json.dumps({"_class_name": "LTX2Pipeline"}, indent=2) + "\n", encoding="utf-8")


def _silent(done: int, total: int | None) -> None:
    """Report to nobody."""
