"""controls.bars: the bars of transformers."""

import pytest
from transformers.utils import logging

from iclora.controls.bars import without_bars


@pytest.mark.parametrize("drawn", [True, False])
def test_bars_are_left_as_they_were(drawn: bool) -> None:
    before = logging.is_progress_bar_enabled()
    try:
        (logging.enable_progress_bar if drawn else logging.disable_progress_bar)()
        with pytest.raises(KeyError), without_bars():
            assert not logging.is_progress_bar_enabled()
            raise KeyError
        assert logging.is_progress_bar_enabled() is drawn
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()
