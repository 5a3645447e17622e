"""From clips to an adapter: the encoded dataset on disk, and what is learned from it.

dataset ─► audit ─► prepare ─► prepared folder ─► Store ─► Sample
                                                    │
settings ─► config ─► trainer ─┬─ batches, chance ◄─┘
                               ├─ loss: positions, references and weights as in generation
                               ├─ saving: checkpoints whole or not at all, from which a run goes on exactly
                               ├─ held_out, previews: what is watched, by the pipeline that users have
                               └─ output, report: the adapter, its card, a page of curves
"""

from iclora.training.config import TrainingSettings, read_settings, resolve
from iclora.training.store import Bucket, Row, Sample, Settings, Store, fingerprint
from iclora.training.trainer import Told, Trained, foresee, train

__all__ = [
    "Bucket",
    "Row",
    "Sample",
    "Settings",
    "Store",
    "Told",
    "Trained",
    "TrainingSettings",
    "fingerprint",
    "foresee",
    "read_settings",
    "resolve",
    "train",
]
