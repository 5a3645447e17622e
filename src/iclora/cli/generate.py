"""`iclora generate` and `iclora plan`: the same words; the one does it, the other says what would be done."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iclora import __version__, controls, media
from iclora.cli.control import cache_of
from iclora.cli.options import GenerateWords, PlanWords
from iclora.cli.present import (
    bars,
    check_outputs,
    describe_plan,
    print_findings,
    say,
    say_findings,
    steps_of,
    to_stdout,
    write_sidecar,
)
from iclora.cli.together import check_shares, is_first, own_device, together
from iclora.cli.words import parse_control, parse_image, parse_reference, words_of
from iclora.errors import OutputError

if TYPE_CHECKING:
    from iclora.plan import Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlanOutputWords(PlanWords):
    """The words of `iclora plan`: those of `generate`, with how to print it."""

    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Checked: whether the result could go there.")
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False


@words_of(GenerateWords)
def generate(said: GenerateWords) -> None:
    """Make a clip from a prompt that follows control clips.

    Sizes, rates and lengths that are left out follow the first control clip, or else the model. Beside the
    result a JSON file holds the plan it was made by.

    Example: iclora generate --prompt "a clay figure" --control canny=in.mp4 -o out.mp4
    """
    output = check_outputs(said.output, overwrite=said.overwrite, sources=sources_of(said))
    _check_sound(said.output, said)
    # Imported here: it takes seconds, which --help and a path that cannot be written shall not.
    from iclora.cli.asking import gather, references_of, with_sound
    from iclora.cli.looking import look_at_references
    from iclora.cli.scores import say_scores, score_references
    from iclora.pipeline import load_planned
    from iclora.plan import make_plan

    said = dataclasses.replace(said, device=own_device(said.device))
    with bars() as report:
        asked = gather(said, report)
        plan = make_plan(asked.request)
        check_shares(plan)
        say(describe_plan(plan))
        _say_and_check(plan)
        if output.suffix.lower() == ".png" and plan.num_frames > 1:
            raise OutputError(
                f"{output} holds one picture, but there are {plan.num_frames} frames; write a .mp4."
            )
        references = references_of(asked, plan, said, report)
        kept = cache_of(said.cache, quiet=True)  # what it does was said when the control was drawn
        num_said, plan = len(plan.findings), look_at_references(plan, references, asked, cache=kept)
        _say_and_check(plan, num_said)
        where: dict[str, Any] = {"device": said.device, "offload": said.offload}
        pipe = load_planned(plan, **where, merge=said.merge, compile=said.compile, progress=report)
        with together(pipe.components.transformer, said.device):
            result = pipe.run(plan, references=references, images=asked.images, progress=report)
        if not is_first():
            return
        clip = with_sound(result.clip, asked)
        media.save(clip, said.output, overwrite=said.overwrite, progress=steps_of(report, "writing"))
        scores = score_references(result, asked.given, report, cache=kept)
        content = {"command": "generate", "iclora": __version__, "plan": plan.to_json(), "adherence": scores}
        write_sidecar(output, content)
    say_scores(scores)
    say(f"{output}")


@words_of(PlanOutputWords)
def plan(said: PlanOutputWords) -> None:
    """Say what `generate` would do with the same words, and load no weights; exit 1 where it cannot be done.

    Example: iclora plan --prompt "a clay figure" --control canny=in.mp4
    """
    # Imported here: it takes seconds, which --help shall not.
    from iclora.cli.asking import gather
    from iclora.cli.looking import look_at_given
    from iclora.plan import make_plan

    if said.output is not None:
        check_outputs(said.output, overwrite=said.overwrite, sources=sources_of(said))
        _check_sound(said.output, said)
    with bars() as report:
        asked = gather(said, report)
        made = look_at_given(make_plan(asked.request), asked, said, report)
    if said.as_json:
        typer.echo(json.dumps(made.to_json(), indent=2, ensure_ascii=False))
        say_findings(made.findings)
    else:
        to_stdout().print(describe_plan(made), markup=False)
        print_findings(made.findings)
    if any(finding.level == "error" for finding in made.findings):
        raise typer.Exit(1)


def _say_and_check(plan: Plan, start: int = 0) -> None:
    """Say what was found from some finding on, and stop where it holds an error."""
    say_findings(tuple(finding for finding in plan.findings[start:] if finding.level != "error"))
    plan.check()


def _check_sound(output: str, said: PlanWords) -> None:
    """Refuse to keep a sound in a result that cannot hold any."""
    suffix = Path(output).suffix.lower()
    if said.keep_audio and suffix not in (".mp4", ".webm"):
        kind = f"a {suffix}" if suffix else "a folder of pictures"
        raise OutputError(
            f"{output} is {kind} and holds no sound; write a .mp4 or .webm, or leave --keep-audio out."
        )


def sources_of(said: PlanWords) -> list[Path]:
    """Name every file a command line reads pictures from.

    Args:
        said: The words of the command line.

    Returns:
        Their paths.
    """
    references = [parse_reference(text) for text in said.reference]
    taken = [parse_control(text, controls.CONTROLS) for text in said.control]
    files = [
        *(path for _, path, _ in taken),
        *(Path(dials[name]) for _, _, dials in taken for name in controls.FILES if name in dials),
        *(reference.path for reference in references),
        *(reference.mask for reference in references),
        *(parse_image(text)[0] for text in said.image),
        said.attention_mask,
    ]
    return [file for file in files if file is not None]
