"""Captions from a small grammar: what a scene holds, said in many ways and sometimes only in part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np

from toyworld.describe import Attributes, Thing
from toyworld.styles import COLOURLESS_STYLES, STYLES, TAUGHT_STYLES

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four"}

FIGURE_NAMES: tuple[str, ...] = ("figure", "figure", "figure", "person", "man", "puppet", "dancer")

STYLE_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("plain", "simple"),
    "clay": ("clay",),
    "neon": ("neon", "glowing neon"),
    "ink": ("ink", "pen and ink"),
    "snow": ("snow", "snowy"),
    "night": ("night", "dark night"),
    "pastel": ("pastel", "soft pastel"),
    "sunset": ("sunset", "golden sunset"),
    "watercolor": ("watercolor", "watercolor paint"),
    "metal": ("metal", "shiny metal"),
    "toon": ("toon", "cartoon"),
    "sepia": ("sepia", "old sepia"),
    "blueprint": ("blueprint",),
    "mist": ("mist", "misty"),
}
"""How a style may be called."""

MATERIALS = frozenset({"clay", "neon", "ink", "metal", "toon", "pastel", "watercolor"})
"""Styles that may stand before a thing's name: "a clay figure"."""

ACTIONS: dict[str, tuple[str, ...]] = {
    "standing": ("standing", "standing still", "waiting"),
    "walking": ("walking", "taking a walk", "strolling"),
    "running": ("running", "running fast", "jogging"),
    "waving": ("waving", "waving a hand", "waving hello"),
    "dancing": ("dancing", "doing a dance", "moving to music"),
    "jumping": ("jumping", "jumping up", "leaping"),
    "cheering": ("cheering", "cheering with raised arms", "celebrating"),
    "kicking": ("kicking", "kicking a leg"),
    "bowing": ("bowing", "taking a bow"),
    "clapping": ("clapping", "clapping hands"),
    "bouncing": ("bouncing",),
    "rolling": ("rolling",),
    "floating": ("floating", "hovering"),
    "sliding": ("sliding", "moving"),
    "spinning": ("spinning", "turning"),
    "tumbling": ("tumbling",),
    "swaying": ("swaying",),
    "drifting": ("drifting", "moving"),
    "turning": ("turning", "rotating"),
    "still": ("",),
}

KIND_WORDS: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "ball", "sphere"),
    "box": ("box", "box", "cube", "block"),
    "cone": ("cone",),
    "pillar": ("pillar", "column"),
    "pill": ("pill", "capsule"),
    "tree": ("tree",),
    "tower": ("tower",),
    "blob": ("blob", "blob", "shape"),
    "circle": ("circle", "disc"),
    "band": ("band", "stripe"),
    "stroke": ("stroke", "line", "letter"),
    "island": ("patch", "stain"),
    "splash": ("splash", "splatter"),
}

PATTERN_WORDS = {
    "checker": "checkered",
    "stripes": "striped",
    "dots": "dotted",
    "grid": "gridded",
    "noise": "rough",
    "patches": "patchy",
    "bricks": "brick",
    "solid": "",
}

CAMERA_WORDS: dict[str, tuple[str, ...]] = {
    "static": ("static camera", "still camera", "the camera does not move"),
    "pan left": ("camera panning left", "the camera pans left"),
    "pan right": ("camera panning right", "the camera pans right"),
    "orbit left": ("camera circling left", "the camera orbits left"),
    "orbit right": ("camera circling right", "the camera orbits right"),
    "dolly in": ("camera moving in", "the camera comes closer", "zooming in"),
    "dolly out": ("camera moving out", "the camera moves away", "zooming out"),
    "crane up": ("camera rising", "the camera moves up"),
    "crane down": ("camera sinking", "the camera moves down"),
}

BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "hills": (
        "{c} hills behind",
        "hills in {c}",
        "in front of {c} hills",
        "with {c} hills in the background",
    ),
    "mountains": ("{c} mountains behind", "in front of {c} mountains", "with {c} mountains far away"),
    "city": ("a {c} city behind", "in front of a {c} skyline", "with {c} buildings in the background"),
    "forest": ("a {c} forest behind", "in front of {c} trees", "with a {c} forest in the background"),
    "wall": ("a {c} wall behind", "in front of a {c} wall", "against a {c} wall"),
    "sky": ("under a {c} sky", "a {c} sky above", "with a {c} sky"),
}

