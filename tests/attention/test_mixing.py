"""Pair weights against the plain formula."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from iclora.attention import (
    PairWeights,
    attend,
    attend_apart,
    dense_weights,
    kernels,
    one_way_groups,
    pair_weights,
)
from iclora.reference import assemble
from iclora.reference.values import _alike
from tests.small_models import control, video_target


def plain(query: Tensor, key: Tensor, value: Tensor, weights: Tensor) -> Tensor:
    """The formula: softmax weights are multiplied by the pair's weight."""
    scores = (query.double() @ key.double().mT) * query.shape[-1] ** -0.5
    shares = scores.exp() * weights.double()[:, None]
    return (shares / shares.sum(-1, keepdim=True)) @ value.double()


def inputs(batch: int, num_tokens: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 2, num_tokens, 8, generator=generator) for _ in range(3)]


Layout = tuple[int, int, tuple[int, ...], list[list[float]]]


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    target = draw(st.integers(1, 3))
    isolated = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    values = st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-6, 1))
    rows = draw(
        st.lists(st.lists(values, min_size=sum(isolated), max_size=sum(isolated)), min_size=1, max_size=2)
    )
    return target, target + draw(st.integers(0, 2)), isolated, rows


def pairs_of(layout: Layout) -> PairWeights:
    target, opened, isolated, rows = layout
    weights = torch.tensor(rows)
    even = tuple(bool((part == part[:, :1]).all()) for part in weights.split(list(isolated), dim=1))
    parts = zip(weights.split(list(isolated), dim=1), even, strict=True)
    alike = tuple(None if is_even else _alike(part) for part, is_even in parts)
    counts = {"num_target": target, "num_open": opened, "isolated": isolated}
    return PairWeights(**counts, weights=weights, even=even, alike=alike)


@settings(max_examples=60, deadline=None)
@given(layouts(), st.integers(0, 1000))
def test_attend_is_the_plain_formula(layout: Layout, seed: int) -> None:
    pairs = pairs_of(layout)
    query, key, value = inputs(len(pairs.weights), pairs.num_open + sum(pairs.isolated), seed)
    expected = plain(query, key, value, dense_weights(pairs)).float()
    torch.testing.assert_close(attend(query, key, value, pairs), expected, rtol=1e-4, atol=1e-5)
    with_gradients = attend(query.requires_grad_(), key, value, pairs)
    torch.testing.assert_close(with_gradients, expected, rtol=1e-4, atol=1e-5)
    asked = pairs.num_target + (seed % (query.shape[2] - pairs.num_target + 1))
    with torch.inference_mode():
        first = attend(query[:, :, :asked], key, value, pairs)
    torch.testing.assert_close(first, expected[:, :, :asked], rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(st.floats(1e-3, 1), st.integers(0, 1000))
def test_one_weight_is_a_mask_of_that_weight_everywhere(weight: float, seed: int) -> None:
    """A piece with one weight is merged, one with a weight for each key is widened: both are the same."""
    pairs = pairs_of((5, 6, (4, 3), [[weight] * 4 + [weight**2] * 3]))
    tokens = inputs(1, 13, seed)
    assert pairs.even == (True, True)
    masked = attend(*tokens, replace(pairs, even=(False, False), alike=(None, None)))
    torch.testing.assert_close(attend(*tokens, pairs), masked, rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=4), st.integers(0, 1000), st.booleans())
def test_a_larger_weight_is_looked_at_more(weights: list[float], seed: int, even: bool) -> None:
    query, key, value = inputs(1, 9, seed)
    value[:] = 0
    value[:, :, 5:] = 1  # so that what comes out is the share of the item
    shares = [
        attend(
            query, key, value, replace(pairs_of((5, 5, (4,), [[weight] * 4])), even=(even,), alike=(None,))
        )[:, :, :5]
        for weight in sorted(weights)
    ]
    for less, more in pairwise(shares):
        assert bool((less <= more + 1e-6).all()) and float(more.sum()) >= float(less.sum()) - 1e-5


