"""The colours of attention maps: dark to bright, so that the brightness alone carries the order."""

from __future__ import annotations

from typing import Any

import numpy as np

_COLOURS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float32)


def normalised(attention: Any) -> Any:
    """``attention`` [h, w] stretched to 0…1, as float32; all 0 where it is even or not finite."""
    values = np.asarray(attention, dtype=np.float32)
    values = np.nan_to_num(values - values.min(), nan=0.0, posinf=0.0)
    return values / max(float(values.max()), 1e-12)


def coloured(levels: Any) -> Any:
    """The colours [h, w, 3], as float32 from 0 to 255, of ``levels`` [h, w] from 0 to 1."""
    at = np.asarray(levels, dtype=np.float32).clip(0, 1) * (len(_COLOURS) - 1)
    below = np.minimum(at.astype(int), len(_COLOURS) - 2)
    part = (at - below)[..., None]
    return _COLOURS[below] * (1 - part) + _COLOURS[below + 1] * part
