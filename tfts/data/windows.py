"""Windows of a panel, addressed by their origin and gathered batch by batch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts.data._arrays import aligned_empty
from tfts.data._batches import as_written, batches, drawn_by_series, on_host, places_of, plain
from tfts.data.holes import filled_tensors, neighbours_of
from tfts.errors import DataError, SettingError

if TYPE_CHECKING:
    import tensorflow as tf

    from tfts.data.panel import Panel


# Windows whose order is shuffled whole at the start of an epoch; above, place by place.
_SORTED = 4_000_000


@dataclasses.dataclass(frozen=True)
class WindowSpec:
    """What one training example is: rows seen, rows forecast, and their columns.

    A window has an origin, the last row seen. Its context is the `context_length` rows
    up to and including the origin; its future is the `horizon` rows after it. A window
    never crosses from one series into another, never touches a missing value, and never
    ends on an interpolated row. Of a panel with `masked` it may hold missing values: each target is
    observed in its context at least once, and to learn from one target in its future; what is
    put in place of the others comes from rows of the window up to the origin alone, see
    `tfts.data.holes.Neighbours`. Windows are not stored: every batch is gathered from the
    panel's one table.

    Args:
        context_length: Rows seen, int >= 1.
        horizon: Rows forecast, int >= 1.
        targets: Columns to forecast. `None` takes the panel's.
        known_future: Columns known ahead, which enter for context and horizon. `None`
            takes the panel's. The columns that are not named here are part of `past`.
        stride: Rows from one origin to the next, int >= 1.
        history: Rows up to the origin that must be there and free of gaps, int >=
            `context_length`; `None` takes that. Models that see contexts of different lengths
            have the same windows where it is the longest of them.

    Raises:
        ValueError: If a length is not an int >= 1.

    Example:

    >>> import numpy as np, pandas as pd
    >>> from tfts.data.panel import Panel
    >>> frame = pd.DataFrame({"y": np.arange(6.0)},
    ...                      index=pd.date_range("2024-01-01", periods=6, freq="D"))
    >>> past, future = WindowSpec(context_length=3, horizon=2).arrays(Panel.from_frame(frame))
    >>> past[..., 0].tolist(), future[..., 0].tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0, 4.0], [4.0, 5.0]])
    """

    context_length: int
    horizon: int
    targets: tuple | None = None
    known_future: tuple | None = None
    stride: int = 1
    history: int | None = None

    def __post_init__(self):
        for name in ("context_length", "horizon", "stride"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise SettingError(f"`{name}` must be an int >= 1 (rows). Received: {name}={value!r}.")
        if self.history is not None and not self.history >= self.context_length:
            raise SettingError(
                f"`history` must be None or at least context_length={self.context_length}. Received: "
                f"history={self.history!r}."
            )
        for name in ("targets", "known_future"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    @property
    def _seen(self):
        """Rows that must be there up to an origin."""
        return self.context_length if self.history is None else self.history

    def target_columns(self, panel: Panel) -> tuple[str, ...]:
        """Names of the columns that are forecast, a tuple."""
        return panel.targets if self.targets is None else self.targets

    def known_columns(self, panel: Panel) -> tuple[str, ...]:
        """Names of the columns of `known_future`, a tuple.

        Raises:
            ValueError: If a target is among them.
        """
        known = panel.known_future if self.known_future is None else self.known_future
        both = [c for c in self.target_columns(panel) if c in known]
        if both:
            raise DataError(
                f"Column {both[0]!r} is a target and known_future, so the model would be given the answer. "
                f"Expected one of them. Received: targets={list(self.target_columns(panel))}, "
                f"known_future={list(known)}."
            )
        return known

    def features(self, panel: Panel) -> tuple[str, ...]:
        """Names of the columns of `past`, a tuple: the targets first, then the others."""
        targets, known = self.target_columns(panel), self.known_columns(panel)
        return targets + tuple(c for c in panel.columns if c not in targets and c not in known)

    def task(self, panel, output="point"):
        """What a model of these windows is for.

        Args:
            panel: A `Panel`.
            output: `Output`, or its name in `OUTPUTS`.

        Returns:
            `Task`.

        Example:

        >>> from tfts.data.panel import Panel
        >>> frame = pd.DataFrame({"y": [1.0, 2.0], "x": [3.0, 4.0]},
        ...                      index=pd.date_range("2024-01-01", periods=2))
        >>> task = WindowSpec(context_length=1, horizon=1).task(Panel.from_frame(frame, targets=["y"]))
        >>> task.targets, task.past
        (('y',), ('x',))
        """
        from tfts.task import Task

        targets = self.target_columns(panel)
        return Task(
            self.context_length,
            self.horizon,
            targets=targets,
            past=self.features(panel)[len(targets) :],
            known_future=self.known_columns(panel),
            static=panel.static,
            categories={name: len(labels) for name, labels in panel.labels.items()},
            masked=panel.masked,
            output=output,
        )

    def origins(self, panel: Panel) -> npt.NDArray[np.int64]:
        """Rows of all origins whose future the panel holds, in the order of `dataset`.

        Returns:
            Int64 `(windows,)`: row numbers in `panel.values`.

        Raises:
            ValueError: If there is no window; the message says what stands in the way.
        """
        rows = self._find(panel, self.horizon)
        if not len(rows):
            raise DataError(self._why_none(panel, self.horizon))
        return rows

    def count(self, panel: Panel) -> int:
        """The number of windows, 0 where `origins` would raise because there is none."""
        return len(self._find(panel, self.horizon))

    def forecast_origins(self, panel: Panel) -> npt.NDArray[np.int64]:
        """Rows of all origins to forecast from, also those whose future is still unknown.

        Like `origins`, but the future need not be there; `known_future` columns must
        hold a value in every row of it. With a stride, rows are counted back from the
        last one, which is always forecast from.
        """
        rows = self._find(panel, 0)
        if not len(rows):
            raise DataError(self._why_none(panel, 0))
        return rows

    def index(self, panel: Panel) -> pd.DataFrame:
        """Series and origin time of every window, in the order of the unshuffled dataset.

        Returns:
            DataFrame with the columns `series` and `origin`.
        """
        rows = self.origins(panel)
        series = np.asarray(panel.series, dtype=object)[panel.series_of(rows)]
        return pd.DataFrame({"series": series, "origin": panel.times[rows]})

    def dataset(
        self,
        panel: Panel,
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int | None = None,
        teacher_forcing: bool = False,
        epoch: Any = None,
        beside: Any = None,
        count: int | None = None,
        by_series: bool = False,
    ) -> tf.data.Dataset:
        """All windows as batches for `model.fit`.

        Args:
            panel: A `Panel`.
            batch_size: Windows in a batch. The last batch may be smaller.
            shuffle: Whether the order is random, a new one in each epoch.
            seed: Int that makes the random orders repeatable.
            teacher_forcing: Whether the inputs also hold the future targets, as
                `"teacher"`, for models built with `teacher_forcing`.
            epoch: int64 `tf.Variable`, the number of the epoch that is to come, on which the order then
                depends; else it depends on how often the dataset was gone through.
            beside: Function of the origins of a batch, int `(batch,)`, which gives a tensor
                that comes third in each batch, where Keras looks for sample weights.
            count: With `shuffle`, windows of one pass, others in each, int >= 1; `None` takes all.
            by_series: With `shuffle`, whether windows are drawn so that every series has an equal
                chance, however many it has; one may come twice in a pass.

        Returns:
            `tf.data.Dataset` of `(inputs, future)`. `inputs` is `past`, float32 `(batch,
            context_length, features)`, or with known columns, attributes, a mask or a teacher a dict
            of `past`, `observed` like it, `known_future` `(batch, context_length + horizon, known)`, `static`
            `(batch, attributes)` and `teacher`. `future` is float32 `(batch, horizon, targets)`, of a panel with
            `masked` NaN where nothing was observed. A panel that is not scaled is rounded to float32 as well.

        Raises:
            ValueError: If there is no window.
        """
        import tensorflow as tf

        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise SettingError(
                f"`batch_size` must be an int >= 1 (windows). Received: batch_size={batch_size!r}."
            )
        if count is not None and (not shuffle or not count >= 1):
            raise SettingError(
                f"`count` must be an int >= 1 (windows), with shuffle=True. Received: {count=}, {shuffle=}."
            )
        rows = self.origins(panel)
        inputs, future, teacher = self._gatherers(panel)

        def batch(at):
            made, after = inputs(at), future(at)
            if teacher_forcing:
                made = {**(made if isinstance(made, dict) else {"past": made}), "teacher": teacher(at)}
            return (made, after) if beside is None else (made, after, beside(at))

        whole = len(rows)
        count = whole if count is None else count if by_series else min(count, whole)
        origins = places_of(rows, panel)
        if not shuffle:
            return plain(batches(lambda at: batch(tf.gather(origins, at)), count, batch_size))
        drawn = drawn_by_series(panel, rows, count) if by_series else None

        def order_of(pair):
            if drawn is not None:
                order = tf.gather(origins, drawn(pair))
                return batches(lambda at: batch(tf.gather(order, at)), count, batch_size)
            if whole <= _SORTED:
                order = tf.random.experimental.stateless_shuffle(origins, pair)
                return batches(lambda at: batch(tf.gather(order, at)), count, batch_size)

            def far(at):
                # Place by place, because sorting so many origins would take seconds and memory.
                place = tf.random.experimental.index_shuffle(at, tf.cast(pair, tf.int32), whole - 1)
                return batch(tf.gather(origins, place))

            return batches(far, count, batch_size)

        draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)
        if epoch is None:
            dataset = draws.flat_map(as_written(lambda draw: order_of(tf.stack([draw, draw + 1]))))
        else:
            once = tf.data.Dataset.from_tensors(np.int64(seed or 0))
            dataset = once.flat_map(as_written(lambda own: order_of(tf.stack([own, epoch.read_value()]))))
        return plain(dataset.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size))))

    def arrays(self, panel: Panel, rows: npt.ArrayLike | None = None) -> tuple[Any, np.ndarray]:
        """The windows as NumPy arrays, for scikit-learn and the other Keras backends.

        They are views of the panel's table where one series without gaps allows it, and
        copies elsewhere: float32 of a panel that was scaled for a network, float64 of one
        in original units.

        Args:
            panel: A `Panel`.
            rows: Int `(windows,)`: the origins wanted. `None` takes all of `origins`.

        Returns:
            `(past, future)`, or with known columns or attributes `(dict, future)`, with the
            names and shapes of `dataset`.
        """
        rows = self.origins(panel) if rows is None else rows
        return self.inputs(panel, rows), _windows(panel, self.target_columns(panel), rows + 1, self.horizon)

    def inputs(self, panel: Panel, rows: npt.ArrayLike) -> Any:
        """What `model.predict` takes for the given origins, whose future need not be there.

        Args:
            panel: A `Panel`.
            rows: Int `(windows,)`: origins, as from `forecast_origins`.

        Returns:
            `past`, or with a mask, known columns or attributes a dict of `past`, `observed`,
            `known_future` and `static`, as NumPy arrays like those of `arrays`.
        """
        if panel.masked:
            made = dict(zip(("past", "observed"), self._filled(panel, rows), strict=True))
        else:
            made = {"past": self.past(panel, rows)}
        if self.known_columns(panel):
            made["known_future"] = self.known(panel, rows)
        if panel.static:
            made["static"] = panel.attributes[panel.series_of(rows)]
        return made if len(made) > 1 else made["past"]

    def input_batches(
        self, panel: Panel, rows: npt.ArrayLike, batch_size: int = 256, teacher_forcing: bool = False
    ) -> tf.data.Dataset:
        """What `inputs` gives, gathered batch by batch while a model forecasts.

        Args:
            panel: A `Panel`.
            rows: Int `(windows,)`: origins, as from `forecast_origins`.
            batch_size: Windows in a batch. The last batch may be smaller.
            teacher_forcing: Whether the inputs also hold `"teacher"`, all zeros, for models
                built with `teacher_forcing`, which do not listen to it when they forecast.

        Returns:
            `tf.data.Dataset` for `model.predict`, of the inputs alone.

        Raises:
            ValueError: If a window reaches out of the table.
        """
        import tensorflow as tf

        length = self.context_length + (self.horizon if self.known_columns(panel) else 0)
        _check_inside(panel, rows - self.context_length + 1, length)
        gather, origins = self._gatherers(panel)[0], places_of(rows, panel)
        shape = self.horizon, len(self.target_columns(panel))

        def batch(at):
            made = gather(tf.gather(origins, at))
            if teacher_forcing:
                made = {**(made if isinstance(made, dict) else {"past": made})}
                made["teacher"] = tf.zeros((tf.shape(at)[0], *shape))
            return made

        return plain(batches(batch, len(rows), batch_size))

    def past(self, panel: Panel, rows: npt.ArrayLike) -> np.ndarray:
        """`past` of the given origins, `(windows, context_length, features)`, like `panel.values`."""
        if panel.masked:
            return self._filled(panel, rows)[0]
        return _windows(panel, self.features(panel), rows - self.context_length + 1, self.context_length)

    def _filled(self, panel, rows):
        """`past` and `observed` of windows that may hold holes."""
        first = np.asarray(rows) - self.context_length + 1
        _check_inside(panel, first, self.context_length)
        return neighbours_of(panel, self.features(panel)).windows(first, self.context_length)

    def known(self, panel: Panel, rows: npt.ArrayLike) -> np.ndarray:
        """`known_future` of the given origins, `(windows, context_length + horizon, known)`."""
        length = self.context_length + self.horizon
        return _windows(panel, self.known_columns(panel), rows - self.context_length + 1, length)

    def _room(self, panel, observed_future):
        """Origins with enough rows around them, `observed_future` of them after, gaps or not."""
        spans = panel.spans
        first = np.maximum(spans.start + self._seen, spans.target_start) - 1
        last = spans.observed_end - 1 - observed_future
        if self.known_columns(panel):
            last = np.minimum(last, spans.end - 1 - self.horizon)
        if not observed_future:
            # The newest row must be among the origins.
            first = last - (last - first) // self.stride * self.stride
        counts = np.maximum((last - first) // self.stride + 1, 0)
        made = np.repeat(first - self.stride * (np.cumsum(counts) - counts), counts)
        made += np.arange(0, self.stride * len(made), self.stride)
        return made

    def _find(self, panel, observed_future):
        """Origins with `observed_future` rows of targets after them, free of gaps."""
        rows = self._room(panel, observed_future)
        if not len(rows) or not panel.filled.any():
            return rows
        if panel.masked:
            return self._find_observed(panel, rows, observed_future)
        known = self.known_columns(panel)
        past = panel.indices(self.features(panel))
        ahead = panel.indices(known)
        context, future = (rows - self._seen + 1, rows + 1), (rows + 1, rows + self.horizon + 1)
        good = _free(_absent(panel, past), *context)
        good &= ~panel.filled[np.ix_(rows, past)].any(axis=1)
        if known:
            good &= _free(_absent(panel, ahead), context[0], future[1])
        if observed_future:
            targets = panel.indices(self.target_columns(panel))
            good &= _free(_absent(panel, targets), *future)
            good &= _free(_borrowed(panel, np.concatenate([targets, ahead])), *future)
        return rows[good]

    def _find_observed(self, panel, rows, observed_future):
        """Those of some origins that see each target, and with a future are answered by one."""
        targets, known = panel.indices(self.target_columns(panel)), self.known_columns(panel)
        context, future = (rows - self.context_length + 1, rows + 1), (rows + 1, rows + self.horizon + 1)
        absent = np.isnan(panel.values[:, targets])
        good = np.ones(len(rows), dtype=bool)
        for column in absent.T:
            good &= ~_free(~column, *context)
        if observed_future:
            good &= ~_free(~absent.all(axis=1), *future)
        if known:
            good &= _free(_absent(panel, panel.indices(known)), context[0], future[1])
        return rows[good]

    def _why_none(self, panel, observed_future):
        need = self._seen + observed_future
        lengths = panel.spans.observed_end - panel.spans.start
        longest = int(np.argmax(lengths))
        span = panel.spans[longest]
        of = "The table" if panel.part is None else f"The {panel.part} part"
        if panel.series_name is not None:
            whose = "" if panel.part is None else f" of the {panel.part} part"
            of = f"Series {panel.series[longest]!r}, the longest{whose},"
        history = f", history={self.history}" if self._seen > self.context_length else ""
        text = (
            f"{of} has {lengths[longest]} rows from {panel.times[span.start]} on, of which "
            f"{span.observed_end - span.target_start} may be forecast; a window takes {need} "
            f"(context_length={self.context_length}, horizon={self.horizon}{history})"
        )
        if len(self._room(panel, observed_future)) and panel.masked:
            answered = ", and one of them in its future" * bool(observed_future)
            return (
                f"The mask hides too much: no window sees each of the targets {list(self.target_columns(panel))} in "
                f"its context at least once{answered}. {text}. Use longer windows, or leave out the targets and "
                "series of which nothing is known."
            )
        if len(self._room(panel, observed_future)):
            return (
                f"Every window touches a missing value or ends on an interpolated one. {text}. Fill the gaps, give "
                "missing='interpolate' with a larger limit, or use shorter windows."
            )
        if lengths[longest] >= need and not observed_future:
            return (
                f"No origin can be forecast from. {text}, and the known_future columns "
                f"{list(self.known_columns(panel))} must hold values {self.horizon} rows past it: append rows "
                "with these columns, the others left empty."
            )
        return f"There are too few rows for one window. {text}. Use more rows or shorter windows."

    def _gatherers(self, panel):
        """Three functions from origins to tensors: inputs, future targets, and those without holes, for a teacher."""
        import tensorflow as tf

        def table(columns):
            if columns == panel.columns and panel.values.dtype == np.float32:
                return on_host(panel.values)
            made = aligned_empty((len(panel.values), len(columns)))
            for i, at in enumerate(panel.indices(columns)):
                made[:, i] = panel.values[:, at]
            return on_host(made)

        known = self.known_columns(panel)
        features, targets = self.features(panel), self.target_columns(panel)
        past_table = None if panel.masked else table(features)
        target_table = past_table if features == targets and not panel.masked else table(targets)
        near = neighbours_of(panel, features, np.float32) if panel.masked else None
        near_tables = None if near is None else (on_host(near.lines), on_host(near.table), near.longest)
        known_table = table(known) if known else None
        attributes = on_host(panel.attributes.astype(np.float32)) if panel.static else None
        ends = on_host(panel.spans.end) if panel.static else None
        context, horizon = self.context_length, self.horizon

        def rows(origins, first, last):
            return origins[:, None] + tf.range(first, last, dtype=origins.dtype)

        def inputs(origins):
            at = rows(origins, 1 - context, 1)
            if panel.masked:
                made = dict(zip(("past", "observed"), filled_tensors(*near_tables, at), strict=True))
            else:
                made = {"past": tf.gather(past_table, at)}
            if known:
                made["known_future"] = tf.gather(known_table, rows(origins, 1 - context, horizon + 1))
            if attributes is not None:
                of = tf.searchsorted(ends, tf.cast(origins, ends.dtype), side="right")
                made["static"] = tf.gather(attributes, of)
            return made if len(made) > 1 else made["past"]

        def future(origins):
            return tf.gather(target_table, rows(origins, 1, horizon + 1))

        def teacher(origins):
            after = future(origins)
            if not panel.masked:
                return after
            # What was not observed is taken to be as before.
            before = tf.gather(near_tables[1], rows(origins, 1, horizon + 1))
            return tf.where(tf.math.is_nan(after), before[..., : len(targets)], after)

        return inputs, future, teacher


def _windows(panel, columns, first, length):
    """Rows `first .. first + length - 1` of the named columns, `(windows, length, columns)`."""
    _check_inside(panel, first, length)
    at = panel.indices(columns)
    # A slice of neighbouring columns is a view; a list of columns would be a copy.
    in_order = (np.diff(at) == 1).all()
    table = panel.values[:, at[0] : at[-1] + 1] if in_order else panel.values[:, at]
    views = np.lib.stride_tricks.sliding_window_view(table, length, axis=0).transpose(0, 2, 1)
    stride = first[1] - first[0] if len(first) > 1 else 1
    if len(first) and stride > 0 and (np.diff(first) == stride).all():
        return views[first[0] : first[-1] + 1 : stride]
    return views[first]


def _check_inside(panel, first, length):
    if len(first) and not 0 <= first.min() <= first.max() <= len(panel.values) - length:
        raise DataError(
            f"Expected windows inside the {len(panel.values)} rows of the table. Received: windows of {length} rows "
            f"that start at rows {first.min()} to {first.max()}."
        )


def _absent(panel, at):
    """Rows with a missing value in one of the columns at the positions `at`."""
    absent = np.zeros(len(panel.values), dtype=bool)
    for i in at:
        absent |= np.isnan(panel.values[:, i])
    return absent


def _borrowed(panel, at):
    """Rows in a gap open at the end of a part: filled from the first row of the next part."""
    borrowed = np.zeros(len(panel.values), dtype=bool)
    start, stop = panel.spans.start, panel.spans.observed_end
    for i in at:
        # The row after the last one so far that was not filled, of any series.
        after = np.maximum.accumulate(np.where(panel.filled[:, i], 0, np.arange(1, len(borrowed) + 1)))
        borrowed[panel.spans.rows(np.maximum(start, after[stop - 1]), stop)] = True
    return borrowed


def _free(marked, first, stop):
    """Whether none of the rows `first .. stop - 1` is marked, for each window."""
    before = np.concatenate([[0], np.cumsum(marked)])
    return before[stop] == before[first]
