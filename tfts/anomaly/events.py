"""Flagged rows become events: one each, with a start, an end, a peak and its causes."""

import copy
import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfts.errors import SettingError

# Of what is rarer no one can tell how rare it is.
_RAREST = 1_000_000
SEVERITIES = {"low": 1.0, "medium": 1.5, "high": 3.0}


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that went wrong in one series, told once.

    Attributes:
        series: Name of the series.
        start: Time of the first flagged row.
        end: Time of the last flagged row so far.
        detected: Time of the row at which the alarm was raised.
        peak: Time of the row that was furthest above its threshold.
        targets: Names of the targets that were flagged, the largest part first.
        shares: The part of each of `targets` in the evidence, adding up to 1.
        direction: `"up"` or `"down"`: the side on which the first target lay at the peak.
        actual: Value of the first target at the peak, original units.
        predicted: What was expected there, original units.
        strength: Largest size in the event, in multiples of its threshold.
        rows: Flagged rows.
        kind: `"event"`, or `"level shift"` where the rows were taken for the new normal.
        is_open: Whether the event goes on.
        probability: How probable a value as far out as that of the first target at the peak is in usual
            rows; `None` but for `threshold="interval"`.

    Example:

    >>> day = pd.Timestamp("2024-03-05")
    >>> event = Event("store 7", day, day, day, day, ("sales",), (1.0,), "down", 12.0, 80.0, 2.0, 1)
    >>> event.severity, event.size
    ('medium', -68.0)
    >>> event.sentence
    'store 7: sales was 12 on 2024-03-05, 68 below the 80 expected; medium severity.'
    """

    series: str
    start: pd.Timestamp
    end: pd.Timestamp
    detected: pd.Timestamp
    peak: pd.Timestamp
    targets: tuple
    shares: tuple
    direction: str
    actual: float
    predicted: float
    strength: float
    rows: int
    kind: str = "event"
    is_open: bool = False
    probability: float | None = None

    @property
    def size(self):
        """Actual less predicted at the peak, original units."""
        return self.actual - self.predicted

    @property
    def severity(self):
        """`"low"`, `"medium"` (1.5 times the threshold) or `"high"` (3 times)."""
        return [name for name, least in SEVERITIES.items() if self.strength >= least or least == 1.0][-1]

    @property
    def sentence(self):
        """The event in one sentence."""
        side = "above" if self.direction == "up" else "below"
        who = f"{self.series}: " if str(self.series) else ""
        text = f"{who}{self.targets[0]} was {_number(self.actual)} on {_shown(self.peak)}, "
        text += f"{_number(abs(self.size))} {side} the {_number(self.predicted)} expected"
        if self.kind == "level shift":
            text += ", and stayed there: the new normal"
        if self.rows > 1:
            text += f", with {self.rows} unusual rows from {_shown(self.start)} to {_shown(self.end)}"
        if len(self.targets) > 1:
            text += "; also " + ", ".join(self.targets[1:])
        if self.probability is not None and self.probability < 0.5:
            text += f"; a value this far out is expected {_often(self.probability)}"
        return f"{text}; {self.severity} severity."

    def to_dict(self):
        """The event as plain data for JSON: times as ISO text, with severity and sentence."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields = {k: v.isoformat() if isinstance(v, pd.Timestamp) else v for k, v in fields.items()}
        fields["targets"], fields["shares"] = list(self.targets), list(self.shares)
        fields |= {"size": self.size, "severity": self.severity, "sentence": self.sentence}
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in fields.items()}


class Judged(NamedTuple):
    """What is known of one row of one series; the lists have an entry for each target."""

    time: pd.Timestamp
    flags: list
    strengths: list
    actual: list
    predicted: list
    shares: list | None
    probabilities: list | None = None


