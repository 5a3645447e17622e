"""Who does what, where several processes or machines prepare one dataset."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from iclora.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of the work that is this process's.

    Attributes:
        index: Its number, from 0.
        count: How many there are.
        local_index: Its number on this machine: the card that it uses.
    """

    index: int = 0
    count: int = 1
    local_index: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is the first on its machine, which speaks and looks at what all need."""
        return self.local_index == 0


def parse_share(text: str | None, environment: Mapping[str, str] | None = None) -> Share:
    """Find out the part of this process.

    Args:
        text: `i/n` with i from 0 to n-1; None: what `accelerate launch` or `torchrun` say, or else all.
        environment: The variables RANK, WORLD_SIZE and LOCAL_RANK; None: those of this process.

    Returns:
        The part.

    Raises:
        RequestError: The text is not of that form, or there is no such part.
    """
    variables = os.environ if environment is None else environment
    if text is not None:
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if match is None or int(match[1]) >= int(match[2]):
            raise RequestError(f"--shard {text!r} is not i/n; write 0/3, 1/3 and 2/3 for three processes.")
        return Share(index=int(match[1]), count=int(match[2]))
    return Share(
        index=int(variables.get("RANK", 0)),
        count=int(variables.get("WORLD_SIZE", 1)),
        local_index=int(variables.get("LOCAL_RANK", 0)),
    )
