"""The dials that `iclora sweep` can turn, each as words of `generate`."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iclora import controls
from iclora.cli.options import PlanWords
from iclora.cli.words import parse_adapter
from iclora.errors import RequestError

_NOT_DIALS = ("model", "seed", "cache", "overwrite", "output", "over", "seeds")
STRENGTH, WEIGHT = "strength", "adapter-weight"
_TRUTHS = {"yes": True, "no": False, "auto": None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Over:
    """What is swept.

    Attributes:
        dial: The dial's name.
        values: Its values, as they were said; numbers in their shortest form.
    """

    dial: str
    values: tuple[str, ...]


def parse_over(text: str) -> Over:
    """Read `DIAL=V1,V2,...`.

    Args:
        text: What was written; values are parted by `;` where one is there.

    Returns:
        What is swept.

    Raises:
        RequestError: If it is not of that form, the dial is unknown, or a value comes twice.
    """
    dial, equals, rest = text.partition("=")
    values = [_shortest(one.strip()) for one in re.split(";" if ";" in rest else ",", rest)]
    if not equals or not all(values):
        raise RequestError(f"--over {text!r} is not DIAL=V1,V2,...; write for instance {WEIGHT}=0,0.5,1.")
    control, dot, part = dial.partition(".")
    known = dial in (STRENGTH, WEIGHT) or dial.startswith(f"{WEIGHT}:") or dial.replace("-", "_") in _words()
    if dot and control in controls.CONTROLS:
        known = part.replace("-", "_") in controls.dials_of(control)
    if not known:
        names = ", ".join([STRENGTH, WEIGHT, f"{WEIGHT}:NAME", *sorted(_words())]).replace("_", "-")
        raise RequestError(f"--over {text!r}: there is no dial {dial!r}; there are {names}, and KIND.DIAL.")
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise RequestError(f"--over {text!r} says {twice[0]} twice; say it once.")
    return Over(dial=dial, values=tuple(values))


def turned(said: PlanWords, over: Over, value: str, *, own: Sequence[str]) -> PlanWords:
    """Say the words with the dial at a value.

    Args:
        said: The words as they were said.
        over: What is swept.
        value: One of its values.
        own: Adapters that are used where none is said.

    Returns:
        The words with that value; of `strength`, which no word says, as they are.

    Raises:
        RequestError: If the value is not one of the dial's, or there is nothing the dial is about.
    """
    if over.dial == STRENGTH:
        _number(over, value)
        return said
    if over.dial.startswith(WEIGHT):
        return dataclasses.replace(said, adapter=_weighted(said, over, value, own))
    kind, dot, dial = over.dial.partition(".")
    if dot:
        of_kind = [text for text in said.control if text.startswith(f"{kind}=")]
        if not of_kind:
            raise RequestError(f"--over {over.dial} is about --control {kind}=IN, and there is none.")
        return dataclasses.replace(
            said,
            control=[f"{text},{dial}={value}" if text in of_kind else text for text in said.control],
        )
    name = over.dial.replace("-", "_")
    return dataclasses.replace(said, **{name: _read(over, value, _words()[name])})


def _weighted(said: PlanWords, over: Over, value: str, own: Sequence[str]) -> list[str]:
    _number(over, value)
    wanted = over.dial.partition(":")[2]
    adapters = [parse_adapter(text) for text in said.adapter] or [(name, 1.0) for name in own]
    chosen = [name for name, _ in adapters if not wanted or wanted in (name, Path(name).stem)]
    if not chosen:
        names = ", ".join(name for name, _ in adapters) or "none"
        raise RequestError(f"--over {over.dial}: no adapter is meant by that; there are: {names}.")
    return [f"{name}:{value if name in chosen else weight}" for name, weight in adapters]


def _words() -> dict[str, tuple[Any, ...]]:
    """Words of `generate` that hold one value, and the types it may have."""
    hints = typing.get_type_hints(PlanWords)
    kinds = {field.name: _members(hints[field.name]) for field in dataclasses.fields(PlanWords)}
    single = {name: kind for name, kind in kinds.items() if set(kind) <= {int, float, str, bool, type(None)}}
    return {name: kind for name, kind in single.items() if name not in _NOT_DIALS}


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _read(over: Over, value: str, kinds: tuple[Any, ...]) -> Any:
    if bool in kinds:
        if value not in _TRUTHS:
            raise RequestError(f"--over {over.dial}: {value!r} is not yes, no or auto.")
        return _TRUTHS[value]
    if str in kinds:
        return value
    number = _number(over, value)
    if float in kinds:
        return number
    if number != int(number):
        raise RequestError(f"--over {over.dial}: {value!r} is not a whole number.")
    return int(number)


def _number(over: Over, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise RequestError(f"--over {over.dial}: {value!r} is not a number.") from None


def _shortest(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if number.is_integer() else repr(number)
