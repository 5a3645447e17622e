"""Adapters on a transformer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from iclora.adapters import (
    VIDEO_TARGETS,
    Adapter,
    LowRank,
    attach,
    attached,
    create,
    describe,
    detach,
    merge,
    misfit,
    read,
    set_weights,
    take,
    write,
)
from iclora.errors import AdapterError
from iclora.transformer import Stream, velocity
from tests.small_models import CHANNELS, contexts, transformer, video_target

SIZES = {"transformer_blocks.0.attn1.to_q": (24, 24, 2), "transformer_blocks.1.ff.net.2": (96, 24, 3)}


def layers(seed: int = 0, sizes: dict[str, tuple[int, int, int]] = SIZES) -> dict[str, LowRank]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: LowRank(
            down=torch.randn(rank, inputs, generator=generator),
            up=torch.randn(outputs, rank, generator=generator),
        )
        for name, (inputs, outputs, rank) in sizes.items()
    }


def adapter(folder: Path, changes: dict[str, LowRank], base: str = "small") -> Adapter:
    metadata = describe(downscale=1, temporal_factor=1, control="canny", base=base, version="1")
    return read(write(folder / "canny.safetensors", changes, metadata, dtype=torch.float32, overwrite=True))


def moved(model: Any) -> Tensor:
    sequence = video_target()
    latents = torch.randn(1, 12, CHANNELS, generator=torch.Generator().manual_seed(0))
    context, _ = contexts(model)
    with torch.no_grad():
        return velocity(
            model, Stream(latents=latents, sequence=sequence, sigma=torch.tensor([0.5]), context=context)
        )[0]


def fused(changes: list[tuple[dict[str, LowRank], float]]) -> Tensor:
    model = transformer()
    with torch.no_grad():
        for change, weight in changes:
            for name, layer in change.items():
                model.get_submodule(name).weight += weight * layer.up @ layer.down
    return moved(model)


def test_attached_is_fused_and_detached_is_untouched(tmp_path: Path) -> None:
    model, first, second = transformer(), layers(0), layers(1)
    plain = moved(model)
    attach(model, adapter(tmp_path, first), 0.8, "first")
    torch.testing.assert_close(moved(model), fused([(first, 0.8)]), rtol=1e-4, atol=1e-5)
    attach(model, adapter(tmp_path, second), -0.5, "second")
    assert attached(model) == {"first": 0.8, "second": -0.5}
    torch.testing.assert_close(moved(model), fused([(first, 0.8), (second, -0.5)]), rtol=1e-4, atol=1e-5)
    set_weights(model, {"first": 0.25})
    assert attached(model) == {"first": 0.25, "second": -0.5}
    torch.testing.assert_close(moved(model), fused([(first, 0.25), (second, -0.5)]), rtol=1e-4, atol=1e-5)
    detach(model, "first")
    assert attached(model) == {"second": -0.5}
    torch.testing.assert_close(moved(model), fused([(second, -0.5)]), rtol=1e-4, atol=1e-5)
    detach(model, "second")
    assert attached(model) == {}
    assert torch.equal(moved(model), plain)
    assert model.state_dict().keys() == transformer().state_dict().keys()


def test_merged_is_fused_and_more_can_be_attached(tmp_path: Path) -> None:
    model, first, second = transformer(), layers(0), layers(1, dict(list(SIZES.items())[:1]))
    attach(model, adapter(tmp_path, first), 0.8, "canny")
    attach(model, adapter(tmp_path, second), 1.0, "second")
    set_weights(model, {"second": -0.5})
    merge(model)
    assert attached(model) == {} and model.state_dict().keys() == transformer().state_dict().keys()
    torch.testing.assert_close(moved(model), fused([(first, 0.8), (second, -0.5)]), rtol=1e-4, atol=1e-5)
    attach(model, adapter(tmp_path, second), 0.5, "canny")
    torch.testing.assert_close(moved(model), fused([(first, 0.8)]), rtol=1e-4, atol=1e-5)


def test_weight_0_changes_nothing(tmp_path: Path) -> None:
    model = transformer()
    plain = moved(model)
    attach(model, adapter(tmp_path, layers()), 0.0, "canny")
    torch.testing.assert_close(moved(model), plain)


def test_attached_adapters_are_not_trained(tmp_path: Path) -> None:
    model = transformer()
    attach(model, adapter(tmp_path, layers()), 1.0, "canny")
    own = [parameter for name, parameter in model.named_parameters() if "lora_" in name]
    assert own and not any(parameter.requires_grad for parameter in own)


def test_an_attached_adapter_takes_the_type_of_the_model(tmp_path: Path) -> None:
    model = transformer().bfloat16()
    attach(model, adapter(tmp_path, layers()), 1.0, "canny")
    types = {parameter.dtype for name, parameter in model.named_parameters() if "lora_" in name}
    assert types == {torch.bfloat16}


def test_names_are_checked(tmp_path: Path) -> None:
    model = transformer()
    attach(model, adapter(tmp_path, layers()), 1.0, "canny")
    with pytest.raises(AdapterError, match="An adapter named 'canny' is attached already"):
        attach(model, adapter(tmp_path, layers()), 1.0, "canny")
    with pytest.raises(AdapterError, match="No adapter named 'pose' is attached; attached are: 'canny'."):
        detach(model, "pose")
    with pytest.raises(AdapterError, match="No adapter named 'pose'"):
        set_weights(model, {"pose": 1.0})
    with pytest.raises(AdapterError, match="attached are: none"):
        take(transformer(), "pose")


def test_a_misfit_names_its_layers_and_its_base(tmp_path: Path) -> None:
    sizes = {"transformer_blocks.0.attn1.to_q": (48, 48, 2), "transformer_blocks.7.attn1.to_q": (48, 48, 2)}
    wrong = adapter(tmp_path, layers(sizes=sizes), base="large")
    message = (
        r"canny.safetensors does not fit this model: 2 of its 2 layers .*: "
        r"transformer_blocks.7.attn1.to_q, transformer_blocks.0.attn1.to_q \(wants 48 to 48, has 24 to 24\). "
        r"It fits the base 'large' of video width 48 with at least 8 blocks; "
        r"this model has video width 24 and 2 blocks."
    )
    with pytest.raises(AdapterError, match=message):
        attach(transformer(), wrong, 1.0, "canny")


def test_fit_can_be_told_without_weights(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = type(transformer()).from_config(transformer().config)
    assert misfit(model, adapter(tmp_path, layers()).outline) == ""


def test_a_new_adapter_changes_nothing_and_trains(tmp_path: Path) -> None:
    model = transformer()
    plain = moved(model)
    parameters = create(model, rank=4, name="new")
    assert len(parameters) == 2 * 2 * len(VIDEO_TARGETS)
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in parameters)
    assert sum(parameter.requires_grad for parameter in model.parameters()) == len(parameters)
    assert torch.equal(moved(model), plain)
    sequence, (context, _) = video_target(), contexts(model)
    latents = torch.randn(1, 12, CHANNELS, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    stream = Stream(latents=latents, sequence=sequence, sigma=torch.tensor([0.5]), context=context)
    before = velocity(model, stream)[0].square().mean()
    before.backward()
    optimizer.step()
    assert velocity(model, stream)[0].square().mean() < before
    trained = moved(model)
    fresh = transformer()
    attach(fresh, adapter(tmp_path, take(model, "new")), 1.0, "canny")
    torch.testing.assert_close(moved(fresh), trained)


def test_create_refuses() -> None:
    with pytest.raises(AdapterError, match="The rank is 0"):
        create(transformer(), rank=0, name="new")
    with pytest.raises(AdapterError, match=r"The targets \['attn9.to_q'\] fit no linear layer"):
        create(transformer(), rank=1, name="new", targets=("attn1.to_q", "attn9.to_q"))
    model = transformer()
    create(model, rank=1, name="new")
    with pytest.raises(AdapterError, match="named 'new' is attached already"):
        create(model, rank=1, name="new")
