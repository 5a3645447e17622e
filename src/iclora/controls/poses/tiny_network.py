"""The network of the pose estimator `tiny`: the trunk of the depth network, and where each body point is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from iclora.controls.depths.network import CHANNELS, Residual, Trunk

CELL_PX = 4
"""Pixels of the picture to each side of a cell of the maps."""
NUM_BODY = 18
_WIDE = 48


class TinyPoseNetwork(Trunk):
    """Guesses from one picture where the body points of everybody in it are."""

    def __init__(self) -> None:
        super().__init__(num_layers=1)
        self.wide = nn.Conv2d(CHANNELS[1], _WIDE, 3, padding=1)
        self.look = Residual(_WIDE)
        self.maps = nn.Conv2d(_WIDE, NUM_BODY + 2, 3, padding=1)

    def forward(
        self, picture: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 18 h/4 w/4"], Float[Tensor, "b 2 h/4 w/4"]]:
        """Guess points.

        Args:
            picture: RGB in [-1, 1]; height and width are multiples of 16.

        Returns:
            For each body point a map of how likely it is there (before the sigmoid), and for each cell the
            way in x and y, in cells, from a point there to the middle of its person.
        """
        _, quarter = self.seen(picture)
        maps = self.maps(self.look(torch.relu(self.wide(quarter))))
        return maps[:, :NUM_BODY], maps[:, NUM_BODY:] * 10.0
