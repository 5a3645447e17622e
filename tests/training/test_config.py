"""Settings: unknown keys, presets, changes, what may change between two starts."""

from pathlib import Path
from typing import Any

import pytest

from iclora.adapters import VIDEO_TARGETS
from iclora.errors import RequestError
from iclora.training.config import differences, read_settings, resolve, to_yaml
from iclora.training.judging import judged_steps
from iclora.training.presets import PRESETS

LEAST: dict[str, Any] = {"output": "run", "data": {"path": "data"}}


def test_the_defaults_are_those_of_the_official_recipe() -> None:
    settings = resolve(LEAST)
    assert (settings.adapter.rank, settings.adapter.alpha, settings.adapter.targets) == (
        32,
        None,
        VIDEO_TARGETS,
    )
    assert (settings.optimizer.learning_rate, settings.optimizer.final) == (2e-4, 0.1)
    assert (settings.steps, settings.seed, settings.data.batch_size) == (3000, 42, 1)
    assert settings.conditioning.first_frame == 0.2 and settings.conditioning.reference_dropout == 0
    assert (settings.save.every, settings.save.keep) == (250, 3)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"optimizer": {"learning_rat": 1}},
            "no setting 'optimizer.learning_rat'; did you mean 'optimizer.learning_rate'?",
        ),
        ({"stepz": 1}, "no setting 'stepz'; did you mean 'steps'?"),
        ({"memory": {"zzz": 1}}, "known are precision, gradient_checkpointing, quantise, blocks_on_host"),
        ({"adapter": {"rank": 0}}, "'adapter.rank' is 0: Input should be greater than or equal to 1"),
        ({"preset": "cany"}, "there is no such preset; choose one of canny, depth"),
        ({"optimizer": {"warmup": 3000}}, "must end before the run"),
        ({"conditioning": {"attention_strength": [0.9, 0.1]}}, "give the lower number first"),
    ],
)
def test_what_is_not_accepted_is_told_with_advice(content: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError) as caught:
        resolve(LEAST | content)
    assert told in str(caught.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(RequestError, match="'output' is missing; .*'data' is missing"):
        resolve({})


def test_a_preset_is_under_what_is_said_and_changes_are_over_it() -> None:
    settings = resolve(LEAST | {"preset": "union"}, ["steps=7", "adapter.name=mine"])
    assert (settings.adapter.rank, settings.steps, settings.adapter.name) == (64, 7, "mine")


def test_trails_are_judged_from_the_first_steps_on() -> None:
    tracks, canny = (resolve(LEAST | {"preset": preset}) for preset in ("tracks", "canny"))
    schedule = [1.0, 0.99375, 0.909375, 0.0]  # of the distilled one, in part
    assert judged_steps(schedule, tracks.feedback.from_noise) == [1, 2]
    assert judged_steps(schedule, canny.feedback.from_noise) == [2]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_settings_that_are_read_again_as_they_were(preset: str, tmp_path: Path) -> None:
    settings = resolve(LEAST | {"preset": preset})
    (tmp_path / "all.yaml").write_text(to_yaml(settings))
    assert read_settings(tmp_path / "all.yaml") == settings


@pytest.mark.parametrize(
    ("content", "told"), [("- 1", "holds no settings"), ("a: [", "is not YAML"), (None, "cannot be read")]
)
def test_a_file_that_is_none(content: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RequestError, match=told):
        read_settings(path)


def test_a_change_that_sets_nothing() -> None:
    with pytest.raises(RequestError, match="'steps' sets nothing; say KEY=VALUE"):
        resolve(LEAST, ["steps"])


def test_only_what_matters_for_the_weights_differs() -> None:
    before = resolve(LEAST)
    assert differences(before, resolve(LEAST, ["output=other", "watch.log_every=1", "save.keep=1"])) == []
    assert differences(before, resolve(LEAST, ["data.accumulation=2"])) == []  # clips of a step are compared
    assert differences(before, resolve(LEAST, ["data.batch_size=2"])) == ["data.batch_size was 1 and is 2"]
    assert differences(before, resolve(LEAST, ["adapter.rank=8"])) == ["adapter.rank was 32 and is 8"]
