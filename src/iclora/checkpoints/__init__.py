"""Checkpoints on disk to components: model folders, and official single files."""

from iclora.checkpoints.convert import convert
from iclora.checkpoints.folder import Components, find, load
from iclora.checkpoints.guidance import MoreGuidance
from iclora.checkpoints.hub import fetch
from iclora.checkpoints.official import load_transformer
from iclora.checkpoints.recipe import Recipe, read_recipe
from iclora.checkpoints.released import read_config
from iclora.checkpoints.schedules import dev_sigmas

__all__ = [
    "Components",
    "MoreGuidance",
    "Recipe",
    "convert",
    "dev_sigmas",
    "fetch",
    "find",
    "load",
    "load_transformer",
    "read_config",
    "read_recipe",
]
