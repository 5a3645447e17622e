"""`iclora sweep`: results at several settings of one dial, and how each follows its control."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iclora import __version__, adherence, controls, media
from iclora.cli.control import cache_of
from iclora.cli.options import PlanWords
from iclora.cli.present import Report, bars, print_rows, say, say_findings, steps_of, write_sidecar
from iclora.cli.sweep_dials import STRENGTH, Over, parse_over, turned
from iclora.cli.sweep_folder import SweepFolder, fingerprint
from iclora.cli.together import num_processes
from iclora.cli.words import words_of
from iclora.errors import RequestError

if TYPE_CHECKING:
    from iclora.cli.asking import Asked
    from iclora.pipeline import Pipeline
    from iclora.plan import Plan

_NOT_COMPARED = ("findings", "seed", "memory", "num_memory_bytes")
"""Parts of a plan that do not change the result, or are swept over themselves."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepWords(PlanWords):
    """The words of `iclora sweep`: those of `generate`, with what is swept."""

    over: Annotated[
        str,
        typer.Option(
            "--over",
            metavar="DIAL=V1,V2,..",
            help="attention-strength, strength, adapter-weight[:NAME], guidance, reference-cache, any other "
            "word of generate with one value, or KIND.DIAL; with ; between values that hold a comma.",
        ),
    ]
    output: Annotated[str, typer.Option("--output", "-o", help="Folder for results, table and curve.")]
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="N,N,..", help="Seeds at each value; left out: --seed.")
    ] = None


@words_of(SweepWords)
def sweep(said: SweepWords) -> None:
    """Generate at several values of a dial and several seeds, score each result, and draw the curve.

    The folder gets the results, sweep.json (a row for each), curve.png (mean and spread over the seeds),
    sheet.png and index.html. Said again it goes on where it stopped, and with more values or seeds it makes
    only those.

    Example: iclora sweep --prompt "a clay figure" --control canny=in.mp4 --over attention-strength=1,.5,.1,0
    -o sweep/
    """
    if num_processes() > 1:
        raise RequestError("A sweep is made by one process: start it without torchrun.")
    over, seeds = parse_over(said.over), _seeds(said)
    from iclora.cli.generate import sources_of

    sources = sources_of(said)
    with bars() as report:
        own = _own(said, report)
        plans = _plans(said, over, own, report)
        base = plans[over.values[0]]
        facts = [_facts(one) for one in plans.values()]
        if len(facts) > 1 and all(one == facts[0] for one in facts[1:]):
            raise RequestError(f"--over {over.dial} does nothing here: the plan is the same at all values.")
        folder = SweepFolder(
            Path(said.output),
            over,
            seeds,
            suffix=".png" if all(plan.num_frames == 1 for plan in plans.values()) else ".mp4",
            made_from=fingerprint(_words(said, over), [*sources, *_weights(base)]),
            overwrite=said.overwrite,
        )
        _make(said, over, own, folder, report)
        points = folder.finish()
    rows = [("", point.score, point.value, f"{point.mean:.3f}", f"{point.spread:.3f}") for point in points]
    print_rows(("", "score", over.dial, "mean", "spread"), rows)
    say(f"{folder.folder / 'index.html'}")


def _seeds(said: SweepWords) -> list[int]:
    texts = [] if said.seeds is None else said.seeds.split(",")
    if not all(text.strip().isdigit() for text in texts):
        raise RequestError(f"--seeds {said.seeds!r} are not whole numbers from 0 up, such as 0,1,2.")
    return list(dict.fromkeys(int(text) for text in texts)) or [said.seed]


def _gathered(said: SweepWords, over: Over, value: str, own: list[str], report: Report) -> Asked:
    """What is asked for at one value of the dial."""
    from iclora.cli.asking import gather

    asked = gather(turned(said, over, value, own=own), report)
    if over.dial != STRENGTH:
        return asked
    if not asked.request.references:
        raise RequestError("--over strength is about references, and there are none; add --control.")
    strong = tuple(dataclasses.replace(one, strength=float(value)) for one in asked.request.references)
    return dataclasses.replace(asked, request=dataclasses.replace(asked.request, references=strong))


