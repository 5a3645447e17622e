"""Captions name what is there, and nothing else."""

import re

import numpy as np
import pytest

from toyworld.captions import ACTIONS, KIND_WORDS, STYLE_WORDS, caption, mirrored
from toyworld.describe import Attributes, Thing
from toyworld.palette import NAMED_COLOURS
from toyworld.render import scene_of
from toyworld.styles import COLOURLESS_STYLES, STYLES, TAUGHT_STYLES


def attributes(style: str = "clay") -> Attributes:
    return Attributes(
        family="solids",
        style=style,
        figures=(Thing(kind="figure", colour="red", action="waving"),),
        objects=(Thing(kind="ball", colour="blue", action="bouncing"),),
        background="hills",
        background_colour="green",
        ground="solid",
        ground_colour="gray",
        camera="pan left",
    )


def captions(style: str) -> list[str]:
    return [caption(attributes(style), np.random.default_rng(seed)) for seed in range(200)]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text))


def test_a_scene_is_said_in_many_ways() -> None:
    assert len(set(captions("clay"))) > 150


def test_most_captions_name_style_colour_action_and_object() -> None:
    said = [words(text) for text in captions("clay")]
    balls = {"ball", "sphere"}
    waves = {"waving"}
    assert np.mean(["clay" in text for text in said]) > 0.8
    assert np.mean(["red" in text for text in said]) > 0.8
    assert np.mean([bool(text & balls) for text in said]) > 0.75
    assert np.mean([bool(text & waves) for text in said]) > 0.75
    assert 0.2 < np.mean(["left" in text for text in said]) < 0.8


def test_no_caption_names_a_colour_or_an_action_that_is_not_there() -> None:
    others = set(NAMED_COLOURS) - {"red", "blue", "green", "gray"}
    wrong = {"walking", "dancing", "jumping", "rolling", "box", "tree", "wall", "right"}
    for text in captions("clay"):
        assert not words(text) & (others | wrong), text


@pytest.mark.parametrize("style", sorted(COLOURLESS_STYLES))
def test_colourless_styles_name_no_colours(style: str) -> None:
    for text in captions(style):
        assert not words(text) & set(NAMED_COLOURS), text


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("a ball, the camera pans left", "a ball, the camera pans right"),
        ("right to left, left", "left to right, right"),
        ("a bright copyright, leftover clay", "a bright copyright, leftover clay"),
    ],
)
def test_the_caption_of_a_mirrored_clip_swaps_left_and_right(text: str, other: str) -> None:
    assert mirrored(text) == other
    assert mirrored(other) == text


def test_captions_of_seeds_are_clean_and_few_words_suffice() -> None:
    vocabulary: set[str] = set()
    for seed in range(600):
        scene, text = scene_of(seed)
        vocabulary |= words(text)
        assert text == text.strip().lower() and text[0].isalpha()
        assert "  " not in text and " ," not in text and "{" not in text and "none" not in words(text)
        assert not re.search(r"\ba [aeiou]", text), text
        assert scene.attributes.style in STYLES
    assert 120 < len(vocabulary) < 600


def test_every_style_action_and_motion_has_words() -> None:
    from toyworld.objects import MOTIONS
    from toyworld.poses import ACTIONS as POSES

    assert set(STYLE_WORDS) == set(STYLES)
    motions = {motion for kinds in MOTIONS.values() for motion in kinds}
    assert motions | set(POSES) <= set(ACTIONS)
    assert set(MOTIONS) <= set(KIND_WORDS)


@pytest.mark.parametrize("style", sorted(TAUGHT_STYLES))
def test_captions_say_nothing_of_a_taught_style(style: str) -> None:
    looks = {word for names in STYLE_WORDS.values() for name in names for word in name.split()} - {"and"}
    for seed in range(60):
        told = words(scene_of(seed, style)[1])
        assert told and not told & (looks | {style, "style"} | set(NAMED_COLOURS)), told


def test_a_style_that_is_asked_for_changes_the_look_alone() -> None:
    for seed in (0, 1, 2, 3):
        own, other = scene_of(seed)[0], scene_of(seed, "risograph")[0]
        assert other.style == TAUGHT_STYLES["risograph"] != own.style
        assert other.attributes.figures == own.attributes.figures
