"""The script that trains the embedded adapters, with a stand-in for what it starts."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Notes what it is asked for, says there are two GPUs and 77 steps, and leaves what a training leaves.
STAND_IN = r"""#!/usr/bin/env bash
echo "$CUDA_VISIBLE_DEVICES $*" >>"$NOTES"
case "$*" in
  "-c "*) echo 2 ;;
  *toyworld.minutes*) echo 77 ;;
  *"iclora.cli train"*)
    for word in "$@"; do case "$word" in output=*) output=${word#output=} ;; esac; done
    [ "$(basename "$output")" != "${FAIL:-}" ] || exit 3
    mkdir -p "$output"
    echo "$output" >"$output/$(basename "$output").safetensors" ;;
esac
"""


def run(folder: Path, **said: str) -> tuple[int, list[str]]:
    """Run the script in a folder; return its exit status, and what it asked for since the last time."""
    python, notes = folder / "python", folder / "notes"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    notes.write_text("")
    known = {"PYTHON": str(python), "NOTES": str(notes), "PARTS": "2", "INSTALL": str(folder / "installed")}
    environment = {"PATH": os.environ["PATH"], "CUDA_VISIBLE_DEVICES": ""} | known | said
    script = ROOT / "toyworld" / "train_adapters.sh"
    done = subprocess.run(
        ["bash", str(script), str(folder / "run")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, notes.read_text().splitlines()


def outputs(asked: list[str]) -> list[str]:
    """Where each training wrote, in their order."""
    trainings = [line for line in asked if "iclora.cli train" in line]
    return [word.split("/run/")[1] for line in trainings for word in line.split() if "output=" in word]


def test_all_four_are_trained_and_installed(tmp_path: Path) -> None:
    code, asked = run(tmp_path, UNION_MINUTES="5", TRACKS_STEPS="9", SET="compile=false")
    assert code == 0
    rendered = sorted(line for line in asked if "toyworld.pairs" in line)
    assert [line[0] for line in rendered] == ["0", "0", "1", "1"]  # two parts of each, on two GPUs
    assert sum("--shard 1/2 --clips 768 --style risograph" in line for line in rendered) == 1
    assert outputs(asked) == ["probe/union", "union", "tracks", "risograph", "union-one-way"]
    trained = {
        line.split("output=")[1].split("/run/")[1].split()[0]: line for line in asked if "output=" in line
    }
    assert "--nproc-per-node 2 -m iclora.cli train toyworld/adapters/union.yaml" in trained["union"]
    assert " steps=60 " in trained["probe/union"] and " steps=77 " in trained["union"]
    assert " steps=9 " in trained["tracks"] and "steps=" not in trained["risograph"]
    assert "run/pairs/union " in trained["union-one-way"] and "run/pairs/tracks " in trained["tracks"]
    assert f"adapter.begin={tmp_path}/run/union/union.safetensors" in trained["union-one-way"]
    assert all("--set compile=false" in line for line in trained.values())
    installed = {path.name for path in (tmp_path / "installed").iterdir()}
    assert installed == {f"{name}.safetensors" for name in ("union", "tracks", "risograph", "union-one-way")}


def test_what_failed_is_done_again_and_nothing_else(tmp_path: Path) -> None:
    code, asked = run(tmp_path, UNION_MINUTES="5", FAIL="tracks")
    assert code == 3 and outputs(asked) == ["probe/union", "union", "tracks"]
    assert not (tmp_path / "installed").exists()
    code, asked = run(tmp_path, UNION_MINUTES="5")
    assert code == 0 and outputs(asked) == ["tracks", "risograph", "union-one-way"]


@pytest.mark.parametrize(("name", "style"), [("risograph", True), ("tracks", False)])
def test_one_alone_renders_only_what_it_needs(tmp_path: Path, name: str, style: bool) -> None:
    code, asked = run(tmp_path, ADAPTERS=name, INSTALL="")
    assert code == 0 and outputs(asked) == [name] and not (tmp_path / "installed").exists()
    rendered = [line for line in asked if "toyworld.pairs" in line]
    assert len(rendered) == 2 and all(("--style" in line) is style for line in rendered)
