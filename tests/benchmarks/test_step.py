"""benchmarks/step.py: its rows, the bounds it holds, and the memory it measures."""

import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from iclora.transformer import forward as room
from iclora.transformer import running

ROOT = Path(__file__).parent.parent.parent
FEW = ["--device", "cpu", "--size", "micro", "--rounds", "1"]


@pytest.fixture(autouse=True)
def _as_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files of the folder find each other, as they do when one of them is run."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def step() -> Any:
    return importlib.import_module("step")


@pytest.fixture
def memory() -> Any:
    return importlib.import_module("step_memory")


def test_every_case_has_its_row(step: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "step.md"
    assert step.main([*FEW, "--steps", "2", "--diffusers", "--markdown", str(page)]) == 0
    rows = [line.strip("| ").split(" | ") for line in page.read_text("utf-8").splitlines() if "|" in line]
    names = [
        "program",
        "references",
        "attention",
        "their keys",
        "tokens",
        "ms",
        "of unmasked",
        "GiB",
        "kept GiB",
    ]
    assert rows[0] == [*names, "all steps, s", "of none"]
    references = {"none": ["1"], **dict.fromkeys(("half", "full", "two"), ["1", "0.5", "mask", "region"])}
    ours = [tuple(row[1:4]) for row in rows if row[0] == "iclora"]
    assert ours == [
        (layout, weighting, keys)
        for layout, dials in references.items()
        for weighting in dials
        for keys in (("computed",) if layout == "none" else ("computed", "kept"))
    ]
    theirs = [tuple(row[1:4]) for row in rows if row[0] == "diffusers"]
    assert theirs == [case for case in ours if case[1] in ("1", "0.5") and case[2] == "computed"]
    # 2x2x4 cells; a half-size reference has 2x1x2, a full-size one as many as the target.
    assert {row[1]: row[4] for row in rows[2:]} == {"none": "16", "half": "20", "full": "32", "two": "24"}
    assert "references" in capsys.readouterr().out


@pytest.fixture
def _quickly_compiled(monkeypatch: pytest.MonkeyPatch, unchecked_shapes: None) -> Iterator[None]:
    """Capture graphs, which takes long enough, but make no kernels of them."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(running, "_compiled_block", cache(running._compiled_block.__wrapped__))
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=False, recompile_limit=8):
        yield


COMPILED = [*FEW, "--compile", "--no-audio", "--layouts", "half"]


@pytest.mark.usefixtures("_quickly_compiled")
def test_each_weighting_is_compiled_anew_and_its_rows_are_kept(
    step: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page, resets = tmp_path / "step.md", []
    plain = torch.compiler.reset

    def reset() -> None:
        resets.append(page.read_text("utf-8").count("| iclora |") if page.exists() else 0)
        if len(resets) == 3:
            raise KeyboardInterrupt
        plain()

    monkeypatch.setattr(torch.compiler, "reset", reset)
    with pytest.raises(KeyboardInterrupt):
        step.main([*COMPILED, "--markdown", str(page)])
    assert resets == [0, 2, 4]
    ratios = [line.split(" | ")[6] for line in page.read_text("utf-8").splitlines() if "| iclora |" in line]
    assert ratios[:2] == ["1.000", "1.000"] and all(float(ratio) > 0 for ratio in ratios)


@pytest.mark.usefixtures("_quickly_compiled")
def test_what_does_not_run_compiled_is_not_timed(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        torch._dynamo.graph_break()
        return plain(*arguments)

    plain = room.text_attention
    monkeypatch.setattr(room, "text_attention", broken)
    with pytest.raises(RuntimeError, match="references 'half' runs compiled"):
        step.main(COMPILED)


def test_processes_of_torchrun_share_the_videos(tmp_path: Path) -> None:
    page = tmp_path / "step.md"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "step.py", *FEW, "--layouts", "half", "--steps", "2", "--markdown", str(page)],
            cwd=ROOT / "benchmarks",
            env=os.environ
            | {"PYTHONPATH": str(ROOT / "src"), "RANK": str(rank), "WORLD_SIZE": "2"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            stdout=subprocess.DEVNULL,
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=250) for process in processes] == [0, 0]
    text = page.read_text("utf-8")
    assert text.startswith("2 x CPU") and text.count("| iclora | half |") == 8


def test_both_forwards_agree_on_what_they_are_given(step: Any) -> None:
    """Without a reference the two forwards are one: tokens, times and positions reach both alike."""
    arguments = step.parsed([*FEW, "--diffusers"])
    with torch.inference_mode():
        torch.manual_seed(0)
        model = step.build(step.SIZES["micro"], None, torch.device("cpu"))
        ours, theirs = (run(0.7) for _, run in step.runs_of(model, "none", arguments))
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-4, atol=1e-5)


def test_kept_references_are_computed_once_for_a_video(step: Any) -> None:
    arguments = step.parsed([*FEW, "--layouts", "half"])
    model = step.build(step.SIZES["micro"], 2, torch.device("cpu"))
    widths: list[int] = []
    model.transformer_blocks[0].ff.register_forward_hook(lambda *call: widths.append(call[1][0].shape[1]))
    with torch.inference_mode():
        kept = next(run for row, run in step.runs_of(model, "half", arguments) if row.keys == "kept")
        assert kept.kept_bytes == 0
        for _ in range(2):
            step.steps(kept, 3)
    assert widths == [20, 16, 16] * 2
    # 4 tokens, 2 blocks, keys and values, for the video and for the audio, in float32.
    assert kept.kept_bytes == 4 * 2 * 2 * (2 * 16 + 2 * 8) * 4


def test_a_mask_keeps_memory_per_token_the_same(memory: Any) -> None:
    with torch.inference_mode():
        found = memory.attention_memory(memory.fast_attention, (2, 4, 8))
    assert sorted(found) == [512, 1024, 2048]
    largest = [piece / num_tokens for num_tokens, (piece, _) in found.items()]
    assert max(largest) == pytest.approx(min(largest), rel=0.01)
    assert memory.growth(found) < 1.1


def test_a_dense_mask_is_caught(memory: Any) -> None:
    with torch.inference_mode():
        found = memory.attention_memory(memory.dense_attention, (2, 8))
    assert memory.growth(found) > 2
    assert found[2048][0] >= 2048 * 2048 * 4


def test_memory_inside_kernels_is_seen(memory: Any) -> None:
    tokens = torch.zeros(1, 1, 64, 8)
    largest, peak = memory.allocations(lambda: torch.empty(1000).add(torch.empty(1000)))
    assert (largest, peak) == (4000, 12000)
    _, peak = memory.allocations(lambda: scaled_dot_product_attention(tokens, tokens, tokens))
    assert peak > tokens.nbytes + 64 * 4  # the result and the row sums are not all


@pytest.mark.parametrize(
    ("ratio", "growth", "words"),
    [(1.09, 1.05, []), (1.2, 1.0, ["'half'", "1.200"]), (1.0, 4.0, ["memory", "4.00"]), (None, 1.0, [])],
)
def test_a_broken_bound_is_named(step: Any, ratio: float | None, growth: float, words: list[str]) -> None:
    row = step.Row(program="iclora", layout="half", weighting="0.5", num_tokens=20, ratio=ratio)
    other = step.Row(program="diffusers", layout="half", weighting="0.5", num_tokens=20, ratio=9.0)
    broken = step.broken_bounds([row, other], growth)
    assert len(broken) == bool(words)
    assert all(word in broken[0] for word in words)


def test_the_full_size_is_that_of_the_released_model(step: Any) -> None:
    size = step.SIZES["full"]
    model = step.build(size, 1, torch.device("meta"))
    in_block = sum(p.numel() for p in model.transformer_blocks[0].parameters())
    total = sum(p.numel() for p in model.parameters()) + 47 * in_block
    assert (size.grid.num_tokens, round(total / 1e9, 1)) == (13376, 19.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU both can be done")
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--device", "cuda"], "no GPU here: use --device cpu with"),
        (["--device", "cpu", "--size", "full"], "takes a GPU of 80 GB: use --size small"),
    ],
)
def test_what_takes_a_gpu_is_refused_with_advice(
    step: Any, capsys: pytest.CaptureFixture[str], words: list[str], advice: str
) -> None:
    with pytest.raises(SystemExit):
        step.main(words)
    assert advice in capsys.readouterr().err
