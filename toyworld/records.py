"""Scene constants as tensors: one value a picture, shaped to broadcast over its pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Numbers:
    """The numeric fields of one record per scene, repeated for each of its pictures.

    A field that is a number reads as a tensor "n 1 1"; a field that is a colour as three of them.
    """

    def __init__(self, records: Sequence[Any], counts: Sequence[int], device: torch.device | str) -> None:
        self._values: dict[str, np.ndarray] = {}
        self._tensors: dict[str, Any] = {}
        self._device = device
        for field in dataclasses.fields(records[0]):
            rows = np.stack([np.asarray(getattr(record, field.name), dtype=np.float32) for record in records])
            self._values[field.name] = np.repeat(rows, np.asarray(counts), axis=0)

    def any(self, name: str) -> bool:
        """Says whether a field is non-zero in at least one picture."""
        return bool(np.any(self._values[name] != 0))

    def kinds(self, name: str) -> list[int]:
        """Lists the whole numbers a field takes in these pictures."""
        return sorted({int(value) for value in np.unique(self._values[name])})

    def __getitem__(self, name: str) -> Any:
        if name not in self._tensors:
            values = torch.from_numpy(self._values[name]).to(self._device)
            if values.ndim == 1:
                self._tensors[name] = values[:, None, None]
            else:
                self._tensors[name] = tuple(values[:, i, None, None] for i in range(values.shape[1]))
        return self._tensors[name]

    def table(self, name: str) -> Tensor:
        """Reads a field that is a row of numbers as a tensor "n k"."""
        return torch.from_numpy(self._values[name]).to(self._device)
