"""Loading a model to be fast: merged adapters, 8 bits, compiled blocks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import LTX2VideoTransformer3DModel
from typer.testing import CliRunner

import iclora
from iclora import adapters, media
from iclora.cli import app
from iclora.transformer.fp8 import Fp8Linear


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The transformers that were compiled; it is not done."""
    seen: list[Any] = []
    monkeypatch.setattr(
        LTX2VideoTransformer3DModel, "compile_repeated_blocks", lambda model: seen.append(model)
    )
    return seen


def test_a_fast_pipeline_is_about_the_plain_one(film_path: Path, compiled: list[Any]) -> None:
    lines = iclora.controls.canny(iclora.read(film_path), thickness=3)
    made = []
    for dials in ({}, {"merge": True}, {"fp8": True, "merge": True, "compile": True}):
        pipe = iclora.load("tiny", ["canny"], **dials)
        assert compiled == ([pipe.components.transformer] if dials.get("compile") else [])
        assert bool(adapters.attached(pipe.components.transformer)) is ("merge" not in dials)
        size = {"size": (96, 96), "num_frames": 9}
        result = pipe.generate("a clay figure", references=[iclora.Reference(lines)], **size)
        assert result.plan.fp8 is ("fp8" in dials)
        made.append(result.clip.frames.astype(float))
    assert isinstance(pipe.components.transformer.transformer_blocks[0].attn1.to_q, Fp8Linear)
    plain, merged, rounded = made
    assert np.abs(merged - plain).mean() < 2
    assert 0 < np.abs(rounded - plain).mean() < 16


def test_the_words(tmp_path: Path, compiled: list[Any]) -> None:
    out = tmp_path / "out.mp4"
    words = ["--size", "64x64", "--frames", "9", "--compile", "--merge", "--fp8", "-o", str(out)]
    done = CliRunner().invoke(app, ["generate", "--prompt", "a ball", *words])
    assert done.exit_code == 0, done.output
    assert "tiny in 8 bits" in done.output
    assert len(compiled) == 1
    assert media.read(out).num_frames == 9


def test_less_memory_is_planned() -> None:
    plain, rounded = (
        iclora.plan.make_plan(iclora.plan.Request(prompt="", fp8=fp8)).memory.weights for fp8 in (False, True)
    )
    assert rounded < 0.8 * plain
