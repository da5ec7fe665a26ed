"""What is too small to be an alarm: less than the values of a target can tell apart."""

import numpy as np

# Digits of float32, in which values are often stored and forecasts are made.
_SINGLE = 4 * float(np.finfo(np.float32).eps)
# Digits beyond it are leftovers of sums in float64, such as 0.1 + 0.2.
_DOUBLE = 2.0**-42
# So many values that all lie whole steps apart come from a grid, and not there by chance.
_GRID_VALUES = 5


class Resolution:
    """The smallest differences that the values of each target can show.

    Numbers are rounded: by a sensor to its steps (20.1, 20.2, ...), by a computer to binary
    digits. A value that is no further from its forecast is what the forecast rounds to, so
    it is no anomaly, however small all other residuals are.

    Attributes:
        step_: Float64 `(targets,)`, original units: the step between values, 0 where the
            values show none. It takes five values or more that all lie whole steps apart.
        digits_: Float64 `(targets,)`, relative to the values: the rounding of float32, or
            less where values lie closer to each other than float32 could tell.

    Example:

    >>> resolution = Resolution().fit(np.array([[20.1], [20.2], [20.5], [20.3], [20.6]]))
    >>> resolution.step_.round(6).tolist()
    [0.1]
    >>> resolution.least(np.array([20.1]), np.array([20.13])).round(6).tolist()
    [0.05]
    >>> flat = Resolution().fit(np.full((9, 1), 20.1))
    >>> bool(flat.least(20.1, 20.1000004) > 4e-7), bool(flat.least(20.1, 25.0) < 2e-5)
    (True, True)
    """

    def fit(self, values):
        """Learns from values `(rows, targets)`, original units, NaN where there is none."""
        values = np.asarray(values, dtype=np.float64)
        found = [_step_and_digits(column[np.isfinite(column)]) for column in values.T]
        self.step_, self.digits_ = np.array(found).reshape(-1, 2).T
        return self

    @classmethod
    def of_numbers(cls, targets):
        """That of numbers in float32, for a series of which no value was seen yet."""
        return cls().fit(np.empty((0, targets)))

    def rounding(self, actual, predicted):
        """What binary digits make of the difference, `(..., targets)`, in the units given."""
        return self.digits_ * np.maximum(np.abs(actual), np.abs(predicted))

    def least(self, actual, predicted):
        """The largest residual that says nothing, `(..., targets)`, original units."""
        return np.fmax(self.step_ / 2, self.rounding(actual, predicted))

    def get_state(self):
        """Everything learnt, as plain data for a JSON file."""
        return {"step": self.step_.tolist(), "digits": self.digits_.tolist()}

    @classmethod
    def from_state(cls, state):
        """The resolution that `get_state` described."""
        made = cls()
        made.step_, made.digits_ = np.array(state["step"]), np.array(state["digits"])
        return made


def _step_and_digits(values):
    if not len(values):
        return 0.0, _SINGLE
    largest = np.abs(values).max()
    gaps = np.diff(np.unique(values))
    gaps = gaps[gaps > _DOUBLE * largest]
    if not len(gaps):
        return 0.0, _SINGLE
    # A register far from zero counts in steps that float32 could not hold.
    digits = _DOUBLE if gaps.min() < _SINGLE * largest else _SINGLE
    if len(gaps) + 1 < _GRID_VALUES:
        return 0.0, digits
    steps = gaps / gaps.min()
    return float(gaps.min()) * bool(np.abs(steps - np.round(steps)).max() < 0.01), digits
