"""controls.depths.releases: what is fetched from where, and what is said where it cannot be."""

from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from iclora.controls.depths import releases
from iclora.controls.depths.finding import named
from iclora.controls.depths.releases import RELEASES, find
from iclora.errors import ModelError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", list(RELEASES))
def test_without_a_connection_one_line_says_what_to_put_where(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def unreachable(*given: object) -> str:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(releases.hub, "hf_hub_download", unreachable)
    release = RELEASES[name]
    with pytest.raises(ModelError) as caught:
        named(name)
    said = str(caught.value)
    files = " and ".join(release.names)
    assert f"Download {files} from the Hugging Face repository {release.repository}" in said
    assert release.licence in said and f"into {cache / name}" in said and "\n" not in said


@pytest.mark.parametrize(
    ("name", "repository", "files"),
    [
        (
            "depth-anything-v2-small",
            "depth-anything/Depth-Anything-V2-Small-hf",
            ["config.json", "model.safetensors"],
        ),
        (
            "video-depth-anything-large",
            "depth-anything/Video-Depth-Anything-Large",
            ["video_depth_anything_vitl.pth"],
        ),
    ],
)
def test_the_hub_is_asked_for_its_files(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, repository: str, files: list[str]
) -> None:
    asked = []

    def download(repository: str, name: str) -> str:
        asked.append((repository, name))
        return str(cache / "hub" / name)

    monkeypatch.setattr(releases.hub, "hf_hub_download", download)
    assert find(RELEASES[name]) == [cache / "hub" / file for file in files]
    assert asked == [(repository, file) for file in files]


def test_only_the_small_ones_are_for_all() -> None:
    free = [name for name, release in RELEASES.items() if release.licence == "Apache-2.0"]
    assert free == ["depth-anything-v2-small", "video-depth-anything-small"]
    assert [name for name, release in RELEASES.items() if release.in_time] == [
        *("video-depth-anything-small", "video-depth-anything-base", "video-depth-anything-large")
    ]
