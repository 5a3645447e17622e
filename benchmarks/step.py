"""Time one transformer step, without and with references: `python benchmarks/step.py --help`.

    python benchmarks/step.py --check                   a small model on any machine; `make bench`
    python benchmarks/step.py --size full --compile     LTX-2.3 geometry, 19 B parameters, on one GPU
        --diffusers --official --steps 8                ... with all there is
    torchrun --nproc-per-node 2 benchmarks/step.py ...  a video over two GPUs

Weights are random: time and memory do not depend on them.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from step_cases import LAYOUTS, SIZES, Ours, Run, build, diffusers_run, inputs_of, sequence_of
from step_memory import attention_memory, dense_attention, fast_attention, growth, peak_bytes
from step_official import is_importable, official_of, official_run
from torch.utils.flop_counter import FlopCounterMode

from iclora.attention import dense_weights, pair_weights
from iclora.transformer import ReferenceCache, split_over, to_fp8

WEIGHTINGS = ("1", "0.5", "mask", "region")
MAX_GROWTH = 1.1
"""How much the memory per token may grow while the tokens are doubled, twice."""
MAX_RATIO = 1.1
"""What a strength or a mask may cost: milliseconds over those of the unmasked step of the same tokens."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; figures are None where the case ran out of memory or does not measure them.

    Attributes:
        program: Whose forward it is.
        layout: Name of the references.
        weighting: Attention strength, or mask.
        keys: ``kept`` where the references' come from an earlier step, else ``computed``.
        num_tokens: Video tokens of the whole sequence.
        milliseconds: Median time of a step.
        ratio: Median of its time over that of the same program's unmasked step in the same round, both with
            references kept or both not: what slows the machine for a while slows both.
        peak_bytes: Most memory in use during a step, weights, inputs and what is kept not counted.
        kept_bytes: Memory of what is kept.
        loop_seconds: Time of the steps of a whole video.
    """

    program: str
    layout: str
    weighting: str
    keys: str = "computed"
    num_tokens: int
    milliseconds: float | None = None
    ratio: float | None = None
    peak_bytes: int | None = None
    kept_bytes: int | None = None
    loop_seconds: float | None = None

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells it from other rows of its layout."""
        return self.program, self.weighting, self.keys


def runs_of(model: Any, layout: str, arguments: argparse.Namespace) -> Iterator[tuple[Row, Run]]:
    """List the forwards of a layout with their rows, still empty; the unmasked ones first."""
    size, device = SIZES[arguments.size], torch.device(arguments.device)
    kept: list[ReferenceCache] = []  # one for all weightings: what is kept does not depend on them
    for weighting in arguments.attention if LAYOUTS[layout] else WEIGHTINGS[:1]:
        sequence = sequence_of(size, layout, weighting, device)
        video, audio = inputs_of(model, size, sequence)
        row = Row(program="iclora", layout=layout, weighting=weighting, num_tokens=sum(sequence.lengths))
        ours = Ours(model=model, video=video, audio=audio if arguments.audio else None)
        yield row, ours
        if LAYOUTS[layout]:
            yield replace(row, keys="kept"), replace(ours, kept=kept)
        if weighting in ("mask", "region"):
            continue
        pairs = pair_weights(sequence)
        mask = None if pairs is None else dense_weights(pairs).to(size.dtype)
        if arguments.diffusers:
            yield replace(row, program="diffusers"), diffusers_run(model, video, audio, mask)
        if arguments.official:
            official = official_of(model, compiled=arguments.compile)
            yield replace(row, program="official"), official_run(official, video, audio, mask)


