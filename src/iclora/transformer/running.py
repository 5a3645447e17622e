"""How the blocks of a transformer are run: compiled, with gradient checkpoints, with their hooks."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

_CALLED = "called_for_its_hooks"


def runner(transformer: Any, block: Any, function: Any) -> Any:
    """Return a block function as it shall be called: compiled where the block is, with checkpoints.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``.
        block: One of its blocks.
        function: Takes the block, then what else it needs.

    Returns:
        What is called in its place.
    """
    run = _compiled_block(function) if block._compiled_call_impl is not None else function
    if hasattr(block, _CALLED):
        run = partial(_call_block, run)
    if transformer.gradient_checkpointing and torch.is_grad_enabled():
        return partial(checkpoint, run, use_reentrant=False)
    return run


def call_blocks(transformer: Any) -> None:
    """Let blocks be run as modules are called, with their hooks: a block's weights may be fetched in these.

    Args:
        transformer: A diffusers ``LTX2VideoTransformer3DModel``; its own forward no longer works then.
    """
    for block in transformer.transformer_blocks:
        setattr(block, _CALLED, True)
        block.forward = partial(_run_in_block, block)


def _run_in_block(block: Any, function: Any, *arguments: Any) -> Any:
    return function(block, *arguments)


def _call_block(function: Any, block: Any, *arguments: Any) -> Any:
    return block._call_impl(function, *arguments)  # not block(..), which would compile the hooks as well


@cache
def _compiled_block(function: Any) -> Any:
    """A block function compiled: what runs once ``transformer.compile_repeated_blocks()`` was called."""
    # Each kind of video is compiled by itself: with and without references, weights, audio, a cache.
    # After the limit, of 8 unless it is raised, the others would run uncompiled.
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, config.accumulated_recompile_limit)
    return torch.compile(function)
