"""`iclora models`: which models are here, and what estimators of controls need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iclora import controls
from iclora.cli.present import bars, say, steps_of, to_stdout
from iclora.controls import hub
from iclora.errors import ModelError, RequestError

app = typer.Typer(help="What models there are.\n\nExample: iclora models list", no_args_is_help=True)


@app.callback()
def models() -> None:
    """What models there are."""


@app.command("list")
def list_models() -> None:
    """List the models inside the package, what they were made for, and their adapters.

    Example: iclora models list
    """
    # Imported here: it takes seconds, which --help shall not.
    from iclora import adapters
    from iclora.plan import model_facts

    try:
        facts = model_facts("tiny")
    except ModelError as error:
        to_stdout().print(f"tiny  not here: {error}", markup=False)
        return
    recipe = facts.recipe
    size = sum(path.stat().st_size for path in facts.path.rglob("*.safetensors"))
    lines = [
        f"tiny  embedded, {size / 2**20:.1f} MiB, licence Apache-2.0",
        f"      {recipe.width}x{recipe.height}, {recipe.num_frames} frames at {recipe.fps:g} per second, "
        f"{len(recipe.sigmas) - 1} steps, {'with' if recipe.has_audio else 'without'} audio",
    ]
    for name, path in facts.adapters.items():
        outline = adapters.read_outline(path)
        told = [f"follows {' or '.join(outline.controls) or 'what its file does not say'}"]
        if outline.is_style:
            told = ["a style, follows no control"]
        told += [f"begin prompts with '{outline.trigger}'"] if outline.trigger else []
        told += [f"rank {outline.rank}", f"{path.stat().st_size / 2**20:.1f} MiB"]
        told[-1:-1] = [] if outline.is_style else [f"references at 1/{outline.downscale} of the size"]
        lines.append(f"      adapter {name}: {', '.join(told)}")
    if not facts.adapters:
        lines.append("      no adapters")
    to_stdout().print("\n".join(lines), markup=False)


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An official single file of LTX-2 or 2.3.")],
    text_encoder: Annotated[
        Path, typer.Option("--text-encoder", metavar="DIR", help="A folder of Gemma 3, with its tokenizer.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write.")],
) -> None:
    """Make a model folder of an official single file; the text encoder is linked, not copied.

    Example: iclora models convert ltx-2.3-22b-distilled.safetensors --text-encoder gemma-3-12b -o ltx-2.3
    """
    from iclora import checkpoints

    with bars() as report:
        steps = steps_of(report, "converting")
        folder = checkpoints.convert(file, text_encoder, output, progress=steps)
    recipe = checkpoints.read_recipe(folder)
    to_stdout().print(f"{folder}: {recipe.name}, {len(recipe.sigmas) - 1} steps", markup=False)


@app.command("fetch")
def fetch(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help=f"OWNER/NAME, {', '.join(controls.FETCHED)}."),
    ],
) -> None:
    """Fetch a released model from the hub, or the networks that find poses or depth, and say where they lie.

    Example: iclora models fetch diffusers/LTX-2.3-Distilled-Diffusers
    """
    if hub.is_repository(name):
        from iclora import checkpoints

        say(
            f"{name}: its licence is on https://huggingface.co/{name}; LTX-2's is the LTX-2 Community Licence"
        )
        paths = [checkpoints.fetch(name)]
    else:
        try:
            paths = controls.fetch_weights(name)
        except RequestError as error:
            raise RequestError(f"{error} Or a model on the Hugging Face hub as OWNER/NAME.") from None
    to_stdout().print("\n".join(str(path) for path in paths), markup=False)
