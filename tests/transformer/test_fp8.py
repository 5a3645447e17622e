"""Linear layers in 8 bits: how far they are off, what stays as it is, adapters, compilation."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from iclora import adapters
from iclora.errors import AdapterError, RequestError
from iclora.reference import assemble
from iclora.transformer import running, to_fp8, velocity
from iclora.transformer.fp8 import Fp8Linear
from tests.small_models import contexts, control, stream, transformer, video_target

WIDE: dict[str, Any] = {"attention_head_dim": 32, "cross_attention_dim": 128, "num_attention_heads": 4}


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def wide() -> Any:
    return transformer("2.3", **WIDE)


@torch.no_grad()
def test_a_layer_is_rounded_to_three_bits_after_the_first() -> None:
    torch.manual_seed(0)
    linear, tokens = nn.Linear(256, 128), torch.randn(2, 50, 256)
    tokens[:, 0] *= 1e4  # its own scale: the others are not crushed
    exact = linear(tokens)
    rounded = Fp8Linear.of(linear)
    assert rounded.weight.dtype == torch.float8_e4m3fn
    # A product of two numbers off by up to 1/16 each, 256 of them summed.
    for part in (slice(0, 1), slice(1, None)):
        assert 0.005 < error(rounded(tokens)[:, part], exact[:, part]) < 0.06
    assert rounded(torch.zeros(3, 256)).equal(linear.bias.expand(3, -1))


@torch.no_grad()
def test_the_velocity_is_about_the_same_and_narrow_layers_stay() -> None:
    model = wide()
    video = stream(assemble(video_target(), [control()]), contexts(model)[0])
    exact, _ = velocity(model, video)
    to_fp8(model)
    rounded, _ = velocity(model, video)
    assert 0 < error(rounded, exact) < 0.1
    block = model.transformer_blocks[0]
    assert isinstance(block.attn1.to_q, Fp8Linear)
    assert type(block.attn1.to_gate_logits) is nn.Linear
    assert type(model.proj_out) is nn.Linear
    with pytest.raises(RequestError, match="already"):
        to_fp8(model)


def test_a_model_without_wide_layers_is_refused() -> None:
    with pytest.raises(RequestError, match="no layer"):
        to_fp8(transformer("2.3"))


@torch.no_grad()
def test_adapters_stay_beside_the_rounded_layers_or_go_in_before() -> None:
    outputs = []
    for merged in (False, True):
        model = wide()
        torch.manual_seed(1)
        for parameter in adapters.create(model, rank=64, name="a"):
            nn.init.normal_(parameter, std=0.03)
        if merged:
            adapters.merge(model)
            assert adapters.attached(model) == {}
        video = stream(assemble(video_target(), [control()]), contexts(model)[0])
        outputs.append(velocity(model, video)[0])
        to_fp8(model)
        outputs.append(velocity(model, video)[0])
        assert (type(model.transformer_blocks[0].attn1.to_q) is Fp8Linear) == merged
    beside, beside_rounded, within, within_rounded = outputs
    torch.testing.assert_close(beside, within, rtol=1e-4, atol=1e-5)
    assert 0 < error(beside_rounded, beside) < 0.1
    assert 0 < error(within_rounded, within) < 0.1


def test_adapters_neither_come_nor_go_in_afterwards(tmp_path: Path) -> None:
    model = wide()
    adapters.create(model, rank=64, name="a")
    metadata = adapters.describe(downscale=1, temporal_factor=1, control="canny", base="small", version="1")
    other = adapters.read(adapters.write(tmp_path / "a.safetensors", adapters.take(model, "a"), metadata))
    to_fp8(model)
    for change in (partial(adapters.attach, model, other, 1.0, "b"), partial(adapters.merge, model)):
        with pytest.raises(AdapterError, match="in 8 bits already"):
            change()
    assert adapters.attached(model) == {"a": 1.0}


@pytest.mark.usefixtures("unchecked_shapes")
@torch.inference_mode()
def test_it_is_compiled_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    monkeypatch.setattr(running, "_compiled_block", cache(running._compiled_block.__wrapped__))
    model = wide()
    to_fp8(model)
    video = stream(assemble(video_target(), [control()]), contexts(model)[0])
    eager, _ = velocity(model, video)
    model.compile_repeated_blocks()
    torch.testing.assert_close(velocity(model, video)[0], eager)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_a_gpu_multiplies_in_8_bits() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(256, 128).to("cuda", torch.bfloat16)
    tokens = torch.randn(2, 50, 256, device="cuda", dtype=torch.bfloat16)
    rounded = Fp8Linear.of(linear)
    assert error(rounded(tokens).float(), linear(tokens).float()) < 0.06
    by_hand = rounded.cpu()(tokens.cpu())
    assert error(rounded.cuda()(tokens).float().cpu(), by_hand.float()) < 0.01
