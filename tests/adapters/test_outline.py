"""Headers of adapter files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from iclora.adapters import LayerSize, read_outline
from iclora.controls.depths.conventions import CONVENTIONS
from iclora.errors import AdapterError

LAYER = "transformer_blocks.1.attn1.to_q"


def saved(
    folder: Path, metadata: dict[str, str] | None = None, name: str = "a.safetensors", **tensors: torch.Tensor
) -> Path:
    """Write an adapter of one layer; `tensors` go over it, with `__` for a dot."""
    base = "diffusion_model." + LAYER
    state = {f"{base}.lora_A.weight": torch.zeros(2, 6), f"{base}.lora_B.weight": torch.zeros(5, 2)}
    state |= {key.replace("__", "."): value for key, value in tensors.items()}
    save_file(state, folder / name, metadata=metadata)
    return folder / name


def test_outline(tmp_path: Path) -> None:
    outline = read_outline(saved(tmp_path, {"iclora.control": "canny", "iclora.base": "tiny"}))
    assert outline.sizes == {LAYER: LayerSize(rank=2, num_inputs=6, num_outputs=5)}
    assert (outline.rank, outline.num_parameters) == (2, 22)
    assert (outline.controls, outline.base) == (("canny",), "tiny")
    assert outline.geometry == "the base 'tiny' of video width 6 with at least 2 blocks"


@pytest.mark.parametrize(
    ("metadata", "name", "expected"),
    [
        ({}, "a.safetensors", (1, "default")),
        ({"reference_downscale_factor": "2"}, "a-ref0.25.safetensors", (2, "metadata")),
        ({"reference_downscale_factor": "4.0"}, "a.safetensors", (4, "metadata")),
        ({"ss_reference_downscale_factor": "2"}, "a.safetensors", (2, "metadata")),
        (
            {"reference_downscale_factor": "1", "ss_reference_downscale_factor": "2"},
            "a-ref0.5.safetensors",
            (1, "metadata"),
        ),
        ({}, "union-control-ref0.5.safetensors", (2, "file name")),
        ({}, "union_ref0.25_v2.safetensors", (4, "file name")),
        ({}, "union_ref1.safetensors", (1, "file name")),
        ({}, "href0.5.safetensors", (1, "default")),
        ({}, "ref0.3.safetensors", (1, "default")),
        ({}, "ref12.safetensors", (1, "default")),
    ],
)
def test_downscale(tmp_path: Path, metadata: dict[str, str], name: str, expected: tuple[int, str]) -> None:
    outline = read_outline(saved(tmp_path, metadata, name))
    assert (outline.downscale, outline.downscale_source) == expected


def test_temporal_factor(tmp_path: Path) -> None:
    assert read_outline(saved(tmp_path)).temporal_factor == 1
    assert read_outline(saved(tmp_path, {"reference_temporal_scale_factor": "2"})).temporal_factor == 2


@pytest.mark.parametrize("text", ["half", "0", "1.5", "inf", "nan", "1e21"])
def test_factors_that_are_no_whole_number_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AdapterError, match=f"'reference_downscale_factor' of .* is '{text}'; a whole number"):
        read_outline(saved(tmp_path, {"reference_downscale_factor": text}))


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="There is no adapter at"):
        read_outline(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    with pytest.raises(AdapterError, match="is not a readable .safetensors file"):
        read_outline(tmp_path / "broken.safetensors")


def test_unknown_keys_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path, diffusion_model__attn1__hada_w1=torch.zeros(1))
    with pytest.raises(
        AdapterError, match=r"holds 1 keys \(diffusion_model.attn1.hada_w1\) that are no part"
    ):
        read_outline(path)
    save_file({}, tmp_path / "empty.safetensors")
    with pytest.raises(AdapterError, match="holds no keys at all"):
        read_outline(tmp_path / "empty.safetensors")


def test_two_keys_for_one_side_are_refused(tmp_path: Path) -> None:
    twice = {f"transformer.{LAYER}.lora_down.weight".replace(".", "__"): torch.zeros(2, 6)}
    with pytest.raises(AdapterError, match=r"1 keys \(transformer\..*lora_down.weight\)"):
        read_outline(saved(tmp_path, **twice))


def test_dora_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, diffusion_model__a__lora_magnitude_vector=torch.zeros(1))
    with pytest.raises(AdapterError, match="is a DoRA: .*lora_magnitude_vector.* Give a plain LoRA."):
        read_outline(path)


def test_half_a_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="for 'proj_in'; a LoRA needs both sides"):
        read_outline(saved(tmp_path, diffusion_model__patchify_proj__lora_A__weight=torch.zeros(2, 6)))


def test_an_alpha_of_several_numbers_is_refused(tmp_path: Path) -> None:
    key = f"diffusion_model.{LAYER}.alpha".replace(".", "__")
    with pytest.raises(AdapterError, match=rf"The alpha of '{LAYER}' .* has shape \(3,\); one number"):
        read_outline(saved(tmp_path, **{key: torch.ones(3)}))
    assert read_outline(saved(tmp_path, **{key: torch.ones(1)})).rank == 2


def test_sides_that_do_not_meet_are_refused(tmp_path: Path) -> None:
    key = f"diffusion_model.{LAYER}.lora_B.weight".replace(".", "__")
    with pytest.raises(AdapterError, match=r"have shapes \(2, 6\) and \(5, 3\)"):
        read_outline(saved(tmp_path, **{key: torch.zeros(5, 3)}))


def test_what_it_was_made_for(tmp_path: Path) -> None:
    assert read_outline(saved(tmp_path)).distilled is None
    assert read_outline(saved(tmp_path, {"iclora.recipe": "distilled"})).distilled is True
    assert read_outline(saved(tmp_path, {"iclora.recipe": "dev"})).distilled is False
    with pytest.raises(AdapterError, match="'iclora.recipe' of .* is 'slow'; distilled or dev is known"):
        read_outline(saved(tmp_path, {"iclora.recipe": "slow"}))


def config(convention: object) -> dict[str, str]:
    return {"iclora.config": json.dumps({"control": {"convention": convention}})}


def test_an_adapter_says_how_it_wants_depth(tmp_path: Path) -> None:
    for convention in CONVENTIONS:
        assert read_outline(saved(tmp_path, config(convention))).conventions == (convention,)
    for silent in ({}, {"iclora.config": "{}"}):
        assert read_outline(saved(tmp_path, silent)).conventions == ("near-white",)


def test_depth_that_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"a.safetensors was trained on depth drawn as 'viridis'"):
        assert read_outline(saved(tmp_path, config("viridis"))).conventions
    for broken in ("{", "[]", '{"control": 3}'):
        with pytest.raises(AdapterError, match=r"of a.safetensors is not readable JSON settings"):
            assert read_outline(saved(tmp_path, {"iclora.config": broken})).conventions


def test_what_the_file_says_goes_before_its_name(tmp_path: Path) -> None:
    name = "ltx-2.3-22b-ic-lora-union-control-ref0.5.safetensors"
    silent = read_outline(saved(tmp_path, {}, name))
    assert (silent.controls, silent.controls_source) == (("canny", "depth", "pose"), "file name")
    assert (silent.base, silent.named_base, silent.distilled) == (None, "ltx-2.3", True)
    assert silent.conventions == ("near-white", "inferno")
    said = {"iclora.control": "depth", "iclora.recipe": "dev", **config("near-black")}
    loud = read_outline(saved(tmp_path, said, name))
    assert (loud.controls, loud.controls_source, loud.distilled) == (("depth",), "metadata", False)
    assert loud.conventions == ("near-black",)
    other = read_outline(saved(tmp_path, {"iclora.control": ""}))
    assert (other.controls, other.controls_source, other.named_base) == ((), "", None)


def test_a_union_follows_three(tmp_path: Path) -> None:
    outline = read_outline(saved(tmp_path, {"iclora.control": "union"}))
    assert outline.controls == ("canny", "depth", "pose")


def test_reference_attention(tmp_path: Path) -> None:
    said = {"iclora.reference_attention": "one_way"}
    assert read_outline(saved(tmp_path, said)).reference_attention == "one_way"
    assert read_outline(saved(tmp_path, {})).reference_attention is None
    with pytest.raises(AdapterError, match="is 'sideways'; two_way or one_way is known. Install the version"):
        read_outline(saved(tmp_path, {"iclora.reference_attention": "sideways"}))
