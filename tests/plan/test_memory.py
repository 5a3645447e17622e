"""plan.memory: counted bytes, measured peaks, and cards that have too little."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import LTX2VideoTransformer3DModel

from iclora import checkpoints, load
from iclora.plan import Plan, PlannedMemory, ReferenceRequest, Request, Source, make_plan
from iclora.plan.memory import ESTIMATE_ERROR, check_kept, check_memory, decoding_bytes, peak_bytes
from iclora.plan.values import Findings

GIB = 2**30
# benchmarks/README.md: width 256, float32, tokens and GiB of a step whose references are computed.
MEASURED = ((1152, 0.014), (1440, 0.021), (1728, 0.026), (2304, 0.034))


def memory(weights: int = 0, step: int = 0, decoding: int = 0, kept: int = 0) -> PlannedMemory:
    return PlannedMemory(weights=weights * GIB, step=step * GIB, decoding=decoding * GIB, kept=kept * GIB)


def card(monkeypatch: pytest.MonkeyPatch, free: int, total: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * GIB, total * GIB))


def said(asked: PlannedMemory, device: str = "cuda", **words: Any) -> list[str]:
    findings = Findings()
    check_memory(asked, device, findings, **words)
    return [f"{one.level}: {one}" for one in findings]


def plan(model: Path, **words: Any) -> Plan:
    return make_plan(Request(prompt="", model=str(model), **words))


def test_weights_are_counted_from_the_files(micro_model: Path) -> None:
    parts = checkpoints.load(micro_model)
    modules = (parts.transformer, parts.vae, parts.connectors, parts.text_encoder)
    held = sum(tensor.numel() for module in modules for tensor in module.state_dict().values())
    assert plan(micro_model).memory.weights == pytest.approx(4 * held, rel=0.01)
    assert plan(micro_model, dtype=torch.bfloat16).memory.weights == plan(micro_model).memory.weights / 2
    assert plan(micro_model, adapters=(("canny", 1.0),)).memory.weights > plan(micro_model).memory.weights


@pytest.mark.parametrize(("num_tokens", "measured"), MEASURED)
def test_a_step_is_as_measured(micro_model: Path, num_tokens: int, measured: float) -> None:
    """The estimate of the small model, brought to the tokens and the width of what was measured."""
    made = plan(micro_model)
    config = LTX2VideoTransformer3DModel.load_config(micro_model / "transformer")
    width = config["num_attention_heads"] * config["attention_head_dim"]
    estimate = made.memory.step / made.num_target_tokens / width * num_tokens * 256
    assert estimate / GIB == pytest.approx(measured, rel=ESTIMATE_ERROR + 0.02)


def test_decoding_is_followed_as_it_runs(micro_model: Path) -> None:
    """On tensors without values it counts what it counts on real ones."""
    made = plan(micro_model)
    vae = checkpoints.load(micro_model).vae
    latent = torch.zeros(1, vae.config.latent_channels, *made.grid.shape)
    pixels = 3 * 4 * made.num_frames * made.height * made.width
    real = peak_bytes(lambda: vae.decode(latent, return_dict=False))
    assert decoding_bytes(micro_model, made.grid, torch.float32) == max(3 * pixels, real)
    assert plan(micro_model, num_frames=17).memory.decoding > made.memory.decoding


def test_what_is_alive_at_a_time_is_counted() -> None:
    """1 MiB of floats, then a second beside it; the first ends before the third is made."""

    def call() -> None:
        first = torch.ones(2**18)
        second = first + 1
        second.view(512, 512).mul_(2)
        del first
        torch.cat([second[:8], second[8:]])

    assert peak_bytes(call) == 2 * 2**20


def test_a_card_with_room_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card(monkeypatch, free=70, total=80)
    assert said(memory(weights=50, step=5, decoding=15)) == []


def test_a_card_with_too_little_free_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    card(monkeypatch, free=40, total=80)
    found = said(memory(weights=50, step=5, decoding=15, kept=2))
    assert len(found) == 1 and found[0].startswith(
        "warning: About 67 GiB of memory are needed, and cuda has 40 GiB"
    )
    assert ",host" in found[0] and "end what else uses the card" in found[0]


def test_more_than_the_card_has_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    card(monkeypatch, free=23, total=24)
    found = said(memory(weights=50, step=5, decoding=15))
    assert found[0].startswith("error: About 65 GiB") and "smaller size or fewer frames" in found[0]


@pytest.mark.parametrize(
    ("free", "total", "beginning"),
    [
        (70, 80, None),
        (60, 80, "warning: About 65 GiB of memory are needed, and the computer has 60 GiB free of 80 GiB"),
        (40, 45, "error: About 65 GiB of memory are needed"),
        (None, None, None),
    ],
)
def test_the_memory_of_the_computer(
    monkeypatch: pytest.MonkeyPatch, free: int | None, total: int | None, beginning: str | None
) -> None:
    for name, size in (("free_bytes", free), ("total_bytes", total)):
        monkeypatch.setattr(f"iclora.plan.memory.{name}", lambda size=size: size and size * 2**30)
    found = said(memory(weights=50, step=5, decoding=15), device="cpu")
    assert [one[: len(beginning or "")] for one in found] == ([] if beginning is None else [beginning])


@pytest.mark.parametrize(
    ("total", "device", "level"),
    [(30, "cuda", "warning"), (30, "cpu", "error"), (19, "cuda", "error")],
)
def test_offloading_needs_room_for_the_weights(
    monkeypatch: pytest.MonkeyPatch, total: int, device: str, level: str
) -> None:
    """The computer holds 20 GiB of weights; the step is on the card, if that is where it is computed."""
    card(monkeypatch, free=0, total=0)
    monkeypatch.setattr("iclora.plan.memory.free_bytes", lambda: 10 * GIB)
    monkeypatch.setattr("iclora.plan.memory.total_bytes", lambda: total * GIB)
    found = said(memory(weights=20, step=45), device=device, offload=True)
    assert [one.split(":")[0] for one in found] == [level] and "the computer has 10 GiB free" in found[0]


def test_a_plan_for_the_cpu_stops_on_it(micro_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights fit, but not the frames; loading does not know the size, and goes on."""
    made = plan(micro_model, num_frames=97)
    size = made.memory.weights + made.memory.decoding // 2
    monkeypatch.setattr("iclora.plan.memory.free_bytes", lambda: size)
    monkeypatch.setattr("iclora.plan.memory.total_bytes", lambda: size)
    for words, stops in (({}, True), ({"device": "cuda", "offload": True}, False)):
        found = plan(micro_model, num_frames=97, **words).findings
        levels = [one.level for one in found if "of memory are needed" in one.text]
        assert levels == (["error"] if stops else ["warning"])
    load(micro_model)