def wait(device: torch.device) -> None:
    """Wait until the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Time a piece of work; on the CPU by the processor's time, which others there do not lengthen."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    wait(device)
    start = clock()
    work()
    wait(device)
    return clock() - start


def matmul_teraflops(device: torch.device, dtype: torch.dtype, side: int = 8192, repeats: int = 20) -> float:
    """Measure what the device reaches in a large matrix product, in TFLOP a second."""
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = [seconds_of(lambda: left @ right, device) for _ in range(repeats)]
    return float(2 * side**3 / statistics.median(seconds) / 1e12)


def useful_work(model: Any, layout: str, arguments: argparse.Namespace) -> int:
    """Count the floating-point operations of the unmasked step; call it before the blocks are compiled."""
    _, run = next(runs_of(model, layout, arguments))
    with FlopCounterMode(display=False) as counter:
        run(0.9)
    return int(counter.get_total_flops())


def time_layout(model: Any, layout: str, arguments: argparse.Namespace) -> Iterator[Row]:
    """Time all forwards of a layout; rows come as they are done.

    They take turns, so that a slow moment of the machine slows all of them. Of compiled ones each weighting
    is compiled anew with the unmasked ones it is compared with: graphs that others left behind would change
    how it is compiled, and cards slow down as they get warm.
    """
    device = torch.device(arguments.device)
    times: dict[tuple[str, str, str], list[float]] = {}
    cases = groupby(
        runs_of(model, layout, arguments), lambda case: case[0].weighting if arguments.compile else layout
    )
    plain: list[tuple[Row, Run]] = []
    for weighting, group in cases:
        torch.compiler.reset()
        torch._dynamo.utils.counters.clear()
        warm = [(warmed(row, run, arguments), run) for row, run in group]
        timed = [(row, run) for row, run in warm if row.peak_bytes is not None]
        if weighting == WEIGHTINGS[0]:
            plain = timed
        else:
            timed = [*((warmed(row, run, arguments), run) for row, run in plain), *timed]
        times |= {row.name: [] for row, _ in timed}
        for _ in range(arguments.rounds):
            for row, run in timed:
                times[row.name].append(seconds_of(lambda run=run: run(0.9), device))
        for row, run in warm:
            yield finished(row, run, times, arguments)


def warmed(row: Row, run: Run, arguments: argparse.Namespace) -> Row:
    """Compile a forward and measure its memory, which stays None where it ran out of that."""
    device = torch.device(arguments.device)
    torch.cuda.empty_cache()
    try:
        for sigma in (1.0, 0.9):  # compiles, and fills caches
            run(sigma)
        peak = peak_bytes(lambda: run(0.9), device)
    except torch.OutOfMemoryError:
        return row
    if arguments.compile and row.program == "iclora":
        check_compiled(row)
    kept = run.kept_bytes if isinstance(run, Ours) else None
    return replace(row, peak_bytes=peak, kept_bytes=kept)


def check_compiled(row: Row) -> None:
    """Refuse to time what does not run compiled, as far as PyTorch's own counters tell."""
    counters = torch._dynamo.utils.counters
    frames, breaks = counters["frames"], [reason.splitlines()[0] for reason in counters["graph_break"]]
    if not frames["ok"] or frames["ok"] < frames["total"] or breaks:
        raise RuntimeError(
            f"Not all of {row.name} with references '{row.layout}' runs compiled: {frames['ok']} of "
            f"{frames['total']} functions, and the graph breaks at {breaks or 'no place'}. See "
            "TORCH_LOGS=graph_breaks,recompiles; what is not compiled is not timed here."
        )


def finished(
    row: Row, run: Run, times: dict[tuple[str, str, str], list[float]], arguments: argparse.Namespace
) -> Row:
    """Fill in the times of a row, and those of a whole video if they are asked for."""
    seconds, plain = times.get(row.name), times.get((row.program, "1", row.keys))
    if not seconds:
        return row
    total = None
    if arguments.steps:
        total = seconds_of(lambda: steps(run, arguments.steps), torch.device(arguments.device))
    return replace(
        row,
        milliseconds=1e3 * statistics.median(seconds),
        ratio=statistics.median(a / b for a, b in zip(seconds, plain, strict=True)) if plain else None,
        loop_seconds=total,
    )


def steps(run: Run, num_steps: int) -> None:
    """Run the forwards of a whole video, at falling noise levels."""
    for step in range(num_steps):
        run(1 - step / num_steps)


