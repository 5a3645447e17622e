"""References, masks and token sequences."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iclora.clip import Clip
from iclora.errors import RequestError
from iclora.geometry import LatentFactors, LatentGrid, reference_positions
from iclora.reference import (
    Reference,
    assemble,
    keyframe_tokens,
    mask_to_tokens,
    reference_tokens,
    target_sequence,
)
from iclora.transformer import velocity
from tests.small_models import contexts, control, stream, transformer, video_target

FACTORS = LatentFactors(time=8, height=32, width=32)
CLIP = Clip(frames=np.zeros((1, 4, 4, 3), dtype=np.uint8), fps=24.0)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"strength": 1.5}, "The strength is 1.5; a number from 0 to 1 is accepted."),
        ({"attention_strength": -0.1}, "The attention strength is -0.1"),
        ({"downscale": 0}, "downscale is 0"),
        ({"temporal_factor": 0}, "temporal factor is 0"),
        ({"attention_mask": np.full((2, 2), 255.0)}, "Divide an 8-bit picture by 255"),
        ({"attention_mask": np.full((2, 2), np.nan)}, "outside 0 to 1"),
        ({"attention_mask": np.zeros(3)}, r"has shape \(3,\); 'h w' or 'f h w' is accepted"),
    ],
)
def test_reference_refuses(dials: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Reference(clip=CLIP, **dials)  # type: ignore[arg-type]


def test_dials_are_kept_as_plain_numbers() -> None:
    dials = Reference(clip=CLIP, control="canny", dials={"thickness": np.int64(3)}).dials
    assert dials == {"thickness": 3} and type(dials["thickness"]) is int


def test_reference_tokens() -> None:
    latent = torch.arange(2 * 3 * 2, dtype=torch.float32).reshape(2, 3, 1, 1, 2)
    tokens = reference_tokens(latent, factors=FACTORS, fps=24.0, downscale=2, attention_strength=0.25)
    assert tokens.latents.tolist() == [[[0, 2, 4], [1, 3, 5]], [[6, 8, 10], [7, 9, 11]]]
    expected = reference_positions(LatentGrid(frames=1, height=1, width=2), FACTORS, 24.0, downscale=2)
    assert torch.equal(tokens.positions, torch.stack([expected, expected]))
    assert torch.equal(tokens.weights, torch.full((2, 2), 0.25))


def test_weights_of_one_are_no_weights() -> None:
    latent = torch.zeros(1, 3, 2, 2, 2)
    mask = torch.ones(4, 4)
    tokens = reference_tokens(latent, factors=FACTORS, fps=24.0, attention_mask=mask)
    assert tokens.weights is None
    with_ones = replace(tokens, weights=torch.ones(1, 8))
    target = target_sequence(torch.zeros(1, 3, 1, 1, 1), factors=FACTORS, fps=24.0)
    assert assemble(target, [with_ones]).weights == (None,)


@given(st.floats(0, 1), st.integers(1, 3), st.integers(0, 3))
def test_a_constant_mask_is_a_strength(value: float, frames: int, groups: int) -> None:
    latent = torch.zeros(1, 3, frames, 2, 3)
    num_mask_frames = 1 + groups * (frames - 1)
    mask = torch.full((num_mask_frames, 5, 7), value)
    masked = reference_tokens(latent, factors=FACTORS, fps=24.0, attention_mask=mask)
    dialled = reference_tokens(latent, factors=FACTORS, fps=24.0, attention_strength=float(mask[0, 0, 0]))
    if dialled.weights is None:
        assert masked.weights is None or torch.allclose(masked.weights, torch.ones(1))
    else:
        torch.testing.assert_close(masked.weights, dialled.weights)


def test_mask_to_tokens_by_hand() -> None:
    mask = torch.zeros(5, 2, 4)
    mask[0, :, :2] = 1  # first frame: left half
    mask[1] = 1  # of the later four, one in the first pair
    mask[4, 0, 3] = 1  # and one pixel of four, in one of the second pair
    tokens = mask_to_tokens(mask, LatentGrid(frames=3, height=1, width=2))
    assert tokens.tolist() == [1, 0, 0.5, 0.5, 0, 0.125]


def test_mask_of_one_picture_holds_for_all_frames() -> None:
    mask = torch.tensor([[0.0, 1.0]])
    grid = LatentGrid(frames=2, height=1, width=2)
    assert mask_to_tokens(mask, grid).tolist() == [0, 1, 0, 1]
    assert mask_to_tokens(mask[None], grid).tolist() == [0, 1, 0, 1]
    assert mask_to_tokens(
        torch.stack([mask, 1 - mask]), LatentGrid(frames=1, height=1, width=2)
    ).tolist() == [0, 1]


def test_mask_refuses_frames_that_cannot_be_shared() -> None:
    with pytest.raises(RequestError, match="mask of 4 frames cannot be shared among 3 latent frames"):
        mask_to_tokens(torch.zeros(4, 2, 2), LatentGrid(frames=3, height=1, width=1))


def test_first_frame_is_held() -> None:
    clean = torch.zeros(1, 2, 2, 1, 2)
    image = torch.ones(1, 2, 1, 1, 2)
    target = target_sequence(clean, factors=FACTORS, fps=24.0, first_frame=image, first_frame_strength=0.75)
    assert target.clean[0, :, 0].tolist() == [1, 1, 0, 0]
    assert target.mask.tolist() == [[0.25, 0.25, 1, 1]]


@pytest.mark.usefixtures("unchecked_shapes")
def test_first_frame_of_another_size_is_refused() -> None:
    clean = torch.zeros(1, 2, 2, 1, 2)
    with pytest.raises(RequestError, match="first image has latent shape"):
        target_sequence(clean, factors=FACTORS, fps=24.0, first_frame=torch.ones(1, 2, 1, 2, 2))


def test_assemble_keeps_the_order() -> None:
    keyframe = keyframe_tokens(torch.ones(1, 4, 1, 2, 3), factors=FACTORS, fps=24.0, frame=9, strength=0.5)
    reference = control(strength=0.9, attention_strength=0.5)
    sequence = assemble(video_target(), [keyframe, reference])
    assert sequence.lengths == (12, 6, 12)
    assert sequence.num_target == 12
    assert torch.equal(sequence.clean[:, 12:18], keyframe.latents)
    assert torch.equal(sequence.positions[:, :, 18:], reference.positions)
    torch.testing.assert_close(sequence.mask, torch.tensor([[1.0] * 12 + [0.5] * 6 + [0.1] * 12]))
    assert sequence.weights[0] is None and sequence.weights[1] is reference.weights


def test_assemble_refuses_other_batches() -> None:
    with pytest.raises(RequestError, match="Appended item 0 has batch 2 and 4 channels, the target 1 and 4"):
        assemble(video_target(), [control(batch=2)])


def test_invisible_items_are_left_out() -> None:
    shown, hidden = control(seed=3, attention_strength=0.5), control(attention_strength=0.0)
    found = assemble(video_target(), [hidden, shown]).visible
    assert found is not None
    kept, sequence = found
    assert kept.tolist() == [*range(12), *range(24, 36)]
    assert sequence.lengths == (12, 12)
    assert torch.equal(sequence.clean, assemble(video_target(), [shown]).clean)
    assert assemble(video_target(), [shown]).visible is None


@pytest.mark.parametrize(
    "hidden", [{"attention_strength": 0.0}, {"attention_mask": torch.tensor([[0.0, 0.3, 1.0]])}]
)
def test_what_was_found_out_in_sampling_serves_gradients_too(hidden: dict[str, Any]) -> None:
    sequence = assemble(video_target(), [control(**hidden), control(attention_strength=0.5)])
    model = transformer()
    context, _ = contexts(model)
    with torch.inference_mode():
        sampled, _ = velocity(model, stream(sequence, context))
    trained, _ = velocity(model, stream(sequence, context))
    (gradient,) = torch.autograd.grad(trained.square().mean(), model.proj_in.weight)
    torch.testing.assert_close(trained, sampled, rtol=1e-4, atol=1e-5)
    assert gradient.norm() > 0
