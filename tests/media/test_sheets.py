import numpy as np
import pytest

from iclora import media
from iclora.clip import Audio, Clip
from iclora.errors import RequestError


def flat(level: int, *, num_frames: int = 3, height: int = 10, width: int = 20, fps: float = 8.0) -> Clip:
    return Clip(frames=np.full((num_frames, height, width, 3), level, np.uint8), fps=fps)


def test_side_by_side_keeps_order_and_aspect() -> None:
    result = media.side_by_side([flat(50), flat(200, height=20, width=20)])
    assert result.frames.shape == (3, 20, 40 + 4 + 20, 3)
    assert np.all(result.frames[:, :, :40] == 50)
    assert np.all(result.frames[:, :, 44:] == 200)


def test_side_by_side_holds_the_last_frame_of_the_shorter() -> None:
    result = media.side_by_side([flat(50, num_frames=1), flat(200, num_frames=4)])
    assert result.num_frames == 4
    assert np.all(result.frames[3, :, :20] == 50)


def test_side_by_side_writes_labels_above() -> None:
    plain = media.side_by_side([flat(0), flat(0)], height=40)
    labelled = media.side_by_side([flat(0), flat(0)], labels=["in", "out"], height=40)
    assert labelled.height == plain.height + 20
    assert labelled.frames[:, :20].max() > 200


def test_side_by_side_keeps_the_first_sound() -> None:
    audio = Audio(samples=np.zeros((1, 10), np.float32), sample_rate=10)
    loud = Clip(frames=flat(3).frames, fps=8.0, audio=audio)
    assert media.side_by_side([flat(1), loud]).audio is audio


def test_side_by_side_refuses_two_clocks() -> None:
    with pytest.raises(RequestError, match=r"\[8.0, 24.0\] frames per second.*media.resample"):
        media.side_by_side([flat(1), flat(2, fps=24.0)])


def test_side_by_side_refuses_no_height() -> None:
    with pytest.raises(RequestError, match="cannot be shown 0 pixels high"):
        media.side_by_side([flat(1)], height=0)


def test_labels_are_counted() -> None:
    with pytest.raises(RequestError, match="1 labels for 2 clips"):
        media.side_by_side([flat(1), flat(2)], labels=["one"])
    with pytest.raises(RequestError, match="no clips"):
        media.contact_sheet([], labels=[])


def test_contact_sheet_lays_out_rows_and_columns() -> None:
    ramp = np.zeros((11, 10, 20, 3), np.uint8) + np.arange(0, 110, 10, dtype=np.uint8)[:, None, None, None]
    sheet = media.contact_sheet(
        [Clip(frames=ramp, fps=8.0), flat(7, width=10)], labels=["", ""], num_columns=3, height=10
    )
    assert sheet.shape == (2 * (20 + 10) + 4, 3 * 20 + 2 * 4, 3)
    assert [int(sheet[25, column, 0]) for column in (0, 24, 48)] == [0, 50, 100]
    assert int(sheet[20 + 10 + 4 + 25, 0, 0]) == 7
    assert np.all(sheet[20 + 10 + 4 :, 3 * 10 + 2 * 4 :] == 16)


def test_contact_sheet_refuses_no_columns() -> None:
    with pytest.raises(RequestError, match="0 columns"):
        media.contact_sheet([flat(1)], labels=["a"], num_columns=0)
