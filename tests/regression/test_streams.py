import numpy as np
import pytest
import tensorflow as tf

from tfts.regression import LinearRegression, LogisticRegression
from tfts.regression.streams import survey


def make_batches(X, *others, size=2):
    return tf.data.Dataset.from_tensor_slices((np.asarray(X, dtype=np.float64), *others)).batch(size)


def test_survey_counts_labels_by_weight():
    batches = make_batches([[1.0], [2.0], [3.0]], ["b", "a", "b"], [1.0, 2.0, 4.0])
    found = survey(batches, regression=False)
    assert found.totals == {"a": 2.0, "b": 5.0}
    assert (found.rows, found.batches, found.weight) == (3, 2, 7.0)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (tf.data.Dataset.from_tensor_slices(([[1.0]], [1.0])), r"must give batches \(X, y\)"),
        (tf.data.Dataset.from_tensor_slices([[1.0]]).batch(1), r"must give batches \(X, y\)"),
        (make_batches([[1.0]], [1.0]).repeat(), "never ends, and an epoch is one pass"),
        (
            make_batches([[1.0], [2.0], [np.nan]], [1.0, 2.0, 3.0]),
            "Row 2 of the Dataset holds a missing value",
        ),
        (
            make_batches([[1.0], [2.0], [3.0]], [1.0, np.inf, 3.0]),
            "Row 1 of the Dataset holds a missing value",
        ),
        (
            make_batches([[1.0], [2.0]], [1.0, 2.0], [1.0, -1.0]),
            r"must be >= 0. Row 1 of the Dataset has -1\.0",
        ),
        (make_batches([[1.0], [2.0]], [1.0, 2.0], [0.0, 0.0]), "no row with a weight above 0"),
        (make_batches([[1.0]], [1.0]).take(0), "no row with a weight above 0"),
    ],
)
def test_wrong_datasets(dataset, message):
    with pytest.raises(ValueError, match=message):
        LinearRegression().fit(dataset)


def test_whole_numbers_are_worked_on_in_double_precision():
    X, y = np.arange(12).reshape(6, 2) % 5, np.array([0, 1, 0, 1, 1, 0])
    batches = tf.data.Dataset.from_tensor_slices((X, y[:, None])).batch(4)
    model = LogisticRegression(max_iter=4, tol=None).fit(batches)
    assert model.history_["cost"].dtype == np.float64
    np.testing.assert_allclose(
        model.coef_, LogisticRegression(max_iter=4, tol=None).fit(X, y).coef_, rtol=1e-6
    )


@pytest.mark.parametrize("labels", [[False, True], [3, 8], ["no", "yes"], [0.5, 1.5]])
def test_labels_of_every_kind(labels):
    X = np.arange(10.0)[:, None]
    y = np.array(labels)[(X[:, 0] > 4).astype(int)]
    model = LogisticRegression(max_iter=9, tol=None).fit(tf.data.Dataset.from_tensor_slices((X, y)).batch(3))
    assert model.classes_.tolist() == labels
    np.testing.assert_array_equal(model.predict(X), y)
