"""The reference cache: what must be equal to doing without it, bit for bit, and what it may cost."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from iclora.errors import RequestError
from iclora.reference import TokenSequence, assemble
from iclora.sampling import DISTILLED_SIGMAS, Away, Latents, Prompt, denoiser, guided, sample, start
from iclora.transformer import CachePolicy, Perturbation, ReferenceCache, keepable_of, running, velocity
from tests.small_models import (
    audio_target,
    contexts,
    control,
    keyframe,
    stream,
    transformer,
    video_target,
)

MODEL = transformer()
EXACT = CachePolicy(every=None)
MASK = torch.tensor([[0.0, 0.3, 1.0], [0.0, 0.0, 0.7]])
CASES: dict[str, dict[str, Any]] = {
    "one": {"items": [{}]},
    "weighted": {"items": [{"attention_strength": 0.4}]},
    "masked": {"items": [{"attention_mask": MASK}, {}]},
    "two": {"items": [{}, {"attention_strength": 0.4}]},
    "isolated": {"items": [{}, {}], "isolate": True},
    "dropped": {"items": [{"attention_strength": 0.0}, {}]},
    "keyframe": {"items": [{}], "pictures": [1.0]},
    "soft keyframe": {"items": [{"attention_strength": 0.4}, {}], "pictures": [0.6]},
    "batch": {"items": [{"attention_strength": 0.4}, {}], "batch": 2},
}


def laid_out(
    items: Sequence[dict[str, Any]],
    *,
    pictures: Sequence[float] = (),
    batch: int = 1,
    isolate: bool | None = None,
    one_way: bool = True,
) -> TokenSequence:
    target = video_target(batch=batch)
    target.mask[:, :6] = 0  # a first frame
    appended = [keyframe(batch=batch, strength=strength) for strength in pictures]
    appended += [control(batch=batch, seed=seed, **dials) for seed, dials in enumerate(items)]
    return assemble(target, appended, isolate=isolate, num_one_way=len(items) if one_way else 0)


def on(sequence: TokenSequence, device: str, dtype: torch.dtype) -> TokenSequence:
    return replace(
        sequence,
        clean=sequence.clean.to(device, dtype),
        positions=sequence.positions.to(device),
        mask=sequence.mask.to(device),
        weights=tuple(None if weights is None else weights.to(device) for weights in sequence.weights),
    )


def sampled(
    sequence: TokenSequence,
    policy: CachePolicy | None,
    *,
    model: Any = MODEL,
    audio: bool = False,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    passes: Sequence[Perturbation | None] = (None,),
) -> tuple[Tensor, Tensor | None]:
    """Eight steps; each further pass is guided away from, with a prompt of its own."""
    batch = len(sequence.clean)
    sequence, heard = (on(one, device, dtype) for one in (sequence, audio_target(batch=batch)))
    generator = torch.Generator().manual_seed(4)
    noise, sound = (
        torch.randn(one.clean.shape, generator=generator).to(one.clean) for one in (sequence, heard)
    )
    calls = []
    for seed, perturbation in enumerate(passes):
        video, other = (context.to(noise) for context in contexts(model, batch=batch, seed=seed))
        calls.append(
            denoiser(
                model,
                Prompt(video=video, audio=other),
                sequence,
                heard if audio else None,
                perturbation=perturbation,
                reference_cache=policy,
            )
        )
    noisy = Latents(video=start(sequence, noise), audio=sound if audio else None)
    denoise = calls[0] if len(calls) == 1 else guided(calls[0], [Away(guess=calls[1], video=1.0, audio=1.0)])
    with torch.inference_mode():
        made = sample(denoise, noisy, sequence, heard if audio else None, sigmas=DISTILLED_SIGMAS)
    return made.video, made.audio


def same(one: tuple[Tensor, Tensor | None], other: tuple[Tensor, Tensor | None]) -> bool:
    sound = one[1] is None or (other[1] is not None and torch.equal(one[1], other[1]))
    return torch.equal(one[0], other[0]) and sound


def widths_of(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each call of the first block's feed-forward, as they come."""
    widths: list[int] = []
    feed, plain = model.transformer_blocks[0].ff, type(model.transformer_blocks[0].ff).forward

    def watched(hidden: Tensor) -> Tensor:
        widths.append(hidden.shape[1])
        return plain(feed, hidden)  # type: ignore[no-any-return]

    monkeypatch.setattr(feed, "forward", watched)
    return widths


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_exact_is_off_bit_for_bit(name: str, *, audio: bool) -> None:
    sequence = laid_out(**CASES[name])
    assert same(sampled(sequence, EXACT, audio=audio), sampled(sequence, None, audio=audio))


