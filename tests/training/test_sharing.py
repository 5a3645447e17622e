"""Which part of the work is whose."""

import pytest

from iclora.errors import RequestError
from iclora.training.sharing import Share, parse_share


def test_it_is_said_or_taken_from_the_launcher() -> None:
    assert parse_share(None, {}) == Share(index=0, count=1, local_index=0)
    launched = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert parse_share(None, launched) == Share(index=5, count=8, local_index=1)
    assert parse_share("2/3", launched) == Share(index=2, count=3, local_index=0)
    assert Share(index=4, count=8).leads and not parse_share(None, launched).leads


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/2", "1/0"])
def test_parts_that_are_not_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is not i/n"):
        parse_share(text, {})
