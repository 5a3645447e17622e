"""controls.depths.video: Video Depth Anything, with a made-up network; the released code's answers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from iclora import controls
from iclora.clip import Clip
from iclora.controls.depths import video
from iclora.controls.depths.finding import named
from iclora.controls.depths.releases import RELEASES
from iclora.controls.depths.video import VideoDepthAnything
from iclora.controls.depths.video_network import read_network
from iclora.errors import ModelError
from tests.controls.depths import video_files

SMALL = RELEASES["video-depth-anything-small"]
GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "video_depth.json").read_text())


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ICLORA_CACHE", str(tmp_path))
    return video_files.write(tmp_path / SMALL.name / SMALL.names[0])


@pytest.mark.parametrize(("width", "step", "released"), [(42, 6, "nearness"), (56, 14, "wide")])
def test_the_network_gives_what_the_released_one_gives(
    by_hand: Path, width: int, step: int, released: str
) -> None:
    frames = np.random.default_rng(1).standard_normal((5, 3, 42, width)).astype(np.float32)
    with torch.inference_mode():
        found = read_network(by_hand)(torch.from_numpy(frames)).numpy()
    assert found.shape == (5, 42, width)
    assert np.abs(found[:, ::step, ::step] - GOLDEN[released]).max() < 1e-4  # of numbers up to 5


def test_reading_draws_no_bar(by_hand: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert read_network(by_hand) is not None and capfd.readouterr() == ("", "")


def test_a_frame_depends_on_those_around_it(by_hand: Path) -> None:
    network = read_network(by_hand)
    frames = torch.from_numpy(np.random.default_rng(2).standard_normal((6, 3, 28, 42)).astype(np.float32))
    with torch.inference_mode():
        together, alone = network(frames)[0], network(frames[:1])[0]
    assert together.shape == (28, 42) and (together - alone).abs().max() > 0.01


def test_a_film_is_looked_at_in_windows(by_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "SHORT_SIDE", 28)
    estimator = named(SMALL.name)
    assert isinstance(estimator, VideoDepthAnything)
    frames = np.random.default_rng(0).integers(0, 256, (40, 30, 44, 3), dtype=np.uint8)
    found = np.stack(list(estimator(frames)))
    assert found.shape == (40, 28, 42) and found.dtype == np.float32 and np.isfinite(found).all()
    clip = Clip(frames=frames[:3], fps=8.0)
    assert controls.depth(clip, estimator=SMALL.name).frames.shape == clip.frames.shape


@pytest.mark.parametrize("count", [1, 5])
def test_frames_that_stand_still_at_the_end_need_not_be_looked_at(
    by_hand: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    network = read_network(by_hand).double()
    frames = torch.from_numpy(np.random.default_rng(4).standard_normal((count, 3, 28, 42)))
    with torch.inference_mode():
        whole = network(torch.cat([frames, frames[-1:].expand(12 - count, -1, -1, -1)]))[:count]
        looked_at, look = [], network.still.backbone.forward
        monkeypatch.setattr(
            network.still.backbone, "forward", lambda few: looked_at.append(len(few)) or look(few)
        )
        found = network(frames, length=12)
    assert found.shape == whole.shape and (found - whole).abs().max() < 1e-9
    assert sum(looked_at) == count


@pytest.mark.parametrize("width", [42, 56])
def test_a_film_of_three_windows_is_what_the_released_code_makes_of_it(
    by_hand: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(video, "SHORT_SIDE", 42)
    scene = np.random.default_rng(3).integers(0, 256, (42, width + 61, 3), dtype=np.uint8)
    found = np.stack(list(VideoDepthAnything(SMALL.name)(scene[:, i : i + width] for i in range(61))))
    assert found.shape == (61, 42, width) and found.min() == 0
    released = GOLDEN["films"][str(width)]  # of frames that do not fade
    assert np.abs(found[GOLDEN["frames"]][:, ::14, ::14] - released).max() < 1e-4


@pytest.mark.parametrize(
    ("height", "width", "looked_at"),
    [
        (480, 640, (518, 686)),
        (1080, 1920, (518, 924)),
        (1280, 720, (924, 518)),
        (540, 1280, (392, 924)),
        (800, 1920, (378, 910)),
        (1920, 800, (910, 378)),
        (540, 1920, (252, 896)),
    ],
)
def test_wide_pictures_are_looked_at_in_no_more_pixels(
    by_hand: Path, height: int, width: int, looked_at: tuple[int, int]
) -> None:
    prepared = VideoDepthAnything(SMALL.name)._prepared(np.zeros((height, width, 3), np.uint8))
    assert prepared.shape == (3, *looked_at)


def test_weights_of_half_precision_are_read(by_hand: Path) -> None:
    torch.save({name: value.half() for name, value in video_files.weights().items()}, by_hand)
    network = read_network(by_hand)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert network(torch.zeros(1, 3, 28, 42)).shape == (1, 28, 42)


def test_other_files_are_told(by_hand: Path, tmp_path: Path) -> None:
    for content, reason in ((b"no network", "."), (b"", "EOFError")):
        by_hand.write_bytes(content)
        with pytest.raises(ModelError, match=rf"Video Depth Anything \({reason}.*; delete it and run"):
            VideoDepthAnything(SMALL.name)
    whole = video_files.weights()
    short = {name: value for name, value in whole.items() if name != "head.projects.2.bias"}
    for weights, what in (
        (whole | {"head.more": torch.zeros(1)}, "it has head.more, which the network has not"),
        (short, "too few, too many or of another shape: neck.reassemble_stage.layers.2.projection.bias"),
        ({"pretrained.cls_token": torch.zeros(1, 1, 64)}, "it has 0 layers, and the released ones have 12"),
        ({}, "pretrained.cls_token"),
        (whole | {5: torch.zeros(1)}, "it holds no table of weights by their names"),
        ([torch.zeros(1)], "it holds no table of weights by their names"),
        (whole | {"head.projects.0.weight": 5}, "it holds no table of weights by their names"),
        (whole | {"pretrained.cls_token": torch.tensor(1.0)}, "index out of range"),
        (whole | {"pretrained.pos_embed": torch.zeros(3)}, "index out of range"),
        (whole | {"pretrained.cls_token": torch.zeros(1, 1, 30)}, "division|modulo"),
    ):
        torch.save(weights, by_hand)
        with pytest.raises(ModelError, match=what):
            VideoDepthAnything(SMALL.name)
