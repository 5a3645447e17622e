"""A whole training in small: what it leaves, that it goes on exactly, and what stops it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers import LTX2VideoTransformer3DModel
from diffusers.loaders.lora_pipeline import LTX2LoraLoaderMixin
from safetensors import safe_open

from iclora import adapters, checkpoints
from iclora.errors import (
    AdapterError,
    DatasetError,
    MissingDependencyError,
    RequestError,
    TrainingError,
)
from iclora.training import Told, TrainingSettings, foresee, resolve, saving, start, train, trainer
from iclora.training.saving import LOG, read_rows
from tests.toyworld.runs import stop_at
from tests.training.prepared import content_of, save_prepared

Micro = Callable[..., TrainingSettings]


def numbers_of(folder: Path) -> list[dict[str, Any]]:
    """Rows of a run's log without what depends on the clock."""
    return [{k: v for k, v in row.items() if k != "seconds_per_step"} for row in read_rows(folder)]


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def same(one: Path, other: Path) -> bool:
    """Whether two adapters hold the same weights."""
    known = tensors_of(one)
    return all(torch.equal(known[key], value) for key, value in tensors_of(other).items())


@pytest.fixture
def micro_run(micro_model: Path, prepared: Path) -> Micro:
    """Settings of a short run into a folder."""
    return lambda folder, **said: resolve(content_of(micro_model, prepared, folder, **said))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, micro_model: Path, prepared: Path) -> Path:
    """The folder of a finished run, with two checkpoints, a best one and previews."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    said: list[str] = []
    content = content_of(micro_model, prepared, folder, watch={"previews_every": 3})
    done = train(resolve(content), told=Told(say=said.append))
    assert done.adapter == folder / "canny.safetensors" and done.steps == 6
    assert done.best is not None and done.best.measure == "adherence"
    assert "values are trained on 40 tokens" in said[0] and "Measured in the first steps" in said[1]
    return folder


def test_what_is_left(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        *("config.yaml", LOG, "checkpoints", "best", "previews"),
        *("canny.safetensors", "README.md", "report.html"),
    }
    assert sorted(path.name for path in (finished / "checkpoints").iterdir()) == ["000004", "000006"]
    previews = sorted(path.name for path in (finished / "previews" / "000006").iterdir())
    assert previews == ["clip8.mp4", "clip8.png"]


def test_the_rows_of_the_log(finished: Path) -> None:
    rows = read_rows(finished)
    losses = [row for row in rows if "loss" in row]
    assert [row["step"] for row in losses] == [1, 2, 3, 4, 5, 6]
    assert losses[0]["learning_rate"] == 0.01 and losses[5]["learning_rate"] == pytest.approx(0.01 * 0.25)
    assert losses[0]["losses"] == [losses[0]["loss"]]
    assert [row["step"] for row in rows if "held_out" in row] == [0, 2, 3, 4, 6]
    assert [row["step"] for row in rows if "adherence/canny" in row and "leak/canny" in row] == [0, 3, 6]


def test_the_best_checkpoint_is_what_is_left(finished: Path) -> None:
    note = json.loads((finished / "best" / "best.json").read_text())
    rows = [row for row in read_rows(finished) if row["step"] > 0]
    scores = {row["step"]: row["adherence/canny"] for row in rows if "adherence/canny" in row}
    assert note["score"] == max(scores.values()) and scores[note["step"]] == note["score"]
    assert same(finished / "best" / "canny.safetensors", finished / "canny.safetensors")


def test_the_adapter_says_what_it_is(finished: Path) -> None:
    outline = adapters.read_outline(finished / "canny.safetensors")
    assert (outline.controls, outline.base, outline.downscale) == (("canny",), "micro", 2)
    assert outline.reference_attention == "two_way" and adapters.control_settings(outline) == {"thickness": 3}
    config = json.loads(outline.metadata["iclora.config"])
    assert config["training"]["adapter"]["rank"] == 2 and "output" not in config["training"]
    assert "begin" not in config["training"]["adapter"]
    assert "path" not in config["training"]["data"]


def test_keys_are_the_official_ones_and_diffusers_reads_them(finished: Path, micro_model: Path) -> None:
    state = tensors_of(finished / "canny.safetensors")
    modules = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0")
    modules += tuple(name.replace("attn1", "attn2") for name in modules) + ("ff.net.0.proj", "ff.net.2")
    assert set(state) == {
        f"diffusion_model.transformer_blocks.{block}.{module}.lora_{side}.weight"
        for block in range(2)
        for module in modules
        for side in "AB"
    }
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
    transformer = LTX2VideoTransformer3DModel.from_pretrained(micro_model / "transformer")
    converted = LTX2LoraLoaderMixin.lora_state_dict(dict(state))
    transformer.load_lora_adapter(converted, prefix="transformer", adapter_name="read")
    ours = checkpoints.load(micro_model).transformer
    adapters.attach(ours, adapters.read(finished / "canny.safetensors"), 1.0, "read")
    read = {name: value for name, value in transformer.named_parameters() if ".lora_" in name}
    known = dict(ours.named_parameters())
    assert len(read) == len(state) and all(torch.equal(value, known[name]) for name, value in read.items())


def test_the_card_and_the_report(finished: Path) -> None:
    card = (finished / "README.md").read_text()
    assert "base_model:" in card and "--adapter canny.safetensors --control canny=in.mp4" in card
    assert "| canny | 0." in card and "rank: 2" in card
    page = (finished / "report.html").read_text()
    lags = any("lag/canny" in row for row in read_rows(finished))  # told where something moves
    assert (
        page.count("<svg") == 7 + lags and "Previews at step 6" in page and "data:image/png;base64," in page
    )
    assert "http" not in page.replace("http://www.w3.org", "") and "learning_rate: 0.01" in page


@pytest.mark.parametrize("stopped_at", [1, 4, 5])
def test_a_run_that_was_killed_goes_on_to_the_last_digit(
    stopped_at: int, finished: Path, micro_run: Micro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = micro_run(tmp_path / "run", watch={"previews_every": 3})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, trainer, "take_step", stopped_at + 1)
        train(settings)
    train(settings)
    assert numbers_of(tmp_path / "run") == numbers_of(finished)
    assert same(tmp_path / "run" / "canny.safetensors", finished / "canny.safetensors")


def test_being_watched_changes_nothing(finished: Path, micro_run: Micro, tmp_path: Path) -> None:
    train(micro_run(tmp_path / "run", watch={"previews_every": 0}))
    seen, unseen = (
        [row["losses"] for row in read_rows(folder) if "losses" in row]
        for folder in (finished, tmp_path / "run")
    )
    assert seen == unseen


def test_a_finished_run_is_not_done_again(finished: Path, micro_model: Path, prepared: Path) -> None:
    before = (finished / LOG).read_bytes()
    done = train(resolve(content_of(micro_model, prepared, finished, watch={"previews_every": 3})))
    assert done.steps == 6 and (finished / LOG).read_bytes() == before


def test_feedback_is_trained_and_goes_on_exactly(
    micro_model: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = {"weight": 1.0, "crop": 48}
    said = {"feedback": judged, "steps": 3, "save": {"every": 1}, "watch": {"previews_every": 2}}
    whole = train(resolve(content_of(micro_model, prepared, tmp_path / "whole", **said)))
    content = content_of(micro_model, prepared, tmp_path / "stopped", **said)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_at(patch, trainer, "take_step", 3)
        train(resolve(content))
    stopped = train(resolve(content))
    assert same(whole.adapter, stopped.adapter)
    rows = [row for row in numbers_of(tmp_path / "whole") if "loss" in row]
    assert rows == [row for row in numbers_of(tmp_path / "stopped") if "loss" in row]
    assert all(row["feedback"] > 0 for row in rows)
    plain = train(resolve(content_of(micro_model, prepared, tmp_path / "plain", **said | {"feedback": {}})))
    assert not same(whole.adapter, plain.adapter)
    rows = [row for row in numbers_of(tmp_path / "plain") if "loss" in row]
    assert all("feedback" not in row for row in rows)


def test_only_what_can_be_judged_is(micro_model: Path, tmp_path: Path) -> None:
    data = save_prepared(tmp_path / "data", micro_model, controls={"grey": {}}, downscale=1)
    content = content_of(micro_model, data, tmp_path / "run", feedback={"weight": 1.0})
    with pytest.raises(DatasetError, match="Feedback judges canny, depth, pose, tracks, but .* has grey"):
        train(resolve(content))
    trails = save_prepared(tmp_path / "trails", micro_model, controls={"tracks": {}}, downscale=1)
    with pytest.raises(RequestError, match=r"judges tracks where the first frame .*first_frame is 0"):
        train(
            resolve(
                content_of(
                    micro_model,
                    trails,
                    tmp_path / "still",
                    feedback={"weight": 1.0},
                    conditioning={"first_frame": 0.0},
                )
            )
        )
    with pytest.raises(RequestError, match="feedback looks behind masks too"):
        resolve(content | {"conditioning": {"attention_masks": True}})


def test_other_settings_do_not_go_on(finished: Path, micro_model: Path, prepared: Path) -> None:
    with pytest.raises(RequestError, match="adapter.rank was 2 and is 3"):
        train(resolve(content_of(micro_model, prepared, finished, adapter={"rank": 3})))


def test_another_number_of_clips_a_step_does_not_go_on(
    micro_model: Path, prepared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    content = content_of(micro_model, prepared, folder, steps=2)
    train(resolve(content | {"data": content["data"] | {"accumulation": 2}}))
    before = (folder / LOG).read_bytes()
    with pytest.raises(RequestError, match=r"made of 4 clips and is made of 2.*accumulation .*\(2\)"):
        train(resolve(content))
    assert (folder / LOG).read_bytes() == before
    state = folder / "checkpoints" / "000002" / saving.STATE
    kept = torch.load(state, weights_only=True)
    assert kept.pop("clips_per_step") == 4
    torch.save(kept, state)  # as it was before it was kept
    said: list[str] = []
    assert train(resolve(content), told=Told(say=said.append)).steps == 2
    assert any("not compared" in line for line in said)


def test_a_prepared_folder_that_has_changed_does_not_go_on(micro_model: Path, tmp_path: Path) -> None:
    data, folder = save_prepared(tmp_path / "data", micro_model), tmp_path / "run"
    settings = resolve(content_of(micro_model, data, folder, steps=2))
    train(settings)
    shutil.rmtree(data)
    save_prepared(data, micro_model, num_clips=9)
    with pytest.raises(
        RequestError, match=r"data holds other samples than when the run in .*run was stopped"
    ):
        train(settings)
    state = folder / "checkpoints" / "000002" / saving.STATE
    kept = torch.load(state, weights_only=True)
    assert len(kept.pop("samples")) == 16
    torch.save(kept, state)  # as it was before it was kept
    assert train(settings).steps == 2


def test_the_clips_of_a_broken_step_are_named(
    micro_model: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iclora.training import loss

    calls: list[int] = []
    true_noise = loss.noise_of

    def broken(seed: int, like: torch.Tensor) -> torch.Tensor:
        calls.append(seed)
        return true_noise(seed, like) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(loss, "noise_of", broken)
    settings = resolve(
        content_of(micro_model, prepared, tmp_path / "run", watch={"log_every": 5, "held_out_every": 0})
    )
    with pytest.raises(TrainingError) as caught:
        train(settings)
    text = str(caught.value)
    assert text.startswith("The loss or the gradient of step 3 is not finite. Its clips are: clip")
    assert text.endswith("is sound.")
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["000002"]
    calls[:] = [0, 0]
    with pytest.raises(TrainingError, match="of step 1 is not finite.*but there is none yet"):
        train(settings.model_copy(update={"output": str(tmp_path / "at once")}))


def test_a_style_has_no_references_and_its_best_is_by_the_held_out_loss(
    micro_model: Path, tmp_path: Path
) -> None:
    data = save_prepared(tmp_path / "data", micro_model, controls={}, downscale=1)
    content = content_of(micro_model, data, tmp_path / "run", conditioning={"first_frame": 0.0})
    done = train(resolve(content | {"steps": 3, "save": {"every": 3}}))
    assert done.adapter.name == "style.safetensors" and done.best is not None
    assert done.best.measure == "held_out"
    assert adapters.read_outline(done.adapter).controls == ()


def test_every_checkpoint_is_judged_by_the_held_out_loss(micro_run: Micro, tmp_path: Path) -> None:
    done = train(micro_run(tmp_path / "run", watch={"held_out_every": 4}, save={"every": 1}, steps=4))
    losses = {row["step"]: row["held_out"] for row in read_rows(tmp_path / "run") if "held_out" in row}
    assert list(losses) == [0, 1, 2, 3, 4] and done.best is not None
    best = min((1, 2, 3, 4), key=lambda step: losses[step])
    assert (done.best.step, done.best.score) == (best, -losses[best])


def test_what_is_looked_at_between_rows_does_not_count_as_time_of_steps(
    micro_run: Micro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def lasts(owner: Any, name: str, seconds: float) -> None:
        original = getattr(owner, name)

        def timed(*arguments: Any, **said: Any) -> Any:
            now[0] += seconds
            return original(*arguments, **said)

        monkeypatch.setattr(owner, name, timed)

    clock = trainer.Clock
    monkeypatch.setattr(trainer, "Clock", lambda device: clock(device, lambda: now[0]))
    lasts(trainer, "take_step", 1.0)
    lasts(trainer.HeldOut, "losses", 100.0)
    lasts(saving, "save_checkpoint", 1000.0)
    watch = {"log_every": 3, "held_out_every": 2}
    train(micro_run(tmp_path / "run", watch=watch, save={"every": 5}))
    rows = [row for row in read_rows(tmp_path / "run") if "loss" in row]
    assert [(row["step"], row["seconds_per_step"]) for row in rows] == [(step, 1) for step in (2, 3, 4, 5, 6)]


@pytest.mark.parametrize(("deterministic", "expected"), [(True, ":4096:8"), (False, None)])
def test_products_are_made_exact_before_the_first_one(
    deterministic: bool,
    expected: str | None,
    micro_run: Micro,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(name, "")  # which puts it back afterwards
    monkeypatch.delenv(name)
    seen: list[str | None] = []

    def first(settings: TrainingSettings, device: str) -> Any:
        seen.append(os.environ.get(name))
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "make_accelerator", first)
    with pytest.raises(KeyboardInterrupt):
        train(micro_run(tmp_path / "run", deterministic=deterministic))
    assert seen == [expected]


def test_an_alpha_is_worked_into_the_file_and_an_adapter_is_gone_on_with(
    finished: Path, micro_run: Micro, tmp_path: Path
) -> None:
    begin = {"rank": 2, "alpha": 8.0, "begin": str(finished / "canny.safetensors")}
    done = train(micro_run(tmp_path / "run", adapter=begin, optimizer={"learning_rate": 1e-9}, steps=1))
    before, after = tensors_of(finished / "canny.safetensors"), tensors_of(done.adapter)
    assert all(torch.allclose(after[key], value, atol=1e-6) for key, value in before.items())
    with pytest.raises(AdapterError, match="has rank 2 and 20 layers; the settings ask for rank 3"):
        train(micro_run(tmp_path / "wrong", adapter=begin | {"rank": 3}))


def test_an_estimate_loads_nothing_and_a_wrong_base_is_refused(
    micro_model: Path, prepared: Path, tmp_path: Path
) -> None:
    settings = resolve(content_of(micro_model, prepared, tmp_path / "run"))
    foreseen = foresee(settings)
    assert foreseen.num_trained == 2 * 2 * (8 * (16 + 16) + 2 * (16 + 64)) and foreseen.tokens == 40
    assert foreseen.memory > foreseen.weights > 0 and foreseen.seconds_per_step > 0
    assert not (tmp_path / "run").exists()
    other = save_prepared(tmp_path / "data", micro_model, base="ltx-2.3")
    with pytest.raises(DatasetError, match="was prepared for the base 'ltx-2.3'"):
        foresee(resolve(content_of(micro_model, other, tmp_path / "run")))


@pytest.mark.filterwarnings("ignore::UserWarning")  # of accelerate, which finds no tensorboard here
def test_trackers_that_are_there_get_the_numbers_and_others_are_told(
    micro_run: Micro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    settings = micro_run(tmp_path / "run", watch={"trackers": ["tensorboard"]}, steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(start, "_PACKAGES", {"tensorboard": "no_such_package"})
        with pytest.raises(MissingDependencyError, match="pip install no_such_package"):
            train(settings)
    monkeypatch.setattr(start, "_PACKAGES", {"tensorboard": "json"})
    monkeypatch.setattr(Accelerator, "init_trackers", lambda self, name, config: (self.project_dir, config))
    monkeypatch.setattr(Accelerator, "log", lambda self, values, step: seen.append((step, values)))
    train(settings)
    assert [step for step, values in seen if "loss" in values] == [1, 2]
    assert [step for step, values in seen if "held_out" in values] == [0, 2]
