"""Styles as numbers: how a scene is lit, drawn and graded; the renderer reads only these numbers."""

from __future__ import annotations

import dataclasses

Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """Numbers that turn the same geometry into another look. Strengths lie in [0, 1] unless told."""

    ambient: float = 0.48
    diffuse: float = 0.75
    wrap: float = 0.0
    specular: float = 0.12
    shininess: float = 24.0
    rim: float = 0.0
    """Strength of light at grazing angles, in the object's own colour."""
    levels: float = 0.0
    """Number of light steps (toon); 0 keeps light continuous."""
    shadow: float = 0.6
    sun: Colour = (1.0, 0.97, 0.9)
    sky: Colour = (1.0, 1.0, 1.0)
    """Tint of the light from above."""
    dim: float = 1.0
    """Factor on all surface light before outlines."""
    outline: float = 0.0
    outline_colour: Colour = (0.05, 0.05, 0.06)
    outline_own: float = 0.0
    """1: outlines glow in the object's own colour."""
    outline_px: float = 1.2
    """Line width in pixels of a 128-pixel-high picture."""
    flat: float = 0.0
    """Mix towards the unlit colour."""
    paper: float = 0.0
    """Mix towards the paper colour: 1 leaves only lines and hatching."""
    paper_colour: Colour = (0.96, 0.95, 0.91)
    hatch: float = 0.0
    fog: float = 0.0
    """Optical density per 10 metres."""
    fog_colour: Colour = (0.8, 0.84, 0.9)
    tint: Colour = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    lift: float = 0.0
    """Mix towards white after grading (pastel)."""
    duotone: float = 0.0
    duotone_dark: Colour = (0.0, 0.0, 0.0)
    duotone_light: Colour = (1.0, 1.0, 1.0)
    mottle: float = 0.0
    """Uneven surface colour (clay thumb marks, watercolour pigment)."""
    reflect: float = 0.0
    """Mirror-like bands of sky and ground (metal)."""
    bloom: float = 0.0
    flakes: float = 0.0
    cover: float = 0.0
    """Snow lying on what faces up."""
    stars: float = 0.0
    backdrop: float = 0.0
    """Mix of sky towards `backdrop_colour`."""
    backdrop_colour: Colour = (0.0, 0.0, 0.0)
    backdrop_low: Colour = (0.0, 0.0, 0.0)
    """Colour the sky takes at the horizon where `backdrop` is on."""


