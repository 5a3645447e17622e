"""From seeds to prepared folders, and from these to adapters."""

from pathlib import Path

import pytest
import torch

from iclora import adapters, checkpoints
from iclora.pipeline import encode_frames, encode_prompt
from iclora.training import Store, read_settings, train
from tests.toyworld.runs import stop_at
from toyworld import pairs
from toyworld.render import HELD_OUT_SEED_START, render

SETTINGS = Path(pairs.__file__).with_name("adapters")
SMALL = ("--size", "64", "--frames", "9", "--shard-size", "2", "--device", "cpu")


def words(folder: Path, model: Path, *more: str) -> list[str]:
    return [str(folder), "--model", str(model), "--clips", "3", "--held-out", "1", *SMALL, *more]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, micro_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for part in ("0/2", "1/2"):
        pairs.main(words(folder, micro_model, "--shard", part, "--guessed", "0"))
    pairs.main(words(folder, micro_model, "--style", "risograph"))
    return folder


def test_each_control_of_a_clip_is_a_sample(written: Path) -> None:
    store = Store.open(written / "union")
    kinds = {row.clip: [] for row in store.samples}
    for row in store.samples:
        kinds[row.clip].append(row.control)
    assert kinds == {
        "08000000": ["canny", "depth"],  # flat shapes
        "08000001": ["canny", "depth", "pose"],
        "08000002": ["canny", "depth", "pose"],
        "09900000": kinds["09900000"],
    }
    assert {row.clip for row in store.samples if row.split == "held_out"} == {"09900000"}
    assert store.settings.control == "union" and store.settings.downscale == 2
    trails = Store.open(written / "tracks")
    assert {row.control for row in trails.samples} == {"tracks"} and trails.settings.downscale == 1


def test_samples_hold_what_the_pipeline_encodes(written: Path, micro_model: Path) -> None:
    parts = checkpoints.load(micro_model, dtype=torch.float32)
    store = Store.open(written / "union")
    place = next(place for place, row in enumerate(store.samples) if row.id == "08000001@depth")
    sample = store.load(place)
    scenes = render([8_000_001], height=64, width=64, num_frames=9, fps=16.0)
    with torch.inference_mode():
        target = encode_frames(parts.vae, scenes.frames[0].numpy())[0]
        context = encode_prompt(parts, sample.caption).video[0]
    torch.testing.assert_close(sample.target.float(), target, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(sample.context, context, rtol=1e-4, atol=1e-5)
    assert scenes.captions[0].startswith(sample.caption)
    assert sample.references[0].shape == (8, 2, 2, 2)
    trails = Store.open(written / "tracks")
    assert trails.load(0).references[0].shape == (8, 2, 4, 4)


def test_a_style_has_a_trigger_and_no_reference(written: Path) -> None:
    store = Store.open(written / "risograph")
    assert len(store.samples) == 4 and store.settings.trigger == "risograph"
    assert all(row.num_references == 0 and row.caption.startswith("risograph ") for row in store.samples)
    seed = int(store.samples[0].clip)
    own, taught = (
        render([seed], height=64, width=64, num_frames=2, style=style).frames.float().mean(dim=(0, 1, 2, 3))
        for style in (None, "risograph")
    )
    assert (own - taught).abs().max() > 20


def test_it_goes_on_where_it_was_stopped(
    written: Path, micro_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        # The third shard to be finished is the first of the second pair of folders.
        stop_at(patch, pairs.ShardWriter, "finish", 4)
        pairs.main(words(tmp_path, micro_model, "--guessed", "0"))
    done = tmp_path / "union" / "shards" / "00000.safetensors"
    before = done.stat().st_mtime_ns
    pairs.main(words(tmp_path, micro_model, "--guessed", "0"))
    assert done.stat().st_mtime_ns == before
    for name in ("union", "tracks"):
        whole, resumed = Store.open(written / name), Store.open(tmp_path / name)
        assert whole.samples == resumed.samples
        assert torch.equal(whole.load(0).references[0], resumed.load(0).references[0])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--first-seed", str(pairs.VALIDATION_SEED_START - 1)), "seeds from 9900000 on are not trained on"),
        (("--held-out", str(HELD_OUT_SEED_START)), "at most 100000 can be"),
    ],
)
def test_seeds_that_others_hold_out_are_refused(
    more: tuple[str, ...], message: str, micro_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        pairs.main(words(tmp_path, micro_model, *more))


@pytest.mark.parametrize("name", ["union", "tracks", "risograph", "union-one-way"])
def test_the_settings_train(name: str, written: Path, micro_model: Path, tmp_path: Path) -> None:
    data = written / ("union" if name == "union-one-way" else name)
    changes = [f"model={micro_model}", f"data.path={data}", f"output={tmp_path / 'run'}", "steps=2"]
    changes += ["compile=false", "data.batch_size=2", "optimizer.warmup=0", "adapter.begin=''"]
    trained = train(read_settings(SETTINGS / f"{name}.yaml", changes))
    outline = adapters.read_outline(trained.adapter)
    assert trained.adapter.stem == name
    expected = {
        "union": ("union", "2", "two_way", ""),
        "union-one-way": ("union", "2", "one_way", ""),
        "tracks": ("tracks", "1", "two_way", ""),
        "risograph": ("", "1", "two_way", "risograph"),
    }
    keys = ("iclora.control", "reference_downscale_factor", "iclora.reference_attention", "iclora.trigger")
    assert tuple(outline.metadata[key] for key in keys) == expected[name]
