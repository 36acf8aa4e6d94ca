"""The interval on which a uniform grid has the least squared error: clipping the tails buys a finer step."""

from __future__ import annotations

import torch

COARSE = tuple(2.0 ** (-j / 3) for j in range(1, 25))
"""Clip ratios of the first search: down to 1/256."""

PATIENCE = 3
"""Ratios in a row that improve no row, after which the first search ends."""

FINE = (1.12, 1.06, 1.03, 1.015)
"""Factors by which the ends then move out and in."""

FITS = 2
"""Times that step and offset are fitted to the codes by least squares, and the codes found again."""


def best_ends(
    rows: torch.Tensor, bits: int, low: torch.Tensor, high: torch.Tensor, *, symmetric: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ends of the grid of least squared error for each row, over clip ratios.

    An end at ratio r has r of its distance from the row's mean (symmetric: from zero). Both ends together, then each
    alone, are searched on a coarse grid of ratios and in ever smaller steps about the best; at last, least squares of
    entries on codes and nearest codes alternate, which never increases the error. The error is never above that of the
    ends given.

    Parameters
    ----------
    rows : (c, m) entries, float32.
    bits : width.
    low, high : (c,) float64, smallest and largest entry; symmetric: minus and plus the largest magnitude.
    symmetric : whether low = -high must hold.

    Returns
    -------
    low, high : (c,) float64.
    """
    search = _Search(rows, 2**bits - 1, low, high, symmetric)
    both = torch.ones(2, 1, dtype=torch.float64, device=rows.device)
    one = torch.eye(2, dtype=torch.float64, device=rows.device)
    moves = [both] if symmetric else [both, one[1][:, None], one[0][:, None]]
    for move in moves:
        search.shrink(move)
    for factor in FINE:
        for move in moves:
            for step in (factor, 1.0 / factor):
                search.move(move, step)
    for _ in range(FITS):
        search.fit()
    return search.ends()


class _Search:
    """The best ends found so far for each row, as ratios of the first ones; (2, c) is low and high."""

    def __init__(self, rows: torch.Tensor, last: int, low: torch.Tensor, high: torch.Tensor, symmetric: bool) -> None:
        self._last, self._symmetric = last, symmetric
        mean = rows.mean(dim=1, dtype=torch.float64)
        self._middle = torch.zeros_like(low) if symmetric else torch.minimum(torch.maximum(mean, low), high)
        self._x = rows - self._middle.to(rows.dtype)[:, None]
        self._start = torch.stack((low - self._middle, high - self._middle))
        self._best = self._start
        self._error = _error(self._x, self._best, last)[0]

    def ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(c,) low and high."""
        return self._best[0] + self._middle, self._best[1] + self._middle

    def _tried(self, ends: torch.Tensor) -> bool:
        """Keep these ends for the rows whose error they lower; whether there were any."""
        error, _ = _error(self._x, ends, self._last)
        better = error < self._error
        self._best = torch.where(better, ends, self._best)
        self._error = torch.where(better, error, self._error)
        return bool(better.any())

    def shrink(self, move: torch.Tensor) -> None:
        """Try every coarse ratio on the ends that move (2, 1), the others as they are."""
        fixed, idle = self._best, 0
        for ratio in COARSE:
            idle = 0 if self._tried(move * ratio * self._start + (1.0 - move) * fixed) else idle + 1
            if idle == PATIENCE:
                break

    def move(self, move: torch.Tensor, factor: float) -> None:
        """Try the best ends moved out (factor > 1) or in, not beyond the first ones."""
        moved = self._best * (move * factor + (1.0 - move))
        self._tried(torch.maximum(torch.minimum(moved, self._start.clamp(min=0.0)), self._start.clamp(max=0.0)))

    def fit(self) -> None:
        """Try the ends whose points at the best ends' codes are nearest to the entries."""
        _, codes = _error(self._x, self._best, self._last)
        self._tried(_fitted(self._x, codes, self._best, self._last, self._symmetric))


def _error(x: torch.Tensor, ends: torch.Tensor, last: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(c,) squared error of the nearest points, summed in float64, and the (c, m) codes as floats."""
    step = (ends[1] - ends[0]) / last
    scale = torch.where(step > 0, step, torch.inf).to(x.dtype)[:, None]
    offset = ends[0].to(x.dtype)[:, None]
    codes = (x - offset).div_(scale).round_().clamp_(0, last)
    points = (codes * step.to(x.dtype)[:, None]).add_(offset).sub_(x)
    return points.square_().sum(dim=1, dtype=torch.float64), codes


def _fitted(x: torch.Tensor, codes: torch.Tensor, ends: torch.Tensor, last: int, symmetric: bool) -> torch.Tensor:
    """Ends of the grid whose points at these codes are nearest to the entries in squared error."""
    k = codes - last / 2
    mean_x = mean_k = torch.zeros_like(ends[0])
    if not symmetric:
        mean_x, mean_k = x.mean(dim=1, dtype=torch.float64), k.mean(dim=1, dtype=torch.float64)
        k = k - mean_k.to(k.dtype)[:, None]
    spread = k.square().sum(dim=1, dtype=torch.float64)
    step = (x * k).sum(dim=1, dtype=torch.float64) / spread
    centre = mean_x - step * mean_k
    usable = (spread > 0) & (step > 0)
    return torch.where(usable, torch.stack((centre - step * last / 2, centre + step * last / 2)), ends)
