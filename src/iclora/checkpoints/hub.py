"""Released models on the Hugging Face hub: found in the local cache, or fetched there."""

from __future__ import annotations

import logging
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    LocalEntryNotFoundError,
)

from iclora.checkpoints.released import INDEX
from iclora.controls import hub as controls_hub
from iclora.errors import ModelError

_LOG = logging.getLogger(__name__)
_PARTS = (
    "transformer",
    "vae",
    "connectors",
    "text_encoder",
    "tokenizer",
    "audio_vae",
    "vocoder",
    "scheduler",
)
_WANTED = [INDEX, *(f"{part}/*" for part in _PARTS)]
_CONVERTED = "diffusers/LTX-2.3-Distilled-Diffusers or Lightricks/LTX-2"


def find_fetched(repository: str) -> Path:
    """Find a repository in the local cache.

    Args:
        repository: Its name, `owner/name`.

    Returns:
        The folder of its newest fetched snapshot.

    Raises:
        ModelError: It was not fetched.
    """
    try:
        return Path(snapshot_download(repository, local_files_only=True, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"There is no model '{repository}': it is not a folder, and was not fetched from the hub. "
            f"Fetch it with: iclora models fetch {repository}"
        ) from error


def fetch(repository: str) -> Path:
    """Fetch the parts of a released model into the local cache; goes on where it was broken off.

    Where the hub cannot be reached, what was fetched before will do.

    Args:
        repository: Its name on the hub, `owner/name`; its licence may have to be accepted there first.

    Returns:
        The folder of the snapshot.

    Raises:
        ModelError: The hub cannot be reached or refuses, or the repository is not in diffusers' layout.
    """
    try:
        controls_hub.reach()
        with controls_hub.quietly():
            hf_hub_download(repository, INDEX)
        return Path(snapshot_download(repository, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, ConnectionError) as error:
        if (fetched := _fetched_before(repository)) is not None:
            return fetched
        raise ModelError(
            f"The hub cannot be reached for {repository} ({controls_hub.reason_of(error)}). Try again, or "
            f"copy its folder ({INDEX} and the folders of its parts) from a machine that has it, and give "
            "its path as the model."
        ) from error
    except EntryNotFoundError as error:
        raise ModelError(
            f"{repository} has no {INDEX}: it is not in diffusers' layout. Fetch a model that is, such as "
            f"{_CONVERTED}."
        ) from error
    except (HFValidationError, OSError) as error:
        raise ModelError(
            f"{repository} cannot be fetched ({controls_hub.reason_of(error)}). Check the name, accept its "
            "licence on huggingface.co, and log in with: hf auth login"
        ) from error


def _fetched_before(repository: str) -> Path | None:
    try:
        path = find_fetched(repository)
    except ModelError:
        return None
    if not (path / INDEX).is_file():  # other files of it were fetched, not the model
        return None
    _LOG.warning("The hub cannot be reached; %s is as it was fetched before.", repository)
    return path
