"""reference.calibration: ends that are exact, and the inverse of the measured curve."""

import pytest

from iclora.errors import RequestError
from iclora.reference import attention_for


def test_the_ends_are_exact() -> None:
    assert attention_for(0.0) == 0.0 and attention_for(1.0) == 1.0


@pytest.mark.parametrize(("attention", "effect"), [(0.5, 0.97), (0.25, 0.86), (0.1, 0.45), (0.03, 0.07)])
def test_what_was_measured_is_met(attention: float, effect: float) -> None:
    """Within 0.03 of the effect: there the curve's slope gives the room in attention."""
    assert attention_for(effect - 0.03) < attention < attention_for(min(1.0, effect + 0.03))


def test_out_of_range_is_refused() -> None:
    with pytest.raises(RequestError, match="The control strength is 1.5"):
        attention_for(1.5)