def step_table(rows: Sequence[Row], work: dict[str, int], ceiling: float | None) -> Table:
    """Lay the timed steps out as a table; columns that no row fills are left out."""
    lines = [_cells(row, rows, work, ceiling) for row in rows]
    table = Table(title="One step")
    names = [name for name in lines[0] if any(line[name] for line in lines)]
    for name in names:
        table.add_column(name)
    for line in lines:
        table.add_row(*(line[name] for name in names))
    return table


def _cells(row: Row, rows: Sequence[Row], work: dict[str, int], ceiling: float | None) -> dict[str, str]:
    counted = ceiling and row.milliseconds and row.keys == "computed"
    rate = work[row.layout] / row.milliseconds / 1e9 if counted else None
    alone = [r.loop_seconds for r in rows if (r.program, r.layout) == (row.program, "none")]
    over_alone = row.loop_seconds / alone[0] if row.loop_seconds and alone and alone[0] else None
    return {
        "program": row.program,
        "references": row.layout,
        "attention": row.weighting,
        "their keys": row.keys,
        "tokens": str(row.num_tokens),
        "ms": "out of memory" if row.milliseconds is None else f"{row.milliseconds:.0f}",
        "of unmasked": _shown(row.ratio, ".3f"),
        "GiB": _shown(row.peak_bytes and row.peak_bytes / 2**30, ".3f"),
        "kept GiB": _shown(row.kept_bytes and row.kept_bytes / 2**30, ".3f"),
        "TFLOP/s": _shown(rate, ".0f"),
        "of ceiling": _shown(rate and ceiling and rate / ceiling, ".2f"),
        "all steps, s": _shown(row.loop_seconds, ".2f"),
        "of none": _shown(over_alone, ".3f"),
    }


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def memory_table(measured: dict[str, dict[int, tuple[int, int]]]) -> Table:
    """Lay the memory of self-attention out as a table."""
    table = Table(title="Memory of self-attention with a mask, bytes per token")
    for name in ("form", "tokens", "largest piece", "peak"):
        table.add_column(name)
    for form, found in measured.items():
        for num_tokens, pieces in found.items():
            table.add_row(form, str(num_tokens), *(f"{piece / num_tokens:.0f}" for piece in pieces))
    return table


def broken_bounds(rows: Sequence[Row], memory_growth: float) -> list[str]:
    """Name the bounds that do not hold."""
    broken = [
        f"references '{row.layout}' ({row.keys}) with attention '{row.weighting}' cost {row.ratio:.3f} "
        f"of the unmasked step; at most {MAX_RATIO} is wanted"
        for row in rows
        if row.program == "iclora" and row.ratio is not None and row.ratio > MAX_RATIO
    ]
    if memory_growth > MAX_GROWTH:
        broken.append(f"memory per token grows {memory_growth:.2f} times; at most {MAX_GROWTH} is wanted")
    return broken


def markdown(table: Table) -> str:
    """Write a table as Markdown."""
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    lines = ["| " + " | ".join(line) + " |" for line in zip(*columns, strict=True)]
    return "\n".join([f"{table.title}:", "", lines[0], "|" + "---|" * len(columns), *lines[1:], ""])


def write(path: Path | None, header: str, tables: Sequence[Table]) -> None:
    """Write the tables to a file, if one is asked for."""
    if path is not None:
        path.write_text("\n".join([header, "", *map(markdown, tables)]), encoding="utf-8")


