"""`iclora train`: the estimate, a run, and errors of one line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from iclora.cli import app
from iclora.training import resolve
from iclora.training.config import to_yaml
from tests.training.prepared import content_of, save_prepared


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, micro_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    data = save_prepared(folder / "data", micro_model)
    content = content_of(micro_model, data, folder / "run", steps=2)
    path = folder / "config.yaml"
    path.write_text(to_yaml(resolve(content)))
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, words), "--device", "cpu"])


def test_an_estimate_and_no_more(config: Path) -> None:
    done = run(config, "--dry-run")
    assert done.exit_code == 0 and "on each device" in done.output and "2 steps of about" in done.output
    assert not (config.parent / "run").exists()


def test_a_run_and_going_on_with_it(config: Path) -> None:
    done = run(config)
    assert done.exit_code == 0, done.output
    assert str(config.parent / "run" / "canny.safetensors") in done.output
    assert "by held-out loss, is that of step 2" in done.output
    assert "it goes on from step 2" in run(config).output
    refused = run(config, "--set", "adapter.rank=3")
    assert refused.exit_code == 1 and "adapter.rank was 2 and is 3" in refused.output
    assert run(config, "--set", "adapter.rank=3", "--overwrite").exit_code == 0


def test_a_wrong_key_is_told_on_one_line(config: Path) -> None:
    done = run(config, "--set", "optimizer.learning_rat=1")
    assert done.exit_code == 1 and "did you mean 'optimizer.learning_rate'?" in " ".join(done.output.split())
