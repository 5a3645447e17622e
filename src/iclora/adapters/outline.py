"""What the header of a LoRA file tells: its layers and their sizes, the factors of its references, its base.

Source: Lightricks LTX-2, ``ltx_pipelines``: ``iclora_utils.py`` (the downscale factor); ComfyUI-LTXVideo,
``iclora.py`` (its other key and the hint in file names).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from iclora.adapters.known import UNION, Known, known, known_base
from iclora.adapters.names import diffusers_name
from iclora.controls.depths.conventions import CONVENTIONS, NEAR_WHITE
from iclora.errors import AdapterError
from iclora.geometry import MAX_FACTOR

_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.")
_SUFFIX = re.compile(r"\.(?:lora_(?P<peft>[AB])(?:\.[^.]+)?|lora[_.](?P<kohya>down|up))\.weight$")
_DORA = ("dora_scale", "lora_magnitude_vector")
REFERENCE_ATTENTIONS = ("two_way", "one_way")
RECIPES = ("distilled", "dev")
_NAME_HINT = re.compile(r"(?<![a-z])ref(0?\.\d+|1(?:\.0+)?)(?!\d)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class LayerSize:
    """Sizes of the change of one linear layer."""

    rank: int
    num_inputs: int
    num_outputs: int


@dataclass(frozen=True, kw_only=True)
class Outline:
    """An adapter without its values.

    Attributes:
        source: File name, for messages.
        sizes: Sizes of the change of each linear layer, by diffusers module name.
        metadata: The file's metadata as it stands.
        downscale: How many times smaller than the target its references are.
        downscale_source: Where that number was found: ``metadata``, ``file name`` or ``default``.
        temporal_factor: How many target frames one of its reference frames stands for.
        reference_attention: ``one_way`` where its references do not look at the target, ``two_way`` where
            they do; None where it does not say (all adapters but ours are two-way).
    """

    source: str
    sizes: Mapping[str, LayerSize]
    metadata: Mapping[str, str]
    downscale: int
    downscale_source: str
    temporal_factor: int
    reference_attention: str | None = None

    @property
    def rank(self) -> int:
        """Largest rank of its layers."""
        return max(size.rank for size in self.sizes.values())

    @property
    def num_parameters(self) -> int:
        """Number of values in all layers."""
        return sum(size.rank * (size.num_inputs + size.num_outputs) for size in self.sizes.values())

    @property
    def controls(self) -> tuple[str, ...]:
        """Kinds of control it follows, any of which will do: as it says, else as its name is known for."""
        said = self.metadata.get("iclora.control")
        if said:
            return UNION if said == "union" else tuple(said.split(","))
        return () if self._known is None else self._known.controls

    @property
    def is_style(self) -> bool:
        """Whether it says that it follows no control."""
        return self.metadata.get("iclora.control") == ""

    @property
    def trigger(self) -> str:
        """Word that its prompts begin with; empty where there is none, or it is not said."""
        return self.metadata.get("iclora.trigger", "")

    @property
    def controls_source(self) -> str:
        """Where that was found: ``metadata`` or ``file name``; empty where it is not known."""
        return "" if not self.controls else "metadata" if self.metadata.get("iclora.control") else "file name"

    @property
    def conventions(self) -> tuple[str, ...]:
        """How depth may be drawn for it; the first is how it is drawn."""
        said = control_settings(self).get("convention")
        if said is None:
            return (self._known.conventions if self._known is not None else ()) or (NEAR_WHITE,)
        if said not in CONVENTIONS:
            raise AdapterError(
                f"{self.source} was trained on depth drawn as {said!r}, which this version cannot draw "
                f"(it knows {', '.join(CONVENTIONS)}). Install the version that trained it."
            )
        return (str(said),)

    @property
    def base(self) -> str | None:
        """Name of the base it was trained on, where it says so."""
        return self.metadata.get("iclora.base")

    @property
    def named_base(self) -> str | None:
        """The base that its file name is known for."""
        return known_base(Path(self.source).stem)

    @property
    def distilled(self) -> bool | None:
        """Whether it was trained for a distilled model: as it says, else as its file name is known for."""
        said = self.metadata.get("iclora.recipe")
        if said:
            return said == "distilled"
        return None if self._known is None else self._known.distilled

    @property
    def _known(self) -> Known | None:
        return known(Path(self.source).stem)

    @property
    def geometry(self) -> str:
        """What the base must look like, in words, as far as the layers tell."""
        blocks = [int(name.split(".")[1]) for name in self.sizes if name.startswith("transformer_blocks.")]
        widths = {size.num_inputs for name, size in self.sizes.items() if name.endswith(".attn1.to_q")}
        parts = [f"the base '{self.base}'" if self.base else "a base"]
        if widths:
            parts.append(f"of video width {'/'.join(str(width) for width in sorted(widths))}")
        if blocks:
            parts.append(f"with at least {max(blocks) + 1} blocks")
        return " ".join(parts)


def read_outline(path: str | Path) -> Outline:
    """Read the header of an adapter, accounting for every key; no values are read.

    Args:
        path: A ``.safetensors`` file in the official, diffusers, PEFT or kohya layout.

    Returns:
        What the header tells.

    Raises:
        AdapterError: The file is missing or damaged, has unknown keys, or is a DoRA.
    """
    path = Path(path)
    with opened(path) as file:
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
        metadata = dict(file.metadata() or {})
    layers = sort_keys(path, list(shapes))
    _said(path, metadata, "iclora.recipe", RECIPES)
    downscale, downscale_source = _downscale(path, metadata)
    return Outline(
        source=path.name,
        sizes={
            name: _size(path, name, {side: shapes[key] for side, key in keys.items()})
            for name, keys in layers.items()
        },
        metadata=metadata,
        downscale=downscale,
        downscale_source=downscale_source,
        temporal_factor=_factor(path, metadata, "reference_temporal_scale_factor") or 1,
        reference_attention=_said(path, metadata, "iclora.reference_attention", REFERENCE_ATTENTIONS),
    )


def control_settings(outline: Outline) -> dict[str, Any]:
    """Read how the control that an adapter was trained on was drawn, as its `iclora.config` says.

    Args:
        outline: The adapter's header.

    Returns:
        What stands under `control` there.

    Raises:
        AdapterError: If it cannot be read.
    """
    try:
        return dict(json.loads(outline.metadata.get("iclora.config") or "{}").get("control", {}))
    except (AttributeError, TypeError, ValueError) as error:
        raise AdapterError(
            f"'iclora.config' of {outline.source} is not readable JSON settings ({error}). Fetch it again."
        ) from error


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an adapter file; errors of the file become `AdapterError`."""
    if not path.is_file():
        raise AdapterError(f"There is no adapter at {path}. Give an existing .safetensors file.")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise AdapterError(
            f"{path} is not a readable .safetensors file ({error}). Download it again."
        ) from error


