"""media.charts: curves where they should be."""

import dataclasses

import numpy as np
import pytest

from iclora import media
from iclora.errors import RequestError
from iclora.media import charts
from iclora.media.charts import HEIGHT, WIDTH

LEFT, RIGHT, TOP, BOTTOM = 64, 24, 46, 52
GREEN = charts._COLOURS[0]


def test_a_curve_runs_where_its_points_say() -> None:
    """From the lower left of the frame (0) to its upper right (1), with nothing in the other corners."""
    curve = media.Curve(name="f1", x=(0.0, 1.0), y=(0.0, 1.0))
    picture = media.line_chart([curve], title="how it follows", x_title="strength")
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    drawn = (np.abs(picture.astype(int) - GREEN).max(axis=2) < 40)[TOP - 4 : HEIGHT - BOTTOM + 4]
    drawn = drawn[:, LEFT - 4 : WIDTH - RIGHT + 4]
    rows, columns = np.nonzero(drawn)
    assert np.corrcoef(rows, columns)[0, 1] < -0.99
    assert rows.min() < 8 and rows.max() > drawn.shape[0] - 8 and columns.min() < 8
    assert not drawn[:60, :60].any() and not drawn[-60:, -60:].any()


def test_a_band_of_spread_and_gaps() -> None:
    thin = media.line_chart(
        [media.Curve(name="a", x=(0.0, 1.0, 2.0), y=(0.5, None, 0.5))], title="", x_title=""
    )
    wide = media.Curve(name="a", x=(0.0, 1.0, 2.0), y=(0.5, 0.5, 0.5), spread=(0.1, 0.2, 0.1))
    band = media.line_chart([wide], title="", x_title="")
    tinted = (band != thin).any(axis=2)[:, WIDTH // 2]
    assert 0.3 < tinted.sum() / (HEIGHT - TOP - BOTTOM) < 0.5


def test_values_beyond_0_to_1_and_ticks_of_words() -> None:
    curve = media.Curve(name="pixels", x=(0.0, 1.0), y=(-30.0, 170.0))
    ticks = [(0.0, "off"), (1.0, "every:2")]
    one = media.line_chart([curve], title="", x_title="cache", ticks=ticks)
    other = media.line_chart([curve], title="", x_title="cache", ticks=[(0.0, "off")])
    assert (one != other).any(axis=2).sum() > 20
    single = media.line_chart([media.Curve(name="b", x=(3.0,), y=(0.2,))], title="", x_title="")
    assert (np.abs(single.astype(int) - GREEN).max(axis=2) < 40).any()


def test_many_and_long_names_take_more_lines() -> None:
    """Two names fit into a line; the frame keeps its height, and nothing reaches the right margin."""
    curve = media.Curve(name="a", x=(0.0, 1.0), y=(0.0, 0.5))
    plain = media.line_chart([curve], title="", x_title="")
    names = [f"canny of a film with a long name {number}.mp4" for number in range(5)]
    curves = [dataclasses.replace(curve, name=name) for name in names]
    picture = media.line_chart(curves, title="", x_title="")
    assert picture.shape == (HEIGHT + 2 * 16, WIDTH, 3)
    legend = picture[: TOP + 2 * 16 - 8].astype(int)
    assert (legend[:, WIDTH - RIGHT :] == 255).all()
    for row, colour in zip((26, 26, 42, 42, 58), charts._COLOURS, strict=False):
        assert (np.abs(legend[row : row + 16] - colour).max(axis=2) < 60).sum() > 50
    axis = (picture[-BOTTOM + 8 :], plain[-BOTTOM + 8 :])
    assert np.array_equal(*axis)
    huge = media.line_chart([dataclasses.replace(curve, name="long " * 60)], title="", x_title="")
    assert huge.shape == plain.shape and (huge[: TOP - 8, WIDTH - RIGHT :] == 255).all()
    assert np.array_equal(huge[TOP:], plain[TOP:])


def test_twelve_curves_are_told_apart() -> None:
    """Each lies at a height of its own, in a colour that is far from those of all others."""
    heights = [(number + 0.5) / 12 for number in range(12)]
    curves = [media.Curve(name="", x=(0.0, 1.0), y=(height, height)) for height in heights]
    picture = media.line_chart(curves, title="", x_title="").astype(int)
    rows = [round(HEIGHT - BOTTOM - height * (HEIGHT - TOP - BOTTOM)) for height in heights]
    colours = picture[rows, WIDTH // 2]
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 1000 * np.eye(12)
    assert apart.min() > 60


def test_nothing_to_draw() -> None:
    with pytest.raises(RequestError, match="no point to draw"):
        media.line_chart([media.Curve(name="a", x=(0.0,), y=(None,))], title="", x_title="")
