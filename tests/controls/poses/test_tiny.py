"""controls.poses.tiny: people read off maps drawn by hand, and the embedded weights on a held-out figure."""

from pathlib import Path

import numpy as np
import pytest
import torch

from iclora import adherence
from iclora.controls.poses import find_poses
from iclora.controls.poses.tiny import WEIGHTS, Tiny, load, people_of
from iclora.controls.poses.tiny_network import NUM_BODY, TinyPoseNetwork
from iclora.errors import ModelError, RequestError
from toyworld.pose_report import held_out
from toyworld.render import HELD_OUT_SEED_START


def maps_with(*people: tuple[tuple[int, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Each person as cells (x, y) of the first points; their cells say the way to the person's middle."""
    likely, ways = np.zeros((NUM_BODY, 36, 36), np.float32), np.zeros((2, 36, 36), np.float32)
    for cells in people:
        middle = np.mean(cells, axis=0)
        for number, (x, y) in enumerate(cells):
            likely[number, y, x] = 0.9
            ways[:, y, x] = middle - (x, y)
    return likely, ways


ONE = ((5, 5), (6, 8), (4, 8), (8, 8), (5, 14), (7, 14), (5, 18))
OTHER = tuple((x + 18, y + 2) for x, y in ONE)


def test_points_that_agree_on_a_middle_are_one_person() -> None:
    (first, second) = sorted(people_of(*maps_with(ONE, OTHER)), key=lambda person: person[0, 0])
    # The middle of cell 5 is at (5 + 0.5) · 4 - 0.5 = 21.5 pixels.
    assert first[0].tolist() == pytest.approx([21.5, 21.5, 0.9])
    assert second[0].tolist() == pytest.approx([93.5, 29.5, 0.9])
    assert (first[:, 2] > 0).sum() == (second[:, 2] > 0).sum() == len(ONE)


def test_a_peak_lies_between_cells_and_a_few_points_are_nobody() -> None:
    likely, ways = maps_with(ONE)
    likely[0, 5, 6] = 0.45  # half as high beside it: a third of a cell to the right
    person = people_of(likely, ways)[0]
    assert person[0, 0] == pytest.approx(21.5 + 4 / 3)
    assert people_of(*maps_with(ONE[:4])) == []
    assert people_of(0.2 * likely, ways) == []


def test_pictures_of_any_size_give_pixels_of_their_own() -> None:
    """A network that always says the same: its people are scaled with the picture."""

    class Same(TinyPoseNetwork):
        def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            likely, ways = (np.pad(one, ((0, 0), (0, 4), (0, 4))) for one in maps_with(ONE))
            sure = torch.logit(torch.from_numpy(likely).clamp(1e-4, 0.99))
            return sure.repeat(len(picture), 1, 1, 1), torch.from_numpy(ways).repeat(len(picture), 1, 1, 1)

    frames = [np.zeros((320, 320, 3), np.uint8)] * 3
    found = list(Tiny(network=Same())(frames))
    assert len(found) == 3 and found[2][0][0, :2].tolist() == pytest.approx([43, 43], abs=0.1)


def test_the_embedded_weights_find_a_held_out_figure() -> None:
    assert WEIGHTS.stat().st_size < 2**20
    clip, truth = held_out(HELD_OUT_SEED_START + 3)
    score = adherence.pose(truth, find_poses(clip, estimator="tiny"))
    assert score.found == 1.0 and score.pck > 0.7


def test_damaged_weights_and_devices(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    for name in ("a.safetensors", "none.safetensors"):
        with pytest.raises(ModelError, match="does not hold the pose estimator"):
            load(tmp_path / name)
    clip, _ = held_out(HELD_OUT_SEED_START + 3)
    with pytest.raises(RequestError, match="no device 'warp'"):
        find_poses(clip, estimator="tiny", device="warp")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_who_the_processor_finds() -> None:
    clip, _ = held_out(HELD_OUT_SEED_START + 3)
    here, there = (find_poses(clip, estimator="tiny", device=device) for device in ("cpu", "cuda"))
    assert here.num_people == there.num_people > 0
    assert np.abs(here.points[..., :2] - there.points[..., :2]).max() < 0.1
    assert np.abs(here.points[..., 2] - there.points[..., 2]).max() < 0.01
