"""Gradient descent for linear models, compiled: the slope, the epochs, the stopping.

The table is `(rows, columns)` with a last column of ones where there is an intercept, so
that the weights are one matrix `(columns, outputs)`.
"""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfts.errors import SettingError

# Multiplications in one compiled call (about a second): between two calls Ctrl-C is heard.
_WORK = 2**31
# Values of a cost surface that are held at once.
_CHUNK = 4_194_304


class Plan(NamedTuple):
    """How to descend; what is a number here is a tensor inside the compiled loop.

    Fields: `rates` (epochs,), the learning rate of each epoch; `l1` and `l2` (columns, 1),
    the penalty of each weight; `unit` (columns, outputs), the slope that counts as 1 for
    `tol`; `tol` and `patience` as in the estimators; `adaptive` and `accelerate`, bool;
    `limit`, the cost above which the descent is lost; `seed`; `batch_size`.
    """

    rates: object
    l1: object
    l2: object
    unit: object
    tol: object
    patience: object
    adaptive: object
    accelerate: object
    limit: object
    seed: object
    batch_size: object


class State(NamedTuple):
    """Where a descent stands after an epoch.

    Fields: `epoch`; `weights`, where the slope was taken last; `point` and `pace`, the last
    plain step and the step count of the acceleration; `slope`, `loss` and `cost` at
    `weights`; `best`, the lowest cost watched; `kept`, the weights to give back; `stale`,
    epochs since `best`; `factor` of the learning rate and its `growth` after a better epoch;
    `done`.
    """

    epoch: object
    weights: object
    point: object
    pace: object
    slope: object
    loss: object
    cost: object
    best: object
    kept: object
    stale: object
    factor: object
    growth: object
    done: object


def loss_and_error(link, outputs, targets):
    """Loss of each row, and its slope with respect to the outputs, `f(outputs) - targets`.

    Args:
        link: `"identity"` (half the squared error), `"sigmoid"` or `"softmax"` (cross-entropy
            from the outputs themselves, so that the logarithm of 0 is never taken).
        outputs: Tensor `(rows, outputs)`, before the link.
        targets: Tensor of the same shape.

    Returns:
        Tuple of tensors `(rows,)`, summed over the outputs, and `(rows, outputs)`.

    Example:

    >>> loss, error = loss_and_error("sigmoid", tf.constant([[0.0]]), tf.constant([[1.0]]))
    >>> round(float(loss[0]), 4), float(error[0, 0])
    (0.6931, -0.5)
    """
    if link == "identity":
        error = outputs - targets
        return tf.reduce_sum(error**2, axis=1) / 2, error
    if link == "sigmoid":
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=outputs)
        return tf.reduce_sum(loss, axis=1), tf.sigmoid(outputs) - targets
    loss = tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
    return loss, tf.nn.softmax(outputs) - targets


def loss_and_slope(link, table, targets, row_weights, count, weights):
    """Loss and its slope `X'(f(Xw) - y) / count`, without penalties.

    Args:
        link: As in `loss_and_error`.
        table: Tensor `(rows, columns)`.
        targets: Tensor `(rows, outputs)`.
        row_weights: Tensor `(rows,)`.
        count: Scalar to divide by.
        weights: Tensor `(columns, outputs)`.

    Returns:
        Tuple of a scalar and a tensor like `weights`.

    Example:

    >>> table, targets = tf.constant([[1.0], [2.0]]), tf.constant([[2.0], [4.0]])
    >>> loss, slope = loss_and_slope("identity", table, targets, tf.ones(2), 2.0, tf.zeros((1, 1)))
    >>> float(loss), float(slope[0, 0])
    (5.0, -5.0)
    """
    loss, error = loss_and_error(link, table @ weights, targets)
    slope = tf.matmul(table, error * row_weights[:, None], transpose_a=True) / count
    return tf.reduce_sum(loss * row_weights) / count, slope


