"""The solid world: figures, objects and surroundings drawn from a seed, then placed in time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from toyworld import figure, objects, poses
from toyworld.backdrop import Backdrop, random_backdrop
from toyworld.camera import CameraPath, CameraPlan, camera_at, random_camera
from toyworld.describe import Attributes, Thing
from toyworld.film import Film, random_film
from toyworld.palette import NAMED_COLOURS, other_colour, shade_of
from toyworld.solids import Dress, Look, Solid, figure_solids
from toyworld.styles import Style, style_named

OBJECT_KINDS: tuple[str, ...] = (
    *("ball", "ball", "ball", "ball", "box", "box", "box", "cone", "pillar", "pill", "tree", "tower"),
)
"""Objects, as often as they are drawn."""

TREE_COLOURS: tuple[str, ...] = ("green", "green", "orange", "red", "pink", "yellow", "white")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """A figure before time is known."""

    build: figure.Build
    colour: str
    dress: Dress
    action: str
    pose_seed: int
    place: tuple[float, float]
    yaw: float
    speed: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolidScene:
    """A scene before time is known."""

    attributes: Attributes
    style: Style
    backdrop: Backdrop
    film: Film
    camera: CameraPlan
    people: tuple[Person, ...]
    recipes: tuple[objects.Recipe, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolidMoment:
    """A scene at given times."""

    scene: SolidScene
    camera: CameraPath
    solids: list[Solid]
    keypoints: list[np.ndarray]
    """One "f 18 3" a person, world metres."""
    centres: list[np.ndarray]
    """One "f 3" an object, world metres."""


def _random_person(rng: np.random.Generator, colour: str, place: tuple[float, float], number: int) -> Person:
    action = str(rng.choice(poses.ACTIONS))
    body = shade_of(rng, colour)
    bright = body.mean() > 0.3
    pattern = str(rng.choice(["solid", "solid", "solid", "stripes"]))
    dress = Dress(
        body=body,
        limbs=np.clip(body * float(rng.uniform(0.85, 1.1)), 0, 1),
        legs=np.clip(
            body * float(rng.uniform(0.55, 0.95)) if bright else body + rng.uniform(0.03, 0.15), 0, 1
        ),
        head=np.clip(body + (1 - body) * float(rng.uniform(0.1, 0.5)), 0, 1),
        dark=body * 0.25,
        pattern=pattern,
        second=np.clip(body + 0.35 if not bright else body * 0.6, 0, 1),
        hat=str(rng.choice(["none", "hair", "hair", "hat"])),
        first_number=number,
    )
    walks = action in ("walking", "running")
    facing = (
        rng.choice([-1.0, 1.0]) * math.pi / 2 + rng.uniform(-0.6, 0.6)
        if walks
        else math.pi + rng.normal(0, 0.6)
    )
    speed = {"walking": 1.1, "running": 2.0}.get(action, 0.0) * float(rng.uniform(0.7, 1.2))
    return Person(
        build=figure.random_build(rng),
        colour=colour,
        dress=dress,
        action=action,
        pose_seed=int(rng.integers(2**31)),
        place=place,
        yaw=float(facing),
        speed=speed,
    )


def _random_look(rng: np.random.Generator, kind: str, colour: str, number: int) -> tuple[Look, str]:
    pattern = "solid" if kind == "tree" else str(rng.choice(["solid"] * 5 + ["stripes", "checker", "dots"]))
    main = shade_of(rng, colour)
    second = np.array(NAMED_COLOURS["white" if main.mean() < 0.6 else "black"])
    look = Look(
        colour=main,
        second=main + (second - main) * float(rng.uniform(0.5, 0.9)),
        pattern=pattern,
        frequency=float(rng.choice([1.0, 1.5, 2.0])),
        number=number,
    )
    return look, pattern


def _places(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """Draws spots side by side that do not crowd, metres (x, z)."""
    spacing = float(rng.uniform(0.75, 1.05)) if count > 1 else 0.0
    middle = (count - 1) / 2
    spots = [
        ((i - middle) * spacing + float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.7, 0.9)))
        for i in range(count)
    ]
    return [spots[i] for i in rng.permutation(count)]


def _random_people(
    rng: np.random.Generator, spots: list[tuple[float, float]], taken: list[str]
) -> list[Person]:
    """Draws a person for each spot, in colours not yet taken; adds theirs."""
    people = []
    for i, spot in enumerate(spots):
        taken.append(other_colour(rng, *taken))
        people.append(_random_person(rng, taken[-1], spot, 16 * (i + 1)))
    return people


def _random_objects(
    rng: np.random.Generator, spots: list[tuple[float, float]], taken: list[str]
) -> tuple[list[objects.Recipe], list[Thing]]:
    """Draws an object for each spot and the words for it, in colours not yet taken; adds theirs."""
    recipes, things = [], []
    for i, spot in enumerate(spots):
        kind = str(rng.choice(OBJECT_KINDS))
        colour = str(rng.choice(TREE_COLOURS)) if kind == "tree" else other_colour(rng, *taken)
        taken.append(colour)
        look, pattern = _random_look(rng, kind, colour, 64 + 8 * i)
        recipes.append(objects.random_recipe(rng, kind, spot, look))
        things.append(Thing(kind=kind, colour=colour, action=recipes[-1].motion, pattern=pattern))
    return recipes, things


def build_scene(rng: np.random.Generator, style: str) -> SolidScene:
    """Draws a solid scene.

    Args:
        rng: source of randomness.
        style: a name that `styles.style_named` knows.

    Returns:
        The scene, timeless.
    """
    num_people = int(rng.choice([0, 1, 2], p=[0.12, 0.58, 0.3]))
    num_objects = int(
        rng.choice([0, 1, 2, 3], p=[0.2, 0.42, 0.26, 0.12] if num_people else [0, 0.3, 0.4, 0.3])
    )
    backdrop, names = random_backdrop(rng, style=style)
    taken = [names.ground_colour, names.background_colour]
    spots = _places(rng, num_people + num_objects)
    people = _random_people(rng, spots[:num_people], taken)
    recipes, things = _random_objects(rng, spots[num_people:], taken)
    tallest = max(
        [person.build.height for person in people] + [2 * recipe.size for recipe in recipes] + [0.8]
    )
    spread = (num_people + num_objects - 1) * 0.75
    distance = max(tallest * 1.2, 0.75 * spread + 1.4) * float(rng.uniform(1.2, 1.75)) + 0.4
    camera = random_camera(rng, distance=distance, target_height=tallest * float(rng.uniform(0.42, 0.6)))
    attributes = Attributes(
        family="solids",
        style=style,
        figures=tuple(
            Thing(kind="figure", colour=person.colour, action=person.action, pattern=person.dress.pattern)
            for person in people
        ),
        objects=tuple(things),
        background=names.background,
        background_colour=names.background_colour,
        ground=names.ground,
        ground_colour=names.ground_colour,
        camera=camera.move + ("+handheld" if camera.handheld else ""),
    )
    return SolidScene(
        attributes=attributes,
        style=style_named(style),
        backdrop=backdrop,
        film=random_film(rng),
        camera=camera,
        people=tuple(people),
        recipes=tuple(recipes),
    )


def scene_at(scene: SolidScene, time: np.ndarray) -> SolidMoment:
    """Places a scene in time.

    Args:
        scene: the scene.
        time: seconds, "f".

    Returns:
        Its solids, joints and camera at those times.
    """
    solids: list[Solid] = []
    keypoints, centres = [], []
    for person in scene.people:
        pose = poses.pose_at(person.action, time, np.random.default_rng(person.pose_seed))
        way = person.speed * (time - 0.5)
        place = np.stack(
            [person.place[0] + way * math.sin(person.yaw), person.place[1] + way * math.cos(person.yaw)],
            axis=-1,
        )
        joints = figure.joints_at(person.build, pose, place, np.full_like(time, person.yaw))
        solids += figure_solids(joints, person.build, person.dress)
        keypoints.append(figure.keypoints(joints))
    for recipe in scene.recipes:
        parts, centre = objects.solids_of(recipe, time)
        solids += parts
        centres.append(centre)
    return SolidMoment(
        scene=scene, camera=camera_at(scene.camera, time), solids=solids, keypoints=keypoints, centres=centres
    )