class EventTracker:
    """Joins the flagged rows of one series into events, row by row.

    Args:
        series: Name of the series.
        targets: Names of the targets.
        confirm: `(m, n)`: an alarm is raised when `m` of the last `n` rows are flagged.
        gap: Rows without a flag that an event may hold; after more of them it is over.
        cool_down: Rows after an alarm in which flagged rows still belong to its event,
            however far apart.
        longest: Rows after which an event whose rows are mostly flagged is closed as a
            level shift. `None` closes none.

    Raises:
        ValueError: If an option is out of range.

    Example:

    >>> tracker = EventTracker("store 7", ["sales"], gap=1)
    >>> days = pd.date_range("2024-03-01", periods=5)
    >>> for day, flag in zip(days, [True, False, True, False, False]):
    ...     opened, closed = tracker.update(Judged(day, [flag], [2.0], [1.0], [9.0], None))
    ...     if opened:
    ...         print("alarm", opened.detected.date())
    alarm 2024-03-01
    >>> closed.start.date(), closed.end.date(), closed.rows
    (datetime.date(2024, 3, 1), datetime.date(2024, 3, 3), 2)
    """

    def __init__(self, series, targets, confirm=(1, 1), gap=0, cool_down=0, longest=None):
        check_event_options(confirm, gap, cool_down, longest)
        self.series = series
        self.targets = list(targets)
        self.confirm, self.gap, self.cool_down, self.longest = tuple(confirm), gap, cool_down, longest
        # The rows of the open event, one dict; JSON can hold it but for its times.
        self._open = None
        self._recent = []

    def update(self, row):
        """Takes the next row.

        Args:
            row: A `Judged`.

        Returns:
            Tuple `(opened, closed)`: the event to raise an alarm for, and the event that is
            over, each an `Event` or `None`.
        """
        flagged = any(row.flags)
        event = self._open
        if event is None and not flagged:
            return None, None
        wanted, of = self.confirm
        self._recent = [*self._recent, flagged][-of:]
        if event is None:
            self._open = event = {
                "start": row.time,
                "detected": None,
                "age": 0,
                "quiet": 0,
                "since_alarm": 0,
                "rows": 0,
                "evidence": [0.0] * len(self.targets),
                "strength": 0.0,
                "probability": None,
            }
        event["age"] += 1
        event["since_alarm"] += event["detected"] is not None
        if flagged:
            self._add(event, row)
        else:
            event["quiet"] += 1
        opened = None
        if event["detected"] is None and sum(self._recent) >= wanted:
            event["detected"] = row.time
            opened = self._event(event, is_open=True)
        is_over, closed = self._over(event)
        if is_over:
            self._open, self._recent = None, []
        return opened, closed

    @property
    def is_idle(self):
        """Whether a row without a flag would change nothing."""
        return self._open is None

    def finish(self):
        """The open event, which is not over, or `None`; nothing changes."""
        if self._open is None or self._open["detected"] is None:
            return None
        return self._event(self._open, is_open=True)

    def _add(self, event, row):
        event["quiet"] = 0
        event["rows"] += 1
        event["end"] = row.time
        for i, flag in enumerate(row.flags):
            if flag:
                part = 1.0 if row.shares is None else row.shares[i]
                event["evidence"][i] += part * row.strengths[i] ** 2
        strongest = max(s for s, flag in zip(row.strengths, row.flags, strict=True) if flag)
        if strongest > event["strength"]:
            event["strength"], event["peak"] = strongest, row.time
            event["actual"], event["predicted"] = list(row.actual), list(row.predicted)
            event["probability"] = None if row.probabilities is None else list(row.probabilities)

    def _over(self, event):
        """Whether the event is over, and what is to be told of it."""
        if event["detected"] is None:
            # Not confirmed yet: it waits as long as its first row can still count.
            return event["quiet"] > max(self.gap, self.confirm[1] - 2), None
        if self.longest is not None and event["age"] >= self.longest and 2 * event["rows"] > event["age"]:
            return True, self._event(event, kind="level shift")
        if event["quiet"] > self.gap and event["since_alarm"] >= self.cool_down:
            return True, self._event(event)
        return False, None

    def _event(self, event, **changes):
        evidence = np.array(event["evidence"])
        order = [i for i in np.argsort(-evidence, kind="stable") if evidence[i] > 0]
        first, total = order[0], evidence.sum()
        actual, predicted = event["actual"][first], event["predicted"][first]
        return Event(
            series=self.series,
            start=event["start"],
            end=event["end"],
            detected=event["detected"],
            peak=event["peak"],
            targets=tuple(self.targets[i] for i in order),
            shares=tuple(float(evidence[i] / total) for i in order),
            direction="up" if actual >= predicted else "down",
            actual=float(actual),
            predicted=float(predicted),
            strength=float(event["strength"]),
            rows=event["rows"],
            probability=None if event["probability"] is None else event["probability"][first],
            **changes,
        )

    def get_state(self):
        """The open event, as plain data for a JSON file."""
        event = self._open
        if event is not None:
            event = {k: v.isoformat() if isinstance(v, pd.Timestamp) else v for k, v in event.items()}
        return {"open": copy.deepcopy(event), "recent": list(self._recent)}

    def set_state(self, state):
        """Takes what `get_state` of a tracker with the same options gave.

        Returns:
            The tracker.
        """
        event = state["open"]
        if event is not None:
            times = ("start", "end", "peak", "detected")
            event = copy.deepcopy(event)
            event |= {k: pd.Timestamp(event[k]) for k in times if event[k] is not None}
        self._open, self._recent = event, list(state["recent"])
        return self


