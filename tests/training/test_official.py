"""The official trainer's precomputed folder, written here as its scripts write it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from iclora import adapters, checkpoints
from iclora.errors import DatasetError
from iclora.pipeline import encode_prompt, encode_tokens, tokenise
from iclora.training import Bucket, Store, resolve, train
from iclora.training.saving import read_rows
from tests.training.prepared import content_of

CAPTIONS = {"a": "a cat", "sub/b": "a dog in a park"}


@pytest.fixture(scope="module", params=["2.3", "2.0", "micro"])
def components(request: pytest.FixtureRequest) -> checkpoints.Components:
    if request.param == "micro":
        return checkpoints.load(request.getfixturevalue("micro_model"))
    return checkpoints.load(request.getfixturevalue("released_models")[request.param], dtype=torch.float32)


@contextmanager
def features_of(connectors: Any) -> Iterator[list[torch.Tensor]]:
    """What the projections of the connectors give, video first: what the official trainer stores."""
    found: list[torch.Tensor] = []
    names = ["video_text_proj_in", "audio_text_proj_in", "text_proj_in"]
    layers = [getattr(connectors, name) for name in names if hasattr(connectors, name)]
    hooks = [layer.register_forward_hook(lambda *call: found.append(call[2])) for layer in layers]
    yield found
    for hook in hooks:
        hook.remove()


def write(root: Path, components: checkpoints.Components, *, downscale: int = 2, slower: int = 1) -> None:
    channels = components.vae.config.latent_channels
    for number, (name, caption) in enumerate(CAPTIONS.items(), 1):
        with features_of(components.connectors) as features, torch.no_grad():
            tokens = tokenise(components, caption)
            encode_tokens(components, tokens)
        count = int(tokens[0, 1].sum())
        conditions = {"video_prompt_embeds": features[0][0, -count:].clone()}
        if len(features) > 1:
            conditions["audio_prompt_embeds"] = features[1][0, -count:].clone()
        save(root, "conditions", name, conditions | {"prompt_attention_mask": torch.ones(count).bool()})
        cells = {"num_frames": 2, "height": 4, "width": 6, "fps": 24.0}
        save(root, "latents", name, {"latents": torch.full((channels, 2, 4, 6), float(number)), **cells})
        size = (2, 4 // downscale, 6 // downscale)
        flat = torch.arange(float(channels * torch.Size(size).numel())).reshape(-1, channels)
        cells = dict(zip(cells, (*size, 24.0 / slower), strict=True))
        save(root, "reference_latents", name, {"latents": flat, **cells})  # the older form, [n c]


def save(root: Path, kind: str, name: str, content: dict[str, Any]) -> None:
    path = root / kind / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def test_it_is_read_as_a_store(components: checkpoints.Components, tmp_path: Path) -> None:
    write(tmp_path / ".precomputed", components, slower=4)
    save(tmp_path / ".precomputed", "latents", "alone", {"latents": torch.zeros(4, 2, 4, 6), "fps": 24.0})
    store = Store.open(tmp_path, components=components)
    assert [one.id for one in store.samples] == list(CAPTIONS) and store.empty is None
    settings = store.settings
    assert (settings.downscale, settings.temporal_factor, settings.fps) == (2, 4, 24.0)
    side = components.vae.spatial_compression_ratio
    time = components.vae.temporal_compression_ratio
    assert settings.buckets == (Bucket(width=6 * side, height=4 * side, num_frames=1 + time, fps=24.0),)
    sample = store.load(1)
    channels = components.vae.config.latent_channels
    assert torch.equal(sample.target, torch.full((channels, 2, 4, 6), 2.0))
    assert sample.references[0].shape == (channels, 2, 2, 3)
    assert sample.references[0][1, 0, 0, 0] == 1 and sample.references[0][0, 0, 0, 1] == channels


def test_its_captions_are_what_the_pipeline_encodes(
    components: checkpoints.Components, tmp_path: Path
) -> None:
    write(tmp_path, components)
    store = Store.open(tmp_path, components=components)
    for index, caption in enumerate(CAPTIONS.values()):
        with torch.no_grad():
            expected = encode_prompt(components, caption)
        sample = store.load(index)
        assert torch.allclose(sample.context, expected.video[0], atol=1e-6)
        assert sample.audio_context is not None and expected.audio is not None
        assert torch.allclose(sample.audio_context, expected.audio[0], atol=1e-6)
        if expected.mask is None:
            assert sample.context_mask is None
        else:
            assert sample.context_mask is not None
            assert sample.context_mask.tolist() == expected.mask[0].tolist()


def test_what_is_missing_or_mixed_is_said(micro_model: Path, tmp_path: Path) -> None:
    components = checkpoints.load(micro_model)
    write(tmp_path, components)
    with pytest.raises(DatasetError, match="before the connectors"):
        Store.open(tmp_path)
    save(tmp_path, "reference_latents", "a", {"latents": torch.zeros(8, 2, 4, 6), "fps": 24.0})
    with pytest.raises(DatasetError, match="several factors"):
        Store.open(tmp_path, components=components)
    save(tmp_path, "reference_latents", "a", {"latents": torch.zeros(8, 2, 3, 5), "fps": 24.0})
    with pytest.raises(DatasetError, match="no whole factor"):
        Store.open(tmp_path, components=components)
    (tmp_path / "reference_latents" / "a.pt").write_bytes(b"no")
    with pytest.raises(DatasetError, match="cannot be read"):
        Store.open(tmp_path, components=components)


WHOLE = {"conditioning": {"prompt_dropout": 0.0}, "steps": 2}


def test_it_is_trained_on(components: checkpoints.Components, tmp_path: Path) -> None:
    write(tmp_path / "data" / ".precomputed", components, slower=4)
    name = {"rank": 2, "control": "canny"}
    content = content_of(components.path, tmp_path / "data", tmp_path / "run", adapter=name, **WHOLE)
    done = train(resolve(content))
    assert done.adapter.name == "canny.safetensors" and done.best is None  # nothing is held out
    outline = adapters.read_outline(done.adapter)
    assert (outline.downscale, outline.temporal_factor) == (2, 4) and outline.base == components.recipe.base
    assert [row["step"] for row in read_rows(tmp_path / "run") if row["loss"] > 0] == [1, 2]
    assert train(resolve(content)).steps == 2  # a finished run is known again


def test_what_training_on_it_lacks_is_said(micro_model: Path, tmp_path: Path) -> None:
    components = checkpoints.load(micro_model)

    def refused(message: str, **said: Any) -> None:
        with pytest.raises(DatasetError, match=message):
            train(resolve(content_of(micro_model, tmp_path / "data", tmp_path / "run", **(WHOLE | said))))

    refused("neither a prepared.json nor the folders 'latents'")
    write(tmp_path / "data", components)
    refused("no empty prompt.*Set conditioning.prompt_dropout=0", conditioning={})
    cells = {"num_frames": 2, "height": 4, "width": 6}
    latents = {"latents": torch.zeros(8, 2, 4, 6)}
    captions = torch.load(tmp_path / "data" / "conditions" / "a.pt")
    save(tmp_path / "data", "conditions", "a", captions | {"video_prompt_embeds": torch.zeros(3, 7)})
    refused("7 values wide, and the model takes .* another text encoder")
    for kind in ("latents", "reference_latents"):
        save(tmp_path / "data", kind, "a", latents | cells | {"fps": 30.0})
    save(tmp_path / "data", "reference_latents", "a", {"latents": torch.zeros(8, 2, 2, 3), "fps": 30.0})
    refused("several rates \\(24, 30 frames a second\\)")
    save(tmp_path / "data", "latents", "a", {"latents": torch.zeros(5, 2, 4, 6), "fps": 24.0})
    refused("has 5 channels, and those of the model have 8.*another autoencoder")
    assert not (tmp_path / "run").exists()
