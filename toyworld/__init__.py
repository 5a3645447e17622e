"""The world of the embedded model: rendered from seeds alone, with captions and exact ground truth."""
