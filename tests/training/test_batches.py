"""The order of clips, and their latents wherever they are kept."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from iclora.errors import DatasetError
from iclora.training.batches import Chosen, Disk, Memory, Order, sort_by_size
from iclora.training.estimate import bytes_of_clips
from iclora.training.store import Sample, Store
from tests.training.prepared import BUCKET, save_prepared

CPU = torch.device("cpu")


def test_every_clip_comes_once_an_epoch_and_epochs_differ() -> None:
    order = Order({(BUCKET, 1): list(range(8))}, clips_per_step=4, seed=1)
    epochs = [[order.clips(step) for step in (2 * epoch, 2 * epoch + 1)] for epoch in range(3)]
    assert order.steps_per_epoch == 2
    for steps in epochs:
        assert sorted(steps[0] + steps[1]) == list(range(8))
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_step_is_the_same_whenever_it_is_asked_for() -> None:
    first, second = (Order({(BUCKET, 1): list(range(9))}, clips_per_step=2, seed=3) for _ in range(2))
    later = second.clips(40)
    assert [first.clips(step) for step in range(41)][40] == later
    assert Order({(BUCKET, 1): list(range(9))}, clips_per_step=2, seed=4).clips(40) != later


def test_a_step_has_clips_of_one_size_some_again_where_there_are_too_few() -> None:
    order = Order({(BUCKET, 1): [0, 1, 2], (BUCKET, 0): [3]}, clips_per_step=2, seed=0)
    steps = [order.clips(step) for step in range(order.steps_per_epoch)]
    assert order.steps_per_epoch == 3
    assert [3, 3] in steps and all(set(step) <= {0, 1, 2} or step == [3, 3] for step in steps)
    assert order.alike(1) == [0, 1, 2]


def test_memory_and_disk_give_the_same_batch(prepared: Path) -> None:
    store = Store.open(prepared)
    sizes = sort_by_size(store, "train")
    chosen = Chosen(targets=(3, 1), references=(3, 5), silent=(False, True))
    kept = Memory(store, sizes, CPU, home=CPU).take(chosen)
    disk = Disk(store, CPU)
    disk.expect(chosen)
    read = disk.take(chosen)
    for one, other in (
        (kept.target, read.target),
        (kept.context, read.context),
        *zip(kept.references, read.references, strict=True),
    ):
        assert torch.equal(one, other)
    assert torch.equal(kept.target[1], store.load(1).target.half())
    assert torch.equal(kept.references[0][1], store.load(5).references[0].half())
    assert store.empty is not None and torch.equal(kept.context[1], store.empty.context)
    assert torch.equal(kept.context[0], store.load(3).context)


def test_of_a_stranger_its_references_alone_are_read(prepared: Path) -> None:
    store = Store.open(prepared)
    read: list[int] = []

    def load(index: int) -> Sample:
        read.append(index)
        return store.load(index)

    chosen = Chosen(targets=(3, 1), references=(3, 5), silent=(False, False))
    batch = Disk(replace(store, _read=load), CPU).take(chosen)
    assert read == [3, 1]
    assert torch.equal(batch.references[0][1], store.load(5).references[0].half())


def test_samples_of_one_clip_share_its_target(micro_model: Path, tmp_path: Path) -> None:
    folder = save_prepared(tmp_path / "data", micro_model, num_clips=3, controls={"canny": {}, "depth": {}})
    store = Store.open(folder)
    sizes = sort_by_size(store, "train")
    memory = Memory(store, sizes, CPU, home=CPU)
    taken = memory.take(Chosen(targets=(0, 1), references=(0, 1), silent=(False, False)))
    assert [store.samples[place].control for place in (0, 1)] == ["canny", "depth"]
    assert torch.equal(taken.target[0], taken.target[1])
    assert not torch.equal(taken.references[0][0], taken.references[0][1])
    assert bytes_of_clips(store, sizes) == 3 * (2 * 8 * 2 * 16 + 16 * 16 * 4) + 6 * 2 * 8 * 2 * 4


def test_what_was_expected_but_is_not_asked_for_is_not_given(prepared: Path) -> None:
    store = Store.open(prepared)
    disk = Disk(store, CPU)
    disk.expect(Chosen(targets=(0,), references=(0,), silent=(False,)))
    taken = disk.take(Chosen(targets=(2,), references=(2,), silent=(False,)))
    assert torch.equal(taken.target[0], store.load(2).target.half())


def test_dropping_captions_wants_an_empty_prompt(prepared: Path) -> None:
    store = replace(Store.open(prepared), empty=None)
    with pytest.raises(DatasetError, match="conditioning.prompt_dropout=0"):
        Disk(store, CPU).take(Chosen(targets=(0,), references=(0,), silent=(True,)))
