"""Checkpoints on disk to components: model folders, and official single files for the transformer."""

from iclora.checkpoints.folder import Components, Recipe, find, load, read_recipe
from iclora.checkpoints.official import load_transformer

__all__ = ["Components", "Recipe", "find", "load", "load_transformer", "read_recipe"]
