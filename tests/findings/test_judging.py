"""findings.judging and kinds: every finding triggered by a damaged control, none by a good one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iclora import controls, media
from iclora.clip import Clip
from iclora.controls.depths.conventions import CONVENTIONS, coloured
from iclora.findings import Expected, judge, look, resemblance
from tests.findings import clips
from toyworld.render import HELD_OUT_SEED_START, render

GOOD: dict[str, Callable[[], Clip]] = {
    "canny": clips.lines,
    "tracks": clips.trails,
    "pose": clips.pose,
    "depth": clips.depth,
    "soft-edges": clips.soft_edges,
    "line-art": clips.line_art,
    "normals": clips.normals,
    "green": clips.green,
    "film": clips.film,
}
UNION = ("canny", "depth", "pose")


def said(clip: Clip, *kinds: str | None, film: bool = False, **words: Any) -> list[str]:
    known = tuple(kind for kind in kinds if kind is not None)
    expected = Expected(kinds=known, film=film, **words)
    findings = judge(look(clip), expected, "a.mp4")
    assert all(one.advice for one in findings)
    return [f"{one.level}: {one}" for one in findings]


@pytest.mark.parametrize("kind", GOOD)
def test_good_controls_give_no_finding(kind: str) -> None:
    assert said(GOOD[kind](), kind) == []
    assert said(GOOD[kind](), None) == []
    assert kind not in UNION or said(GOOD[kind](), *UNION, by_adapter=True) == []


def test_a_good_film_gives_no_finding() -> None:
    assert said(clips.film(), None) == said(clips.film(), "canny", film=True) == []


@pytest.mark.parametrize("name", ["carphone_pristine", "bikes", "bigbuckbunny"])
def test_filmed_clips_and_their_controls_give_no_finding(filmed_clips: Path, name: str) -> None:
    film = media.read(filmed_clips / f"{name}.mp4", max_frames=17)
    film = media.resize(film, min(film.height, 288), min(film.width, 384))
    assert said(film, "canny", film=True) == []
    assert said(controls.canny(film), "canny") == said(controls.canny(film, thickness=3), "canny") == []
    assert said(controls.tracks(film), "tracks") == []
    assert said(controls.depth(film), "depth") == said(controls.soft_edges(film), "soft-edges") == []
    assert said(controls.line_art(film), "line-art") == []
    grey = controls.grey(film)
    assert said(grey, "grey") == []
    for kind in ("canny", "depth", "pose", "tracks", "soft-edges", "line-art"):
        assert "film or a photo" in said(grey, kind)[0] and "film or a photo" in said(film, kind)[0]


def test_scenes_of_the_embedded_models_world_give_no_finding() -> None:
    scenes = render(
        [HELD_OUT_SEED_START, HELD_OUT_SEED_START + 1], height=256, width=256, num_frames=5, fps=16.0
    )
    for frames, metres in zip(scenes.frames.numpy(), scenes.depth.numpy(), strict=True):
        film = Clip(frames=frames, fps=16.0)
        near = 1 / np.maximum(metres, 1e-3)
        levels = np.interp(near, np.percentile(near, [1, 99]), [0, 255]).astype(np.uint8)
        assert said(film, "canny", film=True) == said(controls.canny(film), "canny") == []
        assert said(Clip(frames=np.repeat(levels[..., None], 3, axis=-1), fps=16.0), "depth") == []
        soft = controls.soft_edges(film)
        assert said(soft, "soft-edges") == [] and "soft grey edges on black" in said(soft, "depth")[0]


@pytest.mark.parametrize("kind", ["canny", "pose", "depth", None])
def test_a_control_that_is_empty_throughout_is_an_error(kind: str | None) -> None:
    black = clips.changed(clips.lines(), np.zeros((9, 96, 96, 3)))
    assert len(said(black, kind)) == 1 and said(black, kind)[0].startswith("error: a.mp4: no frame shows")
    noisy = clips.changed(black, black.frames + np.random.default_rng(0).integers(0, 6, black.frames.shape))
    assert said(noisy, kind) == said(black, kind)


def test_no_tracks_may_be_meant() -> None:
    black = clips.changed(clips.lines(), np.zeros((9, 96, 96, 3)))
    assert said(black, "tracks")[0].startswith("warning: a.mp4: no frame shows anything")


def test_empty_frames_are_named() -> None:
    frames = clips.lines().frames.copy()
    frames[[0, 1, 2, 5]] = 0
    text = said(clips.changed(clips.lines(), frames), "canny")
    assert len(text) == 1 and "frames 0-2, 5 of 9 show nothing" in text[0] and "attention mask" in text[0]


@pytest.mark.parametrize(
    ("kind", "clip", "like"),
    [
        ("canny", clips.film, "a film or a photo"),
        ("canny", clips.depth, "a smooth grey picture"),
        ("canny", clips.trails, "coloured lines on black"),
        ("pose", clips.film, "a film or a photo"),
        ("tracks", clips.depth, "a smooth grey picture"),
        ("depth", clips.film, "a film or a photo"),
        ("depth", clips.lines, "white lines on black"),
        ("depth", clips.trails, "coloured lines on black"),
        ("soft-edges", clips.depth, "a smooth grey picture"),
        ("line-art", clips.film, "a film or a photo"),
        ("normals", clips.depth, "a smooth grey picture"),
        ("depth", lambda: shrunk(clips.lines()), "grey lines on black"),
    ],
)
def test_the_wrong_kind(kind: str, clip: Callable[[], Clip], like: str) -> None:
    text = said(clip(), kind)
    assert len(text) == 1 and f"a.mp4: expected is {kind}, " in text[0]
    assert f", but this clip looks like {like}." in text[0]
    assert resemblance(look(clip())) == like
    for by_adapter, about in ((True, "adapter"), (False, "request")):
        expected = Expected(kinds=(kind,), by_adapter=by_adapter)
        assert judge(look(clip()), expected, "a")[0].about == about


def shrunk(clip: Clip) -> Clip:
    """Half as large, by the average of four pixels."""
    height, width = clip.height // 2, clip.width // 2
    halves = clip.frames.reshape(-1, height, 2, width, 2, 3).mean(axis=(2, 4))
    return clips.changed(clip, halves)


def test_poses_and_tracks_are_told_apart() -> None:
    text = said(clips.pose(), "tracks")
    assert len(text) == 1 and "but this clip looks like skeletons of people" in text[0]
    assert "Use an adapter that follows poses, or draw the tracks of a film" in text[0]
    text = said(clips.trails(), "pose")
    assert len(text) == 1 and "but this clip looks like trails of tracks" in text[0]
    assert "Use an adapter that follows tracks, or draw the pose of a film" in text[0]
    for kinds in (("pose", "tracks"), ("tracks", "pose")):
        assert said(clips.pose(), *kinds) == said(clips.trails(), *kinds) == []
    headless = clips.pose()
    headless.frames[:, :27] = 0  # and no left ankle, which is purple
    headless.frames[:, 80:] = 0
    assert not any("trails of tracks" in one for one in said(headless, "pose"))


def test_lines_that_were_made_smaller_as_a_picture_is() -> None:
    faded = shrunk(clips.lines())
    text = said(faded, "canny")
    assert len(text) == 1 and "its lines are grey, but white lines on black are expected" in text[0]
    assert "Give them as large as they were drawn" in text[0] and "--control canny=FILM" in text[0]
    assert said(controls.resize_lines(clips.lines(), 48, 48), "canny") == []
    assert said(shrunk(clips.lines(thickness=3)), "canny") == []
    assert said(faded, "soft-edges") == said(faded, "line-art") == []


def test_a_blurred_film_is_no_depth(filmed_clips: Path) -> None:
    film = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=5)
    blurred = controls.blur(controls.grey(film), radius=2.5)
    text = said(blurred, "depth")
    assert len(text) == 1 and "but this clip looks like a blurred film" in text[0]
    assert "For its depth use --control depth=a.mp4" in text[0]
    assert said(controls.depth(film), "depth") == [] and said(blurred, "grey") == []


def test_words_are_about_the_adapter_only_where_there_is_one() -> None:
    alone = said(clips.film(), "depth")[0]
    assert "a.mp4: expected is depth, a smooth picture, but" in alone and "adapter follows" not in alone
    followed = said(clips.film(), "depth", by_adapter=True)[0]
    assert "a.mp4: the adapter follows depth, a smooth picture, but" in followed
    assert "For its depth use --control depth=a.mp4." in alone and "For its depth" in followed


def test_a_union_is_warned_of_once_for_what_is_none_of_its_kinds() -> None:
    text = said(clips.film(), *UNION, by_adapter=True)
    assert len(text) == 1 and "follows canny, depth or pose, but this clip looks like a film" in text[0]
    assert all(f"--control {kind}=a.mp4" in text[0] for kind in UNION)
    inverted = clips.changed(clips.lines(), 255 - clips.lines().frames)
    assert "black lines on white, but white lines on black are expected" in said(inverted, *UNION)[0]


@pytest.mark.parametrize("kind", ["canny", "tracks", "pose", "depth", "soft-edges", "line-art", "normals"])
def test_inverted_controls(kind: str) -> None:
    clip = GOOD[kind]()
    text = said(clips.changed(clip, 255 - clip.frames), kind)
    assert len(text) == 1 and "Invert it" in text[0]


def test_what_was_just_drawn_is_to_be_drawn_otherwise() -> None:
    """How a ready clip is mended, or drawn of a film, helps nobody whose control was drawn of it just now."""
    inverted = clips.changed(clips.lines(), 255 - clips.lines().frames)
    for clip, kind, advice in ((inverted, "canny", "Invert it"), (clips.film(), "depth", "use --control")):
        assert advice in said(clip, kind)[0]
        (text,) = said(clip, kind, redraw="Turn a dial.")
        assert text.endswith(" Turn a dial.") and advice not in text


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("tracks", "heads of trails are red"),
        ("pose", "the colours of arms lie below those of legs"),
        ("normals", "normals face red"),
    ],
)
def test_swapped_channels(kind: str, what: str) -> None:
    clip = GOOD[kind]()
    swapped = said(clips.changed(clip, clip.frames[..., ::-1]), kind)
    assert len(swapped) == 1 and what in swapped[0] and "red and blue are swapped" in swapped[0]


def test_wrong_channels() -> None:
    trails = clips.pose()
    grey = np.repeat(trails.frames.max(axis=3, keepdims=True), 3, axis=3)
    assert "the lines have no colour" in said(clips.changed(trails, grey), "pose")[0]
    one_channel = clips.lines().frames * np.array([1, 0, 0], np.uint8)
    assert "looks like coloured lines on black" in said(clips.changed(clips.lines(), one_channel), "canny")[0]


def test_depth_is_judged_as_it_is_to_be_drawn() -> None:
    """What one convention wants is what the others do not."""
    drawn = {way: clips.coloured(way) for way in CONVENTIONS}
    for way, clip in drawn.items():
        assert said(clip, "depth", conventions=(way,)) == []
        assert said(clip, "depth", conventions=CONVENTIONS) == []
    white, black, inferno = drawn.values()
    assert "it is coloured, but grey depth is expected" in said(inferno, "depth")[0]
    assert "Draw it grey: " in said(inferno, "depth", conventions=("near-black",))[0]
    inverted = said(black, "depth")[0]
    assert "near is white; it may be inverted" in inverted
    assert "iclora control depth a.mp4 -o flipped.mp4 --render --convention near-black" in inverted
    assert "near is black; it may be inverted" in said(white, "depth", conventions=("near-black",))[0]
    wanted: dict[str, Any] = {"conventions": ("inferno",)}
    assert "it is grey, but depth in the colours of INFERNO is expected" in said(white, "depth", **wanted)[0]
    swapped = clips.changed(inferno, inferno.frames[..., ::-1])
    assert "what is near is blue, but yellow in" in said(swapped, "depth", **wanted)[0]
    flipped = np.stack([coloured(frame[..., 0] / np.float32(255), "inferno") for frame in black.frames])
    upside_down = said(clips.changed(black, flipped), "depth", **wanted)[0]  # a render cannot be coloured
    again = "Draw it again, if it is: iclora control depth FILM -o coloured.mp4 --convention inferno."
    assert "it may be inverted" in upside_down and again in upside_down
    film = said(clips.film(), "depth", **wanted)
    assert len(film) == 1 and "looks like a film" in film[0]


def test_commands_stand_names_with_spaces() -> None:
    (one,) = judge(look(clips.coloured("near-black")), Expected(kinds=("depth",)), "my depth.mp4")
    assert "control depth 'my depth.mp4' -o" in one.advice and str(one).startswith("my depth.mp4: ")
    (one,) = judge(look(clips.film()), Expected(kinds=("canny",)), "my film.mp4")
    assert "--control canny='my film.mp4'." in one.advice


def test_films_that_are_not_as_the_adapter_wants_them() -> None:
    assert "it has colours, but a film without them" in said(clips.green(), "grey")[0]
    assert said(controls.grey(clips.green()), "grey") == []
    assert "nothing is pure green" in said(clips.film(), "green")[0]
    drawing = clips.changed(clips.lines(), 255 - clips.lines().frames)
    assert said(drawing, "film") == []
    lines = said(clips.lines(), "film", by_adapter=True)
    assert "the adapter follows the film as it is, but this clip looks like white lines on black" in lines[0]


def test_kinds_without_looks_are_not_judged() -> None:
    assert said(clips.film(), "blocks") == said(clips.lines(), "blur") == said(clips.depth(), "mine") == []


@pytest.mark.parametrize(
    ("kind", "gain", "lift"), [("canny", 0.4, 0), ("tracks", 0.4, 0), ("depth", 0.2, 100)]
)
def test_little_contrast(kind: str, gain: float, lift: float) -> None:
    clip = GOOD[kind]()
    faint = said(clips.changed(clip, clip.frames * gain + lift), kind)
    assert any("little contrast" in text and "Stretch its levels" in text for text in faint), faint


def test_little_contrast_in_a_film() -> None:
    faint = said(clips.changed(clips.film(), clips.film().frames * 0.2 + 90), "canny", film=True)
    assert any("little contrast" in text for text in faint)


def test_little_detail() -> None:
    frames = np.zeros((9, 96, 96, 3), np.uint8)
    frames[:, 40, 40:46] = 255
    assert any(
        "little detail: lines cover 0.07%" in text for text in said(Clip(frames=frames, fps=16.0), "canny")
    )
    ramp = np.broadcast_to(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None, None], (9, 96, 96, 3))
    assert any(
        "little detail: in 0.00% of the picture" in text
        for text in said(Clip(frames=ramp.copy(), fps=16.0), "depth")
    )


@pytest.mark.parametrize("kind", ["depth", None])
def test_flicker(kind: str | None) -> None:
    gains = 1 - np.array([0, 0.3, 0.05, 0.25, 0, 0.35, 0.1, 0.3, 0])[:, None, None, None]
    text = said(clips.changed(clips.depth(), clips.depth().frames * gains), kind)
    assert len(text) == 1 and "it flickers" in text[0] and "once for the whole clip" in text[0]


@pytest.mark.parametrize(
    ("kind", "film", "advice"),
    [
        ("depth", False, ", or steady it with --stabilise 0.5."),
        ("pose", False, ", or steady it with --smooth 0.5."),
        ("tracks", False, " once for the whole clip."),
        ("grey", False, " once for the whole clip."),
        ("canny", True, ", or steady it with --stabilise 0.5."),
        ("grey", True, " once for the whole clip."),
    ],
)
def test_flicker_is_steadied_with_a_dial_that_there_is(kind: str, film: bool, advice: str) -> None:
    clip = controls.grey(clips.film()) if kind == "grey" else clips.film() if film else GOOD[kind]()
    gains = 1 - np.array([0, 0.7, 0.05, 0.6, 0, 0.75, 0.1, 0.7, 0])[:, None, None, None]
    expected = Expected(kinds=(kind,), film=film)
    findings = judge(look(clips.changed(clip, clip.frames * gains)), expected, "a")
    flickers = [one for one in findings if "it flickers" in str(one)]
    assert len(flickers) == 1 and flickers[0].advice.endswith(advice)


def jittered(film: Clip, seed: int) -> Clip:
    """Edges found with thresholds of their own in each frame."""
    factors = np.exp(np.random.default_rng(seed).normal(0, 0.5, film.num_frames))
    frames = [
        controls.canny(clips.changed(film, frame[None]), low=60 * factor, high=150 * factor).frames[0]
        for frame, factor in zip(film.frames, factors, strict=True)
    ]
    return clips.changed(film, np.stack(frames))


def test_flicker_of_filmed_edges(filmed_clips: Path) -> None:
    film = media.read(filmed_clips / "carphone_pristine.mp4", max_frames=12)
    text = said(jittered(film, 0), "canny")
    assert len(text) == 1 and "it flickers" in text[0] and "--stabilise 0.5" in text[0]
    assert said(controls.canny(film, low=60.0, high=150.0), "canny") == []
    assert said(controls.canny(film, stabilise=0.5), "canny") == []


def test_lines_that_come_and_go() -> None:
    """As many in each frame, but not the same."""
    frames = np.repeat(clips.lines(thickness=3).frames[:1], 9, axis=0)
    frames = np.concatenate([frames, frames], axis=2)
    frames[0::3, :, :96], frames[1::3, :, 96:] = 0, 0
    text = said(clips.changed(clips.lines(), frames), "canny")
    assert len(text) == 1 and "of the lines are gone for a frame" in text[0]


def test_flicker_of_depth_in_places() -> None:
    """Clouds that come and go leave the mean of the picture as it is."""
    depth = clips.depth()
    coarse = np.random.default_rng(0).normal(0, 20, (9, 6, 6)).astype(np.float32)
    noise = np.stack([cv2.resize(one, (96, 96), interpolation=cv2.INTER_CUBIC) for one in coarse])[..., None]
    text = said(clips.changed(depth, (depth.frames + noise).clip(0, 255)), "depth")
    assert len(text) == 1 and "of the picture a frame lies beyond both of its neighbours" in text[0]
    assert "steady it with --stabilise 0.5" in text[0]
    faint = said(clips.changed(depth, (depth.frames + noise / 20).clip(0, 255)), "depth")
    assert faint == []


def test_flicker_of_lines_and_a_cut() -> None:
    frames = clips.lines(thickness=3).frames.copy()
    frames[1::2, :22] = 0
    assert any("it flickers" in text for text in said(clips.changed(clips.lines(), frames), "canny"))
    cut = clips.depth().frames.copy()
    cut[5:] //= 2
    assert said(clips.changed(clips.depth(), cut), "depth") == []


def test_a_clip_too_short_to_flicker() -> None:
    assert said(Clip(frames=clips.lines().frames[:2], fps=16.0), "canny") == []
