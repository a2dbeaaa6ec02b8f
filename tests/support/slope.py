"""The slope of a line through samples that hang together, with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import frozen

#: Blocks that samples are put into.
BLOCKS = 10
#: Student's t for a two-sided 95 % and BLOCKS - 2 degrees of freedom.
T = 2.306


@frozen
class Slope:
    """A slope per second, and the interval that holds the true one in 95 of 100 cases."""

    value: float
    low: float
    high: float


def slope_of(samples: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line to (seconds, value) by ordinary least squares on the means of ten blocks.

    Memory at one moment is close to memory a moment before, so single samples are far from independent and would make
    the interval much too narrow. The means of blocks longer than what the samples remember are all but independent.

    Raises:
        ValueError: fewer than two samples for each block.
    """
    if len(samples) < 2 * BLOCKS:
        raise ValueError(f"{len(samples)} samples are too few for {BLOCKS} blocks")
    size = len(samples) // BLOCKS
    used = samples[len(samples) - size * BLOCKS :]
    blocks = [used[start : start + size] for start in range(0, len(used), size)]
    x = [sum(at for at, _ in block) / size for block in blocks]
    y = [sum(value for _, value in block) / size for block in blocks]
    mean_x, mean_y = sum(x) / BLOCKS, sum(y) / BLOCKS
    spread = sum((one - mean_x) ** 2 for one in x)
    value = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    rest = sum((b - mean_y - value * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    half = T * math.sqrt(rest / (BLOCKS - 2) / spread)
    return Slope(value, value - half, value + half)
