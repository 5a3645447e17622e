"""What a scene holds, in words that can be checked: the ground truth behind its caption."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing a caption may name."""

    kind: str
    """"figure", or an object or shape kind such as "ball" or "star"."""
    colour: str
    """A key of `palette.NAMED_COLOURS`."""
    action: str
    """What it does: a figure's action, or how an object moves ("still" if not at all)."""
    pattern: str = "solid"
    """A name of `texture.PATTERNS`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attributes:
    """Everything a caption is made from; also what prompt adherence is measured against."""

    family: str
    """"solids" (a lit 3D world) or "shapes" (layers of free contours)."""
    style: str
    figures: tuple[Thing, ...]
    objects: tuple[Thing, ...]
    background: str
    """"hills", "mountains", "city", "forest", "wall", "sky"; a texture name for shapes."""
    background_colour: str
    ground: str
    """Pattern of the ground; "none" for shapes."""
    ground_colour: str
    busy: bool = False
    """True where a heap of unnamed shapes hides the background."""
    camera: str
    """"static", "pan left", "orbit right", "dolly in", "crane up" ...; "+handheld" is added if it shakes."""

    @property
    def colours(self) -> tuple[str, ...]:
        """The colour names of figures and objects."""
        return tuple(thing.colour for thing in (*self.figures, *self.objects))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of objects."""
        return tuple(thing.kind for thing in self.objects)
