"""controls.point_tracks.json_files: the editor's forms and our own, and what is wrong with others."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iclora.controls.point_tracks import Tracks
from iclora.controls.point_tracks.json_files import (
    tracks_from_json,
    tracks_to_editor_json,
    tracks_to_json,
)
from iclora.errors import InputError, RequestError

CANVAS = (50, 100)
PLACES = [{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 6}]
CURVE = [{"x": 0, "y": 0}, {"x": 8, "y": 4}]


def read(content: Any, **words: Any) -> Tracks:
    text = content if isinstance(content, str) else json.dumps(content)
    return tracks_from_json(text, **{"canvas": CANVAS, **words})


def own(*tracks: Any, **words: Any) -> dict[str, Any]:
    return {"width": 100, "height": 50, "tracks": list(tracks), **words}


@pytest.mark.parametrize(
    "content",
    [
        [PLACES],
        [[PLACES]],
        [[[[PLACES]]]],
        PLACES,
        json.dumps([PLACES]),
        [json.dumps(PLACES)],
        [json.dumps([PLACES])],
    ],
)
def test_a_place_for_each_frame_however_wrapped(content: Any) -> None:
    tracks = read(content)
    assert tracks.points.tolist() == [[[1, 2], [3, 4], [5, 6]]]
    assert tracks.visible.all() and (tracks.height, tracks.width) == CANVAS and tracks.fps is None


def test_a_shorter_track_ends_early() -> None:
    tracks = read([PLACES[:2], PLACES])
    assert tracks.visible.tolist() == [[True, True, False], [True, True, True]]


def test_a_bare_list_of_keypoints() -> None:
    tracks = read([CURVE], keypoints=True, num_frames=5)
    assert tracks.points[0].tolist() == [[0, 0], [2, 1], [4, 2], [6, 3], [8, 4]]
    assert read([CURVE], keypoints=True).num_frames == 121


@pytest.mark.parametrize(
    "content",
    [
        {"points_store": json.dumps([CURVE]), "coordinates": "[]", "points_to_sample": 5},
        {"points_store": [CURVE], "points_to_sample": 5},
        {
            "12": {
                "class_type": "LTXVSparseTrackEditor",
                "inputs": {"points_store": [CURVE], "points_to_sample": 5},
            }
        },
        {
            "nodes": [
                {"type": "Other"},
                {"type": "LTXVSparseTrackEditor", "widgets_values": [[CURVE], "[]", 5, ""]},
            ]
        },
        {
            "definitions": {
                "subgraphs": [{"nodes": [{"inputs": {"points_store": [CURVE], "points_to_sample": 5}}]}]
            }
        },
    ],
)
def test_the_editors_keypoints_in_all_that_comfyui_saves(content: Any) -> None:
    tracks = read(content, num_frames=99)  # what the file says holds
    assert tracks.points[0].tolist() == [[0, 0], [2, 1], [4, 2], [6, 3], [8, 4]]


def test_our_own_form() -> None:
    tracks = read(
        own(
            {"keypoints": CURVE, "start": 2, "end": 6, "hidden": [[3, 4]]},
            {"keypoints": [{**CURVE[0], "frame": 1}, {**CURVE[1], "frame": 5}]},
            {"points": [PLACES[0], None, PLACES[2]], "start": 4},
            {"keypoints": [{"x": 7, "y": 7}]},
            fps=12,
            num_frames=8,
        ),
        canvas=None,
    )
    shown = ["".join(".x"[int(seen)] for seen in row) for row in tracks.visible]
    assert shown == ["..x..xx.", ".xxxxx..", "....x.x.", "xxxxxxxx"]
    assert tracks.points[0, 2].tolist() == [0, 0] and tracks.points[0, 6].tolist() == [8, 4]
    assert tracks.points[1, 3].tolist() == [4, 2]
    assert tracks.points[2, 6].tolist() == [5, 6]
    assert (tracks.height, tracks.width, tracks.fps, tracks.num_frames) == (50, 100, 12, 8)


def test_keypoints_without_an_end_go_on_to_the_last_frame() -> None:
    assert read(own({"keypoints": CURVE}), num_frames=9).visible.tolist() == [[True] * 9]


@given(
    st.lists(
        st.lists(
            st.one_of(st.none(), st.tuples(st.integers(-90, 190), st.integers(-40, 90))),
            min_size=6,
            max_size=6,
        ),
        min_size=1,
        max_size=4,
    ).filter(lambda tracks: all(sum(place is not None for place in track) >= 2 for track in tracks))
)
def test_written_and_read_again(places: list[list[tuple[int, int] | None]]) -> None:
    visible = np.array([[place is not None for place in track] for track in places])
    points = np.array([[place or (0, 0) for place in track] for track in places], float)
    tracks = Tracks(points=points, visible=visible, height=50, width=100, fps=12.5)
    again = read(tracks_to_json(tracks), canvas=None)
    assert np.array_equal(again.visible, visible) and again.fps == 12.5
    assert np.array_equal(again.points[visible], points[visible])
    if np.array_equal(visible, np.sort(visible, axis=1)[:, ::-1]):
        edited = read(tracks_to_editor_json(tracks))
        assert np.array_equal(edited.points[edited.visible], points[visible])


def test_the_editors_form_is_written_in_whole_pixels() -> None:
    points = np.array([[[1.4, 2.6], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    visible = np.array([[True, True], [True, False]])
    tracks = Tracks(points=points, visible=visible, height=50, width=100)
    written = json.loads(tracks_to_editor_json(tracks))
    assert written == [[{"x": 1, "y": 3}, {"x": 3, "y": 4}], [{"x": 5, "y": 6}]]


def test_the_editors_form_cannot_say_a_late_start() -> None:
    visible = np.array([[True, True], [False, True]])
    tracks = Tracks(points=np.ones((2, 2, 2)), visible=visible, height=50, width=100)
    with pytest.raises(RequestError, match=r"as 1 of 2 do \(track 2\); write them in our own form"):
        tracks_to_editor_json(tracks)


NAN = '[[{"x": NaN, "y": 1}, {"x": 2, "y": 2}]]'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("these are no tracks", r"It is not JSON \(Expecting value"),
        ("[[{", "It is not JSON"),
        ("[" * 100_000, "It is not JSON"),
        (["no"], "It is not JSON"),
        ([], "There are no points in it; write"),
        ([[], []], "There are no points in it"),
        (7, "There are no points in it"),
        ({"a": 1}, "There are no points in it"),
        ({"points_store": "[]"}, "There are no points in it"),
        (
            {"points_store": [CURVE], "points_to_sample": 1},
            "'points_to_sample' is 1; give a whole number from 2",
        ),
        ([PLACES[:1]], "Track 1 has one point, and would be there for one frame; give one for each"),
        ([PLACES, [*PLACES, 5]], "Track 2, point 3: 5 is no point; write"),
        ([[{"x": 1, "y": 2}, {"x": 1}]], "Track 1, point 1: {'x': 1} is no point"),
        ([[{"x": "1", "y": 2}, PLACES[0]]], "Track 1, point 0: x='1', y=2 is no place; give finite numbers"),
        (NAN, "Track 1, point 0: x=nan, y=1 is no place; give finite numbers"),
        ([[{"x": 1e308, "y": 2}, PLACES[0]]], "x=1e[+]308, y=2 is no place"),
        ([[{"x": 10**400, "y": 2}, PLACES[0]]], "is no place"),
        ([[{"x": 900, "y": 2}, PLACES[0]]], r"Track 1, frame 0: \(900, 2\) is far off the canvas of 100x50"),
        (own(), "'tracks' is no list of tracks or is empty"),
        (own(5), "Track 1 is no object"),
        (
            own({"points": PLACES}, colour="red"),
            "The file has the unknown word 'colour'; accepted are fps, height",
        ),
        (own({"points": PLACES, "form": 1}), "Track 1 has the unknown word 'form'"),
        (own({"start": 3}), "Track 1 needs either 'keypoints' of a curve or 'points'"),
        (own({"points": PLACES, "keypoints": CURVE}), "Track 1 needs either"),
        (own({"points": PLACES, "end": 3}), "Track 1 ends with its last point; leave 'end' out"),
        (own({"points": []}), "Track 1 has no points"),
        (own({"points": [None, None]}), "Track 1 has no points"),
        (own({"keypoints": []}), "Track 1 has no keypoints"),
        (own({"keypoints": CURVE, "start": -1}), "Track 1: start is -1; give a whole number from 0 to 39999"),
        (own({"keypoints": CURVE, "end": 1e12}), "Track 1: end is 1000000000000.0; give a whole number"),
        (own({"keypoints": CURVE, "start": 9, "end": 3}), "Track 1 ends at frame 3, before it starts at 9"),
        (own({"keypoints": CURVE, "hidden": [3]}), r"Track 1: hidden is \[3\]; give pairs of frames"),
        (own({"keypoints": CURVE, "hidden": [[5, 3]]}), "give pairs of frames"),
        (own({"keypoints": CURVE, "hidden": 5}), "give pairs of frames"),
        (
            own({"keypoints": [{**CURVE[0], "frame": 5}, CURVE[1]]}),
            "give one to each of them, and no 'start'",
        ),
        (own({"keypoints": [{**CURVE[0], "frame": 5}]}), "Track 1 has one keypoint with a 'frame'"),
        (
            own({"keypoints": [{**CURVE[0], "frame": 5}, {**CURVE[1], "frame": 2}]}),
            "Track 1: Keypoints are out of order: frame 2 comes after frame 5; put them in the order",
        ),
        (own({"points": PLACES}, num_frames=2), "goes on to frame 2, but there are 2 frames; end it earlier"),
        (own({"points": PLACES}, num_frames=0), "'num_frames' is 0; give a whole number from 1"),
        (own({"points": PLACES}, fps="24"), "'fps' is '24'; give frames per second"),
        (own({"points": PLACES}, fps=-1), "rate of the tracks is -1"),
        (own({"points": PLACES}, width="100"), "'width' and 'height' are '100' and 50; give whole numbers"),
    ],
)
def test_bad_input_is_named(content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(content)


@pytest.mark.parametrize("content", [[PLACES], {"tracks": [{"points": PLACES}]}])
def test_a_canvas_that_nobody_says(content: Any) -> None:
    with pytest.raises(InputError, match="do not say how large their canvas is; say it"):
        read(content, canvas=None)


def test_keypoints_of_poses_are_no_tracks_with_a_canvas_or_without() -> None:
    for canvas in (None, CANVAS):
        with pytest.raises(InputError, match="Track 1, point 0: {'people': .* is no point"):
            read([{"people": []}] * 2, canvas=canvas)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.sampled_from(["x", "[]", "{}", '{"x": 1}']),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["x", "y", "frame", "tracks", "points", "keypoints", "points_store", "hidden", "nodes"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=25,
    )
)
def test_any_json_is_read_or_refused(content: Any) -> None:
    try:
        assert read(json.dumps(content)).visible.any()
    except InputError as error:
        assert str(error)
