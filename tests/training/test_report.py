"""The page of a run: its curves, its pictures, nothing from elsewhere."""

import re
from pathlib import Path

from iclora.training import resolve
from iclora.training.config import to_yaml
from iclora.training.previews import mean_numbers
from iclora.training.report import write_report
from iclora.training.saving import CONFIG, Best, add_row, save_best


def write_run(folder: Path) -> Path:
    (folder / CONFIG).write_text(to_yaml(resolve({"output": "<run>", "data": {"path": "data"}})))
    for step in (1, 2, 3):
        by_noise = [None, 0.5 * step, *[None] * 8]
        row = {"step": step, "loss": 1.0 / step, "gradient": 0.1, "learning_rate": 1e-4, "by_noise": by_noise}
        add_row(folder, row | {"seconds_per_step": 0.25})
    add_row(folder, {"step": 3, "adherence/canny": 0.25, "leak/canny": 0.5, "lag/canny": 2.0})
    return folder


def test_each_chart_has_its_curves(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path)).read_text()
    assert page.count("<svg") == 7  # nothing was held out
    assert "3 steps, the last loss 0.3333; the best adherence of one control 0.250, at step 3" in page
    assert "canny 0.25" in page and "canny 2<" in page and "0.1 1.5" in page and "0.25 s a step" in page
    assert "output: &lt;run&gt;" in page


def test_curves_go_from_the_first_step_to_the_last_and_from_low_to_high(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path)).read_text()
    chart = page.split("<figcaption>Loss</figcaption>")[1].split("</figure>")[0]
    points = [tuple(map(float, pair.split(","))) for pair in chart.split("points='")[1].split("'")[0].split()]
    assert [x for x, _ in points] == [56.0, 303.0, 550.0]
    assert points[0][1] == 10.0 and points[2][1] == 204.0  # the largest on top


def test_names_of_curves_stand_above_the_chart_where_they_wrap(tmp_path: Path) -> None:
    add_row(
        write_run(tmp_path), {"step": 3, **{f"adherence/{'k' * 40}{number}": 0.1 for number in range(30)}}
    )
    page = write_report(tmp_path).read_text()
    figure = page.split("held-out references</figcaption>")[1].split("</figure>")[0]
    above, chart = figure.split("<svg")
    assert above.count("<span") == 31 and "kkk" not in chart


def test_previews_of_the_first_the_best_and_the_newest_step_are_shown(tmp_path: Path) -> None:
    write_run(tmp_path)
    for step in (0, 3, 6, 9):
        picture = tmp_path / "previews" / f"{step:06d}" / "clip.png"
        picture.parent.mkdir(parents=True)
        picture.write_bytes(b"png")
    save_best(tmp_path, Best(step=6, score=0.5, measure="adherence"), {})
    page = write_report(tmp_path).read_text()
    assert re.findall(r"Previews at step (\d)", page) == ["0", "6", "9"]
    assert "The best checkpoint is that of step 6" in page


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text("a: 1\n")
    assert "Nothing was measured yet" in write_report(tmp_path).read_text()


def test_means_are_over_those_that_have_a_number() -> None:
    found = mean_numbers([{"adherence/canny": 0.2, "lag/canny": 1.0}, {"adherence/canny": 0.4}, {}])
    assert found == {"adherence/canny": 0.30000000000000004, "lag/canny": 1.0}