def _number(value):
    """Four digits, and a large number without an exponent."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def _often(probability):
    """A probability in words; `n` held-out rows can't tell how much rarer a value is than once in `n + 1`."""
    if not probability * _RAREST > 1:
        return f"less than once in {_RAREST:,} rows"
    return f"at most once in {float(f'{1 / probability:.2g}'):,.0f} rows"


def event_table(events):
    """Events as a DataFrame, one row each, in the order of their start.

    Example:

    >>> day = pd.Timestamp("2024-03-05")
    >>> event = Event("", day, day, day, day, ("sales",), (1.0,), "down", 12.0, 80.0, 2.0, 1)
    >>> event_table([event])[["start", "target", "size", "severity"]]
           start target  size severity
    0 2024-03-05  sales -68.0   medium
    """
    columns = [field.name for field in dataclasses.fields(Event)]
    rows = [{c: getattr(event, c) for c in columns} for event in events]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(columns.index("targets"), "target", [event.targets[0] for event in events])
    for name in ("size", "severity", "sentence"):
        table[name] = [getattr(event, name) for event in events]
    return table.sort_values("start", kind="stable", ignore_index=True)


def check_event_options(confirm, gap, cool_down, longest):
    """Raises a ValueError unless the options of an `EventTracker` are in range.

    Example:

    >>> check_event_options(confirm=(2, 3), gap=1, cool_down=0, longest=None)
    """
    pair = list(confirm) if isinstance(confirm, tuple | list) else []
    if len(pair) != 2 or not all(_is_whole(n, 1) for n in pair) or pair[0] > pair[1]:
        raise SettingError(
            f"`confirm` must be (m, n), ints with 1 <= m <= n: m flagged of the last n rows. Received: "
            f"confirm={confirm!r}."
        )
    for name, value in (("gap", gap), ("cool_down", cool_down)):
        if not _is_whole(value, 0):
            raise SettingError(f"`{name}` must be an int >= 0 (rows). Received: {name}={value!r}.")
    if longest is not None and not _is_whole(longest, 2):
        raise SettingError(f"`longest` must be an int >= 2 (rows) or None. Received: longest={longest!r}.")


def _is_whole(value, least):
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least


def _shown(time):
    """A time without the part that says nothing."""
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"
