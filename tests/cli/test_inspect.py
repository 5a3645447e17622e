"""cli: inspect."""

from pathlib import Path

from typer.testing import CliRunner

from iclora import adapters
from iclora.cli import app
from tests.micro import adapter_metadata, random_layers


def inspect(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["inspect", *(str(word) for word in words)])
    return result.exit_code, result.stdout, result.stderr


def test_the_models_own_adapter(micro_model: Path) -> None:
    code, shown, _ = inspect("canny", "--model", micro_model)
    assert code == 0
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert f"file {micro_model / 'adapters' / 'canny.safetensors'}" in lines
    assert "control canny, from the metadata" in lines
    assert "rank 2, 20 layers, 1664 finite values" in lines
    assert "reference 1/2 of the size (from the metadata), every 1 frame(s)" in lines
    assert "attention two_way" in lines
    assert f"fit fits the model '{micro_model}'" in lines
    assert "attn1.to_q" not in shown


def test_keys_are_listed_on_request(micro_model: Path) -> None:
    shown = inspect("canny", "--model", micro_model, "--keys")[1]
    assert "transformer_blocks.0.attn1.to_q: rank 2, 16 to 16" in shown


def test_an_adapter_for_another_base_is_told(micro_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    adapters.write(file, random_layers(micro_model), adapter_metadata(base="ltx-2.3"))
    code, shown, _ = inspect(file, "--model", micro_model)
    assert code == 0 and "was trained on the base 'ltx-2.3', but this model is 'micro'" in shown


def test_a_released_file_is_known_by_its_name(micro_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "ltx-2.3-22b-ic-lora-union-control-ref0.5.safetensors"
    adapters.write(file, random_layers(micro_model), {})
    lines = [" ".join(line.split()) for line in inspect(file, "--model", micro_model)[1].splitlines()]
    assert "control canny or depth or pose (depth near-white or inferno), from the file name" in lines
    assert any(line.startswith("base ltx-2.3, from the file name; a base of video width") for line in lines)
    other = adapters.write(tmp_path / "mine.safetensors", random_layers(micro_model), {})
    shown = inspect(other, "--model", micro_model)[1]
    assert "control    not said" in shown and "base       not said" in shown


def test_a_style_and_the_word_it_answers_to_are_told(micro_model: Path, tmp_path: Path) -> None:
    metadata = adapter_metadata() | {"iclora.control": "", "iclora.trigger": "risograph"}
    file = adapters.write(tmp_path / "inks.safetensors", random_layers(micro_model), metadata)
    shown = inspect(file, "--model", micro_model)[1]
    assert "control    none: a style" in shown and "prompt     begins with 'risograph'" in shown


def test_without_a_model_the_file_is_still_read(micro_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    adapters.write(file, random_layers(micro_model), adapter_metadata())
    code, shown, _ = inspect(file, "--model", tmp_path / "none")
    assert code == 0 and "whether it fits is not known: There is no model" in shown


def test_a_file_that_is_no_adapter(tmp_path: Path, micro_model: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    code, _, said = inspect(tmp_path / "a.safetensors", "--model", micro_model)
    assert code == 1 and said.startswith("iclora: ") and "not a readable .safetensors file" in said
