"""What the method costs: counted exactly on full-size models without weights, and measured on small ones."""

from tome_ext.cost.count import GIB, Cost, Run, count
from tome_ext.cost.models import Architecture, architecture

__all__ = ["GIB", "Architecture", "Cost", "Run", "architecture", "count"]
