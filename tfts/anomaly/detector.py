"""One detector from a table of usual rows to alarms, events and a live monitor."""

import dataclasses

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.anomaly.drift import DriftMonitor
from tfts.anomaly.events import event_table
from tfts.anomaly.fitted import Fitted
from tfts.anomaly.judging import judge
from tfts.anomaly.learning import learn
from tfts.anomaly.monitor import Monitor
from tfts.anomaly.settings import Settings, signature
from tfts.anomaly.tables import in_zone, names_of, times_of
from tfts.data.frames import as_pandas
from tfts.errors import DataError, NotFittedError, SettingError
from tfts.forecaster import Forecaster


class AnomalyDetector:
    """Learns what is usual in a table, and says what is not, once, with its cause.

    A row is judged by the rows before it and by its own columns that are not targets:
    `(X[t - context_length], ..., X[t]) -> Y[t]`. The forecaster learns from the first
    rows, scores and thresholds are calibrated on later rows that it has not seen. What is
    judged then runs through small steps, the same ones for a table and a live feed:
    residual, score, threshold, event.

    Args:
        model: A name of `MODELS`, `BASELINES` or `SUBSEQUENCES`; a `Forecaster` with
            `horizon=1`, which is fitted if it is not; or `"auto"`, which chooses by
            faults put into held-out rows, without labels (see `choose`).
        targets: Columns to judge. `None` takes all that are not known.
        context_length: Rows before the judged one that the model sees.
        known_future: Columns whose value in the judged row the model may use. `None`
            takes every column but the targets; a column that is neither target nor named
            here is seen only in the rows before.
        calendar: Calendar features to add, as in `Forecaster`.
        time: Name of the time column. `None` takes the index.
        series: Name of the column that tells the series apart, if there are many.
        freq: Time step as a pandas offset alias. `None` finds it.
        irregular: What to do with irregular time steps: `"regularise"` brings the rows
            into steps of `freq`, and absent rows are missing; `"step_length"` takes rows as
            they come and adds the column `step_length`, the time since the row before in
            usual steps.
        missing: What `fit` does about missing values, as in `Panel.from_frame`, but not `"mask"`. While
            judging, a forecast stands in for a missing target.
        limit: Longest gap in rows that `missing="interpolate"` fills.
        duplicates: What `fit` does about rows with one time. While judging, the first
            counts.
        scaler: A name of `SCALERS`; `"log"` is `"standard"` with all targets in `log`.
        per_series: Whether each series has a scale of its own.
        model_options: Dict of options of the model, baseline or subsequence method.
        score: A name of `SCORES`, see `ResidualScore`; what is learnt of one series is used
            on no other in its units, see `Limits`.
        context: What the spread of a `"scaled"` or `"joint"` score depends on: columns,
            `"hour"`, `"weekday"`, `"month"` or `"day_of_year"`.
        direction: `"both"`, `"up"` or `"down"`.
        smooth: Span in rows of a running average of the residuals, which finds small
            changes that last, see `RunningAverage`; `None` for none.
        single_rows: Whether single residuals are judged beside the average of `smooth`.
        log: Columns that the model sees as logarithms, for what goes by factors, such as
            sales. A tenth of the median is added, so that 0 has one.
        same_row: Dict from a target to targets that it may also be explained by in the
            judged row, such as `{"Inventory": ["Sales"]}`: a second model, with one scale
            for all series, sees them, and the smaller residual counts.
        threshold: A name of `THRESHOLDS`. The limits of `"std"`, `"mad"`, `"quantile"` and
            `"fixed"` stay as calibrated; those of `"rolling_conformal"`, `"pot"` and
            `"dynamic"` go on learning, and so follow what lasts longer than `new_normal`.
            `"interval"` flags what lies outside the model's own quantiles and gives the
            probability of what it flags; see `output` for where they come from. `model="auto"` then
            chooses among the methods that forecast; it never chooses the threshold.
        k: Deviations, for the thresholds `"std"` and `"mad"` alone.
        threshold_options: Dict of options of the other thresholds.
        min_size: The smallest residual worth an alarm, in original units of every series: a
            number, or a dict from target to number. What the digits of the values can't show
            is none in any case, see `Resolution`.
        confirm: `(m, n)`: an alarm is raised when `m` of `n` rows are flagged.
        gap: Rows without a flag that an event may hold.
        cool_down: Rows after an alarm that belong to its event.
        new_normal: Rows after which a level that stays is the normal one, and until which
            no flagged row of `replace` moves a threshold: more than the longest fault lasts.
            `None` takes `context_length`, and at least 14.
        replace: Targets of which nothing flagged is learnt from: the model's history holds
            forecasts in place of flagged values, and no threshold moves. `None` takes all
            but those that are counted on from the row before, as a register or a stock is:
            their next value follows from the flagged one. `fit` finds out which they are, see
            `counted_on_`.
        validation: Share of the rows on which the best weights of a network are chosen.
        calibration: Share of the rows, the last ones, for scores and thresholds.
        output: What a network gives, as of `Forecaster`. `"auto"` gives points, and quantiles
            with `threshold="interval"`. With that threshold the quantiles of a model by its
            name, network or baseline, are then made to hold their share of the calibration
            rows; those of a `Forecaster` that is given are taken as its `quantiles` and
            `calibration` say.

    Attributes:
        forecaster_: The fitted `Forecaster`.
        score_: The fitted `ResidualScore`; of many series that for their relative residuals.
        calibration_: DataFrame with the residuals of the calibration rows.
        expected_alarms_a_day_: Dict from target to the number of flagged rows expected a
            day in all fitted series together, if they stay as they are.
        counted_on_: Targets whose level forecasts alone would lose, tuple.
        choice_: With `"auto"`, the table of candidates, the chosen one first.
        why_: With `"auto"`, the reason for the choice, a sentence.

    Raises:
        ValueError: If a name is unknown or a value out of range.

    Example:

    >>> days = pd.date_range("2023-01-01", periods=200)
    >>> week = np.array([90, 95, 100, 105, 120, 140, 80])[np.arange(200) % 7]
    >>> frame = pd.DataFrame({"sales": week + np.random.default_rng(0).normal(0, 2, 200)}, index=days)
    >>> detector = AnomalyDetector("linear_regression", context_length=14).fit(frame[:150])
    >>> new = frame[150:].copy()
    >>> new.loc["2023-06-15", "sales"] = 20.0
    >>> detector.events(new)["sentence"].tolist()
    ['sales was 20 on 2023-06-15, 99.94 below the 119.9 expected; high severity.']
    """

    __signature__ = signature()

    def __init__(self, model="lstm_regressor", targets=None, **options):
        if targets is not None:
            options["targets"] = targets
        self._set(Settings.of(model=model, **options), given=model)

    def _set(self, settings, fitted=None, given=None):
        self._settings, self._fitted, self._earlier = settings, fitted, []
        # A setting is never fitted: a forecaster that is, and is only to be calibrated, stands beside them.
        self._given = given if isinstance(given, Forecaster) and given.is_fitted else None

    @property
    def settings(self):
        """The arguments it was made with, a dict of copies; a forecaster is not fitted there."""
        return self._settings.flat()

    @property
    def is_fitted(self):
        """Whether rows can be judged."""
        return self._fitted is not None

    @property
    def forecaster_(self):
        """The fitted `Forecaster`."""
        return self._learnt.forecaster

    @property
    def plan_(self):
        """The `Plan` that rows are judged by."""
        return self._learnt.plan

    @property
    def score_(self):
        """The fitted `ResidualScore`."""
        return self._learnt.limits.score

    @property
    def calibration_(self):
        """DataFrame with the residuals of the calibration rows."""
        return self._learnt.calibration

    @property
    def expected_alarms_a_day_(self):
        """Dict from target to the number of flagged rows expected a day."""
        return self._learnt.expected_alarms_a_day

    @property
    def fingerprint_(self):
        """Text that differs between detectors that learnt or were told something else."""
        return self._learnt.plan.fingerprint

    @property
    def counted_on_(self):
        """Targets that are counted on from row to row; with `replace=None` their flagged values stay."""
        return self._learnt.habits.counted_on

    @property
    def choice_(self):
        """With `"auto"`, the table of candidates, the chosen one first; else `None`."""
        return self._learnt.choice

    @property
    def why_(self):
        """With `"auto"`, the reason for the choice, a sentence; else `None`."""
        return self._learnt.why

    @property
    def _learnt(self):
        if self._fitted is None:
            raise NotFittedError(
                "The detector has not learnt anything yet. Call fit first, or AnomalyDetector.load."
            )
        return self._fitted

    def clone(self, **changes):
        """An unfitted detector with the same settings but for the changes; it shares nothing with this one."""
        made = type(self).__new__(type(self))
        made._set(self._settings.replaced(**changes), given=changes.get("model"))
        return made

    def fit(self, frame, *, exclude=(), **training):
        """Learns the usual from a table.

        Args:
            frame: DataFrame in original units (any that `Panel.from_frame` takes), with few
                anomalies or none.
            exclude: Pairs `(first, last)` of times, both within: rows that are known to be
                wrong, such as an outage. Nothing is learnt from their targets.
            **training: Options of `Forecaster.fit`, such as `epochs` and `seed`.

        Returns:
            The detector.

        Raises:
            ValueError: If the table can't be used; too few rows among the reasons.
        """
        self._fitted, self._earlier = self._learn(as_pandas(frame), exclude, training), []
        return self

    def fine_tune(self, recent, **training):
        """Learns from recent rows, if that makes the forecasts better.

        A challenger is fitted on the first of the recent rows without what is flagged in
        them, and calibrated on the last. Both forecast the last rows, which neither was
        fitted on; the better one is kept. `rollback` goes back to the one before.

        Args:
            recent: DataFrame with the columns of `fit`, of rows after those of `fit`.
            **training: Options of `Forecaster.fit`.

        Returns:
            Dict of `is_better` (whether the challenger was taken), `errors` (dict from
            target to the mean absolute residuals of `(champion, challenger)`, original
            units) and `rows`, how many were compared.

        Raises:
            ValueError: If the rows are too few, or the detector is one of a given
                fitted forecaster.
        """
        if not self._learnt.may_fit:
            raise DataError(
                "A fitted forecaster that was given is not fitted again. Make the detector by the name of its model."
            )
        recent, columns = as_pandas(recent), self._settings.columns
        recent = in_zone(recent, columns, self.plan_.clock.tz)
        judged = self.judge(recent).rows
        cleaned = recent.copy()
        place = pd.MultiIndex.from_arrays([names_of(cleaned, columns), times_of(cleaned, columns)])
        for target, part in judged[judged["flag"]].groupby("target"):
            of = np.zeros(len(part)) if columns.series is None else part["series"]
            wrong = place.isin(pd.MultiIndex.from_arrays([of, part["time"]]))
            cleaned.loc[wrong, target] = np.nan
        changes = {"missing": "interpolate" if columns.missing == "raise" else columns.missing}
        if self._fitted.method is not None:
            changes["model"] = self._fitted.method
        challenger = self.clone(**changes).fit(cleaned, **training)
        first = challenger.calibration_.index.min()
        both = judged[(judged["time"] >= first) & ~judged["flag"]].merge(
            challenger.judge(recent).rows,
            on=["series", "time", "target"],
            suffixes=("_champion", "_challenger"),
        )
        errors = {
            target: tuple(float(part[f"residual_{who}"].abs().mean()) for who in ("champion", "challenger"))
            for target, part in both.groupby("target")
        }
        # In one unit: a large series would decide alone.
        ratios = [
            part["residual_challenger"].abs().mean()
            / max(part["residual_champion"].abs().mean(), np.finfo(np.float32).tiny)
            for _, part in both.groupby(["series", "target"])
        ]
        is_better = bool(ratios) and float(np.mean(ratios)) < 1
        if is_better:
            self._earlier.append(self._fitted)
            kept = {"choice": self._fitted.choice, "why": self._fitted.why}
            self._fitted = dataclasses.replace(challenger._fitted, **kept)
        return {"is_better": is_better, "errors": errors, "rows": len(both)}

    def rollback(self):
        """Goes back to what was learnt before the last `fine_tune` that was taken.

        Raises:
            ValueError: If there is nothing to go back to.
        """
        if not self._earlier:
            raise DataError("There is nothing to go back to: no fine_tune was taken since fit or load.")
        self._fitted = self._earlier.pop()

    def detect(self, frame):
        """Judges every row of a table.

        A series whose first row comes after the rows of `fit` goes on from them; any
        other starts anew, and its first `context_length` rows are not judged.

        Args:
            frame: DataFrame with the columns of `fit`.

        Returns:
            DataFrame with a row for each series, time and target: `time`, `series`,
            `target`, `actual`, `predicted`, `residual` (original units; of a subsequence
            method the distance of the window), `score`, `threshold`, `flag` (the score is
            above the threshold, and the residual large enough) and `direction`. With
            `threshold="interval"` also `probability`, that of a value as far out or further in
            usual rows (on both sides together, or on that of a `direction`); `predicted` is
            then the median, and `score` how far off the value is in multiples of how far the
            interval reaches on its side.

        Raises:
            KeyError: If a column of `fit` is missing.
            ValueError: If the rows can't be judged.
        """
        return self.judge(frame).rows

    def score(self, frame):
        """`detect` without thresholds: `time`, `series`, `target`, values, `score`, `probability` if any."""
        return self.detect(frame).drop(columns=["threshold", "flag", "direction"])

    def events(self, frame):
        """The events in a table, a DataFrame with one row each; see `Event`."""
        return event_table(self.judge(frame).events)

    def judge(self, frame):
        """`detect` and the list of `Event` in one pass: a `Detection`."""
        return judge(self._learnt, as_pandas(frame))

    def monitor(self, state=None):
        """A live monitor, which goes on from the rows of `fit`.

        Args:
            state: Path of a file that `Monitor.save` wrote, or what `Monitor.get_state`
                gave: goes on from there.

        Returns:
            A `Monitor`.
        """
        return Monitor(self.plan_, self._learnt.start if state is None else state)

    def drift_monitor(self, series=None, **options):
        """What watches residuals for a slow change, which is no anomaly.

        Args:
            series: Name of the one series to watch. `None` takes all together, in original
                units, so that the change of a small series is lost among large ones.
            **options: Of `DriftMonitor`.

        Returns:
            A `DriftMonitor` whose reference is the residuals of the calibration rows; give
            its `update` the residuals of `detect` of the same series that were not flagged,
            a column for each target.

        Raises:
            ValueError: If the series was not fitted.
        """
        calibration, targets = self.calibration_, list(self.plan_.targets)
        if series is not None:
            names = list(calibration["series"].unique())
            if series not in names:
                raise SettingError(unknown("series", series, names))
            calibration = calibration[calibration["series"] == series]
        return DriftMonitor(**options).fit(calibration[targets].to_numpy(), targets)

    def save(self, folder):
        """Writes everything that `load` needs: JSON, `.keras`, Parquet and NumPy arrays.

        The folder appears complete or not at all; an older one is replaced.
        """
        self._learnt.save(folder, self._settings)

    @classmethod
    def load(cls, folder):
        """The detector that `save` wrote; what it finds is identical.

        Raises:
            FileNotFoundError: If the folder holds no detector.
            ValueError: If another version wrote it in another form.
        """
        settings, fitted = Fitted.load(folder)
        made = cls.__new__(cls)
        made._set(settings, fitted, given=None if fitted.may_fit else fitted.forecaster)
        return made

    def _learn(self, frame, exclude, training):
        settings = self._settings
        if settings.learning.name != "auto":
            return learn(settings, frame, exclude, training, self._given)
        from tfts.anomaly.choice import choose

        chosen, table, why = choose(self, frame, exclude, training)
        settings = settings.replaced(model=chosen)
        made = learn(settings, frame, exclude, training if settings.learning.is_network else None)
        return dataclasses.replace(made, choice=table, why=why)
