"""The settings of a training: read from YAML, every one checked, none unknown.

A default says where it comes from. *Official* is Lightricks' own trainer, LTX-2, ``packages/ltx-trainer``:
``configs/v2v_ic_lora.yaml`` where nothing else is named; *ours* is a choice of this project.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from iclora.adapters import VIDEO_TARGETS
from iclora.errors import RequestError
from iclora.training.presets import PRESETS

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Often = Annotated[int, Field(ge=0)]
"""Steps from one time to the next; 0 is never."""
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AdapterSettings(Section):
    """What is put on the base."""

    name: str = ""
    """Name of the adapter and its file; empty: the control it follows, or `style` where it follows none."""
    control: str = ""
    """What it follows, for its file; empty: the controls that the dataset was prepared with."""
    rank: Count = 32
    """Official."""
    alpha: Positive | None = None
    """Official: the rank. Files hold no alpha, so another one is worked into what is written."""
    targets: tuple[str, ...] = VIDEO_TARGETS
    """Official: both attentions of the video stream (q, k, v, out) and its feed-forward layers."""
    begin: str = ""
    """An adapter file to go on from; empty: from nothing."""
    reference_attention: Literal["two_way", "one_way"] = "two_way"
    """Official: two_way. With one_way references look at nothing but themselves, and can be kept exactly."""


class DataSettings(Section):
    """What is learned from."""

    path: str
    """A folder that `iclora prepare` made, or one that the official trainer precomputed."""
    batch_size: Count = 1
    """Official: clips of one size that go through the model together, on each GPU."""
    accumulation: Count = 1
    """Official: batches of each GPU that one step is made of."""
    keep: Literal["auto", "device", "host", "disk"] = "auto"
    """Where encoded clips wait: on the GPU, in the computer's memory, or on disk; auto: where they fit."""


class ConditioningSettings(Section):
    """What the model is shown beside the noisy clip, and how often not."""

    first_frame: Share = 0.2
    """Official: share of the clips whose first frame is given, clean."""
    prompt_dropout: Share = 0.1
    """Ours, as usual for classifier-free guidance: share of the clips without their caption."""
    reference_dropout: Share = 0.0
    """Official (its references have probability 1): share of the batches without references."""
    attention_strength: tuple[Share, Share] | None = None
    """Ours, off: the range that attention strengths are drawn from, so that the dial is learned. A clip with
    strength w has its own reference with probability w and else another clip's: the dial is trust."""
    attention_masks: bool = False
    """Ours, off: draws masks of half-planes and boxes that say where the reference is looked at."""
    strength_dropout: Share = 0.5
    """Ours: share of the clips that keep strength 1, where strengths are drawn."""
    mask_dropout: Share = 0.5
    """Ours: share of the clips that get no mask, where masks are drawn."""


class NoiseSettings(Section):
    """How noisy the clips are that the model is shown: shifted logit-normal.

    Source: ``timestep_samplers.py`` of the official trainer.
    """

    uniform: Share = 0.1
    """Official: share of the noise levels that are drawn evenly from 0 to 1."""
    on_schedule: Share = 0.0
    """Ours, for distilled bases: share of the levels that are steps of the base's own schedule."""


class FeedbackSettings(Section):
    """Judging what is made: in guesses on the model's way through its schedule the control is found again.

    See `judging`. Each step costs a few passes more and a decoding, so it is for a second, shorter run that
    goes on from an adapter (`adapter.begin`).
    """

    weight: Annotated[float, Field(ge=0)] = 0.0
    """Ours, off: what a guess that follows nothing weighs beside the loss of flow matching."""
    from_noise: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Ours: guesses are judged at steps of the schedule from this noise level on; before, there is little in
    them."""
    crop: Count = 160
    """Ours: side in pixels of the square that is decoded and looked at, at another place in each batch."""


class OptimizerSettings(Section):
    """How the weights move."""

    kind: Literal["adamw", "adamw8bit"] = "adamw"
    """Official; adamw8bit keeps its moments in 8 bits, by bitsandbytes."""
    learning_rate: Positive = 2e-4
    """Official."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Official: those of PyTorch."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Official: that of PyTorch."""
    clip: Positive = 1.0
    """Official: longest gradient."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Official."""
    final: Share = 0.1
    """Official: last learning rate, as a share of the first."""
    warmup: Often = 0
    """Official: steps in which the learning rate rises."""


class MemorySettings(Section):
    """What is saved of memory, and at what price in time."""

    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Official: bf16; auto: that on a GPU, fp32 on the CPU, which has no fast kernels of it."""
    gradient_checkpointing: bool = True
    """Official: computes each block twice, and keeps nothing inside it."""
    quantise: Literal["none", "int8", "fp8"] = "none"
    """Official: none (its low-VRAM preset: int8). Keeps the frozen base in 8 bits, by torchao."""
    blocks_on_host: Often = 0
    """Ours: how many of the last blocks wait in the computer's memory, and come to the GPU when needed."""


