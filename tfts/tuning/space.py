"""The space of settings that a search looks through."""

import inspect
import json

import keras_tuner
import numpy as np
from keras_tuner.engine import hyperparameters as kinds

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.forecaster import Forecaster
from tfts.training.options import OF_THE_CALL, WEIGHT_DECAY, TrainingOptions
from tfts.tuning import ranges
from tfts.tuning.entries import checked_entries, in_order

# Settings of the table and its windows. The horizon is the question, not a setting.
DATA_SETTINGS = ("context_length", "scaler", "per_series", "stride", "calendar", "output")
# Evenly spaced values that a grid takes from a range without steps.
_GRID_VALUES = 5
# Windows of a long table.
_MANY = 100_000


class Space:
    """The settings a search may choose, their ranges, and when each of them counts.

    A point of the space is a dict from names to plain values (`hp.values` of
    KerasTuner); settings are what the models and the training are given. They differ
    where a value is no number or word: `None`, a bool, a list.

    Args:
        space: Dict from the name of a setting to `{"values": [...]}` or `{"min": ..,
            "max": ..}`, with `"step"` and `"log"` if wanted. `"when": {name: [values]}`
            makes it count only beside these values of another setting, and `"divides":
            name` leaves only values that divide that setting. Or a function of a
            `keras_tuner.HyperParameters` that returns a dict of settings.
        builder: Function that builds the models, for the names of its settings.
        given: Dict of settings that are not the defaults of builder, `Forecaster` and
            `Forecaster.fit`: they are what trial 0 starts from.

    Attributes:
        names: Names of the settings, a tuple.
        defaults: Dict of the settings of trial 0.
        hyperparameters: `keras_tuner.HyperParameters` with the whole space.
        outside: Names of the defaults that lie outside of the space, a tuple.

    Raises:
        ValueError: If a name is unknown, a range is empty, or a condition can't hold.

    Example:

    >>> from tfts.models import linear
    >>> space = Space({"shared": {"values": [True, False]},
    ...                "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True}}, linear)
    >>> space.defaults
    {'shared': True, 'learning_rate': 0.003}
    >>> space.settings(space.at([0.9, 0.5]))
    {'shared': False, 'learning_rate': 0.001}
    """

    def __init__(self, space, builder, given=None):
        of_windows = _defaults(Forecaster.__init__)
        defaults = {
            **_defaults(builder),
            # Numbers where a fit asks its windows: those of a long table, if `given` has no others.
            **TrainingOptions().for_windows(_MANY).model_dump(exclude={"metrics", *OF_THE_CALL}),
            **{name: of_windows.get(name) for name in DATA_SETTINGS},
        }
        self._known = tuple(defaults)
        self._given = {**defaults, **(given or {})}
        if self._given["weight_decay"] is None and self._given["optimizer"] == "adamw":
            self._given["weight_decay"] = WEIGHT_DECAY
        self._function = space if callable(space) else None
        self._codes = {}
        if self._function is not None:
            self.hyperparameters, self.names = self._explore()
        else:
            entries = checked_entries(space, self._known)
            self.names = tuple(entries)
            self.hyperparameters = keras_tuner.HyperParameters()
            for name in in_order(entries):
                self._declare(name, entries[name], entries)
        if not self.names:
            raise SettingError("The space holds no setting. Expected one or more names with their values.")
        self.defaults = {name: self._given[name] for name in self.names}
        self._default_point = {
            name: self._code(name, value) for name, value in self.defaults.items() if value is not None
        }
        self._tokens = ranges.tokens(self.hyperparameters.space)
        self.outside = tuple(name for name in self.names if not self._holds(name, self.defaults[name]))

    @property
    def dimensions(self):
        """Length of the vectors that `at` takes."""
        return len(self.hyperparameters.space)

    @property
    def size(self):
        """Number of different points, infinite where a range has no steps."""
        if any(ranges.count(hp) == np.inf for hp in self.hyperparameters.space):
            return np.inf
        return sum(1 for _ in self.grid())

    def at(self, unit):
        """The point at a place of the unit cube.

        Args:
            unit: Floats in [0, 1), `(dimensions,)`.

        Returns:
            Dict from the names that count there to plain values.
        """
        values = {}
        for hp, share in zip(self.hyperparameters.space, unit, strict=True):
            if ranges.counts(hp, values):
                values[hp.name] = ranges.rounded(hp, hp.prob_to_value(min(max(float(share), 0.0), 1 - 1e-9)))
        return values

    def unit(self, point):
        """The middle of the place in the unit cube that `at` turns into a point.

        Values outside of the space lie at its edge, those that do not count in the middle.
        """
        shares = []
        for hp in self.hyperparameters.space:
            share = 0.5
            if hp.name in point and ranges.counts(hp, point):
                share = ranges.share(hp, point[hp.name])
            shares.append(share)
        return np.clip(shares, 0.0, 1.0)

    def vector(self, point):
        """A point as numbers that are near where settings are alike.

        Numbers lie in [0, 1] (by their logarithm where the range is `log`), words are
        one-hot, and what does not count there lies in the middle.
        """
        numbers = []
        for name, tokens in self._tokens.items():
            value = point.get(name)
            if tokens is None:
                hp = next(hp for hp in self.hyperparameters.space if hp.name == name)
                numbers.append(0.5 if value is None else ranges.share(hp, value))
            elif isinstance(tokens[0], str):
                # Two words are as far apart as the ends of a range.
                numbers += [np.sqrt(0.5) * (value == token) for token in tokens]
            elif value is None or len(tokens) == 1:
                numbers.append(0.5)
            else:
                numbers.append(np.interp(value, tokens, np.linspace(0, 1, len(tokens))))
        return np.array(numbers)

    def grid(self):
        """All points, those with the first values first; a range without steps gives five."""

        def below(at, values):
            if at == len(spaces):
                yield dict(values)
                return
            hp = spaces[at]
            if not ranges.counts(hp, values):
                yield from below(at + 1, values)
                return
            count = ranges.count(hp)
            count = _GRID_VALUES if count == np.inf else count
            for index in range(count):
                value = ranges.rounded(hp, hp.prob_to_value((index + 0.5) / count))
                yield from below(at + 1, {**values, hp.name: value})

        spaces = self.hyperparameters.space
        seen = set()
        for point in below(0, {}):
            key = json.dumps(point, sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield point

    def settings(self, point):
        """What models and training are given at a point, a dict.

        Raises:
            ValueError: If the space is a function that gives an unknown setting.
        """
        values = {}
        for hp in self.hyperparameters.space:
            if hp.name in point and ranges.counts(hp, values):
                values[hp.name] = ranges.rounded(hp, point[hp.name])
        if self._function is not None:
            hp = self.hyperparameters.copy()
            hp.values = values
            return self._asked(hp)
        return {name: self._decode(name, values[name]) for name in self.names if name in values}

    def key(self, settings):
        """Text that is equal for equal settings, whatever stands for a default."""
        return json.dumps({**self.defaults, **settings}, sort_keys=True, default=str)

    def start(self):
        """The point of trial 0; a default without a place in the space is left out."""
        return dict(self._default_point)

    def declare(self, hp):
        """Tells a `keras_tuner.HyperParameters` of the space, and gives the settings it holds."""
        if self._function is not None:
            return self._asked(hp)
        for own in self.hyperparameters.space:
            with ranges.scopes(hp, [(c.name, c.values) for c in own.conditions]):
                ranges.declare_like(hp, own)
        return self.settings(hp.values)

    def describe(self):
        """The space as plain data, which tells it from another."""
        return {
            "names": list(self.names),
            "ranges": self.hyperparameters.get_config()["space"],
            "defaults": {name: str(value) for name, value in self.defaults.items()},
        }

    def representatives(self):
        """Settings in which every value of every setting is met at least once.

        Ranges are met at their ends. What else counts there takes the middle of its range.
        """
        for at, hp in enumerate(self.hyperparameters.space):
            count = ranges.count(hp)
            is_choice = isinstance(hp, kinds.Choice)
            shares = (np.arange(count) + 0.5) / count if is_choice else (0.0, 1.0)
            for share in shares:
                unit = np.full(self.dimensions, 0.5)
                unit[at] = share
                unit = self._reach(hp, unit)
                yield self.settings(self.at(unit))

    def _reach(self, hp, unit):
        """The unit vector changed so that a setting counts."""
        for condition in hp.conditions:
            for at, parent in enumerate(self.hyperparameters.space):
                if parent.name == condition.name:
                    unit[at] = np.clip(ranges.share(parent, condition.values[0]), 0, 1)
                    self._reach(parent, unit)
        return unit

    def _holds(self, name, value):
        own = [hp for hp in self.hyperparameters.space if hp.name == name]
        if self._function is not None and not own:
            return True
        if any(not isinstance(hp, kinds.Choice) for hp in own):
            return ranges.is_number(value) and own[0].min_value <= value <= own[0].max_value
        return any(self._code(name, value) in hp.values for hp in own)

    def _code(self, name, value):
        for word, meant in self._codes.get(name, {}).items():
            if meant == value and type(meant) is type(value):
                return word
        return value if isinstance(value, int | float | str) and not isinstance(value, bool) else str(value)

    def _decode(self, name, value):
        return self._codes.get(name, {}).get(value, value)

    def _declare(self, name, entry, entries):
        hp = self.hyperparameters
        conditions = []
        for parent, values in entry.get("when", {}).items():
            coded = [self._code(parent, value) for value in values]
            for value, word in zip(values, coded, strict=True):
                reached = [v for own in hp.space if own.name == parent for v in ranges.listed(own)]
                if not any(word == v for v in reached) and not self._in_range(parent, word):
                    raise SettingError(
                        f"{name!r} counts when {parent!r} is {value!r}, but the space never gives {parent!r} that "
                        f"value. Its values: {reached}."
                    )
            conditions.append((parent, coded))
        with ranges.scopes(hp, conditions):
            if "values" not in entry:
                default = self._given[name]
                inside = ranges.is_number(default) and entry["min"] <= default <= entry["max"]
                whole = all(
                    isinstance(entry[key], int)
                    for key in ("min", "max", "step")
                    if entry.get(key) is not None
                )
                kind = hp.Int if whole else hp.Float
                kind(
                    name,
                    entry["min"],
                    entry["max"],
                    step=entry.get("step"),
                    sampling="log" if entry.get("log") else "linear",
                    default=default if inside else entry["min"],
                )
                return
            words = self._words(name, entry["values"])
            for parents, allowed in self._groups(name, words, entry.get("divides"), entries):
                scope = [] if parents is None else [(entry["divides"], parents)]
                with ranges.scopes(hp, scope):
                    default = self._code(name, self._given[name])
                    hp.Choice(name, allowed, default=default if default in allowed else allowed[0])

    def _in_range(self, name, value):
        return any(
            own.name == name
            and not isinstance(own, kinds.Choice)
            and ranges.is_number(value)
            and own.min_value <= value <= own.max_value
            for own in self.hyperparameters.space
        )

    def _words(self, name, values):
        """Values that KerasTuner can hold: all of one type, number or word."""
        if all(ranges.is_number(value) for value in values):
            if not all(isinstance(value, int) for value in values):
                values = [float(value) for value in values]
            # In order, because neighbours are taken to be alike.
            return sorted(values)
        if all(isinstance(value, str) for value in values):
            return values
        self._codes[name] = {str(value): value for value in values}
        return list(self._codes[name])

    def _groups(self, name, words, divides, entries):
        """`(values of the divided setting, values that divide them)`, pairs that cover all."""
        if divides is None:
            yield None, words
            return
        groups = {}
        wholes = sorted(
            {v for own in self.hyperparameters.space if own.name == divides for v in ranges.listed(own)}
        )
        for whole in wholes:
            allowed = tuple(word for word in words if whole % word == 0)
            if not allowed:
                raise SettingError(
                    f"{name!r} has to divide {divides!r}, but none of its values {words} divides {whole}. Leave "
                    f"{whole} out or add a value that divides it."
                )
            groups.setdefault(allowed, []).append(whole)
        if len(groups) == 1:
            yield None, list(next(iter(groups)))
            return
        for allowed, parents in groups.items():
            yield parents, list(allowed)

    def _explore(self):
        """Calls the user's function until every condition in it has been met once."""
        hp, names = keras_tuner.HyperParameters(), {}
        waiting, tried = [{}], []
        while waiting:
            values = waiting.pop(0)
            if values in tried:
                continue
            tried.append(values)
            attempt = keras_tuner.HyperParameters()
            attempt.values = dict(values)
            names.update(dict.fromkeys(self._asked(attempt)))
            hp.merge(attempt, overwrite=False)
            for scope in attempt.inactive_scopes:
                waiting.append({**attempt.values, **{c.name: c.values[0] for c in scope}})
        hp.values = {}
        return hp, tuple(names)

    def _asked(self, hp):
        settings = self._function(hp)
        if not isinstance(settings, dict):
            raise SettingError(
                "A space that is a function returns a dict from names of settings to values. Received: "
                f"{type(settings).__name__}."
            )
        settings = {name: value for name, value in settings.items() if value is not None}
        for name in settings:
            if name not in self._known:
                raise SettingError(unknown("setting", name, self._known))
        return settings


def _defaults(function):
    """Default of every keyword of a function that is a setting."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "name" and p.default is not p.empty}