@pytest.mark.parametrize(
    ("weights", "isolate", "num_one_way", "groups"),
    [
        ([1.0, 1.0], None, 2, (24,)),
        ([1.0, 1.0], None, 1, (12,)),
        ([1.0, 1.0], True, 2, (12, 12)),
        ([1.0, 0.5, 1.0], None, 3, (12, 12, 12)),
        ([1.0, 1.0, 0.5], None, 3, (24, 12)),
        ([1.0, 1.0, 0.5], None, 2, (12, 12)),
        ([1.0, 0.5, 1.0], False, 2, (24,)),
    ],
)
def test_one_way_items_see_their_own_kind(
    weights: list[float], isolate: bool | None, num_one_way: int, groups: tuple[int, ...]
) -> None:
    items = [control(attention_strength=weight) for weight in weights]
    sequence = assemble(video_target(), items, isolate=isolate, num_one_way=num_one_way)
    assert one_way_groups(sequence, pair_weights(sequence)) == groups


def test_groups_see_themselves_alone() -> None:
    query, key, value = inputs(2, 6)
    weights = torch.block_diag(torch.ones(2, 2), torch.ones(3, 3), torch.ones(1, 1)).expand(2, 6, 6)
    mixed = attend_apart(query, key, value, (2, 3, 1))
    torch.testing.assert_close(mixed, plain(query, key, value, weights).float(), rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(layouts())
def test_gradients_are_those_of_the_plain_formula(layout: Layout) -> None:
    pairs = pairs_of(layout)
    tensors = [
        tensor.requires_grad_() for tensor in inputs(len(pairs.weights), pairs.num_open + sum(pairs.isolated))
    ]
    ours = torch.autograd.grad(attend(*tensors, pairs).square().sum(), tensors)
    theirs = torch.autograd.grad(plain(*tensors, dense_weights(pairs)).square().sum(), tensors)
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("weight", [0.3, 0.03, 0.0007, 1e-5])
def test_half_precision_keeps_the_logarithm(weight: float) -> None:
    pairs = pairs_of((2, 2, (2,), [[weight, 0.001]]))
    query, key, value = (torch.zeros(1, 2, 4, 8, dtype=torch.bfloat16) for _ in range(3))
    value[:, :, 2] = 1
    mixed = attend(query, key, value, pairs)
    expected = torch.tensor(weight / (2.001 + weight))
    # Two roundings of 8 bits each; a logarithm of 8 bits would be off by 2 percent.
    torch.testing.assert_close(mixed[0, 0, 0, 0].float(), expected, rtol=6e-3, atol=0)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("device", "best", "dtype", "width", "has_kernel"),
    [
        ("cpu", "none", torch.float32, 6, True),
        ("mps", "none", torch.float16, 128, False),
        ("cuda", "none", torch.float16, 128, False),  # before Ampere
        ("cuda", "flash", torch.bfloat16, 128, True),
        ("cuda", "flash", torch.float32, 128, False),
        ("cuda", "cudnn", torch.bfloat16, 12, False),  # heads that no kernel takes
    ],
)
def test_where_there_is_a_kernel_that_tells_its_sums(
    *,
    device: str,
    best: str,
    dtype: torch.dtype,
    width: int,
    has_kernel: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "_best_of", lambda device: best)
    tokens: Any = SimpleNamespace(
        device=torch.device(device), dtype=dtype, shape=(1, 2, 8, width), requires_grad=False
    )
    assert (kernels.kernel_of(tokens, tokens, tokens) is not None) is has_kernel


