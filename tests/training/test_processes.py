"""Two processes learn what one learns with twice the accumulation, and go on exactly when killed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from iclora.training import resolve, train, trainer
from iclora.training.config import to_yaml
from tests.toyworld.runs import stop_at
from tests.training.prepared import content_of
from tests.training.test_trainer import numbers_of, tensors_of

ROOT = Path(__file__).parents[2]
# Both processes are stopped before their fourth step, and begin again with nothing but what is on disk.
SCRIPT = """
import sys
from iclora.training import read_settings, train, trainer
whole, stopped = trainer.take_step, []
def take_step(run):
    if run.step == 3 and not stopped:
        stopped.append(run.step)
        raise KeyboardInterrupt
    whole(run)
trainer.take_step = take_step
settings = read_settings(sys.argv[1])
try:
    train(settings)
except KeyboardInterrupt:
    train(settings)
"""


def train_together(config: Path) -> None:
    """Train with two processes, which meet through a free port."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    known = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    known |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(config)],
            env=known | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in started:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said


def assert_alike(one: Path, other: Path) -> None:
    """Check that two runs learned the same, but for rounding."""
    for row, like in zip(numbers_of(one), numbers_of(other), strict=True):
        assert row.keys() == like.keys() and row["step"] == like["step"]
        for key in row.keys() & {"loss", "gradient", "held_out"}:
            assert row[key] == pytest.approx(like[key], rel=1e-4)
    known = tensors_of(one / "canny.safetensors")
    for key, value in tensors_of(other / "canny.safetensors").items():
        assert value.float().numpy() == pytest.approx(known[key].float().numpy(), abs=2e-4)


def test_two_processes(micro_model: Path, prepared: Path, tmp_path: Path) -> None:
    said = {"watch": {"held_out_every": 2}, "steps": 4, "save": {"every": 2}}
    alone = content_of(micro_model, prepared, tmp_path / "alone", **said)
    alone["data"] |= {"batch_size": 1, "accumulation": 2}
    train(resolve(alone))
    shared = content_of(micro_model, prepared, tmp_path / "shared", **said)
    shared["data"] |= {"batch_size": 1}
    config = tmp_path / "config.yaml"
    config.write_text(to_yaml(resolve(shared)))
    train_together(config)
    assert [row["step"] for row in numbers_of(tmp_path / "shared")] == [0, 1, 2, 2, 3, 4, 4]
    assert_alike(tmp_path / "alone", tmp_path / "shared")


def test_two_processes_go_on_where_one_was_stopped(
    micro_model: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = content_of(micro_model, prepared, tmp_path / "run", steps=2, save={"every": 1})
    content["data"] |= {"batch_size": 1, "accumulation": 2}
    train(resolve(content | {"output": str(tmp_path / "alone")}))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, trainer, "take_step", 2)
        train(resolve(content))
    first = numbers_of(tmp_path / "run")
    content["data"] |= {"accumulation": 1}
    config = tmp_path / "config.yaml"
    config.write_text(to_yaml(resolve(content)))
    train_together(config)
    assert numbers_of(tmp_path / "run")[: len(first)] == first
    assert_alike(tmp_path / "alone", tmp_path / "run")
