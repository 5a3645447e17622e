"""Blocks compiled for many videos in one process: none runs uncompiled, and few are compiled."""

from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from iclora.reference import TokenSequence, assemble, reference_tokens, target_sequence
from iclora.sampling import Latents, Prompt, denoiser
from iclora.transformer import CachePolicy, running
from tests.small_models import CHANNELS, FACTORS, contexts, transformer

KEPT = CachePolicy(every=2)
# One kind of video after the other: the dials of its references, and how long they are kept.
KINDS: list[tuple[list[dict[str, Any]], CachePolicy | None]] = [
    ([], None),
    ([{}], None),
    ([{"attention_strength": 0.5}], None),
    ([{"attention_mask": torch.linspace(0.1, 1, 8).expand(8, 8)}], None),
    ([{"attention_strength": 0.5}], KEPT),
]


def laid_out(size: tuple[int, int, int], dials: list[dict[str, Any]]) -> TokenSequence:
    target = target_sequence(torch.zeros(1, CHANNELS, *size), factors=FACTORS, fps=24.0)
    small = (size[0], size[1] // 2, size[2] // 2)
    references = [
        reference_tokens(torch.randn(1, CHANNELS, *small), factors=FACTORS, fps=24.0, downscale=2, **item)
        for item in dials
    ]
    return assemble(target, references)


def two_steps(model: Any, sequence: TokenSequence, policy: CachePolicy | None) -> Tensor:
    prompt = Prompt(video=contexts(model)[0])
    denoise = denoiser(model, prompt, sequence, reference_cache=policy)
    with torch.inference_mode():
        for sigma in (1.0, 0.5):
            made = denoise(Latents(video=sequence.clean), sigma)
    return made.video


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("unchecked_shapes")
def test_many_videos_are_all_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, model, graphs = transformer(), transformer(), []

    def captured(graph: Any, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    # An uncompiled block is an error: at a break of the graph, and at the limit of graphs of a function.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=captured, fullgraph=True))
    monkeypatch.setattr(running, "_compiled_block", cache(running._compiled_block.__wrapped__))
    model.compile_repeated_blocks()
    with torch._dynamo.config.patch(recompile_limit=8):
        for size in ((2, 2, 4), (3, 4, 6)):
            for dials, policy in KINDS:
                sequence = laid_out(size, dials)
                made, eager = (two_steps(one, sequence, policy) for one in (model, plain))
                torch.testing.assert_close(made, eager, rtol=1e-4, atol=1e-5)
        known = len(graphs)
        assert 8 < known <= 24
        for dials, policy in KINDS:
            others = [{k: v * 0.7 for k, v in item.items()} for item in dials]
            two_steps(model, laid_out((4, 4, 4), others), policy)
    assert len(graphs) == known
