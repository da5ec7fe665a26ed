"""Says when residuals no longer look as they did, apart from single anomalies."""

import dataclasses

import numpy as np

from tfts._messages import unknown
from tfts.errors import DataError, NotFittedError, SettingError

# Order statistics kept of a long reference: its distribution to 1 in 2,000.
MAX_REFERENCE = 2000


@dataclasses.dataclass(frozen=True)
class DriftReport:
    """What a look at the recent residuals found.

    Attributes:
        row: Int, residual rows seen since `fit`, with those of this look.
        target: Name of the target.
        kind: `"distribution"` or `"coverage"`.
        p_value: Chance of a difference as large or larger without a drift.
        level: The p-value below which this look reports.
        rows: Int, residuals compared with the reference.
        shift: Median of the recent residuals less that of the reference, in their units.
        spread_ratio: Interquartile range of the recent residuals by that of the
            reference; NaN where the reference has none.
        coverage: Share of the recent residuals within the reference's central interval.
        nominal_coverage: The share that is expected there.

    Example:

    >>> monitor = DriftMonitor(window=50).fit(np.tile([-1.0, 0.5, -0.5, 1.0, 0.0], 40), ["Sales"])
    >>> report = monitor.update(np.full(50, 2.0))
    >>> report.target, report.shift, report.coverage
    ('Sales', 2.0, 0.0)
    """

    row: int
    target: str
    kind: str
    p_value: float
    level: float
    rows: int
    shift: float
    spread_ratio: float
    coverage: float
    nominal_coverage: float

    def sentence(self):
        """The report in words.

        Example:

        >>> DriftReport(99, "Sales", "coverage", 1e-9, 1e-4, 50, 0.0, 3.0, 0.5, 0.9).sentence()
        'Sales: the coverage of the last 50 residuals is another: median moved by 0, spread 3 times, 50 % (not 90 %)
        within the usual range (p = 1e-09).'
        """
        return (
            f"{self.target}: the {self.kind} of the last {self.rows} residuals is another: median moved by "
            f"{self.shift:.3g}, spread {self.spread_ratio:.2g} times, {100 * self.coverage:.0f} % (not "
            f"{100 * self.nominal_coverage:.0f} %) within the usual range (p = {self.p_value:.1g})."
        )


