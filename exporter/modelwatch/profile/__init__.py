"""What a model's data looked like when it was known to be good, and the cells that this is counted in."""

from modelwatch.profile.cells import BinnedBatch, CellAssigner

__all__ = ["BinnedBatch", "CellAssigner"]
