"""Where parts of a model are while they work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from iclora.pipeline import load
from iclora.pipeline.placing import at_work, decoded_in_tiles
from toyworld.architecture import MICRO, build_vae


class Traveller(nn.Module):
    """Notes where it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def to(self, *where: Any, **how: Any) -> Any:
        self.seen.append(str(where[0]))
        return self


def test_a_guest_goes_back_whatever_happens() -> None:
    one, other = Traveller(), Traveller()
    with pytest.raises(ValueError, match="broken"), at_work("cuda:1", one, other):
        assert one.seen == other.seen == ["cuda:1"]
        raise ValueError("broken")
    assert one.seen == other.seen == ["cuda:1", "cpu"]


def test_who_lives_there_does_not_travel() -> None:
    one = Traveller()
    with at_work(None, one):
        pass
    assert one.seen == []


@torch.no_grad()
def test_frames_are_decoded_in_tiles_only_inside() -> None:
    torch.manual_seed(0)
    vae = build_vae(MICRO)
    latent = torch.randn(1, 8, 12, 2, 2)
    whole = vae.decode(latent, return_dict=False)[0]
    with decoded_in_tiles(vae):
        tiled = vae.decode(latent, return_dict=False)[0]
    assert tiled.shape == whole.shape == (1, 3, 89, 32, 32)
    # A tile is 80 frames; the first 56 are of the first tile alone, and the last latents of it look ahead.
    assert not torch.equal(tiled, whole)
    assert torch.equal(vae.decode(latent, return_dict=False)[0], whole)
    assert not vae.use_tiling and not vae.use_framewise_decoding


def test_offloading_gives_the_same_clip(released_models: dict[str, Path]) -> None:
    asked: dict[str, Any] = {"size": (64, 64), "num_frames": 9, "seed": 2}
    staying, guest = (
        load(released_models["2.3"], offload=offload).generate("a ball", **asked).clip
        for offload in (False, True)
    )
    assert staying.audio is not None and guest.audio is not None
    assert np.array_equal(staying.frames, guest.frames)
    assert np.array_equal(staying.audio.samples, guest.audio.samples)
