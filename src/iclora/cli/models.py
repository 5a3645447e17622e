"""`iclora models`: which models are here, and what estimators of controls need."""

from __future__ import annotations

from typing import Annotated

import typer

from iclora.cli.present import to_stdout
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
        lines.append(
            f"      adapter {name}: follows {outline.control or 'what its file does not say'}, "
            f"rank {outline.rank}, references at 1/{outline.downscale} of the size, "
            f"{path.stat().st_size / 2**20:.1f} MiB"
        )
    if not facts.adapters:
        lines.append("      no adapters")
    to_stdout().print("\n".join(lines), markup=False)


@app.command("fetch")
def fetch(name: Annotated[str, typer.Argument(metavar="NAME", help="blazepose or dwpose.")]) -> None:
    """Fetch the networks that find poses now, rather than on first use, and say where they lie.

    Example: iclora models fetch blazepose
    """
    from iclora.controls.poses import dwpose, weights

    if name == "blazepose":
        paths = list(weights.find_blazepose().values())
    elif name == "dwpose":
        paths = [dwpose.find(dwpose.DETECTOR), dwpose.find(dwpose.KEYPOINTS)]
    else:
        raise RequestError(f"There is nothing to fetch for {name!r}; choose blazepose or dwpose.")
    to_stdout().print("\n".join(str(path) for path in paths), markup=False)
