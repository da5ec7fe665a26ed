"""How far forecasts are from what happened, by sums whose memory does not grow.

`ErrorSums` adds batches up; `rmse(actual, forecast)` and its neighbours score two
arrays at once through the same sums; `keras_metric` gives the same numbers while a
Keras model trains. Everything is in original units. What each metric means:

| name | formula over the scored points | units | best |
|---|---|---|---|
| mae | mean of abs(forecast - actual) | the target's | 0 |
| mse | mean of (forecast - actual)^2 | squared | 0 |
| rmse | root of mse | the target's | 0 |
| bias | mean of forecast - actual: above 0 is too high | the target's | 0 |
| mape | mean of 100 abs(forecast - actual) / abs(actual) | percent | 0 |
| smape | mean of 200 abs(forecast - actual) / (abs(actual) + abs(forecast)) | 0 to 200 | 0 |
| wape | 100 sum of abs(forecast - actual) / sum of abs(actual) | percent | 0 |
| mase | mean of abs(forecast - actual) / scale, see `mase_scale` | 1 is seasonal naive in-sample | 0 |
| r2 | 1 - sum of (forecast - actual)^2 / sum of (actual - mean of actual)^2 | none | 1 |

Of quantiles f of levels q, where pinball(q) = max(q (actual - f), (q - 1) (actual - f)):

| name | formula over the scored points | units | best |
|---|---|---|---|
| pinball | mean over points and levels | the target's | 0 |
| crps | twice that: the CRPS as quantiles tell it | the target's | 0 |
| wql | twice the sums of pinball over the sum of abs(actual), mean over the levels | none | 0 |
| sql | mean of twice pinball / scale | none | 0 |
| coverage | share inside the widest central interval; `coverage_0.8` in that of 80 % | none | its share |
| width | mean width of that interval | the target's | 0 |
| interval_score | width, and what lies outside times 2 / (1 - share) | the target's | 0 |

- A NaN in `actual` means "not observed": the point is not scored. A NaN or an infinity
  in `forecast` is an error.
- mape leaves out the points with abs(actual) <= `ZERO`, the rounding of the float32
  tables, where a percentage says nothing. scikit-learn and sktime divide by an epsilon
  there, and print numbers such as 1e15; elsewhere the numbers agree, but theirs are
  fractions. smape is 0 where both values are 0, and wape is NaN where every actual is 0.
- mase leaves out the points whose scale is 0 or NaN (a constant or a short series).
- Over several targets, every metric but r2 pools all points, so the rmse is the root of
  the mean over everything, and the target with the largest values weighs most. r2 is the
  plain mean of the targets' own r2, as in scikit-learn, and so are its ends: 1 or 0
  where the actuals are constant and the forecast is perfect or not, NaN below 2 points.
"""

from tfts.metrics.in_training import keras_metric
from tfts.metrics.points import bias, mae, mape, mase, mase_scale, mse, r2, rmse, smape, wape
from tfts.metrics.quantiles import coverage, crps, crps_samples, interval_score, pinball, sql, wql
from tfts.metrics.sums import METRICS, ErrorSums

__all__ = [
    "METRICS",
    "ErrorSums",
    "bias",
    "coverage",
    "crps",
    "crps_samples",
    "interval_score",
    "keras_metric",
    "mae",
    "mape",
    "mase",
    "mase_scale",
    "mse",
    "pinball",
    "r2",
    "rmse",
    "smape",
    "sql",
    "wape",
    "wql",
]
