"""The ways to come from a forecast to quantiles of it."""

import dataclasses

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.calibration.adaptive import adaptive_scores
from tfts.calibration.held_out import HeldOut, Origins, spread_out, usual_sizes
from tfts.calibration.phases import season_phases
from tfts.data.forecasts import actual_values
from tfts.errors import SettingError

# What `calibration` of a forecaster may be, and how each is told in a sentence.
CALIBRATIONS = {
    "adaptive": "errors of held-out origins, and of those that became known since",
    "conformal": "errors of held-out origins",
    "none": "what the model itself gives",
}


def calibration_for(calibration, output, quantiles):
    """Which of `CALIBRATIONS` a forecaster takes.

    Args:
        calibration: A name of `CALIBRATIONS`, or `"auto"`: `"conformal"` for points of which
            quantiles are asked, else `"none"`.
        output: `Output` of the model.
        quantiles: Levels, or `None`.

    Raises:
        ValueError: If it is unknown, or can't be had.

    Example:

    >>> from tfts.outputs import Point
    >>> calibration_for("auto", Point(), (0.1, 0.9))
    'conformal'
    """
    if calibration == "auto":
        return "conformal" if quantiles is not None and not output.has_distribution else "none"
    if calibration not in CALIBRATIONS:
        raise SettingError(unknown("calibration", calibration, [*CALIBRATIONS, "auto"]))
    if quantiles is None and calibration != "none":
        raise SettingError(
            f"calibration={calibration!r} acts on quantiles, and there are none. Give `quantiles`, for example "
            "[0.1, 0.5, 0.9]. Received: quantiles=None."
        )
    if quantiles is not None and calibration == "none" and not output.has_distribution:
        raise SettingError(no_quantiles("calibration='none'"))
    return calibration


def no_quantiles(received):
    """The message where a point forecast has no quantiles: the two ways to get some."""
    return (
        "A point forecast has no quantiles. Make the forecaster with quantiles=[0.1, 0.5, 0.9], which are then those "
        "of its errors on held-out rows, or with output='quantiles' (or 'normal', 'student_t', 'negative_binomial'), "
        f"a network that learns them. Received: {received}."
    )


