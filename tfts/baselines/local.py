"""What the methods share that have their own small model for each series and target."""

import importlib
import warnings

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from tfts._units import offset_of
from tfts.baselines.baseline import Baseline
from tfts.errors import DataError, NotFittedError, SettingError


class LocalBaseline(Baseline):
    """One small model for each target of each series, fitted once on the training rows.

    To forecast, a model's state is moved over the rows of the panel up to each origin;
    its parameters stay. Values that were missing in the user's table count as missing,
    whether the panel interpolated them or not. A series that `fit` has not seen can't be
    forecast. Models work on `(value - offset_) /
    scale_`, so that the units don't matter.

    A subclass has `fit_rows` and the methods `_affine`, `_fit_one` and
    `_forecast_one`.

    Attributes:
        skips_series: Whether a series that can't be fitted is left out, where another can.
        series_: Names of the fitted series, list of str.
        first_time_: Time of the first row that each series was fitted on, list of str.
        offset_, scale_: Float64 `(series, targets)`, in the units of the panel.
        learnt_: Float64 `(series, targets, numbers)`: what `_fit_one` gave.
    """

    skips_series = False

    @property
    def num_parameters(self):
        """What all fitted models hold together."""
        return self.learnt_.size

    def _learn(self, panel, spec):
        self.series_, self.first_time_ = [], []
        offsets, learnt, unsettled, refused = [], [], [], []
        # Its import puts a filter of its own in front, so it must come before ours.
        importlib.import_module("statsmodels.tsa.api")
        with warnings.catch_warnings(), _one_thread():
            # Start values and steps of the searches; whether they ended well is asked below.
            warnings.simplefilter("ignore")
            for i, (_, begin, stop, _) in enumerate(panel.spans):
                if self.fit_rows is not None:
                    begin = max(begin, stop - self.fit_rows)
                try:
                    fitted = [self._fit_target(panel, i, j, begin, stop) for j in range(len(self.targets_))]
                except DataError as error:
                    if not self.skips_series:
                        raise
                    refused.append(error)
                    continue
                self.series_.append(str(panel.series[i]))
                self.first_time_.append(str(panel.times[begin]))
                offsets.append([affine for affine, _, _ in fitted])
                learnt.append([numbers for _, numbers, _ in fitted])
                unsettled += [name for _, _, name in fitted if name is not None]
        if not self.series_:
            raise refused[0]
        self.offset_, self.scale_ = np.moveaxis(np.array(offsets, dtype=np.float64), -1, 0)
        self.learnt_ = np.reshape(learnt, (*self.offset_.shape, -1))
        if unsettled:
            more = f" and {len(unsettled) - 3} more" if len(unsettled) > 3 else ""
            warnings.warn(
                f"{type(self).__name__}: the search for the likeliest parameters did not converge for "
                f"{len(unsettled)} of {self.offset_.size} fits ({', '.join(unsettled[:3])}{more}). The forecasts "
                "use the last parameters reached. A simpler model or more training rows may help.",
                stacklevel=3,
            )

    def _fit_target(self, panel, i, j, begin, stop):
        """Offset and scale of a target of a series, its numbers, and its name where the search did not end well."""
        name = f"target {self.targets_[j]!r}"
        if panel.series_name is not None:
            name += f" of series {panel.series[i]!r}"
        values = _observed(panel, panel.indices(self.targets_)[j], begin, stop)
        seen = values[~np.isnan(values)]
        if len(seen) < 2:
            raise DataError(
                f"{type(self).__name__} can't be fitted to {name}: {len(seen)} of its {len(values)} "
                "training rows hold a value. Expected at least two."
            )
        offset, scale = self._affine(values)
        # A constant series has no scale, nor has one too short for its differences.
        scale = scale if scale > 0 else 1.0
        numbers, settled = self._fit_one((values - offset) / scale, name)
        return (offset, scale), numbers, None if settled else name

    def _forecast(self, panel, spec, rows):
        columns = panel.indices(self.targets_)
        forecast = np.empty((len(rows), spec.horizon, len(columns)))
        of = panel.series_of(rows)
        with _one_thread():
            for position in np.unique(of):
                mine = np.flatnonzero(of == position)
                start = panel.spans.start[position]
                i = self._position(panel.series[position])
                shift = _steps_between(self.first_time_[i], panel.times[start], panel.freq)
                for j, column in enumerate(columns):
                    # Rows after the last origin are not even read.
                    values = _observed(panel, column, start, rows[mine].max() + 1)
                    values = (values - self.offset_[i, j]) / self.scale_[i, j]
                    origins = rows[mine] - start
                    made = self._forecast_one(values, origins, spec.horizon, (i, j), shift)
                    forecast[mine, :, j] = made * self.scale_[i, j] + self.offset_[i, j]
        return forecast

    def _position(self, series):
        if str(series) not in self.series_:
            raise NotFittedError(
                f"{type(self).__name__} was not fitted on series {series!r}, and it has parameters of its own for "
                f"each of the {len(self.series_)} series it was fitted on (first: {self.series_[0]!r}). Fit it "
                "again with this series, or take a method that learns over all series, such as "
                "linear_regression."
            )
        return self.series_.index(str(series))


def check_fit_rows(fit_rows):
    """Raises a ValueError unless it is None or an int >= 2."""
    whole = isinstance(fit_rows, int | np.integer) and not isinstance(fit_rows, bool)
    if fit_rows is not None and (not whole or fit_rows < 2):
        raise SettingError(
            f"`fit_rows` must be an int >= 2 (most recent training rows) or None for all. Received: "
            f"fit_rows={fit_rows!r}."
        )


def _one_thread():
    # Threads for products of matrices this small cost three to five times what they do.
    return threadpool_limits(1, user_api="blas")


def _observed(panel, column, start, stop):
    """Values of a column, float64, NaN where the user's table had none."""
    values = panel.values[start:stop, column].astype(np.float64)
    values[panel.filled[start:stop, column]] = np.nan
    return values


def _steps_between(first, last, freq):
    """Steps of `freq` from one time (a str) to another; negative if the other is earlier."""
    first = pd.Timestamp(first)
    if first.tz is not None and last.tz is not None:
        first = first.tz_convert(last.tz)
    steps = len(pd.date_range(min(first, last), max(first, last), freq=offset_of(freq))) - 1
    return steps if last >= first else -steps
