"""What a detector has learnt, apart from its settings: one value, which a folder can hold."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from tfts._files import check_version, read_arrays, replacing_folder, write_json, write_table, written_by
from tfts.anomaly.habits import Habits
from tfts.anomaly.limits import Limits
from tfts.anomaly.monitor import Monitor
from tfts.anomaly.plan import Plan
from tfts.anomaly.settings import Settings
from tfts.anomaly.subsequence import SUBSEQUENCES
from tfts.anomaly.tables import Logarithms
from tfts.data.times import nanoseconds
from tfts.errors import MissingFileError
from tfts.forecaster import Forecaster


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the rows look like that a detector was fitted on.

    Attributes:
        time_name: Name of the time.
        series_name: Name of the column that tells the series apart, or `None`.
        columns: The user's columns that a row must have, tuple.
        series: Names of the fitted series, tuple.
        freq: Time step as a pandas offset alias.
        tz: Time zone, or `None`.
        step: Int, nanoseconds of a usual step.
        logs: The `Logarithms`.

    Example:

    >>> layout = Layout("time", None, ("y",), ("",), "h", None, 3_600_000_000_000, Logarithms())
    >>> Layout.from_state(layout.get_state()) == layout
    True
    """

    time_name: str
    series_name: str | None
    columns: tuple
    series: tuple
    freq: str
    tz: str | None
    step: int
    logs: Logarithms

    def get_state(self):
        """Plain data for a JSON file."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_state(cls, state):
        """The layout that `get_state` described."""
        logs = state["logs"]
        logs = Logarithms(tuple(logs["columns"]), tuple((name, added) for name, added in logs["offsets"]))
        names = {name: tuple(state[name]) for name in ("columns", "series")}
        return cls(**{**state, **names, "logs": logs})


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What `AnomalyDetector.fit` learns; `fine_tune` and `rollback` exchange it as a whole.

    Attributes:
        forecaster: The fitted `Forecaster`.
        aides: Dict from target to a fitted `Forecaster` that sees other targets of its row.
        subsequence: The fitted subsequence method, or `None`.
        method: Name of the model, subsequence method or baseline; `None` of a forecaster
            that was given.
        may_fit: Whether the forecaster was fitted here, and not given fitted.
        layout: The `Layout`.
        limits: The `Limits`.
        habits: The `Habits` of the targets.
        calibration: DataFrame with the residuals of the calibration rows.
        expected_alarms_a_day: Dict from target to float.
        plan: The `Plan` that rows are judged by.
        start: State of a monitor that has seen the last fitted rows.
        choice: DataFrame of the candidates of `model="auto"`, or `None`.
        why: The reason for the choice, or `None`.

    Example:

    >>> from tfts.anomaly.detector import AnomalyDetector
    >>> frame = pd.DataFrame({"y": np.arange(50.0) % 7}, index=pd.date_range("2024-01-01", periods=50))
    >>> made = AnomalyDetector("running_median", context_length=2).fit(frame)
    >>> made.save("detector")
    >>> again = Fitted.load("detector")[1]
    >>> again.method, again.layout.columns, again.plan.fingerprint == made.fingerprint_
    ('running_median', ('y',), True)
    """

    forecaster: Forecaster
    aides: dict
    subsequence: object
    method: str | None
    may_fit: bool
    layout: Layout
    limits: Limits
    habits: Habits
    calibration: pd.DataFrame
    expected_alarms_a_day: dict
    plan: Plan
    start: dict | None = None
    choice: pd.DataFrame | None = None
    why: str | None = None

    @classmethod
    def of(cls, plan, settings, fingerprint=None, **learnt):
        """Completes what was learnt with the plan that judges by it.

        Args:
            plan: A `Plan` that knows how to forecast.
            settings: The `Settings`.
            fingerprint: Of the plan; `None` makes one.
            **learnt: The other attributes.
        """
        if fingerprint is None:
            plain = json.dumps(_described(settings, **learnt), sort_keys=True, default=str)
            fingerprint = hashlib.sha256(plain.encode()).hexdigest()[:16]
        plan = plan.used_to(learnt["habits"]).judging(learnt["limits"], fingerprint)
        return cls(plan=plan, **learnt)

    def primed(self, panel, times):
        """The same with the state of a monitor that has seen the last rows of a panel."""
        plan = self.plan
        monitor = Monitor(plan)
        at = panel.indices(plan.columns)
        keep = plan.memory + plan.spare
        stamps = nanoseconds(times)
        for name, span in zip(panel.series, panel.spans, strict=True):
            for row in range(max(span.start, span.observed_end - keep), span.observed_end):
                monitor.prime(name, int(stamps[row]), panel.values[row, at].astype(np.float64))
        return dataclasses.replace(self, start=monitor.get_state())

    def save(self, folder, settings):
        """Writes all of it and the settings; the folder appears complete or not at all."""
        with replacing_folder(folder) as partial:
            self.forecaster.save(partial / "forecaster")
            for i, aide in enumerate(self.aides.values()):
                aide.save(partial / f"aide_{i}")
            if self.subsequence is not None:
                np.savez(partial / "subsequence.npz", **self.subsequence.get_state())
            write_table(self.calibration.reset_index(names="time"), partial / "calibration.parquet")
            fields = ("method", "may_fit", "layout", "limits", "habits", "expected_alarms_a_day")
            described = _described(settings, **{name: getattr(self, name) for name in fields})
            if self.choice is not None:
                write_table(self.choice, partial / "choice.parquet")
            described |= {"fingerprint": self.plan.fingerprint, "why": self.why, "start": self.start}
            write_json({**written_by(), **described}, partial / "detector.json")

    @classmethod
    def load(cls, folder):
        """What `save` wrote, a tuple of the `Settings` and a `Fitted`.

        Raises:
            FileNotFoundError: If the folder holds no detector.
            ValueError: If another version wrote it in another form.
        """
        path = Path(folder) / "detector.json"
        if not path.is_file():
            raise MissingFileError(
                f"{folder} holds no detector: {path.name} is not there. Expected a folder that "
                "AnomalyDetector.save wrote."
            )
        described = json.loads(path.read_text())
        check_version(described, path)
        forecaster = Forecaster.load(path.parent / "forecaster")
        settings = _settings_of(described["settings"], forecaster)
        aides = {
            target: Forecaster.load(path.parent / f"aide_{i}")
            for i, target in enumerate(settings.scoring.same_row)
        }
        method, subsequence = described["method"], None
        if method in SUBSEQUENCES:
            subsequence = SUBSEQUENCES[method](**settings.learning.model_options)
            subsequence.set_state(read_arrays(path.parent / "subsequence.npz"))
        layout = Layout.from_state(described["layout"])
        made = cls.of(
            Plan(settings, forecaster, aides, subsequence, layout),
            settings,
            described["fingerprint"],
            forecaster=forecaster,
            aides=aides,
            subsequence=subsequence,
            method=method,
            may_fit=described["may_fit"],
            layout=layout,
            limits=Limits.from_state(described["limits"], settings.scoring),
            habits=Habits.from_state(described["habits"]),
            calibration=pd.read_parquet(path.parent / "calibration.parquet").set_index("time"),
            expected_alarms_a_day=described["expected_alarms_a_day"],
        )
        choice = path.parent / "choice.parquet"
        return settings, dataclasses.replace(
            made,
            start=described["start"],
            choice=pd.read_parquet(choice) if choice.is_file() else None,
            why=described["why"],
        )


def _described(settings, *, method, may_fit, layout, limits, habits, expected_alarms_a_day, **_):
    """What is plain data of a detector, a dict for JSON."""
    options = settings.flat()
    if settings.learning.name is None:
        own = options["model"].settings
        options["model"] = {**own, "model": own["model"] if isinstance(own["model"], str) else None}
    return {
        "settings": options,
        "method": method,
        "may_fit": may_fit,
        "layout": layout.get_state(),
        "limits": limits.get_state(),
        "habits": habits.get_state(),
        "expected_alarms_a_day": expected_alarms_a_day,
    }


def _settings_of(options, forecaster):
    """Settings from plain data; a forecaster among them has the network of the fitted one, if it had its own."""
    model = options["model"]
    if not isinstance(model, str):
        own = forecaster.clone().settings["model"] if model["model"] is None else model["model"]
        options = {**options, "model": Forecaster(**{**model, "model": own})}
    return Settings.of(**options)