# Seasons of the context that movement is measured over, and the least, as a share of the usual.
_SEASONS, _LEAST_MOVEMENT = 3, 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """What a fitted forecaster knows about its errors.

    Attributes:
        kind: A name of `CALIBRATIONS`.
        held_out: `HeldOut`, or `None` where no rows were held out.

    Example:

    >>> Calibration("none", None).kind
    'none'
    """

    kind: str
    held_out: HeldOut | None

    def quantiles(self, forecaster, forecasts, panel, rows, levels):
        """Quantiles `(windows, horizon, targets, levels)` in original units.

        Args:
            forecaster: Fitted `Forecaster`, which the adaptive kind asks for earlier forecasts.
            forecasts: `Predictive` of the windows.
            panel: `Panel` in original units.
            rows: Int `(windows,)`: the origins.
            levels: Ascending levels.

        Raises:
            ValueError: If there are none, or too few held-out rows.
        """
        if self.kind == "none":
            if not forecasts.output.has_distribution:
                raise SettingError(no_quantiles(f"quantiles={list(levels)} of a forecaster without"))
            return forecasts.quantiles(levels)
        if self.kind == "conformal":
            return self.held_out.quantiles(forecasts, levels, self._origins(panel, rows, forecaster.spec))
        return self._adaptive(forecaster, forecasts, panel, rows, levels)

    def paths(self, forecaster, forecasts, count, panel, rows, seed):
        """Paths `(count, windows, horizon, targets)`, see `HeldOut.paths`."""
        if self.held_out is None:
            raise SettingError(
                "Paths need the order of errors on held-out rows, of which there are none. Make the forecaster with "
                "`quantiles`, or an output that describes a distribution, and fit it with `validation` rows."
            )
        calibrated = self.kind != "none" or not forecasts.output.has_distribution
        origins = self._origins(panel, rows, forecaster.spec)
        return self.held_out.paths(forecasts, count, origins, seed, calibrated)

    def _origins(self, panel, rows, spec):
        """`Origins` of rows of a panel."""
        of, phases = panel.series_of(rows), season_phases(panel.times[rows], panel.freq)[0]
        if not self.held_out.relative:
            return Origins(panel.series, of, phases=phases)
        sizes = self.held_out.sizes_of(panel.series)[of]
        moved = moved_of(panel, rows, spec)
        # A series that was not seen has the size that its window shows.
        new = ~np.isin(panel.series, self.held_out.names)[of]
        sizes[new] = np.where(moved[new] > 0, moved[new], sizes[new])
        return Origins(panel.series, of, in_units(moved, sizes), phases)

    def _adaptive(self, forecaster, forecasts, panel, rows, levels):
        """As `quantiles`: each window by the outcomes of earlier origins after the held-out ones."""
        spec, of = forecaster.spec, panel.series_of(rows)
        known = spec.forecast_origins(panel)
        known = known[panel.times.asi8[known] > self.held_out.times.max(initial=np.iinfo(np.int64).min)]
        known = known[np.isin(panel.series_of(known), of)]
        replayed = _latest_of_each(panel, known, rows, 4 * spec.horizon + 200)
        every = np.union1d(rows, replayed)
        made = forecaster.predictives(panel, every)
        origins, units = (
            self._origins(panel, rows, spec),
            self.held_out.units(self._origins(panel, every, spec)),
        )
        series = panel.series_of(every)
        scores = made.scores(actual_values(panel, every, spec)) / units
        found = np.empty((len(every), *forecasts.mean().shape[1:], len(levels)))
        for i in np.unique(series):
            own = np.flatnonzero(series == i)
            found[own] = adaptive_scores(self.held_out, scores[own], every[own], levels, panel.series[i])
        wanted = np.searchsorted(every, rows)
        found = found[wanted] * np.broadcast_to(units, scores.shape)[wanted][..., None]
        low, high = np.moveaxis(self.held_out.bounds_of(origins), 1, 0)[:, :, None]
        quantiles = [np.clip(forecasts.at(found[..., k]), low, high) for k in range(len(levels))]
        return np.maximum.accumulate(np.stack(quantiles, axis=-1), axis=-1)


def held_out_of(forecasts, panel, rows, spec, sizes, bounds):
    """The `HeldOut` of some forecasts.

    Args:
        forecasts: Function from origins to their `Predictive`.
        panel: `Panel` in original units.
        rows: Int `(windows,)`: origins.
        spec: `WindowSpec`.
        sizes: Float `(series, targets)`, of each series of the panel in its own units; 0 or NaN where it is
            not known.
        bounds: Float `(series + 1, 2, targets)`, what each does not pass, see `bounds_of`.

    Example:

    >>> import pandas as pd
    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> from tfts.outputs import Point
    >>> from tfts.outputs.predictive import Predictive
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.date_range("2024-01-01", periods=3))
    >>> panel, spec = Panel.from_frame(frame), WindowSpec(1, 1)
    >>> def last(rows):
    ...     return Predictive(Point(), panel.values[rows][:, None], np.array([False]))
    >>> free = np.array([[[-np.inf], [np.inf]]] * 2)
    >>> held_out_of(last, panel, np.array([0, 1]), spec, np.ones((1, 1)), free).scores.ravel().tolist()
    [3.16..., 6.32...]
    """
    numbers = spec.horizon * len(spec.target_columns(panel))
    rows = rows[spread_out(panel.times.asi8[rows], numbers)]
    made, of, units = forecasts(rows), panel.series_of(rows), 1.0
    phases, season_length = season_phases(panel.times[rows], panel.freq)
    if made.output.has_distribution or made.logged.any():
        sizes = None
    else:
        sizes = usual_sizes(sizes)
        units = in_units(moved_of(panel, rows, spec), sizes[of])
    origins, times = Origins(panel.series, of, units, phases), panel.times.asi8[rows]
    independent = sum(min(len(own), 1 + np.ptp(own) / spec.horizon) for own in _split_by(of, rows))
    actual = actual_values(panel, rows, spec)
    return HeldOut.of(made, actual, origins, times, sizes, bounds, season_length, float(independent))