def test_weights_that_are_loaded_are_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    card(monkeypatch, free=20, total=80)
    assert said(memory(weights=50, decoding=15), loaded=True) == []
    assert said(memory(weights=50, decoding=25), loaded=True) != []


def test_a_device_that_is_not_there_is_for_loading_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(device: object) -> None:
        raise RuntimeError("invalid device ordinal")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", fails)
    assert said(memory(weights=500), device="cuda:7") == []


def test_the_plan_stops_on_it(micro_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    made = plan(micro_model, device="cuda")
    assert any(one.level == "error" and "of memory are needed" in one.text for one in made.findings)
    assert made.to_json()["num_memory_bytes"] == made.memory.total


@pytest.mark.parametrize(
    ("num_kept", "beginning"),
    [
        (60, None),
        (
            61,
            "warning: About 61 GiB are kept of references in the computer's memory, which has 60 GiB free of",
        ),
        (81, "error: About 81 GiB are kept"),
    ],
)
def test_the_computer_needs_room_for_what_a_card_keeps_there(
    monkeypatch: pytest.MonkeyPatch, num_kept: int, beginning: str | None
) -> None:
    monkeypatch.setattr("iclora.plan.memory.free_bytes", lambda: 60 * GIB)
    monkeypatch.setattr("iclora.plan.memory.total_bytes", lambda: 80 * GIB)
    findings = Findings()
    check_kept(num_kept * GIB, findings)
    found = [f"{one.level}: {one}" for one in findings]
    assert [one[: len(beginning or "")] for one in found] == ([] if beginning is None else [beginning])


def test_what_is_kept_is_counted_where_it_lies(micro_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU the computer's memory is the device's; beside a card it is looked at by itself."""
    source = Source(label="in.mp4", height=64, width=64, num_frames=9, fps=16.0)
    words: dict[str, Any] = {"references": (ReferenceRequest(source=source, control="canny"),)}
    words |= {"reference_cache": "every:4,host"}
    here = plan(micro_model, **words)
    assert here.memory.kept == here.reference_cache.num_bytes > 0
    card(monkeypatch, free=70, total=80)
    monkeypatch.setattr("iclora.plan.memory.free_bytes", lambda: 1)
    beside = plan(micro_model, device="cuda", **words)
    assert beside.memory.kept == 0 and beside.reference_cache == here.reference_cache
    assert any("are kept of references in the computer's memory" in one.text for one in beside.findings)
