"""References and their tokens in one sequence with the target.

The model sees one sequence. Appended tokens are cut off again after sampling:

    [ target | keyframes | references in the order given ]
      noised    cleaner by their strength

Three dials, three words: *adapter weight* scales the adapter, *strength* is how clean the reference tokens
stay, *attention strength* is how much they are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor

from iclora.errors import RequestError
from iclora.geometry import (
    LatentFactors,
    LatentGrid,
    grid_of,
    keyframe_positions,
    patchify,
    reference_positions,
    target_positions,
)
from iclora.reference.values import ReferenceTokens, TokenSequence, check_mask, check_unit


def target_sequence(
    clean: Float[Tensor, "b c f h w"],
    *,
    factors: LatentFactors,
    fps: float,
    first_frame: Float[Tensor, "b c 1 h w"] | None = None,
    first_frame_strength: float = 1.0,
) -> TokenSequence:
    """Lay out the target: the video that is made, with an optional first image.

    Args:
        clean: Zeros of the target's latent shape, or the video itself (training, refinement).
        factors: The autoencoder's factors.
        fps: Frame rate in frames per second.
        first_frame: Latent of an image that replaces the first frame.
        first_frame_strength: How clean that image stays, 0 to 1.

    Returns:
        A sequence of target tokens alone.
    """
    grid = grid_of(clean)
    tokens = patchify(clean)
    mask = torch.ones(tokens.shape[:2], dtype=torch.float32, device=tokens.device)
    if first_frame is not None:
        check_unit("first-frame strength", first_frame_strength)
        image = patchify(first_frame).to(tokens)
        expected = (tokens.shape[0], grid.height * grid.width, tokens.shape[2])
        if tuple(image.shape) != expected:
            raise RequestError(
                f"The first image has latent shape {tuple(first_frame.shape)}, which does not fit a target "
                f"of {tuple(clean.shape)}. Encode it at the target's size."
            )
        tokens = torch.cat([image, tokens[:, image.shape[1] :]], dim=1)
        mask[:, : image.shape[1]] = 1 - first_frame_strength
    positions = repeat(
        target_positions(grid, factors, fps).to(clean.device), "p n two -> b p n two", b=len(clean)
    )
    num_first = grid.height * grid.width
    lengths = (tokens.shape[1],)
    return TokenSequence(clean=tokens, positions=positions, mask=mask, lengths=lengths, num_first=num_first)


def audio_sequence(clean: Float[Tensor, "b n c"], positions: Float[Tensor, "1 n 2"]) -> TokenSequence:
    """Lay out the audio that is made beside the video.

    Args:
        clean: Zeros of the audio latents' shape, or the audio latents themselves.
        positions: Bounds in seconds, from `geometry.audio_positions`.

    Returns:
        A sequence of audio tokens.
    """
    mask = torch.ones(clean.shape[:2], dtype=torch.float32, device=clean.device)
    batched = repeat(positions.to(clean.device), "p n two -> b p n two", b=len(clean))
    return TokenSequence(clean=clean, positions=batched, mask=mask, lengths=(clean.shape[1],))


def reference_tokens(
    latent: Float[Tensor, "b c f h w"],
    *,
    factors: LatentFactors,
    fps: float,
    strength: float = 1.0,
    attention_strength: float = 1.0,
    attention_mask: Float[Tensor, "f_px h_px w_px"] | Float[Tensor, "h_px w_px"] | None = None,
    downscale: int = 1,
    temporal_factor: int = 1,
) -> ReferenceTokens:
    """Turn an encoded reference into tokens.

    Args:
        latent: The encoded control clip.
        factors: The autoencoder's factors.
        fps: Frame rate of the target, in frames per second.
        strength: How clean the tokens stay, 0 to 1.
        attention_strength: How much the target looks at them, 0 to 1.
        attention_mask: Where it looks, in pixels of any size, values 0 to 1.
        downscale: How many times smaller than the target the reference is.
        temporal_factor: How many target frames one reference frame stands for.

    Returns:
        Tokens with positions, strength and weights; weights are None where all would be 1.

    Raises:
        RequestError: A dial is outside 0 to 1 or the mask does not fit.
    """
    check_unit("attention strength", attention_strength)
    grid = grid_of(latent)
    positions = reference_positions(grid, factors, fps, downscale=downscale, temporal_factor=temporal_factor)
    weights = None
    if attention_mask is not None:
        weights = mask_to_tokens(attention_mask, grid) * attention_strength
    elif attention_strength != 1:
        weights = torch.full((grid.num_tokens,), float(attention_strength))
    if weights is not None and bool((weights == 1).all()):
        weights = None
    return ReferenceTokens(
        latents=patchify(latent),
        positions=repeat(positions.to(latent.device), "p r two -> b p r two", b=len(latent)),
        strength=strength,
        weights=None if weights is None else repeat(weights.to(latent.device), "r -> b r", b=len(latent)),
    )


def keyframe_tokens(
    latent: Float[Tensor, "b c 1 h w"],
    *,
    factors: LatentFactors,
    fps: float,
    frame: int,
    strength: float = 1.0,
) -> ReferenceTokens:
    """Turn an encoded image that stands at a later frame into tokens.

    Args:
        latent: The encoded image, at the target's size.
        factors: The autoencoder's factors.
        fps: Frame rate of the target, in frames per second.
        frame: Pixel frame it stands at, from 1 up.
        strength: How clean the tokens stay, 0 to 1.

    Returns:
        Tokens to append before the references.
    """
    positions = keyframe_positions(grid_of(latent), factors, fps, frame=frame).to(latent.device)
    return ReferenceTokens(
        latents=patchify(latent),
        positions=repeat(positions, "p r two -> b p r two", b=len(latent)),
        strength=strength,
    )


def assemble(
    target: TokenSequence,
    appended: Sequence[ReferenceTokens] = (),
    *,
    isolate: bool | None = None,
    num_one_way: int = 0,
) -> TokenSequence:
    """Append keyframes and references to a target.

    Args:
        target: The target alone, from `target_sequence`.
        appended: Keyframes, then references, in order.
        isolate: Whether appended items are hidden from each other; None is the official rule.
        num_one_way: How many of the last items, the references, look at nothing before them; what adapters
            trained ``one_way`` want.

    Returns:
        The whole sequence.

    Raises:
        RequestError: An item's batch or channels differ from the target's.
    """
    assert len(target.lengths) == 1, "appended items go onto a target alone"
    batch, _, channels = target.clean.shape
    for number, item in enumerate(appended):
        if (item.latents.shape[0], item.latents.shape[2]) != (batch, channels):
            raise RequestError(
                f"Appended item {number} has batch {item.latents.shape[0]} and {item.latents.shape[2]} "
                f"channels, the target {batch} and {channels}. Encode both with the same autoencoder."
            )
    masks = [torch.full_like(item.positions[:, 0, :, 0], 1 - item.strength) for item in appended]
    return replace(
        target,
        clean=torch.cat([target.clean, *(item.latents.to(target.clean) for item in appended)], dim=1),
        positions=_joined([target.positions, *(item.positions for item in appended)]),
        mask=torch.cat([target.mask, *masks], dim=1),
        lengths=(*target.lengths, *(item.latents.shape[1] for item in appended)),
        weights=tuple(None if _all_ones(item.weights) else item.weights for item in appended),
        isolate=isolate,
        num_one_way=num_one_way,
    )


def mask_to_tokens(
    mask: Float[Tensor, "f_px h_px w_px"] | Float[Tensor, "h_px w_px"], grid: LatentGrid
) -> Float[Tensor, " r"]:
    """Bring a pixel mask to the tokens of a reference.

    Space is averaged by area. In time the first pixel frame is the first latent frame's; the later ones are
    averaged in equal groups, so a mask on the target's clock fits a reference with a temporal factor as well.

    Args:
        mask: Values 0 to 1, ``f h w`` or, the same for all frames, ``h w``.
        grid: The reference's latent grid.

    Returns:
        One value for each token, frame-major, float32.

    Raises:
        RequestError: The values or the number of frames do not fit.
    """
    check_mask(mask)
    small = shrink_mask(mask.float() if mask.ndim == 3 else mask.float()[None], grid)
    if len(small) == 1:
        return rearrange(repeat(small[0], "h w -> f h w", f=grid.frames), "f h w -> (f h w)")
    if grid.frames == 1:
        return rearrange(small[0], "h w -> (h w)")
    later = len(small) - 1
    if later % (grid.frames - 1):
        raise RequestError(
            f"An attention mask of {len(small)} frames cannot be shared among {grid.frames} latent frames. "
            f"Give one frame, or one more than a multiple of {grid.frames - 1} frames."
        )
    grouped = reduce(small[1:], "(f g) h w -> f h w", "mean", f=grid.frames - 1)
    return rearrange(torch.cat([small[:1], grouped]), "f h w -> (f h w)")


def shrink_mask(mask: Float[Tensor, "f h_px w_px"], grid: LatentGrid) -> Float[Tensor, "f h w"]:
    """Average the pixels of each frame of a mask by the cells of a grid; a mask of cells stays as it is.

    Args:
        mask: Values 0 to 1.
        grid: A latent grid.

    Returns:
        As many frames, of the grid's height and width.
    """
    return F.interpolate(mask[:, None], size=(grid.height, grid.width), mode="area")[:, 0]


def _joined(positions: list[Tensor]) -> Tensor:
    """Join positions; those that are one for the whole batch stay one, and are turned into angles once."""
    if all(item.stride(0) == 0 for item in positions):
        return torch.cat([item[:1] for item in positions], dim=2).expand(len(positions[0]), -1, -1, -1)
    return torch.cat(positions, dim=2)


def _all_ones(weights: Tensor | None) -> bool:
    return weights is None or bool((weights == 1).all())
