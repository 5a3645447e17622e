"""`iclora prepare`: a dataset looked at and encoded once, for `iclora train`."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from iclora import controls
from iclora.cli.present import Report, bars, print_rows, say, steps_of
from iclora.cli.words import parse_dials, words_of
from iclora.errors import DatasetError, OutputError, RequestError

if TYPE_CHECKING:
    from iclora.training import Settings
    from iclora.training.audit import Checked
    from iclora.training.sharing import Share

_MOST_SAID = 20
_OWN = ("prepared.json", "prepared.safetensors", "shards", "audit.json", "audit.png")


@dataclass(frozen=True, kw_only=True)
class PrepareWords:
    """The words of `iclora prepare`."""

    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="A folder of clips (NAME.mp4, NAME.txt, NAME_reference.mp4), a .csv .json .jsonl with "
            "video, reference_video and caption, or .tar files.",
        ),
    ]
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to prepare.")]
    model: Annotated[
        str,
        typer.Option("--model", help="tiny (inside the package), a model folder, or a fetched OWNER/NAME."),
    ] = "tiny"
    control: Annotated[
        list[str],
        typer.Option(
            "--control",
            metavar="KIND[,DIAL=..]",
            help="Draw this control where the dataset gives no reference. Several: each is a sample.",
        ),
    ] = field(default_factory=list)
    bucket: Annotated[
        list[str],
        typer.Option(
            "--bucket", metavar="WxHxFRAMES", help="A size that clips are brought to. Several; the nearest."
        ),
    ] = field(default_factory=list)
    fps: Annotated[float | None, typer.Option("--fps", help="Frames per second; left out: the model's.")] = (
        None
    )
    downscale: Annotated[int, typer.Option("--downscale", help="How many times smaller references are.")] = 1
    temporal_factor: Annotated[
        int, typer.Option("--temporal-factor", help="How many frames one frame of a reference stands for.")
    ] = 1
    trigger: Annotated[str, typer.Option("--trigger", help="A word to put before each caption.")] = ""
    held_out: Annotated[
        float, typer.Option("--held-out", help="Share (below 1) or number of clips kept from training.")
    ] = 0.05
    audit_only: Annotated[bool, typer.Option("--audit-only", help="Look, and encode nothing.")] = False
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out what the audit finds broken, and go on.")
    ] = False
    accept: Annotated[
        list[str],
        typer.Option(
            "--accept",
            metavar="KIND",
            help="Do not call this broken: length size duplicate caption motion empty.",
        ),
    ] = field(default_factory=list)
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="i/n", help="Do part i of n; left out: what torchrun says, or all."),
    ] = None
    shard_size: Annotated[int, typer.Option("--shard-size", help="Clips in a file, which memory holds.")] = 32
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, ...")] = "cpu"
    offload: Annotated[
        bool,
        typer.Option("--offload", help="Less GPU memory: each part is there only while it is at work."),
    ] = False
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew: take away what was prepared there before.")
    ] = False


@words_of(PrepareWords)
def prepare(said: PrepareWords) -> None:
    """Look at a dataset, and encode it once for training.

    The audit comes first: pairs that are too short, differ in shape, are there twice, have captions of the
    control, or do not move together are refused. What is finished is not done again: stop it at any time.

    Example: iclora prepare clips/ -o prepared --control canny --downscale 2
    """
    # Imported here: it takes seconds, which --help shall not.
    from iclora.training.entries import read_entries
    from iclora.training.sharing import parse_share

    accepted = _accepted(said.accept)
    kinds = _controls(said.control)
    share = parse_share(said.shard)
    _check_output(said, share)
    settings = _settings(said, kinds)
    entries = read_entries(said.dataset)
    with bars() if share.leads else nullcontext(_silent) as report:
        checked = _audit(said, settings, entries, share, report, accepted)
        good = [one for one in checked if not one.broken(accepted)]
        if share.leads:
            _say_flaws(checked, accepted)
            say(f"{len(good)} of {len(checked)} pairs can be prepared; see {said.output / 'audit.png'}")
        # A file that cannot be read can only be left out; of the rest the user is to decide.
        refused = [one for one in checked if {flaw.kind for flaw in one.broken(accepted)} - {"file"}]
        if refused and not said.skip_broken:
            raise DatasetError(
                f"{len(refused)} of {len(checked)} pairs are broken. Mend them, leave them out with "
                "--skip-broken, or take a kind of flaw for none with --accept KIND."
            )
        if not good:
            raise DatasetError(f"No pair of {said.dataset} can be trained on.")
        if not said.audit_only:
            if said.overwrite:  # now, when nothing but the encoding can fail
                _take_away(said.output)
            _encode(said, settings, good, share, report)


def _encode(
    said: PrepareWords, settings: Settings, good: list[Checked], share: Share, report: Report
) -> None:
    """Encode the pairs, and say what was done."""
    from dataclasses import replace

    from iclora import checkpoints
    from iclora.controls.devices import check_device
    from iclora.training import Store
    from iclora.training.prepare import dataset_digest, prepare

    device = f"cuda:{share.local_index}" if said.device == "cuda" and share.count > 1 else said.device
    check_device(device)
    recipe = checkpoints.read_recipe(checkpoints.find(said.model))
    components = checkpoints.load(
        said.model,
        device="cpu" if said.offload else device,
        dtype=recipe.dtype_on(device),
        without=("transformer", "audio_vae", "vocoder"),
    )
    tally = prepare(
        good,
        replace(settings, dataset=dataset_digest(good)),
        said.output,
        components,
        share=share,
        guest_of=device if said.offload else None,
        progress=report,
    )
    for name, reason in tally.skipped:
        say(f"left out: {name}: {reason}")
    if not (tally.num_samples or tally.num_before or tally.skipped):
        say(f"Part {share.index} of {share.count} has nothing to do: there are fewer shards than parts.")
        return
    store = Store.open(said.output)
    num_held_out = len(store.indices("held_out"))
    say(
        f"{said.output}: {len(store.samples)} samples, {num_held_out} of them held out; {tally.num_samples} "
        f"encoded now, {tally.num_before} clips before, {len(tally.skipped)} left out"
    )
    if settings.held_out > 0 and not num_held_out:
        say("No clip is held out; with few clips say a number, such as --held-out 1.")


def _audit(
    said: PrepareWords,
    settings: Settings,
    entries: list[Any],
    share: Share,
    report: Report,
    accepted: list[Any],
) -> list[Checked]:
    """Take the audit from its file, or make it; other processes of the machine wait for the first."""
    from iclora.plan import model_facts
    from iclora.training.audit import Terms, audit
    from iclora.training.audit_files import await_report, read_report, signature, write_report, write_sheet

    terms = Terms(
        buckets=settings.buckets,
        drawn=bool(settings.controls),
        trigger=settings.trigger,
        model=model_facts(settings.model),
    )
    sign = signature(entries, terms)
    if not share.leads:
        return await_report(said.output, entries, sign)
    found = read_report(said.output, entries, sign)
    if found is not None:
        say(f"The audit is taken from {said.output / 'audit.json'}; nothing has changed since.")
        return found
    found = audit(entries, terms, progress=steps_of(report, "looking"))
    write_sheet(said.output, found, dict(settings.controls), accepted, steps_of(report, "drawing"))
    write_report(said.output, found, sign)
    return found


def _settings(said: PrepareWords, kinds: dict[str, dict[str, Any]]) -> Settings:
    """What the folder is prepared with; refuses buckets that do not fit."""
    from iclora import checkpoints
    from iclora.plan import model_facts
    from iclora.training import Bucket, Settings, fingerprint
    from iclora.training.buckets import check_bucket, parse_bucket

    if said.held_out < 0 or said.shard_size < 1:
        raise RequestError("--held-out must be 0 or more, and --shard-size 1 or more.")
    facts, folder = model_facts(said.model), checkpoints.find(said.model)
    recipe = facts.recipe
    fps = recipe.fps if said.fps is None else said.fps
    usual = Bucket(width=recipe.width, height=recipe.height, num_frames=recipe.num_frames, fps=fps)
    buckets = tuple(parse_bucket(text, fps) for text in said.bucket) or (usual,)
    for bucket in buckets:
        check_bucket(bucket, facts.factors, downscale=said.downscale, temporal_factor=said.temporal_factor)
    return Settings(
        model=said.model,
        base=recipe.base,
        fingerprint=fingerprint(folder),
        controls=kinds,
        downscale=said.downscale,
        temporal_factor=said.temporal_factor,
        fps=fps,
        buckets=buckets,
        trigger=said.trigger,
        held_out=said.held_out,
        shard_size=said.shard_size,
    )


def _controls(texts: list[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        kind, words = parse_dials(text, controls.CONTROLS)
        if kind in found:
            raise RequestError(f"--control {kind} is said twice; a control is drawn in one way.")
        dials = controls.read_dials(kind, words)
        controls.check_dials(kind, dials)
        estimator = controls.estimator_of(kind, dials)
        if estimator is not None:
            controls.check_installed(estimator)
        found[kind] = dials
    return found


def _accepted(texts: list[str]) -> list[Any]:
    from iclora.training.flaws import ACCEPTABLE, FlawKind

    for text in texts:
        if text not in ACCEPTABLE:
            known = "it is always broken" if text in get_args(FlawKind) else "there is no such kind"
            raise RequestError(f"--accept {text!r}: {known}; accepted are {', '.join(ACCEPTABLE)}.")
    return texts


def _check_output(said: PrepareWords, share: Share) -> None:
    """Refuse a folder of other things."""
    folder = said.output
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file, but a folder is prepared; choose another name.")
    others = sorted(path.name for path in folder.iterdir() if path.name not in _OWN)
    others = [name for name in others if not name.endswith(".part")]
    if others:
        raise OutputError(f"{folder} holds other things ({others[0]}); choose a new folder.")
    if said.overwrite:
        if share.count > 1:
            raise RequestError("--overwrite is for one process; take the folder away before several begin.")


def _take_away(folder: Path) -> None:
    """Take away what was encoded there before, its settings first, so that no half is taken for a whole."""
    for name in ("prepared.json", "prepared.safetensors"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "shards", ignore_errors=True)


def _say_flaws(checked: list[Checked], accepted: list[Any]) -> None:
    """Print what was found, what breaks a pair first."""
    from iclora.training.audit import shift_of

    hard, soft = [], []
    for one in checked:
        broken = one.broken(accepted)
        hard += [("error", one.entry.name, flaw.text) for flaw in broken]
        soft += [("warning", one.entry.name, flaw.text) for flaw in one.flaws if flaw not in broken]
    rows = hard[:_MOST_SAID] + soft[: max(0, _MOST_SAID - len(hard))]
    if rows:
        print_rows(("finding", "pair", "what is the case"), rows)
    if (shift := shift_of(checked)) is not None:
        where = f"{abs(shift)} row{'s' if abs(shift) > 1 else ''} further {'down' if shift > 0 else 'up'}"
        say(f"Most clips fit the reference {where}: is the column of references shifted?")
    left = len(hard) + len(soft) - len(rows)
    if left:
        say(f"and {left} more, in audit.json")


def _silent(what: str, done: int, total: int | None) -> None:
    """Report to nobody."""
