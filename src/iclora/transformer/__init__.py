"""The LTX-2 transformer with appended tokens in its forward; see `forward`."""

from iclora.transformer.forward import Perturbation, Stream, velocity

__all__ = ["Perturbation", "Stream", "velocity"]
