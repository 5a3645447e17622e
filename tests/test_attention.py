"""Pair weights against the plain formula."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from iclora.attention import (
    PairWeights,
    attend,
    attend_apart,
    dense_weights,
    one_way_groups,
    pair_weights,
)
from iclora.reference import assemble
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
    return PairWeights(num_target=target, num_open=opened, isolated=isolated, weights=torch.tensor(rows))


@settings(max_examples=60, deadline=None)
@given(layouts(), st.integers(0, 1000))
def test_attend_is_the_plain_formula(layout: Layout, seed: int) -> None:
    pairs = pairs_of(layout)
    query, key, value = inputs(len(pairs.weights), pairs.num_open + sum(pairs.isolated), seed)
    expected = plain(query, key, value, dense_weights(pairs))
    torch.testing.assert_close(attend(query, key, value, pairs), expected.float(), rtol=1e-4, atol=1e-5)


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
    pairs = PairWeights(num_target=2, num_open=2, isolated=(2,), weights=torch.tensor([[weight, 0.001]]))
    query, key, value = (torch.zeros(1, 2, 4, 8, dtype=torch.bfloat16) for _ in range(3))
    value[:, :, 2] = 1
    mixed = attend(query, key, value, pairs)
    expected = torch.tensor(weight / (2.001 + weight))
    torch.testing.assert_close(mixed[0, 0, 0, 0].float(), expected, rtol=4e-3, atol=0)


def test_a_pair_of_weight_0_does_not_exist() -> None:
    pairs = PairWeights(num_target=1, num_open=1, isolated=(1, 1), weights=torch.tensor([[0.0, 0.5]]))
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
    pairs = PairWeights(num_target=3, num_open=3, isolated=(4,), weights=weights)
    query, key, value = (tensor.to(dtype) for tensor in inputs(1, 7))
    before = attend(query, key, value, pairs)[:, :, :3]
    hidden = [4, 6]
    other_key, other_value = key.clone(), value.clone()
    other_key[:, :, hidden] *= -7
    other_value[:, :, hidden] = 1000
    assert torch.equal(attend(query, other_key, other_value, pairs)[:, :, :3], before)
    kept = [0, 1, 2, 3, 5]
    fewer = replace(pairs, isolated=(2,), weights=weights[:, [0, 2]])
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
