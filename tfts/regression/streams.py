"""Tables larger than memory: what a first pass over a Dataset finds, and what the descent reads."""

import dataclasses

import numpy as np

from tfts.errors import DataError, SettingError
from tfts.regression.moments import Moments


@dataclasses.dataclass
class Survey:
    """What the first pass found.

    Fields: `moments`; `rows`, `batches`, counts; `weight`, the sum of all sample weights;
    `target_shape`, of one row; `totals`, dict from label to the sum of its sample weights.
    """

    moments: Moments = None
    rows: int = 0
    batches: int = 0
    weight: float = 0.0
    target_shape: tuple = ()
    totals: dict = dataclasses.field(default_factory=dict)


def survey(dataset, regression):
    """Reads a Dataset once.

    Args:
        dataset: `tf.data.Dataset` of batches `(X, y)` or `(X, y, sample_weight)`.
        regression: Whether `y` are numbers to fit, or labels.

    Returns:
        A `Survey`.

    Raises:
        ValueError: If the batches are no such tuples, there is none or no end of them, a
            value is missing, or a weight is below 0.

    Example:

    >>> import tensorflow as tf
    >>> batches = tf.data.Dataset.from_tensor_slices(([[1.0], [3.0], [8.0]], ["a", "b", "a"])).batch(2)
    >>> found = survey(batches, regression=False)
    >>> found.rows, found.moments.mean.tolist(), found.totals
    (3, [4.0], {'a': 2.0, 'b': 1.0})
    """
    import tensorflow as tf

    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3) or spec[0].shape.rank != 2:
        raise DataError(
            "The Dataset must give batches (X, y) or (X, y, sample_weight) with X of shape (rows, features): "
            f"batch it first. Received: {spec}."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise SettingError("The Dataset never ends, and an epoch is one pass over it: leave out `repeat()`.")
    found = Survey()
    for batch in dataset.as_numpy_iterator():
        X, y = batch[:2]
        weights = batch[2] if len(batch) == 3 else np.ones(len(X))
        targets = y.reshape(len(y), -1) if regression else np.empty((len(y), 0))
        if found.moments is None:
            found.moments = Moments(X.shape[1], targets.shape[1])
            found.target_shape = y.shape[1:]
        _check_batch(X, targets, weights, found.rows)
        found.moments.update(X, targets, weights)
        found.rows += len(X)
        found.batches += 1
        found.weight += float(weights.sum())
        if not regression:
            labels, codes = np.unique(y, return_inverse=True)
            for label, total in zip(labels, np.bincount(codes.ravel(), weights), strict=True):
                label = label.decode() if isinstance(label, bytes) else label.item()
                found.totals[label] = found.totals.get(label, 0.0) + float(total)
    if found.weight == 0:
        raise DataError(
            "The Dataset holds no row with a weight above 0, so that there is nothing to learn from."
        )
    return found


def _check_batch(X, targets, weights, begin):
    wrong = ~np.isfinite(X).all(axis=1) | ~np.isfinite(targets).all(axis=1)
    if wrong.any():
        raise DataError(
            f"Row {begin + int(np.argmax(wrong))} of the Dataset holds a missing value (NaN) or infinity, and a "
            "weighted sum needs every value. Leave such rows out, or fill them, in a `map` before the batches."
        )
    if (weights < 0).any():
        raise DataError(
            f"Sample weights must be >= 0. Row {begin + int(np.argmax(weights < 0))} of the Dataset has "
            f"{weights.min()}."
        )


def prepared(dataset, scaling, classes, num_outputs, class_weights, found):
    """The batches as the descent reads them: `(table, targets, row weights of mean 1)`.

    Args:
        dataset: As in `survey`.
        scaling: Tuple of the offset and the scale of the features and whether there is an
            intercept.
        classes: The labels, or `None` for numbers to fit.
        num_outputs: Int: columns of the targets. 1 with two classes is that of the second.
        class_weights: Float64 of `classes`, or `None`.
        found: The `Survey` of the dataset.

    Returns:
        `tf.data.Dataset`, in float32 if `X` is, else in float64.

    Example:

    >>> import tensorflow as tf
    >>> batches = tf.data.Dataset.from_tensor_slices(([[1.0], [3.0]], ["a", "b"])).batch(2)
    >>> found = survey(batches, regression=False)
    >>> scaling = (np.array([2.0]), np.array([1.0]), True)
    >>> table, targets, weights = next(iter(prepared(batches, scaling, ["a", "b"], 1, None, found)))
    >>> table.numpy().tolist(), targets.numpy().tolist(), weights.numpy().tolist()
    ([[-1.0, 1.0], [1.0, 1.0]], [[0.0], [1.0]], [1.0, 1.0])
    """
    import tensorflow as tf

    offset, scale, intercept = scaling
    dtype = tf.float32 if dataset.element_spec[0].dtype == tf.float32 else tf.float64
    of_class = np.ones(1) if class_weights is None else class_weights
    total = found.weight
    if class_weights is not None:
        total = sum(found.totals.get(c, 0.0) * w for c, w in zip(classes, class_weights, strict=True))
    mean_weight = total / found.rows

    def prepare(X, y, sample_weight=None):
        table = tf.cast((tf.cast(X, tf.float64) - offset) / scale, dtype)
        if intercept:
            table = tf.concat([table, tf.ones_like(table[:, :1])], axis=1)
        weights = tf.ones_like(table[:, 0]) if sample_weight is None else tf.cast(sample_weight, dtype)
        if classes is None:
            targets = tf.reshape(tf.cast(y, dtype), (-1, num_outputs))
        else:
            hot = tf.cast(tf.reshape(y, (-1, 1)) == tf.constant(np.asarray(classes).tolist(), y.dtype), dtype)
            weights *= tf.linalg.matvec(hot, tf.constant(np.broadcast_to(of_class, len(classes)), dtype))
            targets = hot[:, -num_outputs:]
        return table, targets, weights / tf.cast(mean_weight, dtype)

    return dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
