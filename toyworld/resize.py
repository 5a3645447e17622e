"""Gives an adapter a smaller rank: `python -m toyworld.resize IN.safetensors OUT.safetensors --rank 12`.

Of each layer's change what a matrix of that rank can hold is kept: its largest singular values.

Source: Eckart and Young, "The approximation of one matrix by another of lower rank" (1936).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from iclora import adapters
from iclora.adapters import LowRank


def resized(layer: LowRank, rank: int) -> tuple[LowRank, float]:
    """Approximates a layer's change.

    Args:
        layer: The change.
        rank: The rank it may have; a smaller one stays.

    Returns:
        The change of that rank, in the same type, and the share of its squared size that is kept.
    """
    left, sizes, right = torch.linalg.svd(layer.up.float() @ layer.down.float(), full_matrices=False)
    roots = sizes[:rank].sqrt()
    kept = sizes[:rank].square().sum() / sizes.square().sum().clamp_min(1e-20)
    down, up = roots[:, None] * right[:rank], left[:, :rank] * roots
    kind = layer.down.dtype
    return LowRank(down=down.to(kind).contiguous(), up=up.to(kind).contiguous()), float(kept)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads, resizes, writes, and says how much is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--rank", type=int, required=True)
    given = parser.parse_args(arguments)
    adapter = adapters.read(given.source)
    found = {name: resized(layer, given.rank) for name, layer in adapter.layers.items()}
    layers = {name: layer for name, (layer, _) in found.items()}
    adapters.write(given.target, layers, dict(adapter.outline.metadata), overwrite=True)
    shares = [share for _, share in found.values()]
    print(f"{given.target}: rank {given.rank}, {100 * sum(shares) / len(shares):.1f} % kept")


if __name__ == "__main__":
    main()