class WatchSettings(Section):
    """What is looked at while it trains, every so many steps; 0 is never."""

    log_every: Count = 10
    """Ours: steps that one row of `log.jsonl` is the mean of."""
    held_out_every: Often = 100
    """Official, where it validates as often: loss on held-out clips with always the same noise.
    Unless it is 0, that is looked at with each checkpoint and preview too, so that any can be the best."""
    previews_every: Often = 250
    """Ours, as often as it saves: clips made of held-out references, and how well they follow them."""
    num_previews: Often = 4
    """Ours: held-out clips, of each control, that are made and scored."""
    seed: int = 0
    """Ours: of the noise of previews and of the held-out loss."""
    trackers: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Ours: where else the numbers go."""


class SaveSettings(Section):
    """When the run is written down."""

    every: Count = 250
    """Official."""
    keep: Count = 3
    """Official: newest checkpoints that stay; the best one stays beside them."""


class TrainingSettings(Section):
    """Everything there is to say about a training."""

    preset: str = ""
    """What the rest of the settings starts from; see `PRESETS`."""
    model: str = "tiny"
    """The base: `tiny`, a model folder, or a fetched repository of the hub."""
    output: str
    """Folder of the run; made if missing, gone on with if it holds a run of the same settings."""
    data: DataSettings
    adapter: AdapterSettings = AdapterSettings()
    conditioning: ConditioningSettings = ConditioningSettings()
    noise: NoiseSettings = NoiseSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    memory: MemorySettings = MemorySettings()
    watch: WatchSettings = WatchSettings()
    save: SaveSettings = SaveSettings()
    steps: Count = 3000
    """Official."""
    seed: int = 42
    """Official."""
    compile: bool = False
    """Ours: compiles the blocks, which takes a minute or more and pays in long runs."""
    deterministic: bool = True
    """Ours: only kernels that give the same numbers each time, so that a resumed run is the same run."""
    push_to_hub: str = ""
    """Ours: a repository of the hub, OWNER/NAME, that gets the finished adapter and its card."""

    @field_validator("preset")
    @classmethod
    def _is_known(cls, preset: str) -> str:
        if preset and preset not in PRESETS:
            raise ValueError(f"there is no such preset; choose one of {', '.join(PRESETS)}")
        return preset

    @model_validator(mode="after")
    def _fits(self) -> TrainingSettings:
        strengths = self.conditioning.attention_strength
        if strengths is not None and strengths[0] > strengths[1]:
            raise ValueError("conditioning.attention_strength: give the lower number first")
        if self.feedback.weight and self.conditioning.attention_masks:
            raise ValueError("feedback.weight: feedback looks behind masks too; set attention_masks=false")
        if self.optimizer.warmup >= self.steps:
            raise ValueError("optimizer.warmup: the rise of the learning rate must end before the run")
        return self


_HARMLESS = frozenset({"preset", "output", "watch", "save", "push_to_hub", "data.accumulation"})
"""What may change from one start of a run to the next. No weight depends on it; on accumulation only together
with the number of processes, which `saving.claim` checks."""


def read_settings(path: str | Path, changes: Iterable[str] = ()) -> TrainingSettings:
    """Read settings from a YAML file.

    Args:
        path: The file. Relative paths in it are taken from where the command runs.
        changes: What is set over it, each as ``key=value`` with dots between the parts of a key
            (``optimizer.learning_rate=1e-4``) and a value in YAML.

    Returns:
        The settings.

    Raises:
        RequestError: The file cannot be read, or a key or a value is not accepted.
    """
    try:
        content = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}). Give a YAML file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, dict):
        raise RequestError(f"{path} holds no settings; they are 'key: value', one a line.")
    return resolve(content or {}, changes, source=str(path))


def resolve(
    content: Mapping[str, Any], changes: Iterable[str] = (), *, source: str = "the settings"
) -> TrainingSettings:
    """Complete settings: the preset first, then what is said, then what is changed.

    Args:
        content: What is said, as YAML or JSON holds it.
        changes: As for `read_settings`.
        source: Where it was said, for messages.

    Returns:
        The settings.

    Raises:
        RequestError: A key or a value is not accepted.
    """
    said = _merged(content, _parsed(changes))
    base = PRESETS.get(str(said.get("preset", "")), {})
    try:
        return TrainingSettings.model_validate(_merged(base, said))
    except ValidationError as error:
        problems = "; ".join(_told(problem) for problem in error.errors())
        raise RequestError(f"{source}: {problems}") from error


def to_yaml(settings: TrainingSettings) -> str:
    """Write settings out in full, as `read_settings` reads them."""
    text: str = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def differences(before: TrainingSettings, now: TrainingSettings) -> list[str]:
    """Tell what differs between two runs that matters for the weights.

    Args:
        before: Settings of one.
        now: Settings of the other.

    Returns:
        A line for each difference: the key, what it was, what it is.
    """
    flat = [dict(_flat(settings.model_dump(mode="json"))) for settings in (before, now)]
    keys = [key for key in flat[1] if not {key, key.split(".")[0]} & _HARMLESS]
    keys = [key for key in keys if flat[0].get(key) != flat[1][key]]
    return [f"{key} was {json.dumps(flat[0].get(key))} and is {json.dumps(flat[1][key])}" for key in keys]


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _parsed(changes: Iterable[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise RequestError(
                f"'{change}' sets nothing; say KEY=VALUE, such as optimizer.learning_rate=1e-4."
            )
        try:
            value: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RequestError(
                f"The value of '{change}' is not YAML: {' '.join(str(error).split())}"
            ) from error
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        parsed = _merged(parsed, value)
    return parsed


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        inner = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        merged[key] = _merged(inner, value) if both else value  # type: ignore[arg-type]
    return merged


def _told(problem: Any) -> str:
    """One problem in words, with the key that was probably meant."""
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), _keys(problem["loc"][:-1]), n=1, cutoff=0.5)
        meant = ".".join([*map(str, problem["loc"][:-1]), *near])
        advice = f"did you mean '{meant}'?" if near else f"known are {', '.join(_keys(problem['loc'][:-1]))}."
        return f"there is no setting '{place}'; {advice}"
    if problem["type"] == "missing":
        return f"'{place}' is missing; say it"
    text = problem["msg"].removeprefix("Value error, ")
    return f"'{place}' is {problem['input']!r}: {text}" if place else text


def _keys(place: Iterable[Any]) -> list[str]:
    """The keys of a section."""
    section: Any = TrainingSettings
    for part in place:
        section = section.model_fields[part].annotation
    return list(section.model_fields)
