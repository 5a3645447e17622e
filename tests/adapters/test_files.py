"""Adapter files, read and written."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from iclora.adapters import LowRank, describe, read, write
from iclora.errors import AdapterError, OutputError

LAYER = "transformer_blocks.0.ff.net.0.proj"
DOWN, UP = torch.tensor([[1.0, 2, 3]] * 2), torch.tensor([[1.0, -1]] * 4)


@pytest.mark.parametrize(
    ("down", "up"),
    [
        (f"diffusion_model.{LAYER}.lora_A.weight", f"diffusion_model.{LAYER}.lora_B.weight"),
        (f"transformer.{LAYER}.lora_A.weight", f"transformer.{LAYER}.lora_B.weight"),
        (f"base_model.model.{LAYER}.lora_A.weight", f"base_model.model.{LAYER}.lora_B.weight"),
        (
            f"base_model.model.{LAYER}.lora_A.default.weight",
            f"base_model.model.{LAYER}.lora_B.default.weight",
        ),
        (f"{LAYER}.lora_A.weight", f"{LAYER}.lora_B.weight"),
        (f"diffusion_model.{LAYER}.lora_down.weight", f"diffusion_model.{LAYER}.lora_up.weight"),
        (f"transformer.{LAYER}.lora.down.weight", f"transformer.{LAYER}.lora.up.weight"),
    ],
)
def test_layouts(tmp_path: Path, down: str, up: str) -> None:
    save_file({down: DOWN, up: UP}, tmp_path / "a.safetensors")
    adapter = read(tmp_path / "a.safetensors")
    assert list(adapter.layers) == [LAYER]
    assert torch.equal(adapter.layers[LAYER].down, DOWN)
    assert torch.equal(adapter.layers[LAYER].up, UP)
    assert (adapter.downscale, adapter.temporal_factor) == (1, 1)


def test_alpha_is_folded_in(tmp_path: Path) -> None:
    keys = [f"diffusion_model.{LAYER}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha")]
    save_file(dict(zip(keys, [DOWN, UP.half(), torch.tensor(1.0)], strict=True)), tmp_path / "a.safetensors")
    layer = read(tmp_path / "a.safetensors").layers[LAYER]
    assert torch.equal(layer.up, UP / 2)  # alpha 1 over rank 2


def test_alpha_noted_by_diffusers(tmp_path: Path) -> None:
    state = {f"transformer.{LAYER}.lora_A.weight": DOWN, f"transformer.{LAYER}.lora_B.weight": UP}
    path = tmp_path / "a.safetensors"
    save_file(state, path, metadata={"lora_adapter_metadata": json.dumps({"transformer.lora_alpha": 4})})
    assert torch.equal(read(path).layers[LAYER].up, UP * 2)
    save_file(state, path, metadata={"lora_adapter_metadata": json.dumps({"transformer.use_rslora": True})})
    with pytest.raises(AdapterError, match="was made with 'use_rslora', which is not supported"):
        read(path)
    save_file(state, path, metadata={"lora_adapter_metadata": "]"})
    with pytest.raises(AdapterError, match="are not JSON"):
        read(path)


def test_alpha_noted_by_peft(tmp_path: Path) -> None:
    state = {f"base_model.model.{LAYER}.lora_A.weight": DOWN, f"base_model.model.{LAYER}.lora_B.weight": UP}
    save_file(state, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 1, "use_dora": False}))
    assert torch.equal(read(tmp_path / "adapter_model.safetensors").layers[LAYER].up, UP / 2)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    broken = UP.clone()
    broken[1, 1] = value
    state = {f"{LAYER}.lora_A.weight": DOWN, f"{LAYER}.lora_B.weight": broken}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match=rf"not finite in 1 keys \({LAYER}.lora_B.weight\)"):
        read(tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match="not finite"):
        write(tmp_path / "b.safetensors", {LAYER: LowRank(down=DOWN, up=broken)}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors"]


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64])
def test_weights_that_are_no_floats_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {f"{LAYER}.lora_A.weight": DOWN, f"{LAYER}.lora_B.weight": UP.to(dtype)}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match=rf"numbers of type {dtype} in 1 keys .* Save it in bfloat16"):
        read(tmp_path / "a.safetensors")


def test_write_and_read_back(tmp_path: Path) -> None:
    layers = {
        LAYER: LowRank(down=DOWN, up=UP),
        "av_cross_attn_video_a2v_gate.linear": LowRank(down=DOWN, up=UP),
    }
    metadata = describe(
        downscale=2, temporal_factor=1, control="canny", base="tiny", version="1", config={"rank": 2}
    )
    path = write(tmp_path / "made" / "canny.safetensors", layers, metadata)
    with safe_open(path, framework="pt") as file:
        assert sorted(file.keys()) == [
            f"diffusion_model.{module}.lora_{side}.weight"
            for module in ("av_ca_a2v_gate_adaln_single.linear", LAYER)
            for side in "AB"
        ]
        assert all(file.get_tensor(key).dtype == torch.bfloat16 for key in file.keys())
    adapter = read(path)
    assert adapter.outline.metadata == {
        "reference_downscale_factor": "2",
        "reference_temporal_scale_factor": "1",
        "iclora.version": "1",
        "iclora.control": "canny",
        "iclora.base": "tiny",
        "iclora.reference_attention": "two_way",
        "iclora.trigger": "",
        "iclora.config": '{"rank": 2}',
    }
    assert adapter.layers.keys() == layers.keys()
    assert torch.equal(adapter.layers[LAYER].up.float(), UP)
    assert (adapter.downscale, adapter.outline.downscale_source) == (2, "metadata")


def test_write_does_not_overwrite(tmp_path: Path) -> None:
    path, layers = tmp_path / "a.safetensors", {LAYER: LowRank(down=DOWN, up=UP)}
    write(path, layers, {})
    with pytest.raises(OutputError, match="a.safetensors exists; choose another name"):
        write(path, layers, {})
    write(path, layers, {"iclora.control": "pose"}, overwrite=True)
    assert read(path).outline.controls == ("pose",)
    with pytest.raises(OutputError, match="written as '.safetensors', not 'a.bin'"):
        write(tmp_path / "a.bin", layers, {})
    with pytest.raises(OutputError, match="The folder of .*below.safetensors cannot be made"):
        write(path / "below" / "below.safetensors", layers, {})
    with pytest.raises(OutputError, match="a.safetensors is not a folder|cannot be made"):
        write(path / "below.safetensors", layers, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_written_adapter_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("x")
    path = write(tmp_path / "a.safetensors", {LAYER: LowRank(down=DOWN, up=UP)}, {})
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="No room to write .*a.safetensors"):
        write(tmp_path / "a.safetensors", {LAYER: LowRank(down=DOWN, up=UP)}, {})
    assert list(tmp_path.iterdir()) == []


def test_eight_bit_floats_are_read(tmp_path: Path) -> None:
    small = UP.to(torch.float8_e4m3fn)
    save_file({f"{LAYER}.lora_A.weight": DOWN, f"{LAYER}.lora_B.weight": small}, tmp_path / "a.safetensors")
    assert torch.equal(read(tmp_path / "a.safetensors").layers[LAYER].up.float(), UP)


def test_describe_refuses() -> None:
    with pytest.raises(AdapterError, match="reference attention 'sideways' is not known"):
        describe(
            downscale=1, temporal_factor=1, control="", base="", version="", reference_attention="sideways"
        )
    with pytest.raises(AdapterError, match="The factors 0 and 1 must be whole numbers"):
        describe(downscale=0, temporal_factor=1, control="", base="", version="")
