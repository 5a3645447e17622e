"""From clips to an adapter: the encoded dataset on disk, and what is learned from it.

dataset ─► audit ─► prepare ─► prepared folder ─► Store ─► Sample
"""

from iclora.training.store import Bucket, Row, Sample, Settings, Store, fingerprint

__all__ = ["Bucket", "Row", "Sample", "Settings", "Store", "fingerprint"]
