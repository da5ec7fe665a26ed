"""How a descent runs, and whether it went well."""

import numbers
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from tfts.errors import DivergedError, SettingError
from tfts.regression._options import SCALINGS


def plan_of(estimator, moments, num_outputs, steps, epochs=None, done=0):
    """Rates, penalties and stopping of the descent, or of `epochs` after `done` others."""
    from tfts.regression.descent import Plan

    count = moments.num_features
    penalised = np.ones((count + bool(estimator.fit_intercept), 1))
    penalised[count:] = 0.0
    rates = _rates(
        estimator, estimator.max_iter if epochs is None else epochs, done, steps, epochs is not None
    )
    spread = np.hypot(moments.deviation[:count], moments.mean[:count] - estimator.offset_) / estimator.scale_
    length = np.concatenate([spread, np.ones(len(penalised) - count)])
    length[length == 0] = 1.0
    auto = estimator.learning_rate == "auto" and estimator.batch_size is None and epochs is None
    # A cross-entropy is flatter near its minimum than at zero, least squares nowhere.
    adaptive = (estimator.learning_rate == "adaptive" and epochs is None) or (
        auto and estimator._link() != "identity"
    )
    patient = estimator.tol is None
    return Plan(
        rates=rates,
        l1=estimator.l1 * penalised,
        l2=estimator.l2 * penalised,
        unit=np.outer(length, estimator._target_unit(moments, num_outputs)),
        tol=-1.0 if patient else estimator.tol,
        patience=len(rates) + 1 if patient else estimator.n_iter_no_change,
        adaptive=adaptive,
        accelerate=auto,
        limit=1e6 * estimator._ignorance(moments, num_outputs) + float(np.finfo(np.float32).tiny),
        seed=check_random_state(estimator.random_state).randint(2**31 - 1),
        batch_size=estimator.batch_size or 1,
    )


def _rates(estimator, epochs, done, steps, partial):
    """The learning rate of each epoch, after `done` epochs of `steps` steps."""
    if isinstance(estimator.learning_rate, numbers.Real):
        return np.full(epochs, float(estimator.learning_rate))
    if estimator.learning_rate == "adaptive":
        return np.full(epochs, estimator.safe_rate_)
    if estimator.learning_rate == "auto":
        # Noise of batches dies away only if the steps do.
        noisy = estimator.batch_size is not None or partial
        return estimator.safe_rate_ / np.sqrt(1.0 + noisy * np.arange(done, done + epochs))
    rates = [
        float(estimator.learning_rate(step)) for step in range(done * steps, (done + epochs) * steps, steps)
    ]
    if not np.isfinite(rates).all() or min(rates) < 0:
        raise SettingError(
            "`learning_rate` must give finite rates >= 0. Received: a schedule that gives "
            f"{min(rates)} to {max(rates)}."
        )
    return np.array(rates)


def check_descent(estimator, costs, rates, ignorance, limit):
    """Refuses weights of a rate that is too large."""
    last, lowest = costs[-1], np.min(costs)
    # Over all rows a cost that rises again shows a rate that is too large; one met batch
    # by batch wavers even where all is well, unless it is worse than knowing nothing.
    if estimator.batch_size is None:
        risen = last > lowest * (1 + 1e-5)
    else:
        risen = last > 10 * ignorance
    if last <= limit and not risen:
        return
    raise DivergedError(
        f"Gradient descent diverged: after {len(costs)} epochs the cost is {last:.4g}, the lowest was "
        f"{lowest:.4g}, and with all weights 0 it is {ignorance:.4g}. The learning rate, last {rates[-1]:.4g}, is "
        f"too large for these features: a rate of at most {estimator.safe_rate_:.4g} will do. learning_rate='auto' "
        "takes that one"
        + ("." if estimator.scaling in SCALINGS else ", and scaling='standardize' allows a larger one.")
    )


def warn_not_converged(estimator):
    """Says what would let a descent end that has met its last epoch."""
    costs = estimator.history_["cost"]
    state = f"its slope is above tol={estimator.tol}"
    if estimator.batch_size is not None:
        state = f"it may still fall by more than tol={estimator.tol} of itself"
    way = "raise `max_iter` or `tol`"
    if estimator.batch_size is None and estimator.learning_rate != "auto":
        way += f", or try learning_rate='auto' (the safe rate is {estimator.safe_rate_:.4g})"
    if estimator.scaling not in SCALINGS:
        way += ", or scaling='standardize'"
    warnings.warn(
        f"{type(estimator).__name__} has not converged after {len(costs)} epochs: the cost is {costs[-1]:.6g}, and "
        f"{state}. To let it, {way}; tol=None asks for exactly `max_iter` epochs.",
        ConvergenceWarning,
        stacklevel=4,
    )