def costs_of(link, rows, weights, l1, l2, num_features):
    """Mean loss and penalties of `rows` at weights `(..., columns, outputs)`.

    Args:
        link: As in `loss_and_error`.
        rows: Tuple `(table, targets, row weights, count)`, see `loss_and_slope`.
        weights: Array `(..., columns, outputs)`; or `(..., columns)` of one output.
        l1: Float, strength of the absolute penalty.
        l2: Float, strength of the squared penalty.
        num_features: Int: the columns that are penalised, which come first.

    Returns:
        Float, or an array of the leading axes of `weights`.

    Raises:
        ValueError: If the weights don't fit the columns and outputs.

    Example:

    >>> table, targets = np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]])
    >>> costs_of("identity", (table, targets, np.ones(2), 2.0), np.zeros((1, 1)), 0.0, 0.0, 1)
    5.0
    """
    table, targets, row_weights, count = rows
    shape = (table.shape[1], targets.shape[1])
    if weights.shape[-2:] != shape:
        if shape[1] != 1 or weights.shape[-1:] != shape[:1]:
            raise SettingError(
                f"`weights` must be (..., columns, outputs) with {shape[0]} columns, the intercept among "
                f"them, and {shape[1]} outputs. Received: shape {weights.shape}."
            )
        weights = weights[..., None]
    points = weights.reshape(-1, *shape)
    step = max(1, _CHUNK // max(1, targets.size))
    costs = []
    for begin in range(0, len(points), step):
        part = points[begin : begin + step]
        outputs = np.einsum("rc,pco->pro", table, part).astype(table.dtype)
        every = np.broadcast_to(targets, outputs.shape)
        loss = loss_and_error(link, outputs.reshape(-1, shape[1]), every.reshape(-1, shape[1]))[0]
        penalised = part[:, :num_features]
        shrunk = l1 * np.abs(penalised) + l2 / 2 * penalised**2
        costs.append(loss.numpy().reshape(len(part), -1) @ row_weights / count + shrunk.sum(axis=(1, 2)))
    costs = np.concatenate(costs).reshape(weights.shape[:-2])
    return float(costs) if costs.ndim == 0 else costs


def penalty(weights, l1, l2):
    """What `l1` and `l2`, each `(columns, 1)`, add to the cost.

    Example:

    >>> float(penalty(tf.constant([[3.0], [5.0]]), tf.constant([[1.0], [0.0]]), tf.constant([[2.0], [0.0]])))
    12.0
    """
    return tf.reduce_sum(l1 * tf.abs(weights) + l2 / 2 * weights**2)


def _step(weights, slope, rate, plan):
    """One step; L1 by its proximal map, which ends at exact zeros where a slope would waver."""
    moved = weights - rate * slope
    return tf.sign(moved) * tf.maximum(tf.abs(moved) - rate * plan.l1, 0)


def _accelerated(evaluate, weights, point, pace, slope, loss, cost, rate, plan):
    """One step over the whole table, with momentum; a step that is worse is taken back.

    Gives weights, point, pace, slope, loss and cost anew, whether the step was worse, and
    whether the slope has become flat.
    """
    ahead = _step(weights, slope, rate, plan)
    moved = ahead - point
    # Momentum that points uphill is dropped.
    uphill = tf.reduce_sum((weights - ahead) * moved) > 0
    pace = tf.where(uphill, tf.ones_like(pace), pace)
    next_pace = (1 + tf.sqrt(1 + 4 * pace**2)) / 2
    momentum = tf.where(plan.accelerate, (pace - 1) / next_pace, tf.zeros_like(pace))
    tried = ahead + momentum * moved
    tried_loss, tried_slope = evaluate(tried)
    tried_slope += plan.l2 * tried
    tried_cost = tried_loss + penalty(tried, plan.l1, plan.l2)
    worse = tf.logical_not(tried_cost <= cost)
    rejected = tf.logical_and(worse, tf.logical_or(plan.adaptive, plan.accelerate))
    point = tf.where(rejected, weights, ahead)
    pace = tf.where(rejected, tf.ones_like(pace), next_pace)
    weights = tf.where(rejected, weights, tried)
    slope = tf.where(rejected, slope, tried_slope)
    loss = tf.where(rejected, loss, tried_loss)
    cost = tf.where(rejected, cost, tried_cost)
    reached = tf.abs(weights - _step(weights, slope, rate, plan)) / rate
    flat = tf.reduce_all(reached <= plan.tol * plan.unit)
    return weights, point, pace, slope, loss, cost, worse, flat


def _epochs(evaluate, sweep, validate, record, state, until, plan):
    """Goes on to epoch `until`, or until done.

    `evaluate(weights)` gives loss and slope of the whole table; `sweep(weights, rate,
    epoch)` makes the steps of one epoch over batches and gives weights and mean loss. One
    of the two is `None`. `validate(weights)` gives the loss of held-out rows, or is `None`.

    It is written so that it runs in a graph as well as eagerly, which the rows of a
    Dataset need.
    """
    dtype = state.weights.dtype
    (epoch, weights, point, pace, slope, loss, cost, best, kept, stale, factor, growth, done) = state
    first = epoch
    costs, losses, rates, checks = [_growing(dtype, ()) for _ in range(4)]
    paths = _growing(dtype, weights.shape)
    while epoch < until and not done:
        rate = plan.rates[epoch] * factor
        flat = tf.constant(False)
        if sweep is None:
            moved = _accelerated(evaluate, weights, point, pace, slope, loss, cost, rate, plan)
            weights, point, pace, slope, loss, cost, worse, flat = moved
        else:
            weights, loss = sweep(weights, rate, epoch)
            tried_cost = loss + penalty(weights, plan.l1, plan.l2)
            worse = tf.logical_not(tried_cost <= cost)
            cost = tried_cost
        # Halved after a worse epoch, larger by a twentieth after a better one.
        changed = tf.where(worse, factor / 2, factor * (1 + growth))
        factor = tf.where(plan.adaptive, changed, factor)
        if sweep is None:
            # The first rate is safe: below it only the momentum can be at fault. And a
            # growth that led to a restart was too fast, for restarts cost the momentum.
            factor = tf.where(plan.accelerate, tf.maximum(factor, 1), factor)
            growth = tf.where(tf.logical_and(plan.accelerate, worse), growth / 2, growth)
        watched = cost
        margin = tf.zeros_like(cost)
        if validate is not None:
            watched = validate(weights)
            checks = checks.write(epoch - first, watched)
        if validate is not None or sweep is not None:
            # Costs of batches and of held-out rows waver: only a real gain counts.
            margin = tf.where(tf.math.is_finite(best), plan.tol * tf.abs(best), margin)
        better = watched < best - margin
        stale = tf.where(better, 0, stale + 1)
        best = tf.where(better, watched, best)
        kept = tf.where(better, weights, kept) if validate is not None else weights
        costs = costs.write(epoch - first, cost)
        losses = losses.write(epoch - first, loss)
        rates = rates.write(epoch - first, rate)
        if record:
            paths = paths.write(epoch - first, weights)
        epoch += 1
        lost = tf.logical_not(cost <= plan.limit)
        done = tf.logical_or(tf.logical_or(flat, lost), stale >= plan.patience)
    state = State(epoch, weights, point, pace, slope, loss, cost, best, kept, stale, factor, growth, done)
    history = {"cost": costs.stack(), "loss": losses.stack(), "learning_rate": rates.stack()}
    if validate is not None:
        history["val_loss"] = checks.stack()
    if record:
        history["weights"] = paths.stack()
    return state, history


def _growing(dtype, shape):
    return tf.TensorArray(dtype, size=0, dynamic_size=True, element_shape=shape)


def _signature(dtype):
    """Shapes that leave every size open, so that no table needs a graph of its own."""

    def spec(*shape, kind=dtype):
        return tf.TensorSpec(shape, kind)

    rows = (spec(None, None), spec(None, None), spec(None), spec())
    column, matrix = spec(None, 1), spec(None, None)
    integer, truth = spec(kind=tf.int32), spec(kind=tf.bool)
    plan = Plan(spec(None), column, column, matrix, spec(), integer, truth, truth, spec(), integer, integer)
    kinds = dict.fromkeys(State._fields, spec())
    kinds |= dict.fromkeys(("weights", "point", "slope", "kept"), matrix)
    kinds |= {"epoch": integer, "stale": integer, "done": truth}
    return [rows, rows, State(**kinds), integer, plan]


@functools.cache
def _compiled(link, batches, validated, record, dtype):
    """The whole training of a table in memory as one graph."""

    def train(train_rows, valid_rows, state, until, plan):
        table, targets, row_weights, count = train_rows

        def evaluate(weights):
            return loss_and_slope(link, table, targets, row_weights, count, weights)

        def sweep(weights, rate, epoch):
            size = tf.shape(table)[0]
            order = tf.random.experimental.stateless_shuffle(tf.range(size), [plan.seed, epoch])
            start = 0
            total = tf.zeros((), dtype)
            while start < size:
                rows = order[start : start + plan.batch_size]
                number = tf.cast(tf.size(rows), dtype)
                loss, slope = loss_and_slope(
                    link,
                    tf.gather(table, rows),
                    tf.gather(targets, rows),
                    tf.gather(row_weights, rows),
                    number,
                    weights,
                )
                total += loss * number
                weights = _step(weights, slope + plan.l2 * weights, rate, plan)
                start += plan.batch_size
            return weights, total / tf.cast(size, dtype)

        def validate(weights):
            return loss_and_slope(link, *valid_rows, weights)[0]

        return _epochs(
            None if batches else evaluate,
            sweep if batches else None,
            validate if validated else None,
            record,
            state,
            until,
            plan,
        )

    # Traced here, for tf.function would take the graphs of other losses for retracing and warn.
    return tf.function(train, input_signature=_signature(dtype)).get_concrete_function()


@functools.cache
def _streamed(link, batches):
    """The compiled pass over a Dataset: the sum of all slopes, or the steps of an epoch."""

    @tf.function(reduce_retracing=True)
    def evaluate(dataset, count, weights):
        loss, slope = tf.zeros((), weights.dtype), tf.zeros_like(weights)
        for table, targets, row_weights in dataset:
            more_loss, more_slope = loss_and_slope(link, table, targets, row_weights, count, weights)
            loss += more_loss
            slope += more_slope
        return loss, slope

    @tf.function(reduce_retracing=True)
    def sweep(dataset, plan, weights, rate):
        total = seen = tf.zeros((), weights.dtype)
        for table, targets, row_weights in dataset:
            number = tf.cast(tf.shape(table)[0], weights.dtype)
            loss, slope = loss_and_slope(link, table, targets, row_weights, number, weights)
            total += loss * number
            seen += number
            weights = _step(weights, slope + plan.l2 * weights, rate, plan)
        return weights, total / seen

    return sweep if batches else evaluate


def descend(link, rows, weights, plan, *, batches=False, valid_rows=None, record=False):
    """Descends until the plan's stopping rule or its last rate.

    Args:
        link: As in `loss_and_error`.
        rows: Tuple of arrays `(table, targets, row weights, count)`, see `loss_and_slope`;
            or `(dataset, count)` with a `tf.data.Dataset` of the first three.
        weights: Array `(columns, outputs)` to start from. Its dtype is that of the work.
        plan: `Plan` of numbers and arrays.
        batches: Whether to step after each batch (`plan.batch_size` rows, shuffled; those
            of a Dataset as they come) or after the whole table.
        valid_rows: Held-out rows like `rows` of arrays: the weights with the lowest loss
            on them are given back.
        record: Whether the history holds the weights after each epoch.

    Returns:
        Tuple `(weights, history, done)`: an array, a dict of arrays with one entry for
        each epoch (`"cost"`, `"loss"`, `"learning_rate"`, and where asked for `"val_loss"`
        and `"weights"`), and whether the stopping rule was met before the last rate.

    Example:

    >>> table, targets = np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]])
    >>> plan = Plan(np.full(50, 0.2), np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), 1e-9, 5,
    ...             adaptive=False, accelerate=False, limit=np.inf, seed=0, batch_size=2)
    >>> weights, history, done = descend("identity", (table, targets, np.ones(2), 2.0), np.zeros((1, 1)), plan)
    >>> weights.round(6).tolist(), history["cost"][:2].tolist(), done
    ([[2.0]], [1.25, 0.3125], True)

    Source: Nesterov, A method for solving the convex programming problem with convergence
    rate O(1/k^2), 1983; with L1, Beck and Teboulle, A fast iterative shrinkage-thresholding
    algorithm, SIAM Journal on Imaging Sciences, 2009; with restarts, O'Donoghue and Candes,
    Adaptive restart for accelerated gradient schemes, 2015.
    """
    dtype = np.dtype(weights.dtype)
    epochs = len(plan.rates)
    whole = {"patience", "seed", "batch_size"}
    kinds = {name: np.int32 if name in whole else dtype for name in Plan._fields}
    kinds |= {"adaptive": np.bool_, "accelerate": np.bool_}
    plan = Plan(*(tf.constant(value, kinds[name]) for name, value in zip(Plan._fields, plan, strict=True)))
    weights = tf.constant(weights)
    if len(rows) == 2:
        advance, first, chunk = _stream(link, *rows, weights, plan, batches, valid_rows, record)
    else:
        rows = tuple(tf.convert_to_tensor(part, dtype) for part in rows)
        held = rows if valid_rows is None else tuple(tf.convert_to_tensor(p, dtype) for p in valid_rows)
        advance = functools.partial(
            _compiled(link, batches, valid_rows is not None, record, dtype.name), rows, held
        )
        first = (0.0, tf.zeros_like(weights)) if batches else loss_and_slope(link, *rows, weights)
        chunk = max(1, _WORK // max(1, int(tf.size(rows[0])) * 4 * weights.shape[1]))
    loss, slope = first
    lowest = penalty(weights, plan.l1, plan.l2) + loss
    state = State(
        epoch=tf.constant(0),
        weights=weights,
        point=weights,
        pace=tf.ones((), dtype),
        slope=slope + plan.l2 * weights,
        loss=tf.cast(loss, dtype),
        cost=tf.constant(np.inf, dtype) if batches else lowest,
        best=tf.constant(np.inf, dtype) if batches or valid_rows is not None else lowest,
        kept=weights,
        stale=tf.constant(0),
        factor=tf.ones((), dtype),
        growth=tf.constant(0.05, dtype),
        done=tf.constant(False),
    )
    parts = []
    while int(state.epoch) < epochs and not bool(state.done):
        until = tf.constant(min(epochs, int(state.epoch) + chunk))
        state, history = advance(state, until, plan)
        parts.append({key: value.numpy() for key, value in history.items()})
    history = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return state.kept.numpy(), history, bool(state.done)


def _stream(link, dataset, count, weights, plan, batches, valid_rows, record):
    """What `descend` needs of a Dataset: how to advance, the first loss and slope, epochs a call."""
    if batches:
        sweep = functools.partial(_streamed(link, True), dataset, plan)
        callbacks = (None, lambda weights, rate, epoch: sweep(weights, rate))
    else:
        evaluate = functools.partial(_streamed(link, False), dataset, tf.constant(count, weights.dtype))
        callbacks = (evaluate, None)
    validate = None
    if valid_rows is not None:
        held = tuple(tf.convert_to_tensor(part, weights.dtype) for part in valid_rows)

        def validate(weights):
            return loss_and_slope(link, *held, weights)[0]

    first = (tf.zeros((), weights.dtype), tf.zeros_like(weights)) if batches else callbacks[0](weights)
    return functools.partial(_epochs, *callbacks, validate, record), first, 1
