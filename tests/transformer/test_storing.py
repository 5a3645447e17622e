"""transformer.storing: what is kept comes back as it was, from wherever it lies."""

import pytest
import torch

from iclora.transformer import CachePolicy, ReferenceCache
from iclora.transformer.layers import Kept


def test_zeros_and_the_smallest_numbers_can_be_rounded() -> None:
    keeps = ReferenceCache(CachePolicy(every=2, store="fp8"))
    key = torch.stack([torch.zeros(3, 4), torch.full((3, 4), 1e-37), torch.ones(3, 4)])[None]
    try:
        torch.set_flush_denormal(True)  # as a GPU may
        keeps.fill([keeps.pack(Kept(own=(key, -key)))])
        own = keeps.load(0).own
    finally:
        torch.set_flush_denormal(False)
    assert own is not None and torch.equal(own[0][:, 2], key[:, 2])
    torch.testing.assert_close(own, (key, -key), rtol=0, atol=1e-30)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_waits_on_the_host_comes_whole_and_two_blocks_at_a_time() -> None:
    """With so much to copy, and to compute, that what is not waited for would be seen."""
    keeps = ReferenceCache(CachePolicy(every=None, store="host"))
    size, blocks = (1, 32, 2048, 128), 7
    keys = [torch.full(size, float(number), device="cuda") for number in range(blocks)]
    keeps.fill([keeps.pack(Kept(own=(key, -key))) for key in keys])
    del keys
    work = torch.ones(4096, 4096, device="cuda")
    torch.cuda.synchronize()
    before, sums = torch.cuda.memory_allocated(), []
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        for number in range(blocks):
            own = keeps.load(number).own
            assert own is not None
            work = (work @ work) / 4096
            sums += [own[0].amin(), own[0].amax(), own[1].amin(), own[1].amax()]
    found = torch.stack(sums).tolist()
    assert found == [sign * number for _ in range(3) for number in range(blocks) for sign in (1, 1, -1, -1)]
    kept_bytes = keeps.num_bytes / blocks
    assert torch.cuda.max_memory_allocated() - before < 2.1 * kept_bytes + 3 * work.nbytes