GROUND_WORDS: tuple[str, ...] = (
    "on {a} ground",
    "on a {a} floor",
    "standing on {a} ground",
    "over a {a} floor",
)

BUSY_WORDS: tuple[str, ...] = (
    "over a heap of shapes",
    "in front of many shapes",
    "on a busy background",
    "over a pile of scraps",
    "in front of clutter",
)

RELATIONS: tuple[str, ...] = ("beside", "next to", "near", "and", "with", "by")

PLURALS = {
    "box": "boxes",
    "patch": "patches",
    "splash": "splashes",
    "leaf": "leaves",
    "man": "men",
    "person": "people",
}


class _Chooser:
    """Draws words; knows which details this caption keeps."""

    def __init__(self, attributes: Attributes, rng: np.random.Generator) -> None:
        self.rng = rng
        style = attributes.style
        self.colour = style not in COLOURLESS_STYLES and rng.random() < 0.93
        self.background = self.colour and STYLES[style].backdrop < 0.75 and STYLES[style].cover == 0
        self.form = str(rng.choice(["tail", "front", "material", "none"], p=[0.3, 0.3, 0.3, 0.1]))
        if self.form == "material" and style not in MATERIALS:
            self.form = "front"
        if style == "plain" and rng.random() < 0.6:
            self.form = "none"
        self.style = style
        self.figure = str(rng.choice(FIGURE_NAMES))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def one(self, options: tuple[str, ...]) -> str:
        return str(self.rng.choice(list(options)))


def _article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def _plural(noun: str) -> str:
    head, _, last = noun.rpartition(" ")
    return f"{head} {PLURALS.get(last, last + 's')}".strip()


def _noun(thing: Thing, choose: _Chooser) -> str:
    if thing.kind == "figure":
        name = choose.figure if thing.action == "dancing" or choose.figure != "dancer" else "figure"
    else:
        name = choose.one(KIND_WORDS.get(thing.kind, (thing.kind,)))
    words = []
    if choose.colour:
        words.append(thing.colour)
    if thing.pattern in ("checker", "stripes", "dots") and choose.chance(0.45):
        words.insert(int(choose.rng.integers(len(words) + 1)), PATTERN_WORDS[thing.pattern])
    if choose.form == "material":
        words.append(choose.one(STYLE_WORDS[choose.style][:1]))
    return " ".join([*words, name])


def _action(thing: Thing, choose: _Chooser) -> str:
    return choose.one(ACTIONS[thing.action]) if choose.chance(0.9 if thing.kind == "figure" else 0.7) else ""


def _figures(things: tuple[Thing, ...], choose: _Chooser) -> str:
    if len(things) == 2 and things[0].action == things[1].action and choose.chance(0.7):
        material = f"{STYLE_WORDS[choose.style][0]} " if choose.form == "material" else ""
        name = choose.figure if choose.figure != "dancer" else "figure"
        before = choose.chance(0.4)
        action = ACTIONS[things[0].action][0] if before else _action(things[0], choose)
        pair = (
            f"two {action} {material}{_plural(name)}" if before else f"two {material}{_plural(name)} {action}"
        )
        if choose.colour:
            pair += f", one {things[0].colour} and one {things[1].colour}"
        return " ".join(pair.split())
    return " and ".join(
        _article(f"{_noun(thing, choose)} {_action(thing, choose)}".strip()) for thing in things
    )