@pytest.mark.parametrize(
    "settings",
    [
        {"model": transformer("2.0")},
        {"dtype": torch.bfloat16, "model": transformer().bfloat16()},
        {"passes": [None, None]},
        {"passes": [None, Perturbation(values_only_blocks=(1,))]},
        {"passes": [None, Perturbation(cross_modal=False)]},
    ],
    ids=["2.0", "bfloat16", "guidance", "values only", "apart"],
)
@pytest.mark.parametrize("store", ["device", "host"])
def test_exact_is_off_in_every_form(settings: dict[str, Any], store: Any) -> None:
    sequence = laid_out([{"attention_strength": 0.4}, {}], pictures=[1.0])
    kept = sampled(sequence, replace(EXACT, store=store), audio=True, **settings)
    assert same(kept, sampled(sequence, None, audio=True, **settings))
    assert kept[0].isfinite().all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("store", ["device", "host"])
def test_exact_is_off_on_a_gpu(store: Any) -> None:
    model = transformer(num_layers=5).to("cuda", torch.bfloat16)
    sequence = laid_out([{"attention_strength": 0.4}, {}], pictures=[1.0])
    for passes in ([None], [None, Perturbation(values_only_blocks=(1, 2))]):
        runs = [
            sampled(
                sequence,
                policy,
                audio=True,
                device="cuda",
                passes=passes,
                dtype=torch.bfloat16,
                model=model,
            )
            for policy in (replace(EXACT, store=store), None)
        ]
        assert same(*runs) and runs[0][0].isfinite().all()


@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_1_is_off_bit_for_bit(name: str, *, one_way: bool) -> None:
    sequence = laid_out(**CASES[name], one_way=one_way)
    off = sampled(sequence, None, audio=True)
    assert same(sampled(sequence, CachePolicy(every=1), audio=True), off)


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lost_where_nothing_changed(name: str, *, one_way: bool, audio: bool) -> None:
    """The same step once more: computed, and with what was kept of it."""
    sequence = laid_out(**CASES[name], one_way=one_way)
    batch = len(sequence.clean)
    context, audio_context = contexts(MODEL, batch=batch)
    video = stream(sequence, context)
    sound = stream(audio_target(batch=batch), audio_context, seed=6) if audio else None
    keeps = ReferenceCache(CachePolicy(every=9))
    with torch.inference_mode():
        plain = velocity(MODEL, video, sound)
        computed, kept = (velocity(MODEL, video, sound, cache=keeps) for _ in range(2))
        latents = video.latents.clone()
        latents[:, -keepable_of(keeps.policy, sequence) :] = 7.0
        unread, _ = velocity(MODEL, replace(video, latents=latents), sound, cache=keeps)
    assert keeps.num_bytes > 0 and same(computed, plain)
    torch.testing.assert_close(kept, plain, rtol=1e-4, atol=1e-5)
    assert torch.equal(unread, kept[0])


