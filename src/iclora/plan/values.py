"""The values of planning: what is asked for, what will be done, and what there is to say about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal

import torch

from iclora.checkpoints import MoreGuidance
from iclora.clip import Clip, Film
from iclora.controls import DepthFilm, Depths, is_lines
from iclora.errors import AdapterError, RequestError
from iclora.geometry import LatentGrid

About = Literal["request", "adapter"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing the plan has to say.

    Attributes:
        level: `error`, `warning` or `note`.
        text: What is the case, with the values.
        advice: What to do about it; empty where nothing need be done.
        about: What it concerns.
    """

    level: Literal["error", "warning", "note"]
    text: str
    advice: str = ""
    about: About = "request"

    def __str__(self) -> str:
        return f"{self.text} {self.advice}".strip()


class Findings(list[Finding]):
    """Findings in the order they were made, each said once."""

    def error(self, text: str, advice: str, about: About = "request") -> None:
        """Add what makes the request impossible."""
        self._add(Finding(level="error", text=text, advice=advice, about=about))

    def warning(self, text: str, advice: str, about: About = "request") -> None:
        """Add what will be done otherwise than asked, or may disappoint."""
        self._add(Finding(level="warning", text=text, advice=advice, about=about))

    def note(self, text: str, advice: str = "") -> None:
        """Add what is good to know; with an advice where something else can be had."""
        self._add(Finding(level="note", text=text, advice=advice))

    def _add(self, finding: Finding) -> None:
        if finding not in self:  # what is so of a file that is named twice
            self.append(finding)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The facts of a clip that the plan needs.

    Attributes:
        label: What to call it: its path, or `reference 1`.
        height: Pixels.
        width: Pixels.
        num_frames: Frames; what was read, where a file was not read to its end.
        fps: Frames per second.
        is_lines: Whether it is black and white, as an edge control is.
        has_rate: Whether the rate is its own; pictures of a folder have none, and take the result's.
    """

    label: str
    height: int
    width: int
    num_frames: int
    fps: float
    is_lines: bool = False
    has_rate: bool = True

    @classmethod
    def of(cls, clip: Clip | Film | Depths | DepthFilm, label: str) -> Source:
        """Read the facts off a clip, a film, or depth."""
        return cls(
            label=label,
            height=clip.height,
            width=clip.width,
            num_frames=clip.num_frames,
            fps=clip.fps,
            is_lines=isinstance(clip, (Clip, Film)) and is_lines(clip),
        )


@dataclass(frozen=True, kw_only=True)
class ReferenceRequest:
    """A reference as asked for; see `reference.Reference` for the dials.

    Attributes:
        source: The clip's facts.
        control: The control to extract from it first, such as `canny`; None: it is used as it is.
        dials: How to draw it, such as `{"thickness": 3}`; what is left out is as the adapter was trained.
        filmed: Whether the control is found in pictures, rather than drawn of points or of a render.
        masked: Whether an attention mask comes with it.
        name: What to call it where several come of one source; None: as its source.
    """

    source: Source
    control: str | None = None
    dials: Mapping[str, Any] = field(default_factory=dict)
    strength: float = 1.0
    attention_strength: float = 1.0
    filmed: bool = True
    masked: bool = False
    downscale: int | None = None
    temporal_factor: int | None = None
    name: str | None = None

    @property
    def label(self) -> str:
        """What to call it."""
        return self.source.label if self.name is None else self.name


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A picture that a frame of the result shall show.

    Attributes:
        label: What to call it.
        frame: The frame it stands at; 0 is the first.
        strength: How clean it stays, 0..1.
    """

    label: str
    frame: int
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; None leaves the choice to the plan.

    Attributes:
        prompt: What the result shall show.
        model: `tiny`, or a model folder.
        negative_prompt: What to move away from, where the guidance scale is not 1.
        adapters: Names or paths, each with its weight.
        references: Control clips.
        images: Pictures at frames.
        size: Height and width in pixels.
        num_frames: Frames of the result.
        fps: Frames per second.
        seed: Seed of the noise.
        guidance_scale: 1 for none.
        more_guidance: What else is moved away from.
        isolate: Whether references and later images are hidden from each other; None is the official rule, by
            which they are from the first weighted one on.
        reference_cache: ``off``, ``exact`` or ``every:K``; see `transformer.CachePolicy.parse`.
        sound: Whether the result gets the sound that the model makes, if it makes any.
        dtype: What is computed in; for the estimate of memory.
        device: Where to compute; a CUDA device that is there is compared with the memory needed.
        offload: Whether the computer holds the weights, and the device one part at a time.
        loaded: Whether the weights are there already.
        fp8: Whether the transformer's matrix products are of 8 bits.
    """

    prompt: str
    model: str = "tiny"
    negative_prompt: str = ""
    adapters: tuple[tuple[str, float], ...] = ()
    references: tuple[ReferenceRequest, ...] = ()
    images: tuple[ImageRequest, ...] = ()
    size: tuple[int, int] | None = None
    num_frames: int | None = None
    fps: float | None = None
    seed: int = 0
    guidance_scale: float = 1.0
    more_guidance: MoreGuidance = MoreGuidance()
    isolate: bool | None = None
    reference_cache: str = "off"
    sound: bool = True
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    offload: bool = False
    loaded: bool = False
    fp8: bool = False

    def __post_init__(self) -> None:
        for name, values in (("size", self.size or ()), ("number of frames", (self.num_frames or 0,))):
            if not all(isinstance(value, Integral) for value in values):
                said = " and ".join(map(str, values))
                raise RequestError(f"The {name} is {said}; give whole numbers.")


@dataclass(frozen=True, kw_only=True)
class PlannedAdapter:
    """An adapter to attach; its dials are how the control it was trained on is drawn.

    `controls` are the kinds of control it follows, any of which will do, and `conventions` how depth may be
    drawn for it; `controls_source` says whether its metadata or its file name tells.
    """

    name: str
    path: str
    weight: float
    controls: tuple[str, ...]
    controls_source: str
    conventions: tuple[str, ...]
    base: str | None
    rank: int
    downscale: int
    downscale_source: str
    temporal_factor: int
    reference_attention: str | None = None
    dials: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlannedReference:
    """A reference as the model will be given it; its dials are how its control, or its lines, are drawn."""

    label: str
    control: str | None
    is_lines: bool
    strength: float
    attention_strength: float
    masked: bool
    downscale: int
    temporal_factor: int
    num_frames: int
    height: int
    width: int
    grid: LatentGrid
    dials: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlannedCache:
    """What is kept of references between steps; `off` where nothing is.

    Attributes:
        mode: In words that `transformer.CachePolicy.parse` reads.
        num_tokens: Tokens whose keys and values are kept.
        num_bytes: Memory they take, in all guidance passes together.
    """

    mode: str = "off"
    num_tokens: int = 0
    num_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class PlannedMemory:
    """Estimated bytes of memory on the device, at most at a time.

    Attributes:
        weights: All parts of the model, and the adapters.
        step: One step of the transformer, beside the weights.
        decoding: Decoding the frames, beside the weights.
        kept: What is kept of references between steps.
    """

    weights: int
    step: int
    decoding: int
    kept: int

    @property
    def total(self) -> int:
        """The most at a time."""
        return self.weights + self.kept + max(self.step, self.decoding)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that will be done, in numbers; see `Request` for what is asked.

    `one_way` says that references do not look at the target, as the adapters were trained. The audio stream
    of a model that has one runs in any case, as the video hears it; `sound` says that the result gets it.
    """

    model: str
    model_path: str
    prompt: str
    negative_prompt: str
    height: int
    width: int
    num_frames: int
    fps: float
    seed: int
    guidance_scale: float
    more_guidance: MoreGuidance = MoreGuidance()
    isolate: bool | None
    one_way: bool
    reference_cache: PlannedCache
    sigmas: tuple[float, ...]
    grid: LatentGrid
    fp8: bool = False
    has_audio: bool
    num_audio_tokens: int = 0
    sound: bool = False
    adapters: tuple[PlannedAdapter, ...]
    references: tuple[PlannedReference, ...]
    images: tuple[ImageRequest, ...]
    memory: PlannedMemory
    findings: tuple[Finding, ...]

    @property
    def num_target_tokens(self) -> int:
        """Tokens of the result."""
        return self.grid.num_tokens

    @property
    def num_reference_tokens(self) -> int:
        """Tokens appended for references and pictures after the first frame."""
        images = sum(image.frame > 0 for image in self.images) * self.grid.height * self.grid.width
        return sum(reference.grid.num_tokens for reference in self.references) + images

    def check(self) -> None:
        """Refuse a request that cannot be met.

        Raises:
            AdapterError: If the first error found is about an adapter.
            RequestError: If it is about anything else.
        """
        for finding in self.findings:
            if finding.level == "error":
                raise (AdapterError if finding.about == "adapter" else RequestError)(str(finding))

    def to_json(self) -> dict[str, Any]:
        """The plan as values that JSON knows, with the token counts."""
        counts = {
            "num_target_tokens": self.num_target_tokens,
            "num_reference_tokens": self.num_reference_tokens,
            "num_memory_bytes": self.memory.total,
        }
        return dataclasses.asdict(self) | counts
