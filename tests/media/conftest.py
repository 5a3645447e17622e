"""Files with known content for the readers."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

GREY_LEVELS = tuple(range(20, 240, 20))


@pytest.fixture
def write_video(tmp_path: Path) -> Callable[..., Path]:
    """Write flat grey frames (level 20, 40, ...) at given times in milliseconds, losslessly."""

    def write(times_ms: list[int], *, name: str = "clip.mkv", size: tuple[int, int] = (32, 16)) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=Fraction(1000))
            stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
            stream.codec_context.time_base = Fraction(1, 1000)
            for index, time_ms in enumerate(times_ms):
                picture = np.full((size[1], size[0], 3), GREY_LEVELS[index], np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
                frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write
