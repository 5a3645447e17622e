"""How much memory work asks for, and how that grows with the number of tokens in self-attention."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from step_cases import Size, sequence_of
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from iclora.attention import attend, dense_weights, pair_weights
from iclora.reference import TokenSequence


def allocations(work: Callable[[], object]) -> tuple[int, int]:
    """Return the largest single piece of CPU memory that some work asks for, and its peak, in bytes.

    The profiler sees all of PyTorch's own allocations, also those inside kernels, but not the scratch memory
    of the matrix libraries.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text("utf-8"))["traceEvents"]
    memory = sorted((e for e in events if e["name"] == "[memory]"), key=lambda event: event["ts"])
    sizes = [event["args"]["Bytes"] for event in memory]
    totals = [event["args"]["Total Allocated"] for event in memory]
    return max(sizes), max(totals) - (totals[0] - sizes[0])


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Return how much memory some work needs above what is in use before it."""
    if device.type != "cuda":
        return allocations(work)[1]
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


Form = Callable[[Tensor, Tensor, Tensor, TokenSequence], Tensor]
"""Self-attention over queries, keys and values ``[b, k, s, d]`` of a sequence."""


def fast_attention(query: Tensor, key: Tensor, value: Tensor, sequence: TokenSequence) -> Tensor:
    """Attend as this project does."""
    return attend(query, key, value, pair_weights(sequence))


def dense_attention(query: Tensor, key: Tensor, value: Tensor, sequence: TokenSequence) -> Tensor:
    """Attend with the weights written out as a matrix: memory grows with the square."""
    pairs = pair_weights(sequence)
    bias = None if pairs is None else dense_weights(pairs).log()[:, None].to(query.dtype)
    return nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)


def attention_memory(
    form: Form, heights: Sequence[int], weighting: str = "mask"
) -> dict[int, tuple[int, int]]:
    """Measure self-attention over a target and a full-size reference, the target 8 x h x 16 cells.

    Returns:
        For each number of tokens, the largest piece of memory asked for and the peak, in bytes.
    """
    found = {}
    for height in heights:
        size = Size(pixels=(57, 32 * height, 512), num_text=0, num_audio=0)
        sequence = sequence_of(size, "full", weighting, torch.device("cpu"))
        num_tokens = sum(sequence.lengths)
        query, key, value = (torch.randn(1, 4, num_tokens, 128) for _ in range(3))
        form(query, key, value, sequence)
        found[num_tokens] = allocations(lambda form=form, rest=(query, key, value, sequence): form(*rest))
    return found


def growth(found: dict[int, tuple[int, int]]) -> float:
    """Return how much the memory per token grows from the fewest to the most tokens; 1 is linear."""
    few, many = min(found), max(found)
    return max(found[many][i] / many / (found[few][i] / few) for i in (0, 1))
