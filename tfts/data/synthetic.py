"""Synthetic series whose truth is known, and the best forecast that the truth allows."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfts.errors import SettingError

# Hours of one period; amplitude in channel 0 and its growth from channel to channel.
SEASONS = {
    "daily": (24.0, 2.0, 0.5),
    "weekly": (168.0, 0.8, 0.2),
    "fortnightly": (336.0, 0.3, 0.0),
    "monthly": (730.5, 0.3, 0.0),
}
NOISE_RHO = 0.7
SHIFT_SCALE = 0.5
LARGEST_EVENT = 2.5


@dataclasses.dataclass(frozen=True, eq=False)
class SyntheticSeries:
    """A table from `make_series` with the parts that it is the sum of.

    Attributes:
        frame: `pandas.DataFrame` `(num_steps, num_features)` with columns `x1`, `x2`, ...
            and a `DatetimeIndex`.
        components: Dict of name to float64 `(num_steps, num_features)`: level, trend,
            daily, weekly, fortnightly, monthly, shifts, events, noise, coupling. Added up
            in this order they are the frame, to the last bit.
        event_sizes: Float64 `(num_steps, num_features)`: size of the event that starts in
            a row, 0 where none does.
        settings: Dict of the keyword options of `make_series`.

    Example:

    >>> made = make_series(num_steps=100, num_features=2)
    >>> bool((sum(made.components.values()) == made.frame.to_numpy()).all())
    True
    >>> made.oracle([60, 70, 80], horizon=5).shape
    (3, 5, 2)
    """

    frame: pd.DataFrame
    components: dict
    event_sizes: np.ndarray
    settings: dict

    def oracle(self, origins: npt.ArrayLike, horizon: int) -> npt.NDArray[np.float64]:
        """The mean of the future given the past and the true parameters.

        Its squared error is the least that any forecast can be expected to have. It knows
        all components up to and with the origin: level, trend and seasons go on, shifts
        stay, the noise decays by 0.7 a step, running events end on time, and the coupling
        brings what the other channel showed `coupling_lag` steps before. Events to come
        count with their probability times their mean size, shifts to come with their mean
        of zero.

        Args:
            origins: Ints `(num_origins,)`: the last row seen, counted from 0.
            horizon: Int >= 1, steps. It may reach past the last row.

        Returns:
            Float64 array `(num_origins, horizon, num_features)`.

        Raises:
            ValueError: If an origin is no row of the frame, or `horizon` is less than 1.

        Example:

        >>> series = make_series(num_steps=100)
        >>> series.oracle([89, 99], horizon=10).shape
        (2, 10, 3)
        """
        fixed = self._fixed_after(origins, horizon)
        origins, steps = np.asarray(origins), np.arange(1, horizon + 1)
        noise = NOISE_RHO ** steps[:, None] * self.components["noise"][origins][:, None]
        events = np.zeros(noise.shape)
        mean_size = self.settings["event_probability"] * LARGEST_EVENT / 2
        for age in range(self.settings["event_length"]):
            started = self._seen(self.event_sizes, origins, np.minimum(steps - age, 0))
            events += np.where((steps > age)[:, None], mean_size, started)
        return fixed + events + noise + self._coupled_after(origins, events + noise)

    def oracle_paths(
        self, origins: npt.ArrayLike, horizon: int, samples: int = 1000, seed: int = 0
    ) -> npt.NDArray[np.float64]:
        """Futures drawn from what the past and the true parameters allow.

        Their quantiles are those of the truth, and no forecast can be expected to have a lower CRPS.

        Args:
            origins: As of `oracle`.
            horizon: As of `oracle`.
            samples: Int >= 1, paths from each origin.
            seed: Of the draws.

        Returns:
            Float64 array `(samples, num_origins, horizon, num_features)`.

        Raises:
            ValueError: As of `oracle`.

        Example:

        >>> series = make_series(num_steps=100)
        >>> paths = series.oracle_paths([89], horizon=2, samples=500)
        >>> bool((abs(paths.mean(axis=0) - series.oracle([89], horizon=2)) < 0.05).all())
        True
        """
        fixed = self._fixed_after(origins, horizon)
        _check_int("samples", samples)
        origins, settings, rng = np.asarray(origins), self.settings, np.random.default_rng(seed)
        shape = samples, *fixed.shape
        begun = rng.random(shape) < settings["event_probability"]
        sizes = np.where(begun, rng.uniform(0, LARGEST_EVENT, shape), 0.0)
        events, running = np.zeros(shape), np.zeros(shape, dtype=bool)
        steps = np.arange(1, horizon + 1)
        for age in range(settings["event_length"]):
            before = self._seen(self.event_sizes, origins, np.minimum(steps - age, 0))
            started = np.where((steps > age)[:, None], 0.0, before) + _later_steps(sizes, age)
            events += started
            running |= started > 0
        noise = (
            rng.standard_normal(shape)
            * settings["noise"]
            * (0.6 + 0.2 * np.arange(shape[-1]))
            * (1 + running)
        )
        last = self.components["noise"][origins]
        for step in range(horizon):
            last = noise[:, :, step] = noise[:, :, step] + NOISE_RHO * last
        shifts = (rng.random(shape) < settings["shift_probability"]) * rng.normal(0, SHIFT_SCALE, shape)
        return fixed + shifts.cumsum(axis=2) + events + noise + self._coupled_after(origins, events + noise)

    def _fixed_after(self, origins, horizon):
        """What the past and the time alone say, `(num_origins, horizon, num_features)`."""
        num_steps, num_features = self.frame.shape
        origins = np.asarray(origins)
        wrong = origins.ndim != 1 or not len(origins) or not np.issubdtype(origins.dtype, np.integer)
        if wrong or origins.min() < 0 or origins.max() >= num_steps:
            raise SettingError(
                f"`origins` must be a list of row numbers from 0 to {num_steps - 1}. Received: {origins!r}."
            )
        _check_int("horizon", horizon)
        index = self.frame.index
        times = pd.date_range(index[0], periods=origins.max() + horizon + 1, freq=index.freq)
        fixed = sum(_fixed(times, num_features, self.settings["trend"]).values())
        after = fixed[origins[:, None] + np.arange(1, horizon + 1)]
        return after + self.components["shifts"][origins][:, None]

    def _seen(self, table, origins, offset):
        """Rows `offset` <= 0 steps after the origins; before the first row there was nothing."""
        rows = origins[:, None] + offset
        return np.where((rows >= 0)[:, :, None], table[np.maximum(rows, 0)], 0.0)

    def _coupled_after(self, origins, irregular):
        """What the other channels bring, where `(..., origins, horizon, features)` is their future."""
        lag, horizon = self.settings["coupling_lag"], irregular.shape[-2]
        offset = np.arange(1, min(lag, horizon) + 1) - lag
        before = self._seen(self.components["events"] + self.components["noise"], origins, offset)
        before = np.broadcast_to(before, (*irregular.shape[:-2], *before.shape[-2:]))
        source = np.concatenate([before, irregular[..., : max(horizon - lag, 0), :]], axis=-2)
        return _coupled(source, self.settings["coupling"])


def _later_steps(table, steps):
    """Draws `(samples, origins, horizon, features)` so many steps later, with zeros in front."""
    moved = np.zeros_like(table)
    moved[:, :, steps:] = table[:, :, : max(table.shape[2] - steps, 0)]
    return moved


def make_series(
    num_steps: int = 2000,
    num_features: int = 3,
    freq: str = "h",
    start: str | pd.Timestamp = "2019-01-01",
    seed: int = 42,
    *,
    trend: float = 0.001,
    noise: float = 0.15,
    shift_probability: float = 0.0005,
    event_probability: float = 0.002,
    event_length: int = 6,
    coupling: float = 0.4,
    coupling_lag: int = 6,
) -> SyntheticSeries:
    """Makes a table of related series, such as sales or load, whose truth is known.

    Channel `s` = 0, 1, ... is the sum of
    - a level of `s + 1` and a linear trend,
    - sines with periods of 24 hours (amplitude `2 + 0.5 s`), 168 hours (`0.8 + 0.2 s`),
      336 hours (0.3) and 30.4375 days (0.3), which run in time, not in rows, so `freq`
      decides how many rows a season has; each channel is one hour later than the one
      before it,
    - lasting shifts of level, of size N(0, 0.5),
    - events (promotions) that start at random and add U(0, 2.5) for `event_length` steps,
    - AR(1) noise with rho 0.7, whose innovations are N(0, `noise` (0.6 + 0.2 `s`)), and
      twice that while an event runs,
    - the coupling: `coupling` times events and noise of the channel before (for the first
      channel: of the last one), `coupling_lag` steps ago.

    Each component draws from a random stream of its own, so a longer table begins with
    the shorter one, and an option changes no component but its own (and the coupling).

    Args:
        num_steps: Int >= 1, rows.
        num_features: Int >= 1, channels. A single channel has no coupling.
        freq: Time step as a pandas offset alias.
        start: Time of the first row.
        seed: Int >= 0. The same seed gives the same table.
        trend: Rise a step; channels rise by 0.9 to 1.1 times this.
        noise: Float >= 0, scale of the innovations.
        shift_probability: Of a shift in one step of one channel, 0 to 1.
        event_probability: Of an event starting in one step of one channel, 0 to 1.
        event_length: Int >= 1, steps.
        coupling: Share of the other channel's events and noise.
        coupling_lag: Int >= 1, steps.

    Returns:
        `SyntheticSeries` with `frame`, `components` and `oracle(origins, horizon)`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> series = make_series(num_steps=3, num_features=2, freq="D")
    >>> series.frame.shape, list(series.frame.columns), series.frame.index.freqstr
    ((3, 2), ['x1', 'x2'], 'D')
    """
    for name, value in [
        ("num_steps", num_steps),
        ("num_features", num_features),
        ("event_length", event_length),
        ("coupling_lag", coupling_lag),
    ]:
        _check_int(name, value)
    for name, value in [("shift_probability", shift_probability), ("event_probability", event_probability)]:
        if not 0 <= value <= 1:
            raise SettingError(f"`{name}` must be a probability from 0 to 1. Received: {name}={value!r}.")
    if not noise >= 0:
        raise SettingError(f"`noise` is a standard deviation, so it must be >= 0. Received: noise={noise!r}.")
    try:
        times = pd.date_range(start, periods=num_steps, freq=freq)
    except ValueError as error:
        raise SettingError(
            "`start` must be a time and `freq` a pandas offset alias such as 'h', '15min' or 'MS'. "
            f"Received: start={start!r}, freq={freq!r}."
        ) from error
    settings = {
        "trend": trend,
        "noise": noise,
        "shift_probability": shift_probability,
        "event_probability": event_probability,
        "event_length": event_length,
        "coupling": coupling,
        "coupling_lag": coupling_lag,
    }
    draws = _draw(seed, num_steps, num_features, settings)
    components = {**_fixed(times, num_features, trend), **_random(draws, settings)}
    names = [f"x{channel + 1}" for channel in range(num_features)]
    frame = pd.DataFrame(sum(components.values()), index=times, columns=names)
    return SyntheticSeries(frame, components, draws["event_sizes"], settings)


def _check_int(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SettingError(f"`{name}` must be an int >= 1. Received: {name}={value!r}.")


def _fixed(times, num_features, trend):
    """The components without chance, each `(time, feature)`."""
    channel = np.arange(num_features)
    shape = (len(times), num_features)
    hours = times.as_unit("us").asi8[:, None] / 3.6e9 - channel
    components = {
        "level": np.broadcast_to(channel + 1.0, shape).copy(),
        "trend": trend * np.arange(len(times))[:, None] * np.linspace(0.9, 1.1, num_features),
    }
    for name, (period, amplitude, growth) in SEASONS.items():
        components[name] = (amplitude + growth * channel) * np.sin(2 * np.pi * hours / period)
    return components


def _draw(seed, num_steps, num_features, settings):
    """What chance decides: sizes of shifts and events in the rows where they start, innovations."""
    shape = (num_steps, num_features)
    shift, shift_size, event, event_size, innovation = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(5)
    )
    shifts = shift.random(shape) < settings["shift_probability"]
    events = event.random(shape) < settings["event_probability"]
    return {
        "shift_sizes": shifts * shift_size.normal(0, SHIFT_SCALE, shape),
        "event_sizes": events * event_size.uniform(0, LARGEST_EVENT, shape),
        "innovations": innovation.standard_normal(shape),
    }


def _random(draws, settings):
    """The components that follow from the draws, each `(time, feature)`."""
    sizes = draws["event_sizes"]
    num_steps, num_features = sizes.shape
    ages = range(settings["event_length"])
    events = sum(_later(sizes, age) for age in ages)
    running = sum(_later(sizes > 0, age) for age in ages) > 0
    scale = settings["noise"] * (0.6 + 0.2 * np.arange(num_features)) * (1 + running)
    noise = scale * draws["innovations"]
    # The first row already has the spread that the noise keeps, as if it had always run.
    noise[0] /= np.sqrt(1 - NOISE_RHO**2)
    for row in range(1, num_steps):
        noise[row] += NOISE_RHO * noise[row - 1]
    return {
        "shifts": draws["shift_sizes"].cumsum(axis=0),
        "events": events,
        "noise": noise,
        "coupling": _coupled(_later(events + noise, settings["coupling_lag"]), settings["coupling"]),
    }


def _later(table, steps):
    """The table `steps` rows later, with zeros in front."""
    moved = np.zeros_like(table)
    moved[steps:] = table[: max(len(table) - steps, 0)]
    return moved


def _coupled(source, coupling):
    """What each channel (the last axis) receives from the one before it."""
    if source.shape[-1] == 1:
        return np.zeros_like(source)
    return coupling * np.roll(source, 1, axis=-1)
