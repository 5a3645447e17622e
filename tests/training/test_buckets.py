"""Buckets."""

import pytest

from iclora.errors import RequestError
from iclora.geometry import LatentFactors
from iclora.training.buckets import check_bucket, choose_bucket, parse_bucket

FACTORS = LatentFactors(time=8, height=32, width=32)


def test_they_are_read() -> None:
    bucket = parse_bucket(" 768x448X89", 24.0)
    assert (bucket.width, bucket.height, bucket.num_frames, bucket.fps) == (768, 448, 89, 24.0)
    assert str(bucket) == "768x448x89@24"
    for text in ("768x448", "axbxc", "768x448x89x2", ""):
        with pytest.raises(RequestError, match="write for instance 768x448x89"):
            parse_bucket(text, 24.0)


@pytest.mark.parametrize(
    ("text", "downscale", "temporal", "message"),
    [
        ("768x448x89", 1, 1, None),
        ("768x448x89", 2, 1, None),
        ("768x448x97", 2, 2, None),
        ("768x448x90", 1, 1, "90 frames do not fit the model"),
        ("760x448x89", 1, 1, "760 px does not fit"),
        ("736x448x89", 2, 1, r"736 px wide; references 2 times smaller take multiples of 64, such as 768"),
        ("768x480x89", 2, 1, r"480 px high; references 2 times smaller take multiples of 64, such as 512"),
        ("768x448x89", 1, 2, r"references 2 times slower take 16k\+1 frames, such as 97"),
        ("768x448x89", 0, 1, "downscale is 0; 1 to 64"),
    ],
)
def test_those_that_do_not_fit_are_refused(
    text: str, downscale: int, temporal: int, message: str | None
) -> None:
    bucket = parse_bucket(text, 24.0)
    if message is None:
        check_bucket(bucket, FACTORS, downscale=downscale, temporal_factor=temporal)
        return
    with pytest.raises(RequestError, match=message):
        check_bucket(bucket, FACTORS, downscale=downscale, temporal_factor=temporal)


@pytest.mark.parametrize(
    ("size", "num_frames", "expected"),
    [
        ((1920, 1080), 200, "960x544x89"),  # the shape, then the longest, then the largest
        ((640, 360), 200, "512x288x89"),  # nothing is enlarged where it need not be
        ((320, 180), 200, "512x288x89"),  # all are larger: the smallest
        ((1080, 1920), 200, "288x512x89"),
        ((1920, 1080), 60, "960x544x49"),
        ((1920, 1080), 48, None),
    ],
)
def test_the_one_that_keeps_most_is_chosen(
    size: tuple[int, int], num_frames: int, expected: str | None
) -> None:
    texts = ("960x544x49", "960x544x89", "512x288x89", "288x512x89")
    buckets = [parse_bucket(text, 24.0) for text in texts]
    chosen = choose_bucket(buckets, width=size[0], height=size[1], num_frames=num_frames)
    assert (None if chosen is None else str(chosen).split("@")[0]) == expected
