import numpy as np
import pytest
import tensorflow as tf

from tfts.regression.descent import Plan, _compiled, descend, loss_and_slope, penalty

ROWS, COLUMNS, OUTPUTS = 11, 5, 3


def make_problem(link, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(ROWS, OUTPUTS))
    if link != "identity":
        targets = np.eye(OUTPUTS)[rng.integers(OUTPUTS, size=ROWS)]
    return rng.normal(size=(ROWS, COLUMNS)), targets, rng.random(ROWS), 7.0


def make_plan(epochs=50, rate=0.1, **changes):
    column = np.zeros((COLUMNS, 1))
    plan = Plan(
        rates=np.full(epochs, rate),
        l1=column,
        l2=column,
        unit=np.ones((COLUMNS, OUTPUTS)),
        tol=-1.0,
        patience=epochs + 1,
        adaptive=False,
        accelerate=False,
        limit=np.inf,
        seed=0,
        batch_size=4,
    )
    return plan._replace(**changes)


@pytest.mark.parametrize("link", ["identity", "sigmoid", "softmax"])
def test_slope_is_that_of_automatic_differentiation(link):
    rows = [tf.constant(part, tf.float64) for part in make_problem(link)]
    weights = tf.Variable(np.random.default_rng(1).normal(size=(COLUMNS, OUTPUTS)))
    with tf.GradientTape() as tape:
        loss, slope = loss_and_slope(link, *rows, weights)
    np.testing.assert_allclose(slope, tape.gradient(loss, weights), rtol=1e-12)


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_loss_is_finite_for_sums_of_any_size(link):
    table, targets, weights, count = make_problem(link)
    rows = [tf.constant(part, tf.float64) for part in (table * 1e6, targets, weights, count)]
    loss, slope = loss_and_slope(link, *rows, tf.ones((COLUMNS, OUTPUTS), tf.float64))
    assert np.isfinite(loss)
    assert np.isfinite(slope).all()


def test_plain_steps_are_the_textbook_formula():
    table, targets, row_weights, count = make_problem("identity")
    weights, history, done = descend(
        "identity",
        (table, targets, row_weights, count),
        np.zeros((COLUMNS, OUTPUTS)),
        make_plan(3, 0.2),
        record=True,
    )
    expected = np.zeros((COLUMNS, OUTPUTS))
    for epoch in range(3):
        expected -= 0.2 * table.T @ ((table @ expected - targets) * row_weights[:, None]) / count
        np.testing.assert_allclose(history["weights"][epoch], expected, rtol=1e-10)
    np.testing.assert_allclose(weights, expected, rtol=1e-10)
    assert not done


def test_l1_ends_at_zeros_and_l2_is_a_slope():
    rows = make_problem("identity")
    heavy = make_plan(l1=np.full((COLUMNS, 1), 100.0))
    assert not descend("identity", rows, np.ones((COLUMNS, OUTPUTS)), heavy)[0].any()
    plan = make_plan(1, 0.2, l2=np.full((COLUMNS, 1), 0.5))
    start = np.ones((COLUMNS, OUTPUTS))
    plain, _, _ = descend("identity", rows, start, make_plan(1, 0.2))
    np.testing.assert_allclose(
        descend("identity", rows, start, plan)[0], plain - 0.2 * 0.5 * start, rtol=1e-10
    )
    assert float(penalty(tf.constant(start), plan.l1, plan.l2)) == pytest.approx(0.25 * COLUMNS * OUTPUTS)


def test_a_stop_between_two_calls_changes_nothing(monkeypatch):
    rows, start = make_problem("softmax"), np.zeros((COLUMNS, OUTPUTS))
    plan = make_plan(23, adaptive=True, accelerate=True)
    whole = descend("softmax", rows, start, plan)
    monkeypatch.setattr("tfts.regression.descent._WORK", 7 * 4 * ROWS * COLUMNS * OUTPUTS)
    parts = descend("softmax", rows, start, plan)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_array_equal(parts[1]["cost"], whole[1]["cost"])


def test_tolerance_and_patience_end_the_descent():
    rows, start = make_problem("identity"), np.zeros((COLUMNS, OUTPUTS))
    _, history, done = descend("identity", rows, start, make_plan(5000, tol=1e-3))
    assert done
    assert len(history["cost"]) < 5000
    standing = make_plan(50, rate=1e-300, patience=5)
    _, history, done = descend("identity", rows, start, standing)
    assert (len(history["cost"]), done) == (5, True)


def test_a_lost_descent_ends_at_the_limit():
    rows, start = make_problem("identity"), np.zeros((COLUMNS, OUTPUTS))
    _, history, done = descend("identity", rows, start, make_plan(500, rate=100.0, limit=1e9))
    assert done
    assert 1e9 < history["cost"][-1] < 1e30
    assert len(history["cost"]) < 20


def test_one_graph_serves_tables_of_every_size():
    _compiled.cache_clear()
    for rows in (ROWS, ROWS + 6, 1):
        parts = (np.ones((rows, COLUMNS)), np.ones((rows, OUTPUTS)), np.ones(rows), float(rows))
        descend("identity", parts, np.zeros((COLUMNS, OUTPUTS)), make_plan(2))
    assert _compiled.cache_info().misses == 1
