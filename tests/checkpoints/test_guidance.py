"""Guidance beyond the scale of the prompt."""

import pytest

from iclora.checkpoints import MoreGuidance
from iclora.errors import RequestError


def test_passes_are_counted() -> None:
    full = MoreGuidance(audio_scale=7.0, stg_scale=1.0, stg_blocks=(28,), modality_scale=3.0, rescale=0.7)
    assert [full.num_passes(3.0, has_audio=audio) for audio in (True, False)] == [4, 3]
    assert MoreGuidance().num_passes(1.0, has_audio=True) == 1
    assert MoreGuidance().num_passes(3.0, has_audio=True) == 2
    assert MoreGuidance(audio_scale=7.0).num_passes(1.0, has_audio=True) == 2
    assert MoreGuidance(audio_scale=1.0).wants_negative(1.0) is False
    assert [one.audio_scale_beside(3.0) for one in (MoreGuidance(), full)] == [3, 7]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"audio_scale": 0.5}, "audio scale of the guidance is 0.5; a number from 1 up is accepted"),
        ({"stg_scale": -1.0}, "stg scale of the guidance is -1; a number from 0 up"),
        ({"modality_scale": float("nan")}, "modality scale of the guidance is nan"),
        ({"rescale": 1.5}, "rescaling of the guidance is 1.5; a number from 0 to 1"),
    ],
)
def test_numbers_out_of_range(words: dict[str, float], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        MoreGuidance(**words)
