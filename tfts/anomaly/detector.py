"""One detector from a table of usual rows to alarms, events and a live monitor."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts import __version__
from tfts._files import replacing_folder, write_json, write_table
from tfts._messages import unknown
from tfts.anomaly.drift import DriftMonitor
from tfts.anomaly.events import check_event_options, event_table
from tfts.anomaly.monitor import Monitor
from tfts.anomaly.plan import Plan, distances
from tfts.anomaly.predictors import predictor_of
from tfts.anomaly.scores import ResidualScore, RunningAverage
from tfts.anomaly.subsequence import SUBSEQUENCES
from tfts.anomaly.thresholds import THRESHOLDS, build_threshold
from tfts.baselines import BASELINES
from tfts.data.calendar import calendar_columns
from tfts.data.split import chronological_split
from tfts.forecaster import Forecaster

IRREGULAR = ("regularise", "step_length")
# What is added to a column before its logarithm is taken, as a share of its median.
_LOG_OFFSET = 0.1
# The same for a fitted forecaster that takes the logarithms of values as they are.
_LEAST_OFFSET = 1e-6
# Thresholds whose limit is `k` deviations.
_WITH_K = ("std", "mad")
_DAY = 86_400_000_000_000
# A realised rate so many times the nominal one, or so many times less, is worth a word.
_FAR = 1.5


class Detection(NamedTuple):
    """What `AnomalyDetector.judge` finds: a row for each judged value, and the events."""

    rows: pd.DataFrame
    events: list


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
        missing: What `fit` does about missing values, as in `Panel.from_frame`. While
            judging, a forecast stands in for a missing target.
        limit: Longest gap in rows that `missing="interpolate"` fills.
        duplicates: What `fit` does about rows with one time. While judging, the first
            counts.
        scaler: A name of `SCALERS`; `"log"` is `"standard"` with all targets in `log`.
        per_series: Whether each series has a scale of its own.
        model_options: Dict of options of the model, baseline or subsequence method.
        score: A name of `SCORES`, see `ResidualScore`.
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
        threshold: A name of `THRESHOLDS`.
        k: Deviations, for the thresholds `"std"` and `"mad"` alone.
        threshold_options: Dict of options of the other thresholds.
        min_size: The smallest residual worth an alarm, in original units: a number, or a
            dict from target to number.
        confirm: `(m, n)`: an alarm is raised when `m` of `n` rows are flagged.
        gap: Rows without a flag that an event may hold.
        cool_down: Rows after an alarm that belong to its event.
        new_normal: Rows after which a level that stays is the normal one. `None` takes
            `context_length`, and at least 14.
        replace: Targets whose flagged values the model's history holds as forecasts.
            `None` takes all. What is counted on from the row before, as a stock is, should
            stay as it is: its next value follows from the flagged one.
        validation: Share of the rows on which the best weights of a network are chosen.
        calibration: Share of the rows, the last ones, for scores and thresholds.

    Attributes:
        forecaster_: The fitted `Forecaster`.
        score_: The fitted `ResidualScore`.
        calibration_: DataFrame with the residuals of the calibration rows.
        expected_alarms_a_day_: Dict from target to the number of flagged rows expected a
            day in all fitted series together, if they stay as they are.
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

    def __init__(
        self,
        model="lstm_regressor",
        targets=None,
        *,
        context_length=28,
        known_future=None,
        calendar=(),
        time=None,
        series=None,
        freq=None,
        irregular="regularise",
        missing="raise",
        limit=10,
        duplicates="raise",
        scaler="standard",
        per_series=True,
        model_options=None,
        score="residual",
        context=(),
        direction="both",
        smooth=None,
        single_rows=True,
        log=(),
        same_row=None,
        threshold="std",
        k=3.0,
        threshold_options=None,
        min_size=0.0,
        confirm=(1, 1),
        gap=0,
        cool_down=0,
        new_normal=None,
        replace=None,
        validation=0.15,
        calibration=0.2,
    ):
        given = {key: value for key, value in locals().items() if key != "self"}
        given["log"] = _listed(log)
        for name in ("targets", "known_future", "replace"):
            if given[name] is not None:
                given[name] = _listed(given[name])
        given["calendar"], given["context"] = _listed(calendar), _listed(context)
        given["confirm"] = list(confirm) if isinstance(confirm, tuple | list) else confirm
        for name in ("model_options", "threshold_options"):
            given[name] = dict(given[name] or {})
        given["same_row"] = {key: _listed(value) for key, value in (same_row or {}).items()}
        self._settings = given
        self._check()
        self.plan_ = None

    @property
    def settings(self):
        """The arguments it was made with, a dict."""
        return dict(self._settings)

    @property
    def is_fitted(self):
        """Whether rows can be judged."""
        return self.plan_ is not None

    def clone(self, **changes):
        """An unfitted detector with the same settings but for the changes."""
        return type(self)(**{**self._settings, **changes})

    def fit(self, frame, *, exclude=(), **training):
        """Learns the usual from a table.

        Args:
            frame: DataFrame in original units, with few anomalies or none.
            exclude: Pairs `(first, last)` of times, both within: rows that are known to be
                wrong, such as an outage. Nothing is learnt from their targets.
            **training: Options of `Forecaster.fit`, such as `epochs` and `seed`.

        Returns:
            The detector.

        Raises:
            ValueError: If the table can't be used; too few rows among the reasons.
        """
        if self._settings["model"] == "auto":
            return self._choose(frame, exclude, training)
        self._log = self._logged_columns(frame)
        logged, self._log_offsets = self._logarithms(frame)
        prepared, real_times = self._prepared(logged, exclude)
        forecaster, subsequence = self._model(prepared, exclude)
        panel = forecaster.panel(prepared, allow_constant=True)
        parts = self._parts(forecaster, panel)
        self._may_fit = not forecaster.is_fitted
        if self._may_fit:
            forecaster.fit(parts.train, validation=parts.validation or 0, **training)
        elif training:
            raise ValueError(
                f"The forecaster is fitted already, so training options do nothing. Received: {sorted(training)}."
            )
        if subsequence is not None:
            subsequence.fit(_target_windows(forecaster, parts.train))
        self.forecaster_, self._subsequence = forecaster, subsequence
        self._fit_aides(frame, exclude, training)
        self._predictors = self._made_predictors()
        self._calibrate(panel, parts.test, real_times)
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
        self._check_fitted()
        if not self._may_fit:
            raise ValueError(
                "A fitted forecaster that was given is not fitted again. Make the detector by the name of its model."
            )
        settings = self._settings
        judged = self.judge(recent).rows
        cleaned = recent.copy()
        times = self._times(cleaned)
        names = np.zeros(len(cleaned)) if settings["series"] is None else cleaned[settings["series"]]
        place = pd.MultiIndex.from_arrays([names, times])
        for target, part in judged[judged["flag"]].groupby("target"):
            of = np.zeros(len(part)) if settings["series"] is None else part["series"]
            wrong = place.isin(pd.MultiIndex.from_arrays([of, part["time"]]))
            cleaned.loc[wrong, target] = np.nan
        challenger = self.clone(
            model=self._chosen,
            missing="interpolate" if settings["missing"] == "raise" else settings["missing"],
        ).fit(cleaned, **training)
        challenger._settings |= {"model": settings["model"], "missing": settings["missing"]}
        keys = ["series", "time", "target"]
        first = challenger.calibration_.index.min()
        both = judged[(judged["time"] >= first) & ~judged["flag"]].merge(
            challenger.judge(recent).rows, on=keys, suffixes=("_champion", "_challenger")
        )
        errors = {
            target: tuple(float(part[f"residual_{who}"].abs().mean()) for who in ("champion", "challenger"))
            for target, part in both.groupby("target")
        }
        ratios = [theirs / max(ours, np.finfo(np.float32).tiny) for ours, theirs in errors.values()]
        is_better = bool(ratios) and float(np.mean(ratios)) < 1
        if is_better:
            before = dict(vars(self))
            vars(self).update(vars(challenger))
            self._before = before
        return {"is_better": is_better, "errors": errors, "rows": len(both)}

    def rollback(self):
        """Goes back to what was learnt before the last `fine_tune` that was taken.

        Raises:
            ValueError: If there is nothing to go back to.
        """
        before = vars(self).get("_before")
        if before is None:
            raise ValueError("There is nothing to go back to: no fine_tune was taken since fit or load.")
        vars(self).clear()
        vars(self).update(before)

    def _choose(self, frame, exclude, training):
        """Fits the candidate that finds faults best that are put into held-out rows."""
        from tfts.anomaly.choice import choose

        chosen, table, why = choose(self, frame, exclude, training)
        options = training if chosen in _networks() else {}
        made = self.clone(model=chosen).fit(frame, exclude=exclude, **options)
        made._settings["model"] = "auto"
        vars(self).update(vars(made))
        self.choice_, self.why_ = table, why
        return self

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
            above the threshold, and the residual large enough) and `direction`.

        Raises:
            KeyError: If a column of `fit` is missing.
            ValueError: If the rows can't be judged.
        """
        return self.judge(frame).rows

    def score(self, frame):
        """`detect` without thresholds: `time`, `series`, `target`, values, `score`."""
        return self.detect(frame).drop(columns=["threshold", "flag", "direction"])

    def events(self, frame):
        """The events in a table, a DataFrame with one row each; see `Event`."""
        return event_table(self.judge(frame).events)

    def judge(self, frame):
        """`detect` and the list of `Event` in one pass: a `Detection`."""
        self._check_fitted()
        times, series, values, names = self._rows(frame)
        began, fitted = Monitor(self, self._start), Monitor(self, self._start).last_times()
        records = began.record()
        found = []
        for code, name in enumerate(names):
            rows = np.flatnonzero(series == code)
            rows = rows[np.argsort(times[rows], kind="stable")]
            if name in fitted and times[rows[0]] <= fitted[name]:
                began.forget(name)
            for row in rows:
                began.take(name, int(times[row]), values[row])
            found += began.hand_over()
        table = self._table(records, times, values, series, names)
        self._compare_rates(table)
        return Detection(table, sorted(found, key=lambda event: event.start))

    def monitor(self, state=None):
        """A live monitor, which goes on from the rows of `fit`.

        Args:
            state: Path of a file that `Monitor.save` wrote, or what `Monitor.get_state`
                gave: goes on from there.

        Returns:
            A `Monitor`.
        """
        self._check_fitted()
        return Monitor(self, self._start if state is None else state)

    def drift_monitor(self, **options):
        """What watches residuals for a slow change, which is no anomaly.

        Args:
            **options: Of `DriftMonitor`.

        Returns:
            A `DriftMonitor` whose reference is the residuals of the calibration rows; give
            its `update` the residuals of `detect` that were not flagged, a column for each
            target.
        """
        self._check_fitted()
        targets = list(self.plan_.targets)
        return DriftMonitor(**options).fit(self.calibration_[targets].to_numpy(), targets)

    def save(self, folder):
        """Writes everything that `load` needs: JSON, `.keras`, Parquet and NumPy arrays.

        The folder appears complete or not at all; an older one is replaced.
        """
        self._check_fitted()
        with replacing_folder(folder) as partial:
            self.forecaster_.save(partial / "forecaster")
            for i, aide in enumerate(self._aides.values()):
                aide.save(partial / f"aide_{i}")
            if self._subsequence is not None:
                np.savez(partial / "subsequence.npz", **self._subsequence.get_state())
            write_table(self.calibration_.reset_index(names="time"), partial / "calibration.parquet")
            write_json({**self._described(), "start": self._start}, partial / "detector.json")

    @classmethod
    def load(cls, folder):
        """The detector that `save` wrote; what it finds is identical.

        Raises:
            FileNotFoundError: If the folder holds no detector.
        """
        path = Path(folder) / "detector.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} holds no detector: {path.name} is not there. Expected a folder that "
                "AnomalyDetector.save wrote."
            )
        described = json.loads(path.read_text())
        forecaster = Forecaster.load(path.parent / "forecaster")
        settings = described["settings"]
        if settings["model"] is None:
            settings["model"] = forecaster
        detector = cls(**settings)
        detector.forecaster_, detector._may_fit = forecaster, described["chosen"] is not None
        detector._aides = {
            target: Forecaster.load(path.parent / f"aide_{i}")
            for i, target in enumerate(settings["same_row"])
        }
        detector._predictors = detector._made_predictors()
        detector._subsequence = None
        if described["chosen"] in SUBSEQUENCES:
            with np.load(path.parent / "subsequence.npz") as arrays:
                detector._subsequence = SUBSEQUENCES[described["chosen"]](**settings["model_options"])
                detector._subsequence.set_state(dict(arrays))
        detector._chosen = described["chosen"]
        learnt = described["learnt"]
        learnt["score"] = ResidualScore.from_state(learnt["score"])
        if learnt["average"] is not None:
            learnt["average"] = RunningAverage.from_state(learnt["average"])
        learnt["thresholds"] = {
            name: [detector._threshold().set_state(state) for state in states]
            for name, states in learnt["thresholds"]
        }
        detector._learnt = learnt
        detector.expected_alarms_a_day_ = described["expected_alarms_a_day"]
        detector._start = described["start"]
        detector.calibration_ = pd.read_parquet(path.parent / "calibration.parquet").set_index("time")
        detector._finish()
        return detector

    def _check(self):
        settings = self._settings
        model = settings["model"]
        if model == "auto":
            if settings["model_options"]:
                raise ValueError("model='auto' takes no `model_options`, which belong to one model.")
        elif isinstance(model, str):
            if model not in SUBSEQUENCES:
                if model not in BASELINES and model not in _networks():
                    raise ValueError(
                        unknown("model", model, [*_networks(), *BASELINES, *SUBSEQUENCES, "auto"])
                    )
            else:
                SUBSEQUENCES[model](**settings["model_options"])
        elif not isinstance(model, Forecaster):
            raise ValueError(
                "`model` must be a name of MODELS, BASELINES or SUBSEQUENCES, or a Forecaster. Received: "
                f"{model!r}."
            )
        if settings["irregular"] not in IRREGULAR:
            raise ValueError(unknown("way of irregular time steps", settings["irregular"], IRREGULAR))
        ResidualScore(settings["score"], settings["direction"])
        if settings["context"] and settings["score"] not in ("scaled", "joint"):
            raise ValueError(
                f"`context` belongs to score='scaled' or 'joint'. Received: score={settings['score']!r}, "
                f"context={settings['context']}."
            )
        self._threshold()
        check_event_options(
            settings["confirm"], settings["gap"], settings["cool_down"], settings["new_normal"]
        )
        for name, high in (("validation", 0.9), ("calibration", 0.9)):
            value = settings[name]
            low = 0 if name == "validation" else 1e-9
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"`{name}` must be a share from 0 to {high}. Received: {name}={value!r}.")
        if settings["smooth"] is not None:
            self._average()
        elif not settings["single_rows"]:
            raise ValueError("Without `smooth` there are only single rows. Received: single_rows=False.")
        least = settings["min_size"]
        for value in least.values() if isinstance(least, dict) else [least]:
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(
                    f"`min_size` must be a number >= 0 or a dict of them. Received: min_size={least!r}."
                )

    def _average(self):
        return RunningAverage(self._settings["smooth"], self._settings["single_rows"])

    def _threshold(self):
        settings = self._settings
        options = settings["threshold_options"]
        if settings["threshold"] in _WITH_K:
            options = {"k": settings["k"], **options}
        elif settings["threshold"] in THRESHOLDS and settings["k"] != 3.0:
            raise ValueError(
                f"`k` belongs to the thresholds {list(_WITH_K)}. Received: threshold={settings['threshold']!r}, "
                f"k={settings['k']}."
            )
        return build_threshold(settings["threshold"], **options)

    def _check_fitted(self):
        if not self.is_fitted:
            raise ValueError(
                "The detector has not learnt anything yet. Call fit first, or AnomalyDetector.load."
            )

    def _is_simple(self, forecaster):
        return isinstance(forecaster.settings["model"], str) and forecaster.settings["model"] in BASELINES

    def _model(self, prepared, exclude):
        """The forecaster, fitted or not, and the unfitted subsequence method if that is wanted."""
        settings = self._settings
        model = settings["model"]
        self._chosen = model if isinstance(model, str) else None
        if isinstance(model, Forecaster):
            return (model if model.is_fitted else model.clone()).on_logarithms(), None
        keys = [k for k in (settings["time"], settings["series"]) if k is not None]
        columns = [str(c) for c in prepared.columns if c not in keys]
        targets, known = settings["targets"], settings["known_future"]
        added = ["step_length", *self._calendar_names()] if self._is_irregular else []
        if known is None:
            known = [] if targets is None else [c for c in columns if c not in targets and c not in added]
        subsequence = None
        if model in SUBSEQUENCES:
            subsequence = SUBSEQUENCES[model](**settings["model_options"])
        forecaster = Forecaster(
            "persistence" if subsequence is not None else model,
            context_length=settings["context_length"],
            horizon=1,
            targets=targets or [c for c in columns if c not in known and c not in added],
            known_future=[*known, *added],
            calendar=() if self._is_irregular else settings["calendar"],
            time=settings["time"],
            series=settings["series"],
            freq="D" if self._is_irregular else settings["freq"],
            missing="drop" if exclude and settings["missing"] == "raise" else settings["missing"],
            limit=settings["limit"],
            duplicates=settings["duplicates"],
            scaler="standard" if settings["scaler"] == "log" else settings["scaler"],
            per_series=settings["per_series"],
            model_options=None if subsequence is not None else settings["model_options"],
        )
        return forecaster, subsequence

    @property
    def _is_irregular(self):
        return self._settings["irregular"] == "step_length"

    def _calendar_names(self):
        empty = pd.DatetimeIndex(["2000-01-01"])
        return list(calendar_columns(empty, self._settings["calendar"]).columns)

    def _prepared(self, frame, exclude):
        """The table as the forecaster is to see it, and the real times where it sees others."""
        settings = self._settings
        if exclude:
            if settings["missing"] == "raise":
                # What else is missing is still an error.
                self._model(frame, ())[0].panel(frame, allow_constant=True)
            frame = frame.copy()
            times = self._times(frame)
            targets = settings["targets"] or self._model(frame, ())[0].panel(frame, True).targets
            for first, last in exclude:
                wrong = (times >= pd.Timestamp(first)) & (times <= pd.Timestamp(last))
                frame.loc[np.asarray(wrong), list(targets)] = np.nan
        if not self._is_irregular:
            return frame, None
        times = self._times(frame)
        keys = frame[settings["series"]] if settings["series"] is not None else np.zeros(len(frame))
        order = np.lexsort((times.asi8, pd.factorize(keys, sort=True)[0]))
        frame, times = frame.iloc[order].copy(), times[order]
        same = np.asarray(keys)[order]
        first = np.append(True, same[1:] != same[:-1])
        if settings["duplicates"] in ("first", "last"):
            keep = "first" if settings["duplicates"] == "first" else "last"
            same_time = pd.MultiIndex.from_arrays([same, times]).duplicated(keep=keep)
            frame, times, same = frame[~same_time].copy(), times[~same_time], same[~same_time]
            first = np.append(True, same[1:] != same[:-1])
        steps = np.diff(times.as_unit("ns").asi8, prepend=0)
        if (steps[~first] <= 0).any():
            row = np.flatnonzero(~first & (steps <= 0))[0]
            raise ValueError(
                f"Two rows of one series have the time {times[row]}. Expected one row for each time, or "
                "duplicates='first' or 'last'."
            )
        self._step = int(np.median(steps[~first])) if (~first).any() else 1
        frame["step_length"] = np.where(first, 1.0, steps / self._step)
        for name, column in calendar_columns(times, settings["calendar"]).items():
            frame[name] = column.to_numpy()
        place = np.arange(len(frame)) - np.maximum.accumulate(np.where(first, np.arange(len(frame)), 0))
        numbered = pd.Timestamp("2000-01-01") + pd.to_timedelta(place, unit="D")
        if settings["time"] is None:
            frame.index = pd.DatetimeIndex(numbered, name=frame.index.name)
        else:
            frame[settings["time"]] = numbered
        return frame, times

    def _logged_columns(self, frame):
        """Columns that the model is to see as logarithms: those of `log`, and all targets of scaler="log"."""
        settings, model = self._settings, self._settings["model"]
        own = model.settings if isinstance(model, Forecaster) else settings
        if own["scaler"] != "log":
            return settings["log"]
        targets = own["targets"]
        if targets is None:
            other = {own["time"], own["series"], *(own["known_future"] or ())}
            targets = [str(column) for column in frame.columns if column not in other]
        return [*targets, *(column for column in settings["log"] if column not in targets)]

    def _logarithms(self, frame, without=()):
        """The table with logarithms in the columns of `log`, and what was added before."""
        model, series = self._settings["model"], self._settings["series"]
        columns = [column for column in self._log if column not in without]
        fitted = isinstance(model, Forecaster) and model.is_fitted and model.settings["scaler"] == "log"
        share = _LEAST_OFFSET if fitted else _LOG_OFFSET
        log_offsets = [[None, []]]
        if not columns:
            return frame, log_offsets
        for column in columns:
            if column not in frame.columns:
                raise KeyError(unknown("column in log:", column, frame.columns))
        whole = frame[columns].astype(np.float64)
        offsets = whole.abs().median() * share
        log_offsets = [[None, offsets.tolist()]]
        frame = frame.copy()
        added = np.broadcast_to(offsets.to_numpy(), whole.shape)
        if series is not None and series in frame.columns:
            each = whole.abs().groupby(frame[series].to_numpy()).median() * share
            log_offsets += [[_plain_name(name), row.tolist()] for name, row in each.iterrows()]
            added = each.loc[frame[series].to_numpy()].to_numpy()
        shifted = whole.to_numpy() + added
        if (shifted <= 0).any():
            row, i = np.argwhere(shifted <= 0)[0]
            raise ValueError(
                f"Column {columns[i]!r} is to be seen as a logarithm, so its values must be 0 or above. Received: "
                f"{whole.iloc[row, i]:.4g} in row {row}."
            )
        frame[columns] = np.log(shifted)
        return frame, log_offsets

    def _times(self, frame):
        name = self._settings["time"]
        if name is not None and name not in frame.columns:
            raise KeyError(unknown("time column", name, frame.columns))
        return pd.DatetimeIndex(frame.index if name is None else pd.to_datetime(frame[name]))

    def _made_predictors(self):
        return {name: predictor_of(f) for name, f in {None: self.forecaster_, **self._aides}.items()}

    def _calibrate(self, panel, part, real_times):
        """Score, thresholds and start from the residuals of the calibration rows."""
        settings, forecaster = self._settings, self.forecaster_
        own = forecaster.settings
        times = panel.times if real_times is None else real_times
        self._learnt = {
            "time_name": panel.time_name,
            "series_name": own["series"],
            "columns": [c for c in panel.columns if c not in self._made_columns(panel)],
            "series": list(panel.series),
            "freq": panel.freq,
            "tz": None if times.tz is None else str(times.tz),
            "step": self._step if self._is_irregular else _usual_step(panel.times),
            "log": self._log,
            "log_offsets": self._log_offsets,
        }
        rows = forecaster.spec.origins(part)
        residual = self._residuals(part, rows)
        series = part.series_of(rows)
        scales = np.array([forecaster.scaler_.affine(name, panel.targets)[1] for name in panel.series])
        score = ResidualScore(settings["score"], settings["direction"])
        self._learnt |= {"score": score, "average": None, "thresholds": {None: None}}
        # A plan of what is known so far reads rows as the monitor will.
        plan = self._planned()
        for target, aided in self._aided_residuals(part, rows).items():
            i = panel.targets.index(target)
            residual[:, i] = np.where(np.abs(aided) < np.abs(residual[:, i]), aided, residual[:, i])
        scored = residual / scales[series] if score.is_pooled else residual
        if settings["smooth"] is not None:
            self._learnt["average"] = self._average().fit(scored, series)
            scored = self._learnt["average"].apply(scored, series)
        columns = [panel.values[rows + 1][:, plan.context_at]]
        if plan.clocks:
            columns.append(calendar_columns(times[rows + 1], plan.clocks).to_numpy())
        contexts = np.concatenate(columns, axis=1).astype(np.float64)
        contexts = contexts if contexts.shape[1] else None
        score.fit(scored, contexts, 1.0 if score.is_pooled else scales.mean(axis=0))
        for i, target in enumerate(panel.targets):
            if np.nanmin(residual[:, i]) == np.nanmax(residual[:, i]):
                warnings.warn(
                    f"All {len(residual)} calibration residuals of {target!r} are {residual[0, i]:g}: nothing tells "
                    "how far its values usually lie from their forecast, so any change will be flagged. Calibrate "
                    "on more varied rows, or set `min_size`.",
                    stacklevel=4,
                )
        sizes, _ = score.apply(scored, contexts)
        groups = {None: np.ones(len(rows), dtype=bool)}
        if not score.is_pooled and len(panel.series) > 1:
            groups |= {panel.series[i]: series == i for i in np.unique(series)}
        self._learnt["thresholds"] = {
            name: [
                self._threshold().fit(sizes[mine, i], symmetric=score.is_symmetric)
                for i in range(len(panel.targets))
            ]
            for name, mine in groups.items()
        }
        self.calibration_ = pd.DataFrame(residual, columns=list(panel.targets), index=times[rows + 1])
        self.calibration_.insert(0, "series", np.asarray(panel.series, dtype=object)[series])
        a_day = _DAY / self._learnt["step"] * len(panel.series)
        self.expected_alarms_a_day_ = {
            target: threshold.rate_ * a_day
            for target, threshold in zip(panel.targets, self._learnt["thresholds"][None], strict=True)
        }
        self._start = None
        self._finish()
        self._start = self._primed(panel, times)

    def _made_columns(self, panel):
        """Columns that the user's table does not have."""
        made = ["step_length", *self._calendar_names()] if self._is_irregular else []
        return [*made, *(c for c in panel.known_future if c not in self.forecaster_.settings["known_future"])]

    def _planned(self):
        calendar = self._settings["calendar"]
        calendar = calendar if self._is_irregular else self.forecaster_.settings["calendar"]
        # A detector that an older version saved does not say which columns it took.
        log = self._learnt.get("log", self._settings["log"])
        settings = {**self._settings, "calendar": calendar, "log": log}
        aides = {name: (aide, self._predictors[name]) for name, aide in self._aides.items()}
        return Plan(
            settings, self.forecaster_, self._predictors[None], aides, self._subsequence, self._learnt
        )

    def _residuals(self, part, rows):
        """Residuals of the rows after the given ones, `(rows, targets)`."""
        forecaster = self.forecaster_
        if self._subsequence is None:
            predicted = forecaster.forecast_windows(part, rows)[:, 0]
            return forecaster.actual(part, rows)[:, 0].astype(np.float64) - predicted
        _, residual = distances(self._subsequence, _target_windows(forecaster, part, rows))
        names = np.asarray(part.series, dtype=object)[part.series_of(rows)]
        pairs = {name: forecaster.scaler_.affine(name, part.targets) for name in part.series}
        scale = np.stack([pairs[name][1] for name in names])
        seen = ~np.isnan(forecaster.actual(part, rows)[:, 0])
        return np.where(seen, residual * scale, np.nan)

    def _fit_aides(self, frame, exclude, training):
        """A forecaster for each target of `same_row`, which sees the other targets named there."""
        main, same_row = self.forecaster_, self._settings["same_row"]
        self._aides, self._aide_parts, self._before = {}, {}, None
        for target, sources in same_row.items():
            for name in (target, *sources):
                if name not in main.targets:
                    raise ValueError(unknown("target in same_row:", name, main.targets))
            if self._subsequence is not None or not self._may_fit:
                raise ValueError(
                    "`same_row` needs forecasters that are fitted here, by name or from an unfitted Forecaster. "
                    f"Received: {self._chosen or 'a fitted Forecaster'}."
                )
            known = [*main.settings["known_future"], *sources]
            changes = {"targets": [target], "known_future": known, "per_series": False}
            aide = Forecaster(**{**main.settings, **changes})
            prepared, _ = self._prepared(self._logarithms(frame, without=sources)[0], exclude)
            parts = self._parts(aide, aide.panel(prepared, allow_constant=True))
            self._aides[target] = aide.fit(parts.train, validation=parts.validation or 0, **training)
            self._aide_parts[target] = parts.test

    def _aided_residuals(self, part, rows):
        """Target -> residuals `(rows,)` of its aide for the rows after the given ones."""
        residuals = {}
        wanted = pd.MultiIndex.from_arrays([part.series_of(rows), part.times[rows + 1]])
        for target, aide in self._aides.items():
            # Its panel can have other rows at the ends of the series.
            own = self._aide_parts[target]
            origins = aide.spec.origins(own)
            left = aide.actual(own, origins)[:, 0, 0] - aide.forecast_windows(own, origins)[:, 0, 0]
            index = pd.MultiIndex.from_arrays([own.series_of(origins), own.times[origins + 1]])
            residuals[target] = pd.Series(left, index=index).reindex(wanted).to_numpy()
        return residuals

    def _parts(self, forecaster, panel):
        share = 0 if self._is_simple(forecaster) else self._settings["validation"]
        return chronological_split(panel, share, self._settings["calibration"])

    def _primed(self, panel, times):
        """State of a monitor that has seen the last rows of the table."""
        monitor = Monitor(self)
        at = panel.indices(self.plan_.columns)
        keep = self.plan_.memory + self.plan_.spare
        stamps = times.as_unit("ns").asi8
        for name, span in zip(panel.series, panel.spans, strict=True):
            for row in range(max(span.start, span.observed_end - keep), span.observed_end):
                monitor.prime(name, int(stamps[row]), panel.values[row, at].astype(np.float64))
        return monitor.get_state()

    def _described(self):
        settings = dict(self._settings)
        if not isinstance(settings["model"], str):
            settings["model"] = None
        learnt = dict(self._learnt)
        learnt["score"] = learnt["score"].get_state()
        if learnt["average"] is not None:
            learnt["average"] = learnt["average"].get_state()
        learnt["thresholds"] = [
            [name, [threshold.get_state() for threshold in thresholds]]
            for name, thresholds in learnt["thresholds"].items()
        ]
        return {
            "tfts": __version__,
            "settings": settings,
            "chosen": self._chosen,
            "learnt": learnt,
            "expected_alarms_a_day": self.expected_alarms_a_day_,
        }

    def _finish(self):
        plain = json.dumps(self._described(), sort_keys=True, default=str)
        self.fingerprint_ = hashlib.sha256(plain.encode()).hexdigest()[:16]
        self.plan_ = self._planned()
        self.score_ = self._learnt["score"]

    def _rows(self, frame):
        """Times in nanoseconds, series codes, values and series names of a table."""
        plan = self.plan_
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"Expected a pandas DataFrame. Received: {type(frame).__name__}.")
        if frame.empty:
            raise ValueError("The table is empty. Expected at least one row.")
        for column in plan.keys:
            if column not in frame.columns and not (column == plan.time_name and self._own_time is None):
                raise KeyError(
                    unknown("column", column, frame.columns) + f" The detector was fitted with {column!r}."
                )
        if self._own_time is None:
            if not isinstance(frame.index, pd.DatetimeIndex):
                raise ValueError(
                    f"Expected a table with a DatetimeIndex, as in fit. Received: {type(frame.index).__name__}."
                )
            times = frame.index
        else:
            times = pd.DatetimeIndex(pd.to_datetime(frame[self._own_time]))
        if times.hasnans:
            raise ValueError(f"The time is missing in row {np.flatnonzero(times.isna())[0]}.")
        tz = plan.clock.tz
        if (times.tz is None) != (tz is None):
            raise ValueError(
                f"The times of the fitted rows had the time zone {tz}, but the table has {times.tz}."
            )
        values = np.empty((len(frame), len(plan.columns)))
        for i, column in enumerate(plan.columns):
            try:
                values[:, i] = pd.to_numeric(frame[column]).to_numpy(dtype=np.float64, na_value=np.nan)
            except (ValueError, TypeError) as error:
                raise ValueError(f"Column {column!r} holds values that are no numbers ({error}).") from error
        if plan.series_name is None:
            return times.as_unit("ns").asi8, np.zeros(len(frame), dtype=np.int64), values, [""]
        codes, names = pd.factorize(frame[plan.series_name], sort=True)
        names = [plan.known_name(n.item() if isinstance(n, np.generic) else n) for n in names]
        return times.as_unit("ns").asi8, codes, values, names

    @property
    def _own_time(self):
        return self.forecaster_.settings["time"]

    def _table(self, records, times, values, series, names):
        plan, count = self.plan_, self.plan_.num_targets
        columns = [
            "time",
            "series",
            "target",
            "actual",
            "predicted",
            "residual",
            "score",
            "threshold",
            "flag",
        ]
        if not records:
            return pd.DataFrame(columns=[*columns, "direction"])
        who, when, actual, predicted, residual, sizes, limits, flags = zip(*records, strict=True)
        stamps = pd.DatetimeIndex(np.repeat(np.array(when, dtype="datetime64[ns]"), count))
        if plan.clock.tz is not None:
            stamps = stamps.tz_localize("UTC").tz_convert(plan.clock.tz)
        parts = [np.array(part).ravel() for part in (actual, predicted, residual, sizes, limits, flags)]
        targets = np.tile(np.asarray(plan.targets, dtype=object), len(when))
        holder = np.empty(len(who), dtype=object)
        holder[:] = who
        table = pd.DataFrame(
            dict(zip(columns, [stamps, np.repeat(holder, count), targets, *parts], strict=True))
        )
        table["direction"] = np.where(table["residual"] < 0, "down", "up")
        return table

    def _compare_rates(self, table):
        """Warns where flags are far more or fewer than calibration promised."""
        from scipy.stats import binom

        for i, target in enumerate(self.plan_.targets):
            mine = table[(table["target"] == target) & table["actual"].notna()]
            rate, rows, flagged = (
                self._learnt["thresholds"][None][i].rate_,
                len(mine),
                int(mine["flag"].sum()),
            )
            many = flagged > _FAR * rate * rows and binom.sf(flagged - 1, rows, rate) < 1e-3
            few = flagged < rate * rows / _FAR and binom.cdf(flagged, rows, rate) < 1e-3
            if many or few:
                warnings.warn(
                    f"{flagged} of {rows} rows of {target!r} were flagged ({100 * flagged / max(rows, 1):.3g} %), "
                    f"but the threshold expects {100 * rate:.3g} %: the rows hold many or long "
                    "anomalies, or are not like the calibration rows. Look at the events, or fit again.",
                    stacklevel=4,
                )


def _target_windows(forecaster, panel, rows=None):
    """Scaled targets of whole windows, the judged row last: `(windows, context_length, targets)`."""
    rows = forecaster.spec.origins(panel) if rows is None else rows
    scaled = forecaster.scaler_.transform(panel)
    at = rows[:, None] + np.arange(2 - forecaster.spec.context_length, 2)
    return scaled.values[at][..., panel.indices(panel.targets)].astype(np.float64)


def _usual_step(times):
    steps = np.diff(times.as_unit("ns").asi8)
    return int(np.median(steps[steps > 0])) if (steps > 0).any() else _DAY


def _networks():
    from tfts.models import MODELS

    return MODELS


def _plain_name(name):
    return name.item() if isinstance(name, np.generic) else name


def _listed(names):
    return [names] if isinstance(names, str) else list(names)