def test_only_the_target_goes_through_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    two_way, one_way = (laid_out([{}], pictures=[0.6], one_way=one_way) for one_way in (False, True))
    model = transformer()
    widths = widths_of(model, monkeypatch)
    sampled(two_way, CachePolicy(every=3), model=model)
    assert widths == [30, 18, 18, 30, 18, 18, 30, 18]
    widths.clear()
    sampled(one_way, EXACT, model=model)
    assert widths == [12, *[18] * 8]  # the reference once, by itself
    widths.clear()
    sampled(one_way, None, model=model)
    assert widths == [12, 18] * 8


def test_clean_keyframes_are_kept_with_two_way_references(monkeypatch: pytest.MonkeyPatch) -> None:
    model = transformer()
    widths = widths_of(model, monkeypatch)
    sampled(laid_out([{}], pictures=[1.0], one_way=False), CachePolicy(every=4), model=model)
    assert widths == [30, 12, 12, 12] * 2


def test_the_approximation_is_one() -> None:
    sequence = laid_out([{}], one_way=False)
    off, often, seldom = (
        sampled(sequence, every)[0] for every in (None, CachePolicy(every=2), CachePolicy(every=8))
    )
    errors = [float((kept - off).norm() / off.norm()) for kept in (often, seldom)]
    assert 0 < errors[0] < errors[1] < 0.1


def test_what_moves_is_not_kept() -> None:
    last, first = ([{}, {"strength": 0.5}], [{"strength": 0.5}, {}])
    assert keepable_of(CachePolicy(every=2), laid_out(last, one_way=False)) == 0
    assert keepable_of(CachePolicy(every=2), laid_out(first, one_way=False)) == 12
    assert keepable_of(CachePolicy(every=2), laid_out(first)) == 0
    sequence = laid_out(last, one_way=False)
    assert same(sampled(sequence, CachePolicy(every=2)), sampled(sequence, None))
    for changes in (laid_out(last), laid_out([{}], one_way=False)):
        with pytest.raises(RequestError, match="only if they are one-way and clean"):
            sampled(changes, EXACT)


def test_exact_keeps_nothing_that_looks_at_the_target() -> None:
    hidden = laid_out(
        [{"attention_strength": 0.0}], pictures=[1.0]
    )  # the reference is dropped, a keyframe stays
    assert same(sampled(hidden, EXACT), sampled(hidden, None))
    assert same(sampled(video_target(), EXACT), sampled(video_target(), None))


@pytest.mark.parametrize("audio", [False, True])
def test_bytes_and_rounding(*, audio: bool) -> None:
    sequence = laid_out([{}])
    context, audio_context = contexts(MODEL)
    sound = stream(audio_target(), audio_context) if audio else None
    results, sizes = [], []
    for store in ("device", "host", "fp8"):
        keeps = ReferenceCache(CachePolicy(every=8, store=store))  # type: ignore[arg-type]
        with torch.inference_mode():
            for _ in range(2):
                moved, _ = velocity(MODEL, stream(sequence, context), sound, cache=keeps)
        results.append(moved[:, :12])
        sizes.append(keeps.num_bytes)
    values = 12 * 2 * 2 * (24 + (16 if audio else 0))  # tokens, blocks, keys and values, widths
    scales = 4 * 2 * 2 * (2 + (2 if audio else 0))  # float32, blocks, keys and values, heads
    assert sizes == [4 * values, 4 * values, values + scales]
    assert torch.equal(results[0], results[1])
    error = float((results[2] - results[0]).norm() / results[0].norm())
    assert 0 < error < 0.01