STYLES: dict[str, Style] = {
    "plain": Style(),
    "clay": Style(
        ambient=0.38,
        diffuse=0.72,
        wrap=0.35,
        specular=0.05,
        shininess=6.0,
        mottle=0.55,
        shadow=0.5,
        sky=(1.0, 0.95, 0.88),
        tint=(1.04, 0.98, 0.9),
        lift=0.04,
    ),
    "neon": Style(
        ambient=0.05,
        diffuse=0.06,
        specular=0.0,
        rim=0.8,
        dim=0.8,
        outline=1.0,
        outline_own=1.0,
        outline_px=1.6,
        bloom=0.9,
        saturation=1.6,
        backdrop=0.94,
        backdrop_colour=(0.02, 0.01, 0.05),
        backdrop_low=(0.07, 0.02, 0.14),
        shadow=0.2,
    ),
    "ink": Style(
        paper=1.0,
        hatch=0.9,
        outline=1.0,
        outline_colour=(0.14, 0.14, 0.18),
        outline_px=1.7,
        saturation=0.0,
        wrap=0.2,
        shadow=0.8,
    ),
    "snow": Style(
        ambient=0.6,
        diffuse=0.45,
        flakes=1.0,
        cover=0.85,
        fog=0.35,
        fog_colour=(0.88, 0.91, 0.96),
        sky=(0.94, 0.97, 1.06),
        tint=(0.97, 1.0, 1.05),
        backdrop=0.8,
        backdrop_colour=(0.74, 0.79, 0.87),
        backdrop_low=(0.9, 0.92, 0.96),
        shadow=0.35,
    ),
    "night": Style(
        ambient=0.24,
        diffuse=0.48,
        rim=0.3,
        sun=(0.65, 0.75, 1.1),
        sky=(0.6, 0.7, 1.2),
        stars=1.0,
        backdrop=0.95,
        backdrop_colour=(0.02, 0.03, 0.09),
        backdrop_low=(0.07, 0.10, 0.22),
        shadow=0.7,
        tint=(0.8, 0.9, 1.2),
        fog=0.1,
        fog_colour=(0.05, 0.07, 0.15),
    ),
    "pastel": Style(
        ambient=0.6,
        diffuse=0.4,
        wrap=0.3,
        specular=0.0,
        lift=0.34,
        saturation=1.0,
        shadow=0.4,
        backdrop=0.4,
        backdrop_colour=(0.8, 0.85, 0.95),
        backdrop_low=(0.97, 0.9, 0.92),
    ),
    "sunset": Style(
        ambient=0.3,
        diffuse=0.95,
        sun=(1.35, 0.72, 0.32),
        sky=(0.85, 0.6, 0.85),
        rim=0.35,
        tint=(1.12, 0.9, 0.78),
        backdrop=0.95,
        backdrop_colour=(0.36, 0.2, 0.46),
        backdrop_low=(1.0, 0.55, 0.2),
        fog=0.12,
        fog_colour=(0.95, 0.55, 0.35),
        shadow=0.75,
    ),
    "watercolor": Style(
        flat=0.75,
        specular=0.0,
        mottle=0.8,
        lift=0.22,
        paper=0.12,
        paper_colour=(0.98, 0.97, 0.93),
        outline=0.3,
        outline_colour=(0.3, 0.28, 0.35),
        outline_px=0.8,
        shadow=0.3,
        saturation=1.05,
    ),
    "metal": Style(
        ambient=0.2, diffuse=0.4, specular=1.0, shininess=40.0, reflect=0.85, saturation=0.8, shadow=0.6
    ),
    "toon": Style(
        levels=3.0,
        specular=0.0,
        outline=1.0,
        outline_colour=(0.03, 0.03, 0.05),
        outline_px=1.8,
        saturation=1.15,
        ambient=0.64,
        diffuse=0.55,
        shadow=0.5,
    ),
    "sepia": Style(
        duotone=1.0, duotone_dark=(0.14, 0.08, 0.04), duotone_light=(0.98, 0.88, 0.68), ambient=0.35
    ),
    "blueprint": Style(
        paper=1.0,
        paper_colour=(0.07, 0.2, 0.5),
        outline=1.0,
        outline_colour=(0.62, 0.74, 0.95),
        outline_px=1.5,
        shadow=0.0,
    ),
    "mist": Style(
        ambient=0.55,
        diffuse=0.3,
        fog=1.1,
        fog_colour=(0.8, 0.82, 0.84),
        saturation=0.75,
        backdrop=1.0,
        backdrop_colour=(0.8, 0.82, 0.84),
        backdrop_low=(0.8, 0.82, 0.84),
        shadow=0.2,
        specular=0.0,
    ),
}
"""Every style by the name that captions give it."""

TAUGHT_STYLES: dict[str, Style] = {
    "risograph": Style(
        duotone=1.0,
        duotone_dark=(0.0, 0.24, 0.4),
        duotone_light=(1.0, 0.62, 0.52),
        levels=3.0,
        specular=0.0,
        outline=0.8,
        outline_colour=(0.02, 0.02, 0.02),
        outline_px=1.5,
        paper_colour=(0.97, 0.95, 0.9),
        mottle=0.35,
        shadow=0.5,
    ),
}
"""Styles that no seed draws, so that the base does not know them: adapters teach them, by their name."""

COLOURLESS_STYLES = frozenset({"ink", "sepia", "blueprint", *TAUGHT_STYLES})
"""Styles in which an object's own colour cannot be seen; captions then leave colours out."""


def style_named(name: str) -> Style:
    """Finds a style of either kind.

    Args:
        name: a key of `STYLES` or of `TAUGHT_STYLES`.

    Returns:
        The style.
    """
    return TAUGHT_STYLES[name] if name in TAUGHT_STYLES else STYLES[name]
