"""Number formats."""

from __future__ import annotations

import torch
from torch import Tensor


def widened(tensor: Tensor) -> Tensor:
    """``tensor`` in float32, or as it is where it is wider: the precision for losses and for tokens that move."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
