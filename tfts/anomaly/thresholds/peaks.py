"""A limit from the tail of the largest sizes."""

import numpy as np

from tfts.anomaly.thresholds.base import Threshold, check_share, check_whole
from tfts.errors import SettingError


class PeaksOverThreshold(Threshold):
    """A limit beyond the largest sizes, from the tail of a generalised Pareto distribution.

    Sizes above a high quantile are peaks; the distribution that excesses over a high
    level tend to is fitted to them, and tells the level that a share of `risk` exceeds.
    With `streaming` each new peak is learnt from (SPOT). A flagged one counts, up to twice
    the excess of the limit: left out, as in the paper, the tail would lack its end and about
    twice the nominal share of a normal series would be flagged.

    Args:
        risk: Float in (0, 1): rows to flag on a normal series.
        level: Float in (0, 1): the share of sizes below the peaks.
        streaming: Whether it goes on learning.
        peaks: Int >= 2: the latest peaks that are kept.

    Attributes:
        base_: Float, the level above which a size is a peak.
        excesses_: List of float, the peaks less `base_`.
        rows_: Int, sizes seen.

    Raises:
        ValueError: If an option is out of range.

    Source: Siffer, Fouque, Termier and Largouet, Anomaly detection in streams with
    extreme value theory, KDD 2017.

    Example:

    >>> sizes = np.random.default_rng(0).exponential(size=20_000)
    >>> limit = PeaksOverThreshold(risk=1e-3).fit(sizes).limit_
    >>> bool(abs(limit - np.log(1000)) < 0.4)
    True
    """

    _in_sizes = ("limit_", "base_", "excesses_")

    def __init__(self, risk=1e-3, level=0.98, streaming=True, peaks=1000):
        self.risk = check_share("risk", risk)
        self.level = check_share("level", level)
        self.streaming = streaming
        self.peaks = check_whole("peaks", peaks, 2)
        if risk >= 1 - level:
            raise SettingError(
                f"`risk` must be below 1 - level, the share of peaks. Received: risk={risk}, level={level}."
            )

    @property
    def learns(self):
        """Whether the limit moves with the sizes that it is asked for."""
        return self.streaming

    def _learn(self, sizes, symmetric):
        self.rate_ = self.risk
        self.base_ = float(np.quantile(sizes, self.level))
        self.excesses_ = (sizes[sizes > self.base_] - self.base_).tolist()
        self.rows_ = len(sizes)
        self.peaks_seen_ = len(self.excesses_)
        self._set_limit()

    def _see(self, size):
        if not self.streaming:
            return
        self.rows_ += 1
        if size > self.base_:
            excess = size - self.base_
            # Of constant sizes the limit is the base, which says nothing of how high is high.
            self.excesses_.append(min(excess, 2 * (self.limit_ - self.base_) or excess))
            del self.excesses_[: -self.peaks]
            self.peaks_seen_ += 1
            self._set_limit()

    def _set_limit(self):
        if not self.excesses_:
            # All calibration sizes are equal: whatever is above them is news.
            self.limit_ = self.base_
            return
        shape, scale = _pareto(np.array(self.excesses_))
        ratio = self.risk * self.rows_ / self.peaks_seen_
        step = -scale * np.log(ratio) if abs(shape) < 1e-9 else scale / shape * (ratio**-shape - 1)
        self.limit_ = float(self.base_ + max(step, 0.0))


def _pareto(excesses):
    """Shape and scale of the generalised Pareto distribution that the excesses are likeliest under.

    With t = shape / scale the likelihood has one maximum over the shape for each t, so the
    search is over t alone.
    """
    mean, largest = excesses.mean(), excesses.max()
    # Below -1 / largest the largest excess would be impossible.
    grid = np.concatenate([-np.geomspace(0.95, 1e-4, 24) / largest, np.geomspace(1e-4, 20, 40) / mean])
    for _ in range(2):
        logs = np.log1p(grid[:, None] * excesses).mean(axis=1)
        likelihood = -np.log(np.where(logs / grid > 0, logs / grid, np.inf)) - logs
        best = int(np.argmax(likelihood))
        around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        found = grid[best], logs[best]
        grid = np.linspace(*around, 24)
        grid = grid[grid != 0]
    rate, shape = found
    # A shape of -0.5 or less or 1 or more is a sign of too few excesses, not of a tail.
    if not -0.5 < shape < 1:
        return 0.0, mean
    return shape, shape / rate
