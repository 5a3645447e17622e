"""findings.masks: masks that cover nothing, fall to nothing, do nothing, or do not fit."""

import numpy as np

from iclora.findings import judge_mask
from iclora.geometry import LatentGrid

GRID = LatentGrid(frames=2, height=2, width=2)


def said(mask: np.ndarray) -> list[str]:
    return [f"{one.level}: {one}" for one in judge_mask(mask, GRID, "a.mp4")]


def half() -> np.ndarray:
    mask = np.zeros((64, 64), np.float32)
    mask[:, :32] = 1
    return mask


def test_a_good_mask_gives_no_finding() -> None:
    assert said(half()) == said(half() > 0) == said(np.repeat(half()[None], 9, axis=0)) == []


def test_a_mask_that_covers_nothing() -> None:
    assert said(np.zeros((64, 64), np.float32))[0].startswith("error: a.mp4: its attention mask is black")


def test_a_mask_that_falls_to_nothing_on_the_grid() -> None:
    thin = np.zeros((64, 64), np.float32)
    thin[10, :] = 1  # one row of a cell of 32: 0.03
    assert "falls to 0.03 on the model's grid of 2x2 cells and 2 latent frames" in said(thin)[0]
    broad = np.zeros((64, 64), np.float32)
    broad[10:14, :] = 1  # 4 of 32 rows: 0.125
    assert said(broad) == []


def test_a_mask_that_does_nothing() -> None:
    assert said(np.ones((64, 64), np.float32)) == [
        "warning: a.mp4: its attention mask is white everywhere: it does nothing. Leave it out."
    ]


def test_a_mask_of_255_levels_is_an_error() -> None:
    assert "Divide an 8-bit picture by 255." in said(half() * 255)[0]


def test_a_mask_whose_frames_do_not_fit() -> None:
    grid = LatentGrid(frames=3, height=2, width=2)
    found = judge_mask(np.ones((4, 8, 8), np.float32), grid, "a.mp4")
    assert found[0].level == "error" and "4 frames cannot be shared among 3 latent frames" in str(found[0])
