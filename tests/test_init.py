"""The front door: the calls of the README work as they stand, and importing it is quick."""

import subprocess
import sys
from pathlib import Path

import pytest

import iclora


def test_the_readme_calls(micro_model: Path, film_path: Path, tmp_path: Path) -> None:
    pipe = iclora.load(str(micro_model), adapters=["canny"])
    control = iclora.controls.canny(iclora.read(film_path))
    result = pipe.generate("a clay figure", references=[iclora.Reference(control, attention_strength=0.8)])
    result.clip.save(tmp_path / "out.mp4")
    assert iclora.read(tmp_path / "out.mp4").frames.shape == result.clip.frames.shape
    assert result.plan.references[0].attention_strength == 0.8


def test_every_name_of_the_front_door_is_there() -> None:
    assert all(getattr(iclora, name) is not None for name in iclora.__all__)
    with pytest.raises(AttributeError, match="module 'iclora' has no attribute 'lora'"):
        _ = iclora.lora


def test_importing_it_loads_no_model_code() -> None:
    code = "import sys, iclora; print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
