"""`iclora doctor`: what this machine has and lacks."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from iclora.cli.present import print_rows


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at torch, devices, codecs, optional packages, weights, the cache and the disks; load nothing.

    Exit 1 where something that everything needs is missing.

    Example: iclora doctor
    """
    # Imported here: it takes seconds, which --help shall not.
    from iclora.doctor import examine

    checks = examine()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(check) for check in checks], indent=2, ensure_ascii=False))
    else:
        titles = ("", "what", "what is the case", "what to do")
        rows = [(check.level, check.about, check.text, check.advice) for check in checks]
        print_rows(titles, rows)
    if any(check.level == "error" for check in checks):
        raise typer.Exit(1)
