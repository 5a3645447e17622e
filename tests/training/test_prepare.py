"""Encoding a dataset: what is stored is what the pipeline would make, whoever does which part of it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from iclora import checkpoints, controls, media
from iclora.errors import DatasetError, MediaError
from iclora.pipeline import encode_frames, encode_prompt
from iclora.training import Bucket, Sample, Settings, Store
from iclora.training import prepare as preparing
from iclora.training.audit import Checked, Terms, audit
from iclora.training.entries import read_entries
from iclora.training.prepare import Tally, dataset_digest, prepare
from iclora.training.sharing import Share
from tests.training.clips import save_pairs

BUCKET = Bucket(width=64, height=64, num_frames=9, fps=16.0)
SETTINGS = Settings(
    model="micro",
    base="micro",
    fingerprint="f",
    downscale=2,
    fps=16.0,
    buckets=(BUCKET,),
    trigger="T",
    held_out=2.0,
    shard_size=2,
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pairs(tmp_path_factory.mktemp("pairs"), 5)


@pytest.fixture(scope="module")
def checked(pairs: Path) -> list[Checked]:
    return audit(read_entries(pairs), Terms(buckets=[BUCKET], drawn=False))


@pytest.fixture(scope="module")
def components(micro_model: Path) -> checkpoints.Components:
    return checkpoints.load(micro_model, without=("transformer",))


def run(checked: list[Checked], folder: Path, components: Any, **changes: Any) -> Tally:
    how = {name: changes.pop(name, None) for name in ("share", "guest_of")}
    return prepare(checked, replace(SETTINGS, **changes), folder, components, **how)


def same(first: Sample, second: Sample) -> bool:
    return (
        (first.id, first.caption) == (second.id, second.caption)
        and torch.equal(first.target, second.target)
        and torch.equal(first.references[0], second.references[0])
        and torch.equal(first.context, second.context)
    )


def test_what_is_stored_is_what_the_pipeline_encodes(
    checked: list[Checked], components: checkpoints.Components, pairs: Path, tmp_path: Path
) -> None:
    assert run(checked, tmp_path, components) == Tally(num_samples=5, num_before=0, skipped=())
    store = Store.open(tmp_path)
    assert [row.id for row in store.samples] == ["0", "1", "2", "3", "4"]
    assert len(store.indices("held_out")) == 2
    sample = store.load(3)
    assert sample.caption == "T box 3" and sample.control == ""
    clip = media.read(pairs / "3.mp4", max_frames=9)
    reference = media.resize(media.read(pairs / "3_reference.mp4", max_frames=9), 32, 32)
    with torch.no_grad():
        assert torch.equal(sample.target, encode_frames(components.vae, clip.frames)[0])
        assert torch.equal(sample.references[0], encode_frames(components.vae, reference.frames)[0])
        prompt = encode_prompt(components, sample.caption)
        assert torch.equal(sample.context, prompt.video[0])
        assert store.empty is not None
        assert torch.equal(store.empty.context, encode_prompt(components, "").video[0])


def test_models_with_sound_get_the_prompt_for_it_too(
    checked: list[Checked], released_models: dict[str, Path], tmp_path: Path
) -> None:
    parts = checkpoints.load(released_models["2.3"], without=("transformer", "audio_vae", "vocoder"))
    run(checked[:1], tmp_path, parts)
    store = Store.open(tmp_path)
    with torch.no_grad():
        prompt = encode_prompt(parts, "T box 0")
    assert prompt.audio is not None and store.empty is not None
    audio = store.load(0).audio_context
    assert audio is not None and torch.equal(audio, prompt.audio[0]) and store.empty.audio_context is not None


def test_several_controls_are_drawn_where_none_is_given(
    pairs: Path, components: checkpoints.Components, tmp_path: Path
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("1.mp4", "1.txt", "2.mp4", "2_reference.mp4"):
        shutil.copy(pairs / name, clips / name)
    found = audit(read_entries(clips), Terms(buckets=[BUCKET], drawn=True))
    kinds = {"canny": {"thickness": 2}, "blur": {"radius": 3.0}}
    run(found, tmp_path / "out", components, controls=kinds, temporal_factor=1, downscale=1)
    store = Store.open(tmp_path / "out")
    assert [(row.id, row.clip, row.control) for row in store.samples] == [
        ("1@canny", "1", "canny"),
        ("1@blur", "1", "blur"),
        ("2", "2", ""),
    ]
    drawn = controls.canny(media.read(clips / "1.mp4", max_frames=9), thickness=2)
    with torch.no_grad():
        assert torch.equal(store.load(0).references[0], encode_frames(components.vae, drawn.frames)[0])
    assert torch.equal(store.load(0).target, store.load(1).target)


def test_parts_of_several_processes_are_the_whole(
    checked: list[Checked], components: checkpoints.Components, tmp_path: Path
) -> None:
    run(checked, tmp_path / "one", components)
    for index in (1, 0):
        tally = run(checked, tmp_path / "two", components, share=Share(index=index, count=2), guest_of="cpu")
        assert tally.num_samples == (3 if index == 0 else 2)
    one, two = Store.open(tmp_path / "one"), Store.open(tmp_path / "two")
    assert one.samples == two.samples and one.settings == two.settings
    assert all(same(one.load(index), two.load(index)) for index in range(5))


def test_it_goes_on_where_it_was_stopped(
    checked: list[Checked],
    components: checkpoints.Components,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def stopped(vae: Any, *frames: Any) -> Any:
        calls.append(1)
        if len(calls) == 7:  # in the second of three shards
            raise KeyboardInterrupt
        return encode_frames(vae, *frames)

    monkeypatch.setattr(preparing, "encode_frames", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(checked, tmp_path / "out", components)
    assert sorted(path.name for path in (tmp_path / "out" / "shards").iterdir()) == [
        "00000.jsonl",
        "00000.safetensors",
    ]
    assert run(checked, tmp_path / "out", components) == Tally(num_samples=3, num_before=2, skipped=())
    assert len(calls) == 7 + 6
    run(checked, tmp_path / "whole", components)
    stopped_one, whole = Store.open(tmp_path / "out"), Store.open(tmp_path / "whole")
    assert all(same(stopped_one.load(index), whole.load(index)) for index in range(5))


def test_a_file_that_is_lost_meanwhile_takes_no_other_pair_away(
    checked: list[Checked],
    components: checkpoints.Components,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = media.film

    def lost(path: Path, **how: Any) -> Any:
        if path.name == "1_reference.mp4":
            raise MediaError("Cannot read it.")
        return film(path, **how)

    monkeypatch.setattr(preparing.media, "film", lost)
    tally = run(checked, tmp_path / "out", components)
    assert tally.skipped == (("1", "Cannot read it."),)
    monkeypatch.undo()
    run(checked, tmp_path / "whole", components)
    found, whole = Store.open(tmp_path / "out"), Store.open(tmp_path / "whole")
    assert [row.id for row in found.samples] == ["0", "2", "3", "4"]
    assert all(same(found.load(index), whole.load(index + (index > 0))) for index in range(4))
    assert (tmp_path / "out" / "shards" / "00000.skipped.json").is_file()


def test_latents_that_are_not_finite_are_left_out(
    checked: list[Checked], components: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def broken(vae: Any, *frames: Any) -> Any:
        calls.append(1)
        return encode_frames(vae, *frames) * (float("nan") if len(calls) == 4 else 1)

    monkeypatch.setattr(preparing, "encode_frames", broken)
    ((name, reason),) = run(checked, tmp_path, components).skipped
    assert name == "1" and "not finite" in reason
    assert [row.id for row in Store.open(tmp_path).samples] == ["0", "2", "3", "4"]


def test_another_dataset_is_refused(
    checked: list[Checked], components: checkpoints.Components, tmp_path: Path
) -> None:
    run(checked[:2], tmp_path, components, dataset=dataset_digest(checked[:2]))
    assert dataset_digest(checked) != dataset_digest(checked[::-1])
    with pytest.raises(DatasetError, match="other settings: dataset"):
        run(checked, tmp_path, components, dataset=dataset_digest(checked))


def test_slower_references_keep_the_first_frame_and_then_every_second(
    pairs: Path, components: checkpoints.Components, tmp_path: Path
) -> None:
    bucket = replace(BUCKET, num_frames=17)
    clips = save_pairs(tmp_path / "long", 1, num_frames=18)
    found = audit(read_entries(clips), Terms(buckets=[bucket], drawn=False))
    run(found, tmp_path / "out", components, buckets=(bucket,), temporal_factor=2, downscale=1)
    sample = Store.open(tmp_path / "out").load(0)
    reference = media.read(clips / "0_reference.mp4", max_frames=17).frames[[0, *range(1, 17, 2)]]
    with torch.no_grad():
        assert torch.equal(sample.references[0], encode_frames(components.vae, reference)[0])
    assert sample.target.shape[1] == 3 and sample.references[0].shape[1] == 2