class DriftMonitor:
    """Compares each block of recent residuals with a reference, at a stated rate of false reports.

    Every `window` rows it looks twice at each target: whether the distribution is that of
    the reference (two-sample Kolmogorov-Smirnov, which sees a shift best) and whether as
    many residuals as before lie within the reference's central interval (exact for order
    statistics, which sees a change of spread best). Without a drift the chance of any
    report within `num_looks` looks is at most `alpha`: each test gets an equal share of it.
    Blocks do not overlap. Where residuals of the reference depend on the ones before, as
    autocorrelation shows, both tests count with as many fewer rows as carry the same
    information.

    Give it residuals of rows that were not flagged, on both sides: an anomaly is no drift.
    A drift is reported once for each target and kind, until a look finds none.

    Args:
        window: Int >= 20, rows in a look.
        alpha: Float in (0, 1), chance of any false report within `num_looks` looks.
        num_looks: Int >= 1, looks that share `alpha`.
        coverage: Float in (0, 1), share of the reference in its central interval.

    Example:

    >>> random = np.random.default_rng(0)
    >>> monitor = DriftMonitor(window=100).fit(random.normal(size=1000))
    >>> monitor.update(random.normal(size=500)) is None
    True
    >>> monitor.update(random.normal(1.0, size=100)).kind
    'distribution'

    Source: the finite-sample Kolmogorov distribution by Stephens, Journal of the Royal
    Statistical Society B, 1970; coverage between order statistics by Wilks, 1941.
    """

    def __init__(self, window=200, alpha=0.05, num_looks=100, coverage=0.9):
        for name, value, least in (("window", window, 20), ("num_looks", num_looks, 1)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise SettingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
        for name, value in (("alpha", alpha), ("coverage", coverage)):
            if not 0 < value < 1:
                raise SettingError(f"`{name}` must be a number between 0 and 1. Received: {name}={value!r}.")
        self.window, self.alpha, self.num_looks, self.coverage = window, alpha, num_looks, coverage

    def fit(self, residuals, targets=None):
        """Takes residuals as the reference and forgets all that was seen.

        Args:
            residuals: Floats `(rows,)` or `(rows, num_targets)`, in the order of time, of
                rows that the model was not fitted on. NaN where there is none.
            targets: Names of the columns. `None` numbers them.

        Returns:
            self.

        Raises:
            ValueError: If a target has fewer than `window` residuals or one is infinite,
                or there is not one name for each column.

        Example:

        >>> DriftMonitor(window=20).fit(np.zeros((40, 2)), targets=["Sales", "Ratings"]).targets_
        ['Sales', 'Ratings']
        """
        residuals = _table(residuals)
        names = [f"residual {number + 1}" for number in range(residuals.shape[1])]
        self.targets_ = names if targets is None else [str(name) for name in targets]
        if len(self.targets_) != residuals.shape[1]:
            raise SettingError(
                f"`targets` must name each of the {residuals.shape[1]} columns. Received: {self.targets_}."
            )
        self._references = []
        for name, column in zip(self.targets_, residuals.T, strict=True):
            known = column[~np.isnan(column)]
            if len(known) < self.window:
                raise DataError(
                    f"The reference must hold at least one window of residuals, {self.window} rows. {name!r} has "
                    f"{len(known)}."
                )
            self._references.append(_reference(known, self.coverage))
        self._recent = np.empty((0, residuals.shape[1]))
        self._row, self._drifting = 0, set()
        return self

    def update(self, residuals):
        """Takes residuals that followed, and looks whenever a window is full.

        The result depends on the rows alone, not on how they are cut into calls.

        Args:
            residuals: Floats `(rows,)` (one target) or `(rows, num_targets)`, in the order
                of time, of rows that were not flagged. NaN where there is none.

        Returns:
            The `DriftReport` with the smallest p-value of those that are new, or `None`.

        Raises:
            ValueError: If it was not fitted, the columns are others, or a residual is
                infinite.

        Example:

        >>> monitor = DriftMonitor(window=20).fit(np.tile([-1.0, 0.5, -0.5, 1.0, 0.0], 40))
        >>> monitor.update(np.full(19, 6.0)) is None, monitor.update([6.0]) is None
        (True, False)
        """
        if not hasattr(self, "_references"):
            raise NotFittedError("The monitor has no reference yet. Call `fit` with residuals first.")
        residuals = _table(residuals)
        if residuals.shape[1] != len(self.targets_):
            raise SettingError(
                f"`residuals` must have one column for each target: {', '.join(self.targets_)}. Received: shape "
                f"{residuals.shape}."
            )
        reports = []
        while len(residuals):
            taken = self.window - len(self._recent)
            self._recent = np.concatenate([self._recent, residuals[:taken]])
            self._row += min(taken, len(residuals))
            residuals = residuals[taken:]
            if len(self._recent) == self.window:
                reports += self._look()
                self._recent = self._recent[:0]
        return min(reports, key=lambda report: report.p_value, default=None)

    @property
    def level(self):
        """The p-value below which one test reports."""
        return self.alpha / (self.num_looks * len(KINDS) * len(self.targets_))

    def _look(self):
        """The new reports of a full window."""
        for name, reference, column in zip(self.targets_, self._references, self._recent.T, strict=True):
            recent = np.sort(column[~np.isnan(column)])
            # Half a window says too little to count as a look.
            if len(recent) < self.window / 2:
                continue
            for kind, test in KINDS.items():
                p_value = float(test(reference, recent))
                key = (name, kind)
                if p_value >= self.level:
                    self._drifting.discard(key)
                elif key not in self._drifting:
                    self._drifting.add(key)
                    yield self._report(name, kind, p_value, reference, recent)

    def _report(self, name, kind, p_value, reference, recent):
        low, middle, high = np.quantile(reference["values"], (0.25, 0.5, 0.75))
        now = np.quantile(recent, (0.25, 0.5, 0.75))
        within = (recent >= reference["low"]) & (recent <= reference["high"])
        return DriftReport(
            row=self._row,
            target=name,
            kind=kind,
            p_value=p_value,
            level=self.level,
            rows=len(recent),
            shift=float(now[1] - middle),
            spread_ratio=float((now[2] - now[0]) / (high - low)) if high > low else float("nan"),
            coverage=float(within.mean()),
            nominal_coverage=self.coverage,
        )

    def get_state(self):
        """All that it knows, as what `json.dumps` takes; `from_state` goes on from there.

        Its size depends on the window and the targets, not on the rows seen.

        Raises:
            ValueError: If it was not fitted.

        Example:

        >>> monitor = DriftMonitor(window=20).fit(np.linspace(0, 1, 100))
        >>> DriftMonitor.from_state(monitor.get_state()).get_state() == monitor.get_state()
        True
        """
        if not hasattr(self, "_references"):
            raise NotFittedError("The monitor has no reference yet. Call `fit` with residuals first.")
        return {
            "window": int(self.window),
            "alpha": float(self.alpha),
            "num_looks": int(self.num_looks),
            "coverage": float(self.coverage),
            "targets": list(self.targets_),
            "references": [{**each, "values": each["values"].tolist()} for each in self._references],
            # JSON has no NaN.
            "recent": [
                [None if np.isnan(value) else value for value in row] for row in self._recent.tolist()
            ],
            "row": self._row,
            "drifting": sorted(map(list, self._drifting)),
        }

    @classmethod
    def from_state(cls, state):
        """The monitor whose `get_state` gave `state`.

        Args:
            state: Dict.

        Raises:
            ValueError: If a key is missing or unknown.

        Example:

        >>> state = DriftMonitor(window=20).fit(np.linspace(0, 1, 100)).get_state()
        >>> DriftMonitor.from_state(state).window
        20
        """
        for name in set(state) ^ set(_STATE):
            if name in _STATE:
                raise DataError(f"The state of a drift monitor needs {name!r}. Received: {', '.join(state)}.")
            raise SettingError(unknown("part of a drift monitor's state", name, _STATE))
        monitor = cls(state["window"], state["alpha"], state["num_looks"], state["coverage"])
        monitor.targets_ = list(state["targets"])
        monitor._references = [
            {**each, "values": np.array(each["values"], dtype=np.float64)} for each in state["references"]
        ]
        recent = [[np.nan if value is None else value for value in row] for row in state["recent"]]
        monitor._recent = np.array(recent, dtype=np.float64).reshape(-1, len(monitor.targets_))
        monitor._row = state["row"]
        monitor._drifting = {tuple(key) for key in state["drifting"]}
        return monitor


_STATE = ("window", "alpha", "num_looks", "coverage", "targets", "references", "recent", "row", "drifting")


def _table(residuals):
    residuals = np.asarray(residuals, dtype=np.float64)
    if residuals.ndim == 1:
        residuals = residuals[:, None]
    if residuals.ndim != 2 or np.isinf(residuals).any():
        raise SettingError(
            "`residuals` must be finite numbers (rows,) or (rows, num_targets), NaN where there is none. "
            f"Received: shape {residuals.shape} with {np.isinf(residuals).sum()} infinite."
        )
    return residuals


def _reference(known, coverage):
    """What the tests need of a reference, of a size that does not grow with it."""
    ordered, count = np.sort(known), len(known)
    away = known - known.mean()
    spread = away @ away
    memory = float(np.clip(away[1:] @ away[:-1] / spread, 0, 0.95)) if spread > 0 else 0.0
    tail = (1 - coverage) / 2
    first, last = int(np.floor(tail * (count - 1))), int(np.ceil((1 - tail) * (count - 1)))
    kept = np.linspace(0, count - 1, min(count, MAX_REFERENCE)).round().astype(int)
    return {
        "values": ordered[kept],
        "count": count,
        # Rows that carry as much as one independent row; what is in a row's rank depends
        # less on the row before than its value does, so this errs to fewer reports.
        "rows_each": (1 + memory) / (1 - memory),
        "low": float(ordered[first]),
        "high": float(ordered[last]),
        "between": last - first,
    }


def _distribution(reference, recent):
    """p-value of the two-sample Kolmogorov-Smirnov test; `recent` is sorted."""
    from scipy.special import kolmogorov

    values = reference["values"]
    both = np.concatenate([values, recent])
    before = np.searchsorted(values, both, side="right") / len(values)
    now = np.searchsorted(recent, both, side="right") / len(recent)
    sizes = np.array([reference["count"], len(recent)]) / reference["rows_each"]
    root = np.sqrt(sizes.prod() / sizes.sum())
    return kolmogorov((root + 0.12 + 0.11 / root) * np.abs(before - now).max())


def _coverage(reference, recent):
    """Two-sided p-value of how many values lie between two order statistics of the reference."""
    from scipy.special import betaln, gammaln

    each = reference["rows_each"]
    count = int(len(recent) / each)
    total = reference["count"] / each
    between = reference["between"] / each
    # Of independent values as many lie between as a beta-binomial variable says.
    k = np.arange(count + 1)
    ways = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1)
    chances = np.exp(
        ways + betaln(k + between, count - k + total - between + 1) - betaln(between, total - between + 1)
    )
    low, high = reference["low"], reference["high"]
    # Values on the very edge are counted to the side that speaks against a report.
    most = ((recent >= low) & (recent <= high)).mean()
    least = ((recent > low) & (recent < high)).mean()
    too_few = chances[: int(np.ceil(most * count)) + 1].sum()
    too_many = chances[int(np.floor(least * count)) :].sum()
    return min(2 * min(too_few, too_many), 1.0)


KINDS = {"distribution": _distribution, "coverage": _coverage}
