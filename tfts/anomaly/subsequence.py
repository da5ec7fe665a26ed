"""Whole windows instead of forecasts: how far the latest rows are from any that were usual.

To add one: a class with `fit`, `compare`, `get_state` and `set_state`, and one line in
`SUBSEQUENCES`.
"""

import numpy as np

from tfts.errors import SettingError


class PcaWindows:
    """Distance of a window from the plane in which usual windows lie.

    Args:
        variance: Float in (0, 1): the share of the windows' variance that the plane holds.

    Attributes:
        mean_: Float64 `(rows * targets,)`.
        axes_: Float64 `(axes, rows * targets)`, the principal axes.

    Raises:
        ValueError: If `variance` is not in (0, 1).

    Example:

    >>> steps = np.sin(np.arange(97) * 2 * np.pi / 12)
    >>> windows = np.lib.stride_tricks.sliding_window_view(steps, 12)[..., None]
    >>> usual = PcaWindows().fit(windows)
    >>> np.abs(usual.compare(windows[5:6]) - windows[5]).max().round(3)
    np.float64(0.0)

    Source: Shyu et al., A novel anomaly detection scheme based on principal component
    classifier, ICDM workshop 2003.
    """

    def __init__(self, variance=0.9):
        if isinstance(variance, bool) or not isinstance(variance, int | float) or not 0 < variance < 1:
            raise SettingError(f"`variance` must be a share in (0, 1). Received: variance={variance!r}.")
        self.variance = variance

    def fit(self, windows):
        """Learns from usual windows `(windows, rows, targets)`, scaled."""
        from sklearn.decomposition import PCA

        flat = windows.reshape(len(windows), -1)
        if np.ptp(flat, axis=0).max() == 0:
            # Windows that are all the same have no axes, and any other is off by what it differs.
            self.mean_, self.axes_ = flat[0], np.zeros((1, flat.shape[1]))
            return self
        fitted = PCA(self.variance, svd_solver="full").fit(flat)
        self.mean_, self.axes_ = fitted.mean_, fitted.components_
        return self

    def compare(self, windows):
        """What the windows `(windows, rows, targets)` would be, were they usual; the same shape."""
        flat = windows.reshape(len(windows), -1) - self.mean_
        # Sums row by row, so that one window gives what it gives among others.
        weights = np.stack([(flat * axis).sum(axis=1) for axis in self.axes_])
        usual = self.mean_ + sum(w[:, None] * axis for w, axis in zip(weights, self.axes_, strict=True))
        return usual.reshape(windows.shape)

    def get_state(self):
        """Everything learnt: a dict of NumPy arrays."""
        return {"mean_": self.mean_, "axes_": self.axes_}

    def set_state(self, state):
        """Takes what `get_state` gave."""
        self.mean_, self.axes_ = state["mean_"], state["axes_"]
        return self


class NearestWindows:
    """Distance of a window from the nearest one among usual windows.

    Args:
        max_windows: Int >= 1. Of more training windows than this, every second, third,
            ... is kept.

    Attributes:
        windows_: Float64 `(windows, rows, targets)`: the windows that are compared with.

    Raises:
        ValueError: If `max_windows` is not an int >= 1.

    Example:

    >>> usual = NearestWindows().fit(np.array([[[1.0], [2.0]], [[5.0], [5.0]]]))
    >>> usual.compare(np.array([[[1.5], [2.5]]])).ravel().tolist()
    [1.0, 2.0]

    Source: Yeh et al., Matrix profile I, ICDM 2016 (there within one series, and with
    windows brought to mean 0 and deviation 1).
    """

    def __init__(self, max_windows=5000):
        whole = isinstance(max_windows, int | np.integer) and not isinstance(max_windows, bool)
        if not whole or max_windows < 1:
            raise SettingError(f"`max_windows` must be an int >= 1. Received: max_windows={max_windows!r}.")
        self.max_windows = max_windows

    def fit(self, windows):
        """Learns from usual windows `(windows, rows, targets)`, scaled."""
        self.set_state({"windows_": np.array(windows[:: -(-len(windows) // self.max_windows)])})
        return self

    def compare(self, windows):
        """The nearest usual window of each of the windows `(windows, rows, targets)`."""
        # One by one, so that a window gives what it gives among others.
        places = [self._search.kneighbors(w.reshape(1, -1), return_distance=False)[0, 0] for w in windows]
        return self.windows_[places]

    def get_state(self):
        """Everything learnt: a dict of NumPy arrays."""
        return {"windows_": self.windows_}

    def set_state(self, state):
        """Takes what `get_state` gave."""
        from sklearn.neighbors import NearestNeighbors

        self.windows_ = state["windows_"]
        self._search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(
            self.windows_.reshape(len(self.windows_), -1)
        )
        return self


SUBSEQUENCES = {"nearest_windows": NearestWindows, "pca_windows": PcaWindows}