@pytest.mark.parametrize(
    ("dtype", "error"), [(torch.float32, 1e-6), (torch.float16, 1e-3), (torch.bfloat16, 8e-3)]
)
@pytest.mark.parametrize("size", [8, 64])
def test_without_such_a_kernel_all_keys_are_widened(
    dtype: torch.dtype, error: float, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "kernel_of", lambda *tensors: None)
    weights = [[0.5] * 16 + torch.linspace(0, 1, 8).tolist(), [1e-5] * 16 + [0.0] * 8]
    pairs = pairs_of((32, 40, (16, 8), weights))
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randn(2, 2, 64, size, generator=generator).to(dtype) for _ in range(3)]
    with Calls() as calls, torch.inference_mode():  # without a mask, which it asserts
        mixed = attend(*tokens, pairs)
    assert mixed.dtype == dtype
    expected = plain(*tokens, dense_weights(pairs))
    assert float((mixed.double() - expected).norm() / expected.norm()) < error
    wide = size + 8  # from the target and from each item; open tokens see their own kind, with no weight
    assert sorted(call[1:] for call in calls.made) == sorted(
        [(32, 64, wide), (8, 40, size), (16, 48, wide), (8, 40, wide)]
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weights", [torch.full((96,), 0.3), torch.linspace(0.01, 1, 96)])
def test_half_precision_is_about_as_exact_as_without_weights(dtype: torch.dtype, weights: Tensor) -> None:
    pairs = pairs_of((256, 256, (96,), [weights.tolist()]))
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randn(1, 2, 352, 64, generator=generator).to(dtype) for _ in range(3)]
    ones = torch.ones(1, 352, 352)
    errors = [
        float((attend(*tokens, one).double() - plain(*tokens, matrix)).norm())
        for one, matrix in ((pairs, dense_weights(pairs)), (None, ones))
    ]
    # The pieces are rounded once before they are merged.
    assert errors[0] < 1.4 * errors[1]