def _objects(things: tuple[Thing, ...], choose: _Chooser) -> str:
    groups = Counter((thing.kind, thing.colour if choose.colour else "") for thing in things)
    parts = []
    for (kind, colour), count in groups.items():
        thing = next(item for item in things if item.kind == kind and colour in ("", item.colour))
        if count == 1:
            words = _noun(thing, choose)
            action = _action(thing, choose)
            before = action and " " not in action and choose.chance(0.4)
            parts.append(_article(f"{action} {words}" if before else f"{words} {action}".strip()))
        else:
            number = NUMBERS.get(count, "many") if choose.chance(0.85) else "some"
            parts.append(f"{number} {_plural(_noun(thing, choose))}")
    if len(parts) > 1 and choose.chance(0.12):
        parts = parts[:-1]
    if len(parts) < 3:
        return " and ".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def _surroundings(attributes: Attributes, choose: _Chooser) -> list[str]:
    parts = []
    if attributes.family == "shapes":
        if attributes.busy:
            if choose.chance(0.7):
                parts.append(choose.one(BUSY_WORDS))
        elif choose.background and choose.chance(0.75):
            look = f"{PATTERN_WORDS[attributes.background]} {attributes.background_colour}".strip()
            form = choose.one(("on {a} background", "over {a} background", "in front of {a} background"))
            parts.append(form.format(a=_article(look)))
        return parts
    if choose.chance(0.7):
        keep = choose.background or (choose.colour and attributes.background != "sky")
        if keep or attributes.background != "sky":
            form = choose.one(BACKGROUND_WORDS[attributes.background])
            colour = attributes.background_colour if choose.background else ""
            if colour or "in {c}" not in form:
                parts.append(" ".join(form.format(c=colour).split()))
    if choose.chance(0.4) and choose.background:
        look = f"{PATTERN_WORDS[attributes.ground]} {attributes.ground_colour}".strip()
        parts.append(choose.one(GROUND_WORDS).format(a=look))
    return [part.replace("a orange", "an orange") for part in parts]


def _in_style(text: str, choose: _Chooser) -> str:
    if choose.style in TAUGHT_STYLES:
        return text  # what teaches it puts a trigger before it
    word = choose.one(STYLE_WORDS[choose.style])
    forms: dict[str, tuple[Callable[[], str], ...]] = {
        "front": (
            lambda: f"{word} style. {text}",
            lambda: f"{word} style, {text}",
            lambda: f"{word}: {text}",
            lambda: f"a {word} scene of {text}" if word[0] not in "aeiou" else f"an {word} scene of {text}",
            lambda: f"in {word} style, {text}",
        ),
        "tail": (
            lambda: f"{text}, {word} style",
            lambda: f"{text}, in {word} style",
            lambda: f"{text}. {word} style",
            lambda: f"{text}, {word}",
        ),
    }
    if choose.form not in forms:
        return text
    options = forms[choose.form]
    return options[int(choose.rng.integers(len(options)))]()


def caption(attributes: Attributes, rng: np.random.Generator) -> str:
    """Says what a scene holds.

    Args:
        attributes: the scene's ground truth.
        rng: source of randomness; other draws give other wordings of the same scene.

    Returns:
        One line of plain lower-case English.
    """
    choose = _Chooser(attributes, rng)
    figures = _figures(attributes.figures, choose) if attributes.figures else ""
    objects = _objects(attributes.objects, choose) if attributes.objects else ""
    if figures and objects and choose.chance(0.12):
        objects = ""
    text = f"{figures} {choose.one(RELATIONS)} {objects}" if figures and objects else figures or objects
    parts = [text, *_surroundings(attributes, choose)]
    move = attributes.camera.split("+")[0]
    if choose.chance(0.15 if move == "static" else 0.45):
        parts.append(choose.one(CAMERA_WORDS[move]))
    if attributes.camera.endswith("handheld") and choose.chance(0.4):
        parts.append("handheld")
    return _in_style(", ".join(parts), choose)


def mirrored(text: str) -> str:
    """Swaps left and right in a caption.

    Args:
        text: A caption.

    Returns:
        The caption of the mirrored clip.
    """
    sides = {"left": "right", "right": "left"}
    return re.sub(r"\b(left|right)\b", lambda found: sides[found[0]], text)


def vocabulary() -> set[str]:
    """Lists the words of the tables; `caption` adds colours, shape names, numbers and joining words."""
    tables = [
        *STYLE_WORDS.values(),
        *ACTIONS.values(),
        *KIND_WORDS.values(),
        *CAMERA_WORDS.values(),
        *BACKGROUND_WORDS.values(),
        GROUND_WORDS,
        BUSY_WORDS,
        RELATIONS,
        FIGURE_NAMES,
    ]
    return {word for table in tables for phrase in table for word in phrase.replace("{c}", "").split()}
