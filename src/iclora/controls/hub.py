"""Files of the Hugging Face hub: from its cache, or fetched; an unreachable hub is found out in seconds.

The hub's own functions try six times over half a minute before they say that there is no connection.
"""

from __future__ import annotations

import logging
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import logging as hub_logging

_LOG = logging.getLogger(__name__)
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
REACH_SECONDS = 5
"""How long the hub is waited for."""
FAILURES = (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError)
"""What a download may raise."""


def is_repository(name: str) -> bool:
    """Whether a name has the form of a repository on the hub, `owner/name`."""
    return _REPOSITORY.fullmatch(name) is not None


def download(repository: str, name: str, *, about: str) -> Path:
    """Find a file in the hub's cache, and fetch it where it is not there yet.

    Args:
        repository: Its repository, `owner/name`.
        name: Its name there.
        about: Its licence, and what it is for: said before it is fetched.

    Returns:
        Its path.

    Raises:
        OSError: Or another of `FAILURES`: it cannot be fetched.
    """
    cached = try_to_load_from_cache(repository, name)
    if isinstance(cached, str):
        return Path(cached)
    _LOG.warning("Fetching %s of %s (%s) from the hub, once.", name, repository, about)
    reach()
    with quietly():
        return Path(hf_hub_download(repository, name))


def place_of(repository: str, name: str, by_hand: Path) -> Path:
    """Say where a file lies: where it was put by hand, else in the hub's cache.

    Args:
        repository: Its repository, `owner/name`.
        name: Its name there.
        by_hand: Where it may be put by hand.

    Returns:
        Its path; the last where it is in neither place.
    """
    cached = None if by_hand.is_file() else try_to_load_from_cache(repository, name)
    return Path(cached) if isinstance(cached, str) else by_hand


def reach() -> None:
    """Knock at the hub once.

    Raises:
        ConnectionError: If nobody answers in `REACH_SECONDS`.
    """
    if constants.HF_HUB_OFFLINE:
        return  # the hub's own functions refuse, and say so
    try:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(request, timeout=REACH_SECONDS).close()
    except urllib.error.HTTPError:
        return  # whatever it answers, it is there
    except OSError as error:
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):  # the hub's own client may have other certificates
            raise ConnectionError(f"{constants.ENDPOINT} cannot be reached: {reason}") from None


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the hub from telling of each attempt: one line at the end is enough."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        hub_logging.set_verbosity(verbosity)


def reason_of(error: Exception) -> str:
    """Say in one line why a download failed.

    Args:
        error: One of `FAILURES`.

    Returns:
        The first sentence of its text, or its type where it has none.
    """
    text = str(error).strip()
    return text.splitlines()[0].split(". ")[0] if text else type(error).__name__
