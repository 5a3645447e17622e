"""Sizes, grids and positions."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iclora.errors import ModelError, RequestError
from iclora.geometry import (
    LatentFactors,
    LatentGrid,
    audio_positions,
    factors_of,
    grid_of,
    keyframe_positions,
    latent_grid,
    patchify,
    pixel_size,
    reference_positions,
    snap_frames,
    snap_size,
    target_positions,
    unpatchify,
)
from tests.small_models import transformer

FACTORS = LatentFactors(time=8, height=32, width=32)
grids = st.builds(LatentGrid, frames=st.integers(1, 4), height=st.integers(1, 4), width=st.integers(1, 4))
all_factors = st.builds(
    LatentFactors, time=st.integers(1, 9), height=st.integers(1, 40), width=st.integers(1, 40)
)


def test_factors_come_from_the_autoencoder() -> None:
    vae = SimpleNamespace(spatial_compression_ratio=16, temporal_compression_ratio=4)
    assert factors_of(vae) == LatentFactors(time=4, height=16, width=16)
    with pytest.raises(ModelError, match="does not say its compression ratios"):
        factors_of(SimpleNamespace())
    with pytest.raises(ModelError, match="time factor is 0"):
        LatentFactors(time=0, height=1, width=1)


def test_latent_grid() -> None:
    assert latent_grid(121, 704, 1216, FACTORS) == LatentGrid(frames=16, height=22, width=38)
    assert latent_grid(121, 704, 1216, FACTORS).num_tokens == 16 * 22 * 38


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((120, 64, 64), r"120 frames do not fit the model: it takes 8k\+1 frames. Ask for 121."),
        ((0, 64, 64), "0 frames do not fit"),
        ((9, 70, 64), "A height of 70 px does not fit the model: it takes multiples of 32. Ask for 64."),
        ((9, 64, 0), "A width of 0 px .* Ask for 32."),
    ],
)
def test_latent_grid_refuses(size: tuple[int, int, int], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        latent_grid(*size, FACTORS)


@pytest.mark.parametrize(
    ("wanted", "given_frames"), [(-3, 1), (1, 1), (4, 1), (5, 9), (12, 9), (13, 17), (120, 121)]
)
def test_snap_frames(wanted: int, given_frames: int) -> None:
    assert snap_frames(wanted, FACTORS) == given_frames


@given(st.integers(1, 300), all_factors)
def test_snapped_frames_fit(num_frames: int, factors: LatentFactors) -> None:
    snapped = snap_frames(num_frames, factors)
    assert snap_frames(snapped, factors) == snapped
    assert abs(snapped - num_frames) <= factors.time / 2
    grid = latent_grid(snapped, factors.height, factors.width, factors)
    assert pixel_size(grid, factors) == (snapped, factors.height, factors.width)


def test_snap_size() -> None:
    assert snap_size(47, 48, 32) == (32, 64)
    assert snap_size(1, 0, 64) == (64, 64)


def test_target_positions_by_hand() -> None:
    positions = target_positions(LatentGrid(frames=2, height=1, width=2), FACTORS, 8.0)
    time = [[0, 0.125], [0, 0.125], [0.125, 1.125], [0.125, 1.125]]
    height = [[0, 32]] * 4
    width = [[0, 32], [32, 64]] * 2
    assert torch.equal(positions, torch.tensor([time, height, width]))
    assert positions.dtype == torch.float32


def test_reference_positions_by_hand() -> None:
    grid = LatentGrid(frames=2, height=1, width=1)
    positions = reference_positions(grid, FACTORS, 8.0, downscale=2, temporal_factor=2)
    # Reference frames last 2/8 s: [0, .25) and [.25, 2.25), then moved back by one target frame of .125 s.
    assert torch.equal(positions[0], torch.tensor([[0, 0.125], [0.125, 2.125]]))
    assert torch.equal(positions[1:], torch.tensor([[[0.0, 64], [0, 64]]] * 2))


@given(grids, all_factors, st.floats(1, 60))
def test_a_full_size_reference_lies_on_the_target(
    grid: LatentGrid, factors: LatentFactors, fps: float
) -> None:
    assert torch.equal(reference_positions(grid, factors, fps), target_positions(grid, factors, fps))


@given(grids, all_factors, st.integers(1, 4))
def test_a_small_reference_covers_the_target(
    grid: LatentGrid, factors: LatentFactors, downscale: int
) -> None:
    small = reference_positions(grid, factors, 24.0, downscale=downscale)
    large = LatentGrid(frames=grid.frames, height=grid.height * downscale, width=grid.width * downscale)
    target = target_positions(large, factors, 24.0)
    for axis in range(3):
        assert small[axis].min() == target[axis].min()
        assert small[axis].max() == target[axis].max()


def test_reference_positions_refuse_factors() -> None:
    with pytest.raises(RequestError, match="downscale factor is 0"):
        reference_positions(LatentGrid(frames=1, height=1, width=1), FACTORS, 24.0, downscale=0)
    with pytest.raises(RequestError, match="temporal factor is -1"):
        reference_positions(LatentGrid(frames=1, height=1, width=1), FACTORS, 24.0, temporal_factor=-1)
    with pytest.raises(RequestError, match="frame rate of 0"):
        reference_positions(LatentGrid(frames=1, height=1, width=1), FACTORS, 0.0)


def test_keyframe_positions_by_hand() -> None:
    positions = keyframe_positions(LatentGrid(frames=1, height=1, width=1), FACTORS, 8.0, frame=9)
    assert torch.equal(positions, torch.tensor([[[1.125, 1.25]], [[0, 32]], [[0, 32]]]))


def test_keyframe_positions_refuse() -> None:
    with pytest.raises(RequestError, match="a single image, but its latent has 2 frames"):
        keyframe_positions(LatentGrid(frames=2, height=1, width=1), FACTORS, 8.0, frame=9)
    with pytest.raises(RequestError, match="cannot stand at frame 0"):
        keyframe_positions(LatentGrid(frames=1, height=1, width=1), FACTORS, 8.0, frame=0)


def test_audio_positions() -> None:
    causal = torch.tensor([[[0, 0.01], [0.01, 0.05], [0.05, 0.09]]])
    torch.testing.assert_close(audio_positions(3), causal)
    even = torch.tensor([[[0, 0.04], [0.04, 0.08]]])
    torch.testing.assert_close(audio_positions(2, causal_offset=4), even)


def test_audio_positions_are_those_of_diffusers() -> None:
    theirs = transformer().audio_rope.prepare_audio_coords(2, 7, torch.device("cpu"))
    torch.testing.assert_close(theirs, torch.stack([audio_positions(7)] * 2))


def test_target_positions_are_those_of_diffusers() -> None:
    theirs = transformer().rope.prepare_video_coords(1, 3, 2, 4, torch.device("cpu"), fps=25.0)
    ours = target_positions(LatentGrid(frames=3, height=2, width=4), FACTORS, 25.0)
    torch.testing.assert_close(theirs[0], ours)


@given(grids)
def test_patchify_is_frame_major_and_undone(grid: LatentGrid) -> None:
    latent = torch.arange(2 * 3 * grid.num_tokens, dtype=torch.float32).reshape(2, 3, *grid.shape)
    tokens = patchify(latent)
    assert torch.equal(tokens[1, :, 2], latent[1, 2].flatten())
    assert torch.equal(unpatchify(tokens, grid), latent)
    assert grid_of(latent) == grid
