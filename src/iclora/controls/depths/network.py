"""The network of the estimator `tiny`, and its trunk: half a million weights, a picture in, nearness out.

```
 picture ─► 1/2 ─► 1/4 ─► 1/8 ─► 1/16 ─► attention over the whole picture, told where everything is
  (16)      │      │      │                │
            ▼      ▼      ▼                ▼
 nearness ◄ 1/2 ◄─ 1/4 ◄─ 1/8 ◄────────── 1/16
```
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

STRIDE = 16
"""Height and width of a picture must be multiples of this."""
CHANNELS = (16, 32, 64, 96)
"""At 1/2, 1/4, 1/8 and 1/16 of the size."""
_NUM_HEADS = 4
_NUM_LAYERS = 2


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity.

    Args:
        channels: In and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what the convolutions find."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Everywhere(nn.Module):
    """One layer of attention between all places of a picture.

    Args:
        width: Values of a place.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Add what other places say."""
        query, key, value = rearrange(
            self.projections(self.norm(x)), "b n (three k d) -> three b k n d", three=3, k=_NUM_HEADS
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(rearrange(seen, "b k n d -> b n (k d)"))
        added: Tensor = x + self.mlp(self.mlp_norm(x))
        return added


class Trunk(nn.Module):
    """Sees a picture at half and at a quarter of its size.

    Args:
        num_layers: Layers of attention.
    """

    def __init__(self, *, num_layers: int = _NUM_LAYERS) -> None:
        super().__init__()
        half, quarter, eighth, last = CHANNELS
        self.stem = nn.Conv2d(3, half, 3, stride=2, padding=1)
        self.to_quarter = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.quarter = Residual(quarter)
        self.to_eighth = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.eighth = Residual(eighth)
        self.to_last = nn.Conv2d(eighth, last, 3, stride=2, padding=1)
        self.last = nn.Conv2d(last, last, 3, padding=1)
        self.place = nn.Linear(8, last)
        self.everywhere = nn.ModuleList(Everywhere(last) for _ in range(num_layers))
        self.up_eighth = nn.Conv2d(last, eighth, 1)
        self.back_eighth = Residual(eighth)
        self.up_quarter = nn.Conv2d(eighth, quarter, 1)
        self.back_quarter = Residual(quarter)

    def seen(
        self, picture: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 16 h/2 w/2"], Float[Tensor, "b 32 h/4 w/4"]]:
        """Look at a picture.

        Args:
            picture: RGB in [-1, 1]; height and width are multiples of `STRIDE`.

        Returns:
            The stem's values at half the size, and all that is seen at a quarter.
        """
        half = torch.relu(self.stem(picture))
        quarter = self.quarter(torch.relu(self.to_quarter(half)))
        eighth = self.eighth(torch.relu(self.to_eighth(quarter)))
        last = torch.relu(self.to_last(eighth))
        last = torch.relu(last + self.last(last))
        height, width = last.shape[-2:]
        tokens = rearrange(last, "b c h w -> b (h w) c") + self.place(_places(height, width, last))
        for layer in self.everywhere:
            tokens = layer(tokens)
        last = rearrange(tokens, "b (h w) c -> b c h w", h=height)
        eighth = self.back_eighth(torch.relu(eighth + self.up_eighth(_twice(last))))
        return half, self.back_quarter(torch.relu(quarter + self.up_quarter(_twice(eighth))))


class TinyDepthNetwork(Trunk):
    """Guesses from one picture how near everything in it is."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, _, _ = CHANNELS
        self.up_half = nn.Conv2d(quarter, half, 1)
        self.back_half = Residual(half)
        self.nearness = nn.Conv2d(half, 1, 3, padding=1)

    def forward(self, picture: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h/2 w/2"]:
        """Guess nearness.

        Args:
            picture: RGB in [-1, 1]; height and width are multiples of `STRIDE`.

        Returns:
            Nearness (1 over distance) up to a scale and a shift of each picture, at half the size.
        """
        half, quarter = self.seen(picture)
        half = self.back_half(torch.relu(half + self.up_half(_twice(quarter))))
        nearness: Tensor = rearrange(self.nearness(half), "b 1 h w -> b h w")
        return nearness


def _twice(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _places(height: int, width: int, like: Tensor) -> Float[Tensor, "n 8"]:
    """Where each place lies: down and right in [-1, 1], whatever the size, and their waves."""
    down = (torch.arange(height, device=like.device, dtype=torch.float32) + 0.5) / height * 2 - 1
    right = (torch.arange(width, device=like.device, dtype=torch.float32) + 0.5) / width * 2 - 1
    y, x = down[:, None].expand(height, width), right[None, :].expand(height, width)
    waves = [torch.sin(torch.pi * one) for one in (y, x)] + [torch.cos(torch.pi * one) for one in (y, x)]
    return rearrange(torch.stack([y, x, y * y, x * x, *waves]), "c h w -> (h w) c")