def _plans(said: SweepWords, over: Over, own: list[str], report: Report) -> dict[str, Plan]:
    """The plan at each value; refused where one cannot be met, before anything is made."""
    from iclora.plan import make_plan

    plans = {}
    for value in over.values:
        asked = _gathered(said, over, value, own, report)
        plans[value] = make_plan(asked.request)
        if value == over.values[0]:
            say_findings(plans[value].findings)
        plans[value].check()
    return plans


def _own(said: SweepWords, report: Report) -> list[str]:
    """Adapters that are used where none is named, which only a plan says."""
    if said.adapter or not said.over.startswith("adapter-weight"):
        return []
    from iclora.cli.asking import gather
    from iclora.plan import make_plan

    return [adapter.name for adapter in make_plan(gather(said, report).request).adapters]


def _facts(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in plan.to_json().items() if name not in _NOT_COMPARED}


def _words(said: SweepWords, over: Over) -> dict[str, Any]:
    """The words that decide what results are like, but for the values and seeds."""
    words = dataclasses.asdict(said)
    for name in ("over", "output", "seeds", "seed", "overwrite", "cache", over.dial.replace("-", "_")):
        words.pop(name, None)
    return words


def _weights(plan: Plan) -> list[Path]:
    return [Path(plan.model_path), *(Path(adapter.path) for adapter in plan.adapters)]


def _make(said: SweepWords, over: Over, own: list[str], folder: SweepFolder, report: Report) -> None:
    """Make the results that are not there yet."""
    from iclora.cli.asking import references_of
    from iclora.pipeline import load_planned
    from iclora.plan import make_plan

    wanted = [(value, seed) for value in over.values for seed in folder.seeds]
    loaded: tuple[Any, Pipeline] | None = None
    for done, value in enumerate(over.values):
        report("sweep", done * len(folder.seeds), len(wanted))
        seeds = [seed for seed in folder.seeds if not folder.has(value, seed)]
        if not seeds:
            continue
        asked = _gathered(said, over, value, own, report)
        plan = make_plan(asked.request)
        references = references_of(asked, plan, said, report)
        if loaded is None or loaded[0] != _model_of(plan):
            loaded = None  # the model of before is let go before the next one comes
            pipe = load_planned(plan, device=said.device, offload=said.offload, progress=report)
            loaded = _model_of(plan), pipe
            del pipe
        for seed in seeds:
            one = dataclasses.replace(plan, seed=seed)
            kept = cache_of(said.cache, quiet=True)
            _make_one(one, asked, references, loaded[1], folder, value, report, kept)
    report("sweep", len(wanted), len(wanted))


def _model_of(plan: Plan) -> Any:
    """What a plan's model is known by: where it is the same, it is not loaded anew."""
    return plan.model_path, plan.fp8, tuple((adapter.path, adapter.weight) for adapter in plan.adapters)


def _make_one(
    plan: Plan,
    asked: Asked,
    references: list[Any],
    pipe: Pipeline,
    folder: SweepFolder,
    value: str,
    report: Report,
    cache: controls.Cache | None,
) -> None:
    from iclora.cli.asking import with_sound
    from iclora.cli.scores import score_references

    begun = time.monotonic()
    result = pipe.run(plan, references=references, images=asked.images, progress=report)
    seconds = time.monotonic() - begun
    path = folder.path(value, plan.seed)
    media.save(with_sound(result.clip, asked), path, overwrite=True, progress=steps_of(report, "writing"))
    scores = score_references(result, asked.given, report, cache=cache)
    content = {"command": "sweep", "iclora": __version__, "plan": plan.to_json(), "adherence": scores}
    write_sidecar(path, content)
    steady = adherence.steadiness(result.clip)
    folder.add(value, plan.seed, {"seconds": round(seconds, 3), "scores": scores, **steady})
