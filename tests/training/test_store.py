"""A prepared folder: written whole, read as it was written."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from iclora import sampling
from iclora.errors import DatasetError
from iclora.training import Bucket, Row, Settings, Store, fingerprint
from iclora.training.shards import ShardWriter, begin

BUCKET = Bucket(width=64, height=64, num_frames=9, fps=16.0)
SETTINGS = Settings(
    model="tiny", base="tiny", fingerprint="f", controls={"canny": {"low": 0.1}}, fps=16.0, buckets=(BUCKET,)
)
EMPTY = sampling.Prompt(video=torch.zeros(1, 3, 4))


def row(name: str, *, clip: str | None = None) -> Row:
    return Row(id=name, clip=clip or name, caption=f"a {name}", source=f"{name}.mp4", bucket=BUCKET)


def write(folder: Path, shard: str, *names: str) -> None:
    begin(folder, SETTINGS, EMPTY)
    writer = ShardWriter(folder, shard)
    for name in names:
        number = float(len(name))
        writer.add(
            [row(name)],
            target=torch.full((2, 1, 2, 2), number),
            references={name: (torch.full((2, 1, 1, 1), -number),)},
            prompt=sampling.Prompt(video=torch.full((1, 3, 4), number), mask=torch.ones(1, 3).bool()),
        )
    writer.finish()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, "00001", "ccc")
    write(tmp_path, "00000", "a", "bb")
    store = Store.open(tmp_path)
    assert store.settings == SETTINGS and store.settings.control == "canny"
    assert [one.id for one in store.samples] == ["a", "bb", "ccc"]
    sample = store.load(2)
    assert (sample.caption, sample.source, sample.bucket) == ("a ccc", "ccc.mp4", BUCKET)
    assert torch.equal(sample.target, torch.full((2, 1, 2, 2), 3.0))
    assert torch.equal(sample.references[0], torch.full((2, 1, 1, 1), -3.0)) and len(sample.references) == 1
    assert torch.equal(sample.context, torch.full((3, 4), 3.0)) and sample.audio_context is None
    assert sample.context_mask is not None and sample.context_mask.tolist() == [True] * 3
    assert store.empty is not None and torch.equal(store.empty.context, torch.zeros(3, 4))


def test_a_store_goes_to_other_processes(tmp_path: Path) -> None:
    write(tmp_path, "00000", "a", "bb")
    store = pickle.loads(pickle.dumps(Store.open(tmp_path)))
    assert torch.equal(store.load(1).target, torch.full((2, 1, 2, 2), 2.0))


def test_samples_of_one_clip_share_its_target(tmp_path: Path) -> None:
    begin(tmp_path, SETTINGS, EMPTY)
    writer = ShardWriter(tmp_path, "00000")
    references = {
        f"a.{kind}": (torch.full((2, 1, 1, 1), level),) for kind, level in (("canny", 1.0), ("pose", 2.0))
    }
    rows = [replace(row(name, clip="a"), control=name[2:], split="held_out") for name in references]
    writer.add(rows, target=torch.zeros(2, 1, 2, 2), references=references, prompt=EMPTY)
    assert writer.finish() == 2
    store = Store.open(tmp_path)
    assert [store.load(index).references[0][0].item() for index in (0, 1)] == [1.0, 2.0]
    assert [store.load(index).control for index in (0, 1)] == ["canny", "pose"]
    assert store.indices("held_out") == [0, 1] and store.indices("train") == []


def test_a_shard_without_its_index_is_not_finished(tmp_path: Path) -> None:
    write(tmp_path, "00000", "a")
    write(tmp_path, "00001", "bb")
    (tmp_path / "shards" / "00001.jsonl").unlink()
    assert ShardWriter(tmp_path, "00000").is_finished and not ShardWriter(tmp_path, "00001").is_finished
    assert [one.id for one in Store.open(tmp_path).samples] == ["a"]


def test_other_settings_are_refused(tmp_path: Path) -> None:
    begin(tmp_path, SETTINGS, EMPTY)
    begin(tmp_path, SETTINGS, EMPTY)
    with pytest.raises(DatasetError, match="other settings: downscale, fps"):
        begin(tmp_path, replace(SETTINGS, downscale=2, fps=24.0), EMPTY)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="neither a prepared.json"):
        Store.open(tmp_path)
    begin(tmp_path, SETTINGS, EMPTY)
    with pytest.raises(DatasetError, match="no samples yet"):
        Store.open(tmp_path)
    write(tmp_path, "00000", "a")
    (tmp_path / "shards" / "00000.safetensors").write_bytes(b"short")
    with pytest.raises(DatasetError, match=r"00000.safetensors cannot be read"):
        Store.open(tmp_path).load(0)
    notes = json.loads((tmp_path / "prepared.json").read_text())
    (tmp_path / "prepared.json").write_text(json.dumps(notes | {"version": 99}))
    with pytest.raises(DatasetError, match="version 99"):
        Store.open(tmp_path)


def test_a_fingerprint_knows_the_weights_and_not_their_type(micro_model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(micro_model, tmp_path / "copy")
    before = fingerprint(micro_model)
    (path,) = (copy / "vae").glob("*.safetensors")
    weights = load_file(path)
    save_file({name: weight.to(torch.bfloat16) for name, weight in weights.items()}, path)
    assert fingerprint(copy) == before
    next(iter(weights.values())).view(-1)[0] += 1
    save_file(weights, path)
    assert fingerprint(copy) != before
