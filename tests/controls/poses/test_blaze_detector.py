"""controls.poses.blaze_detector: anchors, decoding and melting, by hand."""

import numpy as np
import pytest

from iclora.controls.poses.blaze_detector import anchors, decode, letterbox, merge, to_detections


def outputs(*found: tuple[int, float, list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Network outputs with some anchors lit: (number, logit, twelve values in pixels)."""
    logits, raw = np.full(2254, -100, np.float32), np.zeros((2254, 12), np.float32)
    for number, logit, values in found:
        logits[number], raw[number] = logit, values
    return logits, raw


def test_anchors_go_row_by_row_from_fine_to_coarse() -> None:
    centres = anchors()
    assert centres.shape == (2254, 2)
    assert np.allclose(centres[[0, 1]], 0.5 / 28) and np.allclose(centres[2], (1.5 / 28, 0.5 / 28))
    assert np.allclose(centres[28 * 28 * 2], 0.5 / 14)
    assert np.allclose(centres[-6:], 6.5 / 7)


def test_letterbox_is_black_beside_the_frame() -> None:
    frame = np.full((50, 100, 3), 255, np.uint8)
    picture, side, left, top = letterbox(frame)
    assert (side, left, top) == (100, 0, -25)
    assert picture[112, 112].tolist() == [1, 1, 1] and picture[10, 112].tolist() == [-1, -1, -1]
    lit = np.flatnonzero(picture[:, 112, 0] > 0)
    assert (lit.min(), lit.max()) == (55, 166)  # corners are mapped, not centres


def test_decoding_by_hand() -> None:
    """Anchor 0 at 4 px: centre 4 + 10, size 20x40; hips at 4 + 30, 4 + 60."""
    values = [10.0, 20, 20, 40, 30, 60, 0, 0, 0, 0, 0, 0]
    scores, found = decode(*outputs((0, 2.0, values), (5, 0.0, values)))
    assert scores.tolist() == [pytest.approx(1 / (1 + np.exp(-2)))]
    pixels = found[0] * 224
    assert np.allclose(pixels[0], (4, 4)) and np.allclose(pixels[1], (24, 44))
    assert np.allclose(pixels[2], (34, 64)) and np.allclose(pixels[3], (4, 4))


def test_overlapping_ones_melt_by_their_scores() -> None:
    """Two boxes shifted by a tenth melt, weighted 3 to 1; one far off stays."""
    box = np.zeros((6, 2), np.float32)
    box[1] = 1
    values = np.stack([box, box + 5, box + 0.1]).astype(np.float32)
    melted = merge(np.array([0.9, 0.6, 0.3], np.float32), values)
    assert [score for score, _ in melted] == pytest.approx([0.9, 0.6])
    assert np.allclose(melted[0][1], box + 0.025) and np.allclose(melted[1][1], box + 5)


def test_boxes_without_area_end_too() -> None:
    assert len(merge(np.ones(3, np.float32), np.zeros((3, 6, 2), np.float32))) == 3


def test_detections_in_pixels_of_the_frame() -> None:
    values = [108.0, 108, 20, 40, 108, 152, 108, 52, 0, 0, 0, 0]
    (one,) = to_detections(*outputs((0, 3.0, values)), side=448.0, left=-10.0, top=20.0)
    assert np.allclose(one.box, (112 * 2 - 20 - 10, 112 * 2 - 40 + 20, 112 * 2 + 20 - 10, 112 * 2 + 40 + 20))
    assert np.allclose(one.points[0], (224 - 10, (152 + 4) * 2 + 20))
    assert to_detections(*outputs(), side=1.0, left=0.0, top=0.0) == []
