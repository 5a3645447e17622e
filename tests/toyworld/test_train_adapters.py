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
  "-c "*) echo "$GPUS_THERE" ;;
  *toyworld.minutes*) echo 77 ;;
  *toyworld.resize*) cp "$3" "$4" ;;
  *"iclora train"*)
    for word in "$@"; do
      case "$word" in output=*) output=${word#output=} ;; *.yaml) name=$(basename "$word" .yaml) ;; esac
    done
    for word in "$@"; do
      case "$word" in adapter.begin=*) [ -e "${word#adapter.begin=}" ] || exit 4 ;; esac
    done
    [ "$(basename "$output")" != "${FAIL:-}" ] || exit 3
    [ "$(basename "$output")" != "${SLOW:-}" ] || sleep 1.5
    mkdir -p "$output"
    echo "$output" >"$output/$name.safetensors" ;;
esac
"""


SECOND = ("tracks-first", "tracks", "risograph", "one-way-first", "union-one-way")


def run(folder: Path, **said: str) -> tuple[int, list[str]]:
    """Run the script in a folder; return its exit status, and what it asked for since the last time."""
    python, notes = folder / "python", folder / "notes"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    notes.write_text("")
    known = {
        "GPUS_THERE": "2",
        "PYTHON": str(python),
        "NOTES": str(notes),
        "PARTS": "2",
        "INSTALL": str(folder / "installed"),
    }
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
    trainings = [line for line in asked if "iclora train" in line]
    return [word.split("/run/")[1] for line in trainings for word in line.split() if "output=" in word]


def test_all_four_are_trained_and_installed(tmp_path: Path) -> None:
    code, asked = run(tmp_path, UNION_MINUTES="5", TRACKS_STEPS="9", SET="compile=false", SLOW="union-first")
    assert code == 0
    rendered = sorted(line for line in asked if "toyworld.pairs" in line)
    assert [line[0] for line in rendered] == ["0", "0", "1", "1"]  # two parts of each, on two GPUs
    assert sum("--shard 1/2 --clips 768 --style risograph" in line for line in rendered) == 1
    trained = {
        line.split("output=")[1].split("/run/")[1].split()[0]: line for line in asked if "output=" in line
    }
    # Two lanes, each with one GPU.
    lanes = [[name for name in outputs(asked) if trained[name][0] == gpu] for gpu in "01"]
    assert lanes == [
        ["probe/union-first", "union-first", "union"],
        ["tracks-first", "tracks", "risograph", "one-way-first", "union-one-way"],
    ]
    assert not any("--nproc-per-node" in line for line in trained.values())
    assert " steps=60 " in trained["probe/union-first"] and " steps=77 " in trained["union-first"]
    assert " steps=9 " in trained["tracks-first"] and "steps=" not in trained["risograph"]
    assert "run/pairs/union " in trained["one-way-first"] and "run/pairs/tracks " in trained["tracks"]
    begun = {
        "union": "union-first/union",
        "union-one-way": "one-way-first/union-one-way",
        "tracks": "tracks-first/tracks",
    }
    for name, file in begun.items():
        assert f"adapter.begin={tmp_path}/run/{file}.safetensors" in trained[name]
        assert f"feedback.weight={2 if name == 'tracks' else 1}" in trained[name]
    assert f"adapter.begin={tmp_path}/run/union-first/union.safetensors" in trained["one-way-first"]
    assert all("--set compile=false" in line for line in trained.values())
    installed = {path.name for path in (tmp_path / "installed").iterdir()}
    (resized,) = [line for line in asked if "toyworld.resize" in line]
    assert resized.endswith(f"{tmp_path}/installed/tracks.safetensors --rank 12")
    assert installed == {f"{name}.safetensors" for name in ("union", "tracks", "risograph", "union-one-way")}


def test_four_gpus_make_lanes_of_two(tmp_path: Path) -> None:
    code, asked = run(tmp_path, GPUS_THERE="4")
    assert code == 0
    for line in asked:
        if "iclora train" in line:
            second = any(f"{line} ".count(f"/run/{name} ") for name in SECOND)
            assert line.startswith("2,3 " if second else "0,1 ")
            assert "--nproc-per-node 2 -m iclora train toyworld/adapters/" in line


def test_only_the_gpus_that_are_to_be_seen_are_used(tmp_path: Path) -> None:
    code, asked = run(tmp_path, CUDA_VISIBLE_DEVICES="5,7", SET="data.batch_size=32")
    assert code == 0
    used = {line.split()[0] for line in asked if "iclora train" in line or "toyworld.pairs" in line}
    assert used == {"5", "7"}
    (judged,) = [line for line in asked if "/run/union " in f"{line} "]
    assert judged.index("batch_size=64") < judged.index("batch_size=32")  # the last one counts


def test_one_gpu_does_one_after_the_other(tmp_path: Path) -> None:
    code, asked = run(tmp_path, GPUS_THERE="1")
    assert code == 0
    assert outputs(asked) == ["union-first", "union", *SECOND]


def test_what_failed_is_done_again_and_nothing_else(tmp_path: Path) -> None:
    code, asked = run(tmp_path, UNION_MINUTES="5", GPUS_THERE="1", FAIL="tracks")
    assert code == 3 and outputs(asked) == [
        "probe/union-first",
        "union-first",
        "union",
        "tracks-first",
        "tracks",
    ]
    assert not (tmp_path / "installed").exists()
    code, asked = run(tmp_path, UNION_MINUTES="5", GPUS_THERE="1")
    assert code == 0 and outputs(asked) == ["tracks", "risograph", "one-way-first", "union-one-way"]


@pytest.mark.parametrize(
    ("name", "stages", "style"),
    [("risograph", ["risograph"], True), ("tracks", ["tracks-first", "tracks"], False)],
)
def test_one_alone_renders_only_what_it_needs(
    tmp_path: Path, name: str, stages: list[str], style: bool
) -> None:
    code, asked = run(tmp_path, ADAPTERS=name, INSTALL="")
    assert code == 0 and outputs(asked) == stages and not (tmp_path / "installed").exists()
    rendered = [line for line in asked if "toyworld.pairs" in line]
    assert len(rendered) == 2 and all(("--style" in line) is style for line in rendered)
