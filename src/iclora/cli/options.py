"""The words that commands share: all of `plan` with `generate`, and whether what is found is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

Cached = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache", help="Keep what is found, and take what was found before. ICLORA_CACHE_GB."
    ),
]


@dataclass(frozen=True, kw_only=True)
class PlanWords:
    """The words of `iclora plan`."""

    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What the result shall show.")]
    model: Annotated[
        str,
        typer.Option("--model", help="tiny (inside the package), a model folder, or a fetched OWNER/NAME."),
    ] = "tiny"
    adapter: Annotated[
        list[str],
        typer.Option(
            "--adapter", metavar="A[:WEIGHT]", help="One of the model's own, or a file. Several add up."
        ),
    ] = field(default_factory=list)
    control: Annotated[
        list[str],
        typer.Option(
            "--control",
            metavar="KIND=IN[,DIAL=..]",
            help="Extract a control from a film and follow it: canny=IN,thickness=3. Dials are those of "
            "'iclora control KIND', and the words of --reference. Or tracks=FILE.json.",
        ),
    ] = field(default_factory=list)
    reference: Annotated[
        list[str],
        typer.Option(
            "--reference",
            metavar="CLIP[,WORD=..]",
            help="Follow a ready control clip; words: strength=0..1 attention=0..1 mask=FILE downscale=N "
            "temporal=N.",
        ),
    ] = field(default_factory=list)
    image: Annotated[
        list[str],
        typer.Option("--image", metavar="FILE@FRAME[:STRENGTH]", help="A picture that a frame shall show."),
    ] = field(default_factory=list)
    attention_strength: Annotated[
        float, typer.Option("--attention-strength", help="How much references are looked at, 0..1.")
    ] = 1.0
    control_strength: Annotated[
        float | None,
        typer.Option(
            "--control-strength",
            help="The same, made even: 0.5 gives about half the effect (measured on tiny). One of the two.",
            show_default=False,
        ),
    ] = None
    attention_mask: Annotated[
        Path | None,
        typer.Option("--attention-mask", metavar="FILE", help="Where they are: white is 1, black is 0."),
    ] = None
    isolate: Annotated[
        bool | None,
        typer.Option(
            "--isolate/--no-isolate",
            help="Hide references from each other, or never; left out: once one is weighted.",
            show_default=False,
        ),
    ] = None
    reference_cache: Annotated[
        str,
        typer.Option(
            "--reference-cache",
            metavar="MODE",
            help="Keep references between steps: off, exact (adapters trained one_way), every:K; "
            "then ,host or ,fp8: kept there.",
        ),
    ] = "off"
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Size in pixels.")] = None
    frames: Annotated[int | None, typer.Option("--frames", help="Number of frames.")] = None
    fps: Annotated[float | None, typer.Option("--fps", help="Frames per second.")] = None
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same clip.")] = 0
    guidance: Annotated[
        str | None,
        typer.Option(
            "--guidance",
            metavar="SCALE[,WORD=..]",
            help="1 is none; words: audio=S stg=S modality=S rescale=0..1; left out: what the model is made "
            "for.",
        ),
    ] = None
    negative_prompt: Annotated[
        str, typer.Option("--negative-prompt", help="What guidance moves away from.")
    ] = ""
    keep_audio: Annotated[
        bool, typer.Option("--keep-audio", help="Give the result the sound of the first control clip.")
    ] = False
    no_audio: Annotated[
        bool, typer.Option("--no-audio", help="Leave out the sound that a released model makes.")
    ] = False
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, ...")] = "cpu"
    offload: Annotated[
        bool,
        typer.Option("--offload", help="Less GPU memory: each part is there only while it is at work."),
    ] = False
    fp8: Annotated[
        bool,
        typer.Option("--fp8", help="Half the memory of the transformer, and faster where GPUs have 8 bits."),
    ] = False
    cache: Cached = True
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")] = False


@dataclass(frozen=True, kw_only=True)
class GenerateWords(PlanWords):
    """The words of `iclora generate`."""

    compile: Annotated[
        bool, typer.Option("--compile", help="Compile the transformer: faster after a first minute.")
    ] = False
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Add adapters to the weights: faster, rounded to the weights' type."),
    ] = False
    output: Annotated[
        str, typer.Option("--output", "-o", help="Where to: .mp4 .webm .gif, or folder/ of PNGs.")
    ]