def described(model: Any, arguments: argparse.Namespace) -> str:
    """Say what is timed, and on what."""
    device = torch.device(arguments.device)
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else f"CPU, {torch.get_num_threads()} threads"
    count = sum(parameter.numel() for parameter in model.parameters())
    official = "importable" if is_importable() else "not importable"
    return (
        f"{arguments.num_gpus} x {name}, torch {torch.__version__}; size {arguments.size}: "
        f"{count / 1e9:.2f} B parameters, {SIZES[arguments.size].dtype}"
        f"{' and 8-bit products' if arguments.fp8 else ''}, "
        f"{'compiled' if arguments.compile else 'not compiled'}, "
        f"{'with' if arguments.audio else 'without'} audio; official package: {official}"
    )


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time one transformer step, without and with references.")
    parser.add_argument("--size", choices=SIZES, default="small", help="full is for a GPU")
    parser.add_argument("--layers", type=int, help="fewer blocks than the model has, where it does not fit")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS), help="references")
    parser.add_argument(
        "--attention", nargs="+", choices=WEIGHTINGS, default=list(WEIGHTINGS), help="strengths and masks"
    )
    parser.add_argument("--fp8", action="store_true", help="matrix products of our blocks in 8 bits")
    parser.add_argument("--rounds", type=int, default=15, help="times each step is timed")
    parser.add_argument("--steps", type=int, default=0, help="also time that many steps in a row")
    parser.add_argument("--compile", action="store_true", help="compile the blocks")
    parser.add_argument("--diffusers", action="store_true", help="time diffusers' own forward as well")
    parser.add_argument("--official", action="store_true", help="time that of the official package as well")
    parser.add_argument(
        "--no-audio", dest="audio", action="store_false", help="leave audio out of our forward"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--check", action="store_true", help="hold the bounds on time and memory, or exit 1")
    arguments = parser.parse_args(words)
    arguments.num_gpus = int(os.environ.get("WORLD_SIZE", 1))
    if arguments.num_gpus > 1 and (arguments.diffusers or arguments.official):
        parser.error("other forwards are timed on one GPU: leave --diffusers and --official out")
    if arguments.official and (arguments.fp8 or not is_importable()):
        parser.error("--official needs the package ltx_core on PYTHONPATH, and takes no --fp8")
    on_gpu = arguments.device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        parser.error("there is no GPU here: use --device cpu with --size small or micro")
    if arguments.size == "full" and not on_gpu:
        parser.error("the full size takes a GPU of 80 GB: use --size small or micro here")
    return arguments


def prepared(arguments: argparse.Namespace) -> tuple[Any, dict[str, int], float | None]:
    """Build the model, on this process's GPU and shared with those of the other processes of torchrun.

    Returns:
        The model; on GPUs the operations of each layout's unmasked step, and what all cards reach together.
    """
    device, size = torch.device(arguments.device), SIZES[arguments.size]
    work, ceiling = {}, None
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    torch.manual_seed(0)
    model = build(size, arguments.layers, device)
    if device.type == "cuda":
        work = {layout: useful_work(model, layout, arguments) for layout in arguments.layouts}
        ceiling = matmul_teraflops(device, size.dtype) * arguments.num_gpus
    if arguments.fp8:
        to_fp8(model)
    if arguments.num_gpus > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        split_over(model, arguments.num_gpus)
    if arguments.compile:
        model.compile_repeated_blocks()
        torch._dynamo.config.fail_on_recompile_limit_hit = True  # else the rest would run uncompiled
    return model, work, ceiling


@torch.inference_mode()
def main(words: Sequence[str] | None = None) -> int:
    """Time, print, check; of several processes the first one prints."""
    arguments = parsed(words)
    model, work, ceiling = prepared(arguments)
    first = int(os.environ.get("RANK", 0)) == 0
    page = arguments.markdown if first else None
    header = described(model, arguments)
    if ceiling is not None:
        header += f"; matrix products reach {ceiling:.0f} TFLOP/s"
    rows: list[Row] = []
    for layout in arguments.layouts:
        for row in time_layout(model, layout, arguments):
            rows.append(row)
            write(page, header, [step_table(rows, work, ceiling)])  # now, for a run may be cut short
    tables, broken = [step_table(rows, work, ceiling)], []
    if arguments.check:
        forms = {"iclora": fast_attention, "dense": dense_attention}
        measured = {name: attention_memory(form, (4, 8, 16)) for name, form in forms.items()}
        tables.append(memory_table(measured))
        broken = broken_bounds(rows, growth(measured["iclora"]))
    write(page, header, tables)
    console = Console(width=120, quiet=not first)
    for part in (header, *tables):
        console.print(part)
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