def sort_keys(path: Path, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """Sort a file's keys by diffusers module name and side: ``down``, ``up`` or ``alpha``.

    Args:
        path: The file, for messages.
        keys: All its keys.

    Returns:
        For each module the key of each side; both sides of every module are there.

    Raises:
        AdapterError: A key is unknown, a side is missing, or the file is a DoRA.
    """
    dora = [key for key in keys if any(word in key for word in _DORA)]
    if dora:
        raise AdapterError(
            f"{path} is a DoRA: {listed(dora)} hold magnitudes that rescale the base weights, which cannot "
            "be stacked or reweighted like a LoRA. Give a plain LoRA."
        )
    layers: dict[str, dict[str, str]] = {}
    unknown = []
    for key in keys:
        found = _parse(key)
        if found is None or found[1] in layers.get(found[0], {}):
            unknown.append(key)
        else:
            layers.setdefault(found[0], {})[found[1]] = key
    if unknown or not layers:
        raise AdapterError(
            f"{path} holds {listed(unknown)} that are no part of a LoRA of linear layers ('lora_A'/'lora_B' "
            "or 'lora_down'/'lora_up', with 'alpha' if need be). It is damaged or another kind of adapter."
        )
    for name, sides in layers.items():
        if not {"down", "up"} <= sides.keys():
            raise AdapterError(
                f"{path} has only {sorted(sides.values())} for '{name}'; a LoRA needs both sides. "
                "The file is damaged."
            )
    return dict(sorted(layers.items()))


def listed(names: Sequence[str]) -> str:
    """Name the first few of many keys, for messages."""
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{len(names)} keys ({shown})" if names else "no keys at all, or keys"


def _parse(key: str) -> tuple[str, str] | None:
    if key.endswith(".alpha"):
        return _module(key.removesuffix(".alpha")), "alpha"
    match = _SUFFIX.search(key)
    if match is None:
        return None
    side = match["kohya"] or {"A": "down", "B": "up"}[match["peft"]]
    return _module(key[: match.start()]), side


def _module(name: str) -> str:
    while (prefix := next((p for p in _PREFIXES if name.startswith(p)), None)) is not None:
        name = name.removeprefix(prefix)
    return diffusers_name(name)


def _size(path: Path, name: str, shapes: Mapping[str, tuple[int, ...]]) -> LayerSize:
    down, up = shapes["down"], shapes["up"]
    if len(down) != 2 or len(up) != 2 or down[0] != up[1] or 0 in (*down, *up):
        raise AdapterError(
            f"The two sides of '{name}' in {path} have shapes {down} and {up}; [rank, in] and [out, rank] "
            "are accepted. The file is damaged or not a LoRA of linear layers."
        )
    if math.prod(shapes.get("alpha", ())) != 1:
        raise AdapterError(
            f"The alpha of '{name}' in {path} has shape {shapes['alpha']}; one number is accepted. "
            "The file is damaged."
        )
    return LayerSize(rank=down[0], num_inputs=down[1], num_outputs=up[0])


def _downscale(path: Path, metadata: Mapping[str, str]) -> tuple[int, str]:
    for key in ("reference_downscale_factor", "ss_reference_downscale_factor"):
        factor = _factor(path, metadata, key)
        if factor is not None:
            return factor, "metadata"
    hint = _NAME_HINT.search(path.stem)
    if hint is not None and float(hint[1]) > 0:
        from_name = 1 / float(hint[1])
        if math.isclose(from_name, round(from_name)):
            return round(from_name), "file name"
    return 1, "default"


def _said(path: Path, metadata: Mapping[str, str], key: str, known_words: Sequence[str]) -> str | None:
    """One word of the metadata; None where it says nothing."""
    said = metadata.get(key) or None
    if said not in (None, *known_words):
        raise AdapterError(
            f"'{key}' of {path} is '{said}'; {' or '.join(known_words)} is known. Install the version that "
            "trained it."
        )
    return said


def _factor(path: Path, metadata: Mapping[str, str], key: str) -> int | None:
    text = metadata.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (1 <= value <= MAX_FACTOR and value == int(value)):
        raise AdapterError(
            f"'{key}' of {path} is '{text}'; a whole number from 1 to {MAX_FACTOR} is accepted."
        )
    return int(value)