class Asked(TorchDispatchMode):
    """Notes what a program on a GPU would wait for: values that are read, or indices that are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "index", "is_nonzero", "equal"):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("policy", [None, CachePolicy(every=2), EXACT], ids=["off", "every", "exact"])
def test_steps_wait_for_no_value(policy: CachePolicy | None, *, audio: bool) -> None:
    sequence = laid_out([{"attention_mask": MASK}, {}], pictures=[1.0])
    heard = audio_target() if audio else None
    context, audio_context = contexts(MODEL)
    prompt = Prompt(video=context, audio=audio_context, mask=torch.tensor([[True, True, False]]))
    denoise = denoiser(MODEL, prompt, sequence, heard, reference_cache=policy)
    noisy = Latents(video=sequence.clean, audio=None if heard is None else heard.clean)
    with torch.inference_mode():
        with Asked() as first:
            denoise(noisy, 1.0)
        assert "nonzero" in first.names  # what is watched for is seen
        with Asked() as later:
            for sigma in (0.9, 0.5, 0.2):
                denoise(noisy, sigma)
    assert later.names == []


@pytest.mark.parametrize(
    ("text", "every", "store"),
    [
        ("exact", None, "device"),
        ("exact,host", None, "host"),
        ("every:4", 4, "device"),
        ("every:12,fp8", 12, "fp8"),
    ],
)
def test_words_of_a_policy(text: str, every: int | None, store: str) -> None:
    assert CachePolicy.parse(text) == CachePolicy(every=every, store=store)  # type: ignore[arg-type]
    assert CachePolicy.parse("off") is None


@pytest.mark.parametrize(
    "text", ["", "on", "every", "every:0", "every:-1", "every:2,disk", "off,host", "exact:2"]
)
def test_words_that_are_no_policy(text: str) -> None:
    with pytest.raises(RequestError, match="is not known: say off, exact or every:K"):
        CachePolicy.parse(text)


def test_exact_and_rounded_is_a_contradiction() -> None:
    with pytest.raises(RequestError, match="say every:K,fp8 with K the number of steps"):
        CachePolicy.parse("exact,fp8")


def test_a_cache_is_for_sampling_alone() -> None:
    video = stream(laid_out([{}]), contexts(MODEL)[0])
    keeps = ReferenceCache(EXACT)
    with pytest.raises(RequestError, match=r"under torch.inference_mode\(\)"):
        velocity(MODEL, video, cache=keeps)
    with torch.no_grad(), pytest.raises(RequestError, match="without clean_too"):
        velocity(MODEL, video, clean_too=True, cache=keeps)


def test_a_step_that_failed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = transformer()
    video = stream(laid_out([{}], one_way=False), contexts(model)[0])
    keeps = ReferenceCache(CachePolicy(every=4))

    def failing(*_: object) -> None:
        raise MemoryError

    with torch.inference_mode():
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(model.transformer_blocks[-1].ff, "forward", failing)
            velocity(model, video, cache=keeps)
        assert keeps.num_bytes == 0
        assert same(velocity(model, video, cache=keeps), velocity(model, video))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("one_way", "policy", "graphs_wanted"),
    [
        (False, CachePolicy(every=3), 3),  # all blocks but the last, the last, and any with kept references
        (True, EXACT, 3),  # references in all blocks but the last, in the last; the target in any
        (True, None, 3),
    ],
)
def test_compiled_blocks(
    monkeypatch: pytest.MonkeyPatch, policy: CachePolicy | None, graphs_wanted: int, *, one_way: bool
) -> None:
    model, graphs = transformer(), []
    sequence = laid_out([{"attention_strength": 0.5}], one_way=one_way)

    def captured(graph: Any, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()  # the shape checker makes one function of all that are compiled, in all tests
    eager = sampled(sequence, policy, model=model, audio=True)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=captured, fullgraph=True))
    monkeypatch.setattr(running, "_compiled_block", cache(running._compiled_block.__wrapped__))
    model.compile_repeated_blocks()
    torch.testing.assert_close(
        sampled(sequence, policy, model=model, audio=True), eager, rtol=1e-5, atol=1e-5
    )
    assert len(graphs) == graphs_wanted
    if one_way:
        assert same(
            sampled(sequence, EXACT, model=model, audio=True),
            sampled(sequence, None, model=model, audio=True),
        )
        assert len(graphs) == graphs_wanted
