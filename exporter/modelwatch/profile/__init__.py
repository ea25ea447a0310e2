"""What a model's data looked like when it was known to be good, and the cells that this is counted in."""

from modelwatch.profile.cells import BinnedBatch, CellAssigner
from modelwatch.profile.moments import Moments
from modelwatch.profile.reference import ReferenceProfile

__all__ = ["BinnedBatch", "CellAssigner", "Moments", "ReferenceProfile"]
