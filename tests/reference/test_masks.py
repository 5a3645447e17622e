"""Builders of attention masks, by hand and through the tokens, and their preview."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iclora.clip import Clip
from iclora.errors import RequestError
from iclora.geometry import LatentFactors, LatentGrid, latent_grid
from iclora.reference import Reference, mask_to_tokens, reference_tokens
from iclora.reference.masks import fade_in, fade_out, feather, foreground, preview, regions

FACTORS = LatentFactors(time=8, height=32, width=32)
UNIT = st.floats(0, 1, width=32)


def clip_of(grey: np.ndarray) -> Clip:
    """A grey clip of `f h w` brightness."""
    return Clip(frames=np.repeat(grey.astype(np.uint8)[..., None], 3, axis=3), fps=24.0)


def left_half(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    mask[:, : width // 2] = 1
    return mask


def weights(mask: np.ndarray, *, frames: int, attention_strength: float = 1.0) -> torch.Tensor:
    """What a reference of 2x3 cells makes of a mask, frame by frame; the mask as a `Reference` takes it."""
    reference = Reference(clip_of(np.zeros((1, 64, 96))), attention_mask=mask)
    assert reference.attention_mask is not None
    tokens = reference_tokens(
        torch.zeros(1, 3, frames, 2, 3),
        factors=FACTORS,
        fps=24.0,
        attention_strength=attention_strength,
        attention_mask=torch.as_tensor(reference.attention_mask),
    )
    assert tokens.weights is not None
    return tokens.weights.reshape(frames, 6)


def test_fades_by_hand() -> None:
    rising = fade_in(4, num_frames=6)
    assert rising.shape == (6, 1, 1) and rising.dtype == np.float32
    assert rising.ravel().tolist() == [0, 0.25, 0.5, 0.75, 1, 1]
    falling = fade_out(4, num_frames=6)
    assert falling.ravel().tolist() == [1, 1, 0.75, 0.5, 0.25, 0]


def test_fades_reach_the_tokens() -> None:
    # Latent frame 0 stands for frame 0, the others for the means of frames 1..8 and 9..16.
    rising = weights(fade_in(16, num_frames=17), frames=3)
    assert rising.tolist() == [[0.0] * 6, [4.5 / 16] * 6, [12.5 / 16] * 6]
    falling = weights(fade_out(16, num_frames=17), frames=3, attention_strength=0.5)
    assert falling.tolist() == [[0.5] * 6, [0.5 * 11.5 / 16] * 6, [0.5 * 3.5 / 16] * 6]


def test_fades_multiply_with_pictures() -> None:
    mask = left_half(4, 6) * fade_in(8, num_frames=9)
    assert mask.shape == (9, 4, 6)
    assert weights(mask, frames=2)[1].tolist() == [4.5 / 8, 4.5 / 16, 0] * 2


@pytest.mark.parametrize("fade", [fade_in, fade_out])
@pytest.mark.parametrize(
    ("frames", "num_frames", "message"),
    [
        (0, 9, "A fade over 0 of 9 frames is not usable; give whole numbers from 1 up."),
        (9, 9, "A fade over 9 frames does not end within 9 frames; give at most 8."),
    ],
)
def test_fades_refuse(fade: Callable[..., np.ndarray], frames: int, num_frames: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        fade(frames, num_frames=num_frames)


def test_the_later_region_wins_in_proportion() -> None:
    first = np.array([[1, 1, 0, 0]], np.float32)
    later = np.array([[0, 0.5, 0.5, 1]], np.float32)
    mixed = regions([(first, 0.5), (later, 1.0)], background=0.25)
    assert mixed.dtype == np.float32
    assert mixed.tolist() == [[0.5, 0.75, 0.625, 1.0]]


def test_regions_of_pictures_clips_and_fades_mix() -> None:
    picture, clip = np.ones((2, 3), np.float32), np.zeros((5, 2, 3), bool)
    clip[4] = True
    mixed = regions([(picture, 0.5), (clip, 0.25), (fade_in(4, num_frames=5), 0.75)])
    assert mixed.shape == (5, 2, 3)
    assert mixed[:, 0, 0].tolist() == [0.5, 0.5625, 0.625, 0.6875, 0.75]
    assert regions([(picture, 0.5)]).shape == (2, 3)


@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=5), UNIT)
def test_regions_stay_between_their_strengths(pairs: list[tuple[float, float]], background: float) -> None:
    mixed = regions([(np.full((1, 2), value), s) for value, s in pairs], background=background)
    strengths = [background, *(strength for _, strength in pairs)]
    assert min(strengths) - 1e-6 <= mixed.min() and mixed.max() <= max(strengths) + 1e-6
    assert 0 <= mixed.min() and mixed.max() <= 1


@given(UNIT, st.integers(1, 3))
def test_one_region_of_the_whole_picture_is_a_strength(strength: float, frames: int) -> None:
    mask = regions([(np.ones((5, 7), np.float32), strength)])
    latent = torch.zeros(1, 3, frames, 2, 3)
    masked = reference_tokens(latent, factors=FACTORS, fps=24.0, attention_mask=torch.as_tensor(mask))
    dialled = reference_tokens(latent, factors=FACTORS, fps=24.0, attention_strength=strength)
    if dialled.weights is None:
        assert masked.weights is None
    else:
        torch.testing.assert_close(masked.weights, dialled.weights)


@pytest.mark.usefixtures("unchecked_shapes")
def test_regions_refuse() -> None:
    mask = np.ones((2, 3), np.float32)
    with pytest.raises(RequestError, match="There is no region"):
        regions([])
    with pytest.raises(RequestError, match="have sizes 2 x 3, 5 x 2 x 4, which differ"):
        regions([(mask, 1.0), (np.ones((5, 2, 4), np.float32), 1.0)])
    with pytest.raises(RequestError, match="The strength of a region is 1.5; a number from 0 to 1"):
        regions([(mask, 1.5)])
    with pytest.raises(RequestError, match="The background is -0.5"):
        regions([(mask, 1.0)], background=-0.5)
    with pytest.raises(RequestError, match="Divide an 8-bit picture by 255"):
        regions([(mask * 255, 1.0)])
    with pytest.raises(RequestError, match=r"has shape \(3,\); 'h w' or 'f h w' is accepted"):
        regions([(mask[0], 1.0)])


def test_feathered_edges_are_gaussian() -> None:
    mask = left_half(9, 64)
    soft = feather(mask, 4.0)
    assert soft.shape == mask.shape and soft.dtype == np.float32
    # A step blurred is the normal distribution: the two pixels beside the edge lie half a pixel from it.
    row = soft[4]
    assert row[31] + row[32] == pytest.approx(1, abs=1e-6)
    assert row[32 - 4 : 32 + 4].mean() == pytest.approx(0.5, abs=1e-6)
    assert (row[27] + row[28]) / 2 == pytest.approx(0.8413, abs=2e-3)
    assert (np.diff(row) <= 0).all() and row[0] == 1 and row[-1] == 0
    assert np.array_equal(soft, np.broadcast_to(row, soft.shape))  # the border is no edge
    assert np.array_equal(mask, left_half(9, 64))


def test_feathering_does_not_mix_frames() -> None:
    mask = np.stack([np.zeros((8, 8), np.float32), left_half(8, 8), np.ones((8, 8), np.float32)])
    soft = feather(mask, 2.0)
    assert not soft[0].any()
    assert np.array_equal(soft[1], feather(mask[1], 2.0))
    assert (soft[2] == 1).all()
    assert np.array_equal(feather(mask, 0.0), mask)


@pytest.mark.parametrize("pixels", [-1.0, 9.0, float("nan")])
def test_feather_refuses(pixels: float) -> None:
    with pytest.raises(RequestError, match="A mask of 8x4 pixels cannot be feathered by .* to 8 pixels"):
        feather(np.ones((4, 8), np.float32), pixels)


def test_foreground_of_a_depth_control() -> None:
    # A far wall that grows lighter to the right, and a near disc that moves and darkens.
    wall = np.broadcast_to(np.linspace(10, 90, 48), (3, 32, 48)).copy()
    inside = np.zeros((3, 32, 48), bool)
    rows, columns = np.mgrid[:32, :48]
    for index in range(3):
        inside[index] = (rows - 16) ** 2 + (columns - 14 - 8 * index) ** 2 <= 64
        wall[index][inside[index]] = 230 - 20 * index
    mask = foreground(clip_of(wall))
    assert mask.dtype == np.float32
    assert np.array_equal(mask, inside)


def test_the_threshold_is_chosen_once_for_the_clip() -> None:
    # Alone, the first frame would be split between 0 and 40.
    grey = np.array([[[0, 40, 40, 0]], [[0, 200, 200, 0]], [[0, 200, 200, 0]]])
    mask = foreground(clip_of(grey))
    assert mask[:, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    assert foreground(clip_of(grey[:1]))[:, 0].tolist() == [[0, 1, 1, 0]]
    assert foreground(clip_of(grey), threshold=39.0)[0, 0].tolist() == [0, 1, 1, 0]


def test_the_threshold_is_that_of_opencv() -> None:
    rng = np.random.default_rng(0)
    grey = np.where(rng.random((1, 40, 40)) < 0.3, rng.normal(180, 20, (1, 40, 40)), 70).clip(0, 255)
    clip = clip_of(grey + rng.normal(0, 10, grey.shape).clip(-30, 30).clip(-grey, 255 - grey))
    _, expected = cv2.threshold(clip.frames[0, :, :, 0], 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    assert np.array_equal(foreground(clip)[0], expected)


def test_soft_foreground_rises_around_the_threshold() -> None:
    mask = foreground(clip_of(np.array([[[0, 90, 100, 120, 130, 255]]])), threshold=110.0, softness=40.0)
    assert mask[0, 0].tolist() == [0, 0, 0.25, 0.75, 1, 1]


def test_foreground_of_lines_is_closed_and_grown() -> None:
    frames = np.zeros((2, 40, 60, 3), np.uint8)
    frames[0, 10:30, 20] = (0, 0, 255)  # two limbs, 8 black pixels between them
    frames[0, 10:30, 29] = (255, 0, 0)
    mask = foreground(Clip(frames=frames, fps=24.0), grow=4)
    assert mask[0, 20].tolist() == [0] * 16 + [1] * 18 + [0] * 26
    assert mask[0, 14:26, 16:34].all()
    assert not mask[0, :6].any() and not mask[0, 34:].any()
    assert not mask[1].any()
    apart = foreground(Clip(frames=frames, fps=24.0), grow=2)
    assert apart[0, 20].tolist() == [0] * 18 + [1] * 5 + [0] * 4 + [1] * 5 + [0] * 28


def test_one_point_grows_to_a_disc() -> None:
    grey = np.zeros((1, 7, 7))
    grey[0, 3, 3] = 255
    rows, columns = np.mgrid[-3:4, -3:4]
    assert np.array_equal(foreground(clip_of(grey), grow=2)[0], rows**2 + columns**2 <= 4)
    assert foreground(clip_of(grey), grow=20).all()


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"threshold": 300.0}, "The threshold is 300.0; give 0 to 255"),
        ({"softness": -1.0}, "The softness is -1.0; give 0"),
        ({"grow": -1}, "cannot grow by -1 pixels"),
        ({"grow": 2, "softness": 8.0}, "exclude each other; grow a hard mask, then use feather"),
        ({}, "All of the clip has the brightness 9 of 255, so nothing stands out; give a threshold"),
    ],
)
def test_foreground_refuses(dials: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        foreground(clip_of(np.full((2, 4, 4), 9)), **dials)  # type: ignore[arg-type]


def test_preview_shows_the_cells() -> None:
    video = clip_of(np.full((17, 64, 128), 200))
    grid = latent_grid(17, 64 // 2, 128 // 2, FACTORS)  # a reference of half the size: cells of 64 pixels
    mask = np.zeros((17, 64, 128), np.float32)
    mask[1:9, :, :64] = 1
    mask[9:13, 20:52] = 1  # half the frames and half the height of the last cells
    seen = preview(video, mask, grid=grid)
    assert (seen.frames.shape, seen.fps) == (video.frames.shape, video.fps)
    unseen = np.array([65, 65, 140])  # a quarter of 200, three quarters of (20, 20, 120)
    assert (seen.frames[0] == unseen).all()
    assert (seen.frames[1:9, :, :64] == 200).all() and (seen.frames[1:9, :, 64:] == unseen).all()
    quarter = np.rint(200 * (1 - 0.75**2) + np.array([20, 20, 120]) * 0.75**2)
    assert (seen.frames[9:] == quarter).all()
    assert (video.frames == 200).all()


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 8), st.integers(0, 99))
def test_preview_and_tokens_agree(frames: int, height: int, width: int, group: int, seed: int) -> None:
    """Read back from the picture of a white video, each cell has its token's weight in all its pixels."""
    grid = LatentGrid(frames=frames, height=height, width=width)
    num_frames = 1 + group * (frames - 1)
    mask = np.random.default_rng(seed).random((num_frames, 9, 11), np.float32)
    video = clip_of(np.full((num_frames, 4 * height, 3 * width), 255))
    seen = preview(video, mask, grid=grid).frames[..., 0]
    found = 1 - (255 - seen.astype(float)) / (0.75 * (255 - 20))
    tokens = mask_to_tokens(torch.from_numpy(mask), grid).reshape(grid.shape).numpy()
    expected = np.concatenate([tokens[:1], np.repeat(tokens[1:], group, axis=0)])
    expected = expected.repeat(4, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(found, expected, atol=0.5 / (0.75 * 235) + 1e-5)


def test_preview_of_ones_is_the_video() -> None:
    video = Clip(frames=np.random.default_rng(0).integers(0, 256, (9, 33, 47, 3), np.uint8), fps=24.0)
    grid = LatentGrid(frames=2, height=2, width=3)
    assert np.array_equal(preview(video, np.ones((4, 4), np.float32), grid=grid).frames, video.frames)


def test_preview_refuses() -> None:
    grid = LatentGrid(frames=3, height=1, width=1)
    ones = np.ones((1, 2, 2), np.float32)
    with pytest.raises(RequestError, match="A clip of 16 frames cannot be shared among 3 latent frames"):
        preview(clip_of(np.zeros((16, 4, 4))), ones, grid=grid)
    with pytest.raises(RequestError, match="A clip of 1 frames cannot be shared"):
        preview(clip_of(np.zeros((1, 4, 4))), ones, grid=grid)
    with pytest.raises(RequestError, match="An attention mask of 16 frames cannot be shared"):
        preview(clip_of(np.zeros((17, 4, 4))), ones.repeat(16, axis=0), grid=grid)
    with pytest.raises(RequestError, match="outside 0 to 1"):
        preview(clip_of(np.zeros((17, 4, 4))), ones * 2, grid=grid)
