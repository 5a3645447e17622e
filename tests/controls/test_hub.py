"""controls.hub: what is in the hub's cache is taken without asking; an unreachable hub is found out once."""

import logging
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import logging as hub_logging

from iclora.controls import hub


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def answer(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[float]:
    """Let every request end with an error; the timeouts asked for."""
    asked: list[float] = []

    def urlopen(request: urllib.request.Request, timeout: float) -> None:
        assert request.full_url == constants.ENDPOINT and request.method == "HEAD"
        asked.append(timeout)
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


@pytest.mark.usefixtures("online")
def test_an_unreachable_hub_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def never(*given: Any) -> str:
        raise AssertionError("the hub's own client tries for half a minute")

    monkeypatch.setattr(hub, "hf_hub_download", never)
    asked = answer(monkeypatch, urllib.error.URLError("no route"))
    with pytest.raises(ConnectionError, match=f"{constants.ENDPOINT} cannot be reached: no route"):
        hub.download("owner/name", "a.bin", about="3 MB, Apache-2.0")
    assert asked == [hub.REACH_SECONDS]
    assert "Fetching a.bin of owner/name (3 MB, Apache-2.0) from the hub, once." in caplog.text


@pytest.mark.usefixtures("online")
def test_whatever_answers_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, urllib.error.HTTPError(constants.ENDPOINT, 403, "no", None, None))  # type: ignore[arg-type]
    hub.reach()
    answer(monkeypatch, urllib.error.URLError(ssl.SSLCertVerificationError("self-signed")))
    hub.reach()


def test_offline_the_hub_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, AssertionError("asked"))
    hub.reach()


def test_what_lies_in_the_cache_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lies = tmp_path / "cached.bin"
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repository, name: str(lies))
    monkeypatch.setattr(hub, "reach", lambda: pytest.fail("asked"))
    assert hub.download("owner/name", "a.bin", about="") == lies
    assert hub.place_of("owner/name", "a.bin", tmp_path / "none") == lies
    by_hand = tmp_path / "a.bin"
    by_hand.touch()
    assert hub.place_of("owner/name", "a.bin", by_hand) == by_hand


def test_the_hub_is_quiet_only_meanwhile() -> None:
    before = hub_logging.get_verbosity()
    with hub.quietly():
        assert hub_logging.get_verbosity() == logging.ERROR
    assert hub_logging.get_verbosity() == before
