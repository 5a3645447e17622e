"""doctor: what is there, what is not, and what to do about it."""

import json
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
import torch
from typer.testing import CliRunner

from iclora import doctor
from iclora.cli import app
from iclora.controls.poses import dwpose
from iclora.doctor import Check, examine
from iclora.errors import ModelError


def about(name: str, place: Path | None = None) -> Check:
    return next(check for check in examine(place) if check.about == name)


def test_what_is_there_is_ok(tmp_path: Path) -> None:
    checks = {check.about: check for check in examine(tmp_path)}
    for name in ("torch", "PyAV", "OpenCV", "codec libx264", "codec aac", "model tiny", "cache"):
        assert checks[name].level == "ok" and checks[name].advice == "", name
    assert torch.__version__ in checks["torch"].text
    assert "canny" in checks["model tiny"].text
    assert len(checks) == len(examine(tmp_path))


def test_a_card_is_told_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert about("device").level == "note" and "CPU alone" in about("device").text
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (3 * 2**30, 8 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "A card")
    assert about("device cuda:0").text == "A card, 3.0 GiB free of 8.0 GiB"


def test_a_missing_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"libx264", "aac", "libopus"})
    check = about("codec libvpx-vp9")
    assert check.level == "warning" and check.text == "missing: no .webm" and "PyAV" in check.advice
    assert about("codec libx264").level == "ok"


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    check = about("ai-edge-litert")
    assert (check.level, check.advice) == ("note", "pip install 'iclora[pose]'")
    onnx = about("onnxruntime")
    assert onnx.text == "not installed: no depth networks in .onnx files, poses with DWPose"
    assert onnx.advice == "pip install 'iclora[onnx]'"
    assert about("scikit-image").advice == "pip install 'iclora[scikit-image]'"
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: SimpleNamespace())
    assert about("ai-edge-litert").level == about("scikit-image").level == "ok"


def test_a_missing_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(name: str) -> None:
        raise ModelError("It is damaged.")

    monkeypatch.setattr(doctor, "model_facts", damaged)
    assert about("model tiny").level == "error"
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1 and "It is damaged." in done.stdout


def test_weights_and_the_size_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    missing = about("weights blazepose")
    assert missing.level == "note" and "iclora models fetch blazepose" in missing.advice
    folder = doctor.weights.blazepose_folder()
    folder.mkdir()
    for name in doctor.weights.BLAZEPOSE:
        (folder / name).write_bytes(bytes(2**20))
    (tmp_path / "dwpose").mkdir()
    for name in (dwpose.DETECTOR, dwpose.KEYPOINTS):
        (tmp_path / "dwpose" / name).write_bytes(b"x")
    assert about("weights blazepose").level == about("weights dwpose").level == "ok"
    depth = about("weights depth-anything-v2-base")
    assert depth.level == "note" and "iclora models fetch depth-anything-v2-base" in depth.advice
    assert depth.text.startswith("not there: config.json, model.safetensors (licence CC-BY-NC-4.0, not for")
    (tmp_path / "depth-anything-v2-base").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "depth-anything-v2-base" / name).touch()
    assert about("weights depth-anything-v2-base").level == "ok"
    assert "2.0 MiB" in about("cache").text and str(tmp_path) in about("cache").text


def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**40))
    assert about("disk for results", tmp_path / "none" / "yet").level == "ok"
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    check = about("disk for results", tmp_path)
    assert check.level == "warning" and check.text.startswith("1.0 MiB free")
    monkeypatch.setattr(doctor.os, "access", lambda folder, mode: False)
    assert "cannot be written to" in about("disk for results", tmp_path).text


def test_the_command_prints_a_table_and_json() -> None:
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 0 and "what to do" in shown.stdout and "codec libx264" in shown.stdout
    listed = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert {"level", "about", "text", "advice"} == set(listed[0])
