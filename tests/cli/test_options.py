"""cli.options: words that `plan` and `generate` hand on as they are."""

import json
from pathlib import Path

from typer.testing import CliRunner

from iclora.cli import app


def test_guidance_is_the_models_own_or_what_is_said(released_models: dict[str, Path]) -> None:
    words = ["plan", "--model", str(released_models["2.0"]), "--prompt", "a ball"]
    own = CliRunner().invoke(app, words)
    assert "guidance 3, audio 7, stg 1, modality 3, rescale 0.7, seed 0" in own.stdout
    said = CliRunner().invoke(app, [*words, "--guidance", "2,rescale=0.5", "--json"])
    plan = json.loads(said.stdout)
    rest = {"audio_scale": None, "stg_scale": 0, "stg_blocks": [29], "modality_scale": 1, "rescale": 0.5}
    assert plan["guidance_scale"] == 2 and plan["more_guidance"] == rest