class Calls(TorchDispatchMode):
    """Notes the attention kernels that are called: name, queries, keys, head size."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, int, int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if "attention" in name:
            assert not (kwargs or {}).get("attn_mask")
            bias = next((arg for arg in args[3:] if isinstance(arg, Tensor)), None)
            # One number for each key: no tensor of queries x keys.
            assert bias is None or bias.numel() == args[1].shape[2]
            name = name if bias is None else f"{name} with a bias"
            self.made.append((name, args[0].shape[2], args[1].shape[2], args[0].shape[3]))
        return func(*args, **(kwargs or {}))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("best", ["cudnn", "flash"])
def test_a_gpu_attends_by_its_fastest_kernel_without_a_mask(
    best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tensors without values stand for those of a GPU.
    monkeypatch.setattr(kernels, "_best_of", lambda device: best)
    monkeypatch.setattr(kernels, "kernel_of", lambda *tensors: kernels._on_cuda)
    weights = [[0.5] * 16 + torch.linspace(0, 1, 8).tolist()]
    pairs = pairs_of((32, 40, (16, 8), weights))
    pairs = replace(pairs, weights=pairs.weights.to("meta"), alike=(None, None))
    tokens = [torch.empty(1, 4, 64, 128, device="meta", dtype=torch.bfloat16) for _ in range(3)]
    with Calls() as calls, torch.inference_mode():
        assert attend(*tokens, pairs).shape == (1, 4, 64, 128)
    kernel = f"_scaled_dot_product_{best}_attention"
    uneven = (f"{kernel} with a bias", 32, 8, 128) if best == "cudnn" else (kernel, 32, 8, 136)
    assert sorted(calls.made) == sorted(
        [
            *[(kernel, rows, keys, 128) for rows in (32, 8) for keys in (32, 8)],  # from what is open to that
            (kernel, 32, 16, 128),  # from the target to the first item, to the second
            uneven,
            *[(kernel, rows, 32, 128) for rows in (16, 8)],  # from each item to the target, to itself
            *[(kernel, rows, rows, 128) for rows in (16, 8)],
        ]
    )


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_mask_of_few_values_costs_no_bias_where_it_has_one_and_nothing_where_it_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "_best_of", lambda device: "cudnn")
    monkeypatch.setattr(kernels, "kernel_of", lambda *tensors: kernels._on_cuda)
    pairs = pairs_of((32, 32, (20,), [[0.7] * 10 + [0.0] * 6 + [0.2, 0.3, 0.4, 0.7]]))
    pairs = replace(pairs, weights=pairs.weights.to("meta"))
    tokens = [torch.empty(1, 4, 52, 128, device="meta", dtype=torch.bfloat16) for _ in range(3)]
    with Calls() as calls, torch.inference_mode():
        attend(*tokens, pairs)
    kernel = "_scaled_dot_product_cudnn_attention"
    assert sorted(calls.made) == sorted(
        [
            *[(kernel, 32, keys, 128) for keys in (32, 11)],
            (f"{kernel} with a bias", 32, 3, 128),
            *[(kernel, 20, keys, 128) for keys in (32, 20)],  # from the reference: all of itself
        ]
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("mask", [torch.linspace(0, 1, 77), (torch.arange(77) / 30).floor().clamp(max=1)])
def test_attend_is_the_plain_formula_on_a_gpu(mask: Tensor, dtype: torch.dtype, size: int) -> None:
    weights = [[0.5] * 200 + mask.tolist()]
    pairs = pairs_of((333, 350, (200, 77), weights))
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randn(1, 2, 627, size, generator=generator).to("cuda", dtype) for _ in range(3)]
    alike = tuple(None if two is None else (two[0].cuda(), two[1].cuda()) for two in pairs.alike)
    pairs = replace(pairs, weights=pairs.weights.cuda(), alike=alike)
    expected = plain(*tokens, dense_weights(pairs))
    with torch.inference_mode():
        mixed = attend(*tokens, pairs)
    assert float((mixed.double() - expected).norm() / expected.norm()) < (
        1e-2 if dtype != torch.float32 else 1e-5
    )


def test_a_pair_of_weight_0_does_not_exist() -> None:
    pairs = pairs_of((1, 1, (1, 1), [[0.0, 0.5]]))
    query, key, value = inputs(1, 3)
    before = attend(query, key, value, pairs)
    key[:, :, 1], value[:, :, 1] = 100, 1e6
    after = attend(query, key, value, pairs)
    assert torch.equal(before[:, :, 0], after[:, :, 0])
    assert torch.equal(before[:, :, 2], after[:, :, 2])
    assert torch.equal(after[:, :, 1], value[:, :, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_token_of_weight_0_inside_an_item_is_absent_for_the_target(dtype: torch.dtype) -> None:
    weights = torch.tensor([[0.4, 0.0, 1.0, 0.0]])
    pairs = pairs_of((3, 3, (4,), weights.tolist()))
    query, key, value = (tensor.to(dtype) for tensor in inputs(1, 7))
    before = attend(query, key, value, pairs)[:, :, :3]
    hidden = [4, 6]
    other_key, other_value = key.clone(), value.clone()
    other_key[:, :, hidden] *= -7
    other_value[:, :, hidden] = 1000
    assert torch.equal(attend(query, other_key, other_value, pairs)[:, :, :3], before)
    kept = [0, 1, 2, 3, 5]
    fewer = replace(pairs, isolated=(2,), weights=weights[:, [0, 2]], alike=(None,))
    absent = attend(query[:, :, kept], key[:, :, kept], value[:, :, kept], fewer)[:, :, :3]
    error = 1e-6 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(before, absent, rtol=error, atol=error)


@pytest.mark.parametrize("isolate", [None, False])
def test_without_weights_all_see_all(isolate: bool | None) -> None:
    assert pair_weights(assemble(video_target(), [control(), control(seed=3)], isolate=isolate)) is None
    assert pair_weights(video_target()) is None
    assert pair_weights(assemble(video_target(), [control()], isolate=True)) is None  # nothing to hide from


def blocks(isolate: bool | None, *strengths: float) -> list[list[float]]:
    """Return the weight between each two items, target first, one number a pair."""
    items = [control(seed=seed, attention_strength=value) for seed, value in enumerate(strengths)]
    pairs = pair_weights(assemble(video_target(), items, isolate=isolate))
    assert pairs is not None
    return [[round(value, 4) for value in row] for row in dense_weights(pairs)[0, ::12, ::12].tolist()]


def test_items_from_the_first_weighted_one_are_isolated() -> None:
    assert blocks(None, 0.5, 1.0) == [[1, 0.5, 1], [0.5, 1, 0], [1, 0, 1]]
    assert blocks(None, 1.0, 1.0, 0.5) == [[1, 1, 1, 0.5], [1, 1, 1, 0], [1, 1, 1, 0], [0.5, 0, 0, 1]]


def test_isolation_can_be_asked_for() -> None:
    assert blocks(True, 1.0, 1.0) == [[1, 1, 1], [1, 1, 0], [1, 0, 1]]
    assert blocks(False, 0.5, 1.0) == [[1, 0.5, 1], [0.5, 1, 1], [1, 1, 1]]
    assert blocks(False, 1.0, 0.5) == [[1, 1, 0.5], [1, 1, 1], [0.5, 1, 1]]