def _split_by(of, rows):
    """Rows of each series."""
    order = np.argsort(of, kind="stable")
    return np.split(np.asarray(rows)[order], np.flatnonzero(np.diff(of[order])) + 1)


def movement_rows(freq, context_length):
    """The season and the number of rows over which movement is measured, a tuple.

    They are at most the last three seasons of the context; a context of less than two has steps from row to row.

    Example:

    >>> movement_rows("h", 168), movement_rows("h", 30), movement_rows("h", 1)
    ((24, 72), (1, 3), (1, 0))
    """
    season = season_phases(pd.DatetimeIndex([]), freq)[1]
    if context_length < 2 * season:
        season = 1
    return season, min(context_length - season, _SEASONS * season)


def moved_of(panel, rows, spec):
    """Mean distance of values one season apart in the windows before some origins, `(windows, targets)`.

    Of a panel with `masked` the mean is that of the pairs of which both were observed.

    Args:
        panel: `Panel` in original units.
        rows: Int `(windows,)`: origins.
        spec: `WindowSpec`.

    Example:

    >>> from tfts.data.panel import Panel
    >>> from tfts.data.windows import WindowSpec
    >>> frame = pd.DataFrame({"y": [0.0, 1, 0, 1, 9, 1]}, index=pd.date_range("2024", periods=6, freq="YS"))
    >>> moved_of(Panel.from_frame(frame), np.array([3, 5]), WindowSpec(3, 1)).tolist()
    [[1.0], [8.0]]
    """
    season, count = movement_rows(panel.freq, spec.context_length)
    values = panel.values[:, panel.indices(spec.target_columns(panel))]
    steps = np.zeros(values.shape)
    steps[season:] = np.abs(values[season:] - values[:-season])
    sums = np.concatenate([np.zeros((1, steps.shape[1])), np.nancumsum(steps, axis=0)])
    rows = np.asarray(rows)
    moved = sums[rows + 1] - sums[rows + 1 - count]
    if panel.masked:
        pairs = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(~np.isnan(steps), axis=0)])
        return moved / np.maximum(pairs[rows + 1] - pairs[rows + 1 - count], 1)
    return moved / max(count, 1)


def in_units(moved, sizes):
    """What scores of windows are multiplied by: the size of the series, more where the window moved more.

    The errors that follow are as the root of what moved over the size, of which a tenth is always there: the root,
    because such a mean says half of how large they are. A series of which no movement can be seen has its size.

    Args:
        moved: Floats, as from `moved_of`, in the units of `sizes`; arrays or tensors.
        sizes: Floats > 0, the usual size of values one season apart.

    Example:

    >>> in_units(np.array([1.0, 8.0]), np.array([1.0, 1.0])).round(2).tolist()
    [1.05, 2.85]

    Source: As the locally weighted intervals of Lei et al., Distribution-free predictive inference for
    regression, Journal of the American Statistical Association 113, 2018.
    """
    return sizes * (moved / sizes + _LEAST_MOVEMENT) ** 0.5


def window_moved(values, season, count):
    """`moved_of` one window, `(targets,)`.

    Args:
        values: Float `(rows, targets)`, the last rows up to the origin, `season + count` at least.
        season: As from `movement_rows`.
        count: As from `movement_rows`.

    Example:

    >>> window_moved(np.array([[1.0], [9.0], [1.0]]), 1, 2).tolist()
    [8.0]
    """
    if not count:
        return np.zeros(values.shape[1])
    steps = np.abs(values[-count:] - values[-count - season : -season])
    return np.nansum(steps, axis=0) / count


def _latest_of_each(panel, known, rows, most):
    """The latest origins of each series at or before its last wanted one."""
    of, wanted = panel.series_of(known), panel.series_of(rows)
    kept = []
    for i in np.unique(wanted):
        own = known[(of == i) & (known <= rows[wanted == i].max())]
        first = rows[wanted == i].min()
        kept.append(own[own >= (own[own < first][-most:].min() if (own < first).any() else first)])
    return np.concatenate(kept)
