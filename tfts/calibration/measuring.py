"""The errors of a forecaster on rows that were held out."""

import dataclasses

import numpy as np

from tfts.baselines.seasonal_naive import season_length_of
from tfts.calibration.cells import bounds_of, common_values
from tfts.calibration.held_out import needed_for
from tfts.calibration.kinds import Calibration, held_out_of
from tfts.calibration.splits import LATER_SHARES, earlier_and_later
from tfts.data.fitted_table import FittedTable
from tfts.data.scaling import Scaler
from tfts.errors import DataError
from tfts.outputs.predictive import Predictive

# Rows that tell which values are common, and series that are looked at together.
_TELLING, _TOGETHER = 2_000_000, 10_000


def measured_calibration(forecaster, predictor, rows, held, options):
    """The `Calibration` of a forecaster: from the errors of held-out rows, where there is use for them.

    Args:
        forecaster: `Forecaster`, for its settings.
        predictor: Its fitted `Predictor`.
        rows: `TrainingRows` of the fit.
        held: `Panel` of the rows to measure errors on; of a predictor that is measured apart all rows; `None`
            where no errors are needed.
        options: `TrainingOptions` of the fit.

    Raises:
        ValueError: If there are too few rows for a level.

    Example:

    >>> import pandas as pd
    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": range(60)}, index=pd.date_range("2024-01-01", periods=60))
    >>> forecaster = Forecaster("drift", context_length=2, horizon=1, quantiles=[0.5]).fit(frame)
    >>> measured_calibration(forecaster, None, None, None, None).kind
    'conformal'
    """
    kind = forecaster.calibration
    if held is None:
        return Calibration(kind, None)
    predictor, scaler, held = _measured(forecaster, predictor, rows, held, options)
    known = predictor.knows(held)
    held = held if known.all() else held.of_series(known)
    sizes = FittedTable.of(rows.train, (), season_length_of(held.freq)).scales_of(held.series)
    return calibration_on(held, forecaster, predictor, scaler, sizes, rows.train)


def calibration_on(held, forecaster, predictor, scaler, sizes, train):
    """The `Calibration` from the errors on some rows.

    Args:
        held: `Panel` of rows that nothing was learnt from, original units.
        forecaster: `Forecaster`, for its settings.
        predictor: Its fitted `Predictor`.
        scaler: The fitted `Scaler`.
        sizes: Float `(series, targets)` of the series of the panel, as of `held_out_of`.
        train: `Panel` of the rows that say what the targets do not pass.

    Raises:
        ValueError: If there are too few rows for a level.

    Example:

    >>> import numpy as np
    >>> import pandas as pd
    >>> from tfts.forecaster import Forecaster
    >>> frame = pd.DataFrame({"y": range(60)}, index=pd.date_range("2024-01-01", periods=60))
    >>> forecaster = Forecaster("drift", context_length=2, horizon=1, quantiles=[0.5]).fit(frame[:40])
    >>> held = forecaster.panel(frame[40:])
    >>> made = calibration_on(held, forecaster, forecaster.predictor, forecaster.scaler_, np.ones((1, 1)), held)
    >>> len(made.held_out.scores)
    18
    """
    kind, spec = forecaster.calibration, forecaster.spec
    scaler = scaler.with_unseen(held, spec.context_length)[0]

    def forecasts(at):
        parts = predictor.forecasts(held, scaler, spec, at, forecaster.output)
        return Predictive.joined(part for _, part in parts)

    bounds = _bounds(train, spec, held.series)
    held_out = held_out_of(forecasts, held, spec.origins(held), spec, sizes, bounds)
    if kind != "none":
        held_out.check(forecaster.quantiles)
    return Calibration(kind, held_out)


def _bounds(train, spec, names):
    """What the named series do not pass, by training rows; see `bounds_of`."""
    spans, columns = train.spans, train.indices(spec.target_columns(train))

    def part(chosen):
        rows = chosen.rows()
        values = train.values[rows[:, None], columns]
        values[train.filled[rows[:, None], columns]] = np.nan
        return values, train.series_of(rows)

    # Of very many series some tell what is common.
    total = int(np.maximum(spans.observed_end - spans.target_start, 0).sum())
    common = common_values(part(spans[:: max(1, min(total // _TELLING, len(spans) // 1000))])[0])
    parts = (part(spans[i : i + _TOGETHER]) for i in range(0, len(spans), _TOGETHER))
    found = bounds_of(common, parts, len(spans))
    place = {name: i for i, name in enumerate(train.series)}
    return found[[*(place.get(name, -1) for name in names), -1]]


def _measured(forecaster, predictor, rows, held, options):
    """The predictor whose errors are measured, its scaler, and the held-out rows."""
    if not predictor.measured_apart:
        return predictor, rows.scaler, held
    spec, needed = forecaster.spec, max(map(needed_for, forecaster.quantiles))
    for share in LATER_SHARES:
        try:
            early, later = earlier_and_later(held, spec, share)
            if spec.count(later) < needed:
                break
            train, valid = forecaster.parts(early) if predictor.holds_out else (early, None)
            scaler = Scaler(rows.scaler.kind, rows.scaler.per_series).fit(train)
            twin = predictor.clone()
            twin.fit(
                dataclasses.replace(rows, train=train, validation=valid, scaler=scaler),
                options,
                forecaster.settings,
            )
        except DataError:
            continue
        return twin, scaler, later
    if rows.validation is None:
        raise DataError(
            "The table is too short to hold rows out for the errors that quantiles are made of. Expected at least two "
            f"windows of context_length={spec.context_length} and horizon={spec.horizon}, or `validation` rows."
        )
    # There is no other way: the rows that chose its settings.
    return predictor, rows.scaler, rows.validation
