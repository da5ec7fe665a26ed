import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfts.anomaly import drift
from tfts.anomaly.drift import MAX_REFERENCE, DriftMonitor


def noise(num_rows, memory=0.0, seed=0, num_targets=1):
    """Standard normal columns, each with the same correlation from row to row."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((num_rows, num_targets))
    for row in range(1, num_rows):
        values[row] = memory * values[row - 1] + np.sqrt(1 - memory**2) * values[row]
    return values


def reports(monitor, residuals):
    """Every report, with the residuals given window by window."""
    blocks = np.split(residuals, np.arange(monitor.window, len(residuals), monitor.window))
    return [report for report in map(monitor.update, blocks) if report is not None]


@pytest.mark.parametrize(
    ("memory", "num_targets", "rounded"), [(0.0, 1, False), (0.0, 3, False), (0.6, 1, False), (0.0, 1, True)]
)
def test_false_reports_are_no_more_than_stated(memory, num_targets, rounded):
    false, runs, looks, window, alpha = 0, 200, 10, 31, 0.2
    for seed in range(runs):
        residuals = noise(400 + looks * window, memory, seed, num_targets)
        if rounded:
            residuals = residuals.round()
        monitor = DriftMonitor(window, alpha, num_looks=looks).fit(residuals[:400])
        false += monitor.update(residuals[400:]) is not None
    # Three standard errors above the stated rate.
    assert false / runs <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)
    if memory == 0 and not rounded:
        assert false / runs > 0.03


def test_memory_in_residuals_that_was_not_minded_would_break_the_stated_rate(monkeypatch):
    plain = drift._reference
    monkeypatch.setattr(drift, "_reference", lambda *given: {**plain(*given), "rows_each": 1.0})
    false = 0
    for seed in range(100):
        residuals = noise(710, 0.6, seed)
        monitor = DriftMonitor(31, 0.2, num_looks=10).fit(residuals[:400])
        false += monitor.update(residuals[400:]) is not None
    assert false > 40


@pytest.mark.parametrize(
    ("change", "kind"),
    [(lambda x: x + 1, "distribution"), (lambda x: 3 * x, "coverage"), (lambda x: x / 9, None)],
)
def test_shifts_and_spreads_are_found_within_two_windows(change, kind):
    residuals = noise(1000, seed=5)[:, 0]
    monitor = DriftMonitor(window=100).fit(residuals[:600])
    assert monitor.update(residuals[600:800]) is None
    report = monitor.update(change(residuals[800:1000]))
    assert report.p_value < report.level == monitor.level
    assert report.kind == (kind or report.kind)
    assert report.row in (300, 400)
    assert (report.target, report.rows, report.nominal_coverage) == ("residual 1", 100, 0.9)


def test_report_says_what_changed_in_units():
    monitor = DriftMonitor(window=41, coverage=0.8).fit(np.arange(101.0) * 40 % 101, targets=["Sales"])
    report = monitor.update(np.linspace(140, 240, 41))
    assert (report.target, report.shift, report.spread_ratio) == ("Sales", 140.0, 1.0)
    assert (report.coverage, report.nominal_coverage) == (0.0, 0.8)
    assert (
        "Sales: the distribution of the last 41 residuals is another: median moved by 140"
        in report.sentence()
    )


def test_a_drift_is_reported_once_until_it_is_over():
    monitor = DriftMonitor(window=50).fit(noise(500, seed=1))
    drifted, calm = noise(50, seed=2) + 2, noise(50, seed=3)
    found = [monitor.update(block) is not None for block in (calm, drifted, drifted, calm, drifted)]
    assert found == [False, True, False, False, True]


def test_only_the_target_that_drifts_is_named():
    residuals = noise(700, seed=9, num_targets=3)
    monitor = DriftMonitor(window=100).fit(residuals[:500], targets=["Sales", "Inventory", "Ratings"])
    residuals[600:, 1] += 2
    assert [report.target for report in reports(monitor, residuals[500:])] == ["Inventory"]
    assert monitor.level == pytest.approx(0.05 / (100 * 2 * 3))


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=7))
def test_cuts_into_calls_do_not_matter(cuts):
    residuals = noise(300, seed=3)
    residuals[150:] += 2
    whole = DriftMonitor(window=37).fit(noise(200, seed=4))
    report = whole.update(residuals)
    parts = DriftMonitor(window=37).fit(noise(200, seed=4))
    found = [parts.update(block) for block in np.split(residuals, sorted(cuts))]
    assert whole.get_state() == parts.get_state()
    assert report in found


def test_missing_residuals_are_left_out_and_an_empty_window_is_no_look():
    residuals = noise(700, seed=6, num_targets=2)
    residuals[::3, 0] = np.nan
    monitor = DriftMonitor(window=60).fit(residuals[:500])
    residuals[500:560, 1] = np.nan
    residuals[560:, 1] += 3
    report = monitor.update(residuals[500:620])
    assert (report.target, report.rows) == ("residual 2", 60)
    only_first = DriftMonitor(window=60).fit(residuals[:500])
    first = only_first.update(np.column_stack([residuals[500:560, 0] + 3, np.full(60, np.nan)]))
    assert (first.target, first.rows) == ("residual 1", 40)


def test_state_is_json_of_one_size_and_goes_on_as_if_nothing_had_been():
    monitor = DriftMonitor(window=100).fit(noise(9001, seed=1, num_targets=2), targets=["a", "b"])
    sizes = set()
    for seed in range(5):
        residuals = noise(530, seed=10 + seed, num_targets=2)
        residuals[11, 0] = np.nan
        monitor.update(residuals)
        sizes.add(len(json.dumps(monitor.get_state(), allow_nan=False)) // 10_000)
    assert len(sizes) == 1
    assert len(monitor.get_state()["references"][0]["values"]) == MAX_REFERENCE
    again = DriftMonitor.from_state(json.loads(json.dumps(monitor.get_state())))
    drifted = noise(200, seed=99, num_targets=2) + 1
    assert again.update(drifted) == monitor.update(drifted) is not None
    assert again.get_state() == monitor.get_state()


def test_distribution_test_agrees_with_the_exact_one():
    for size, seed in ((41, 1), (101, 2), (211, 3)):
        reference, recent = noise(301, seed=seed)[:, 0], noise(size, seed=seed + 50)[:, 0] + 0.2
        expected = stats.ks_2samp(reference, recent, method="exact").pvalue
        made = {**drift._reference(reference, 0.9), "rows_each": 1.0}
        assert drift._distribution(made, np.sort(recent)) == pytest.approx(expected, rel=0.25)


def test_coverage_test_is_exact_by_simulation():
    # Of 19 values, 4 to 16 hold 12 of 20 gaps; the share of windows at or below a p-value is at most that.
    p_values = []
    random = np.random.default_rng(0)
    for _ in range(3000):
        made = {**drift._reference(random.random(59), 0.6), "rows_each": 1.0}
        p_values.append(drift._coverage(made, np.sort(random.random(40))))
    for level in (0.01, 0.05, 0.2):
        share = np.mean(np.array(p_values) <= level)
        assert share <= level + 3 * np.sqrt(level * (1 - level) / 3000)
    assert np.mean(np.array(p_values) <= 0.2) > 0.1


def test_a_constant_reference_reports_another_constant():
    monitor = DriftMonitor(window=20).fit(np.zeros(50))
    assert monitor.update(np.zeros(40)) is None
    report = monitor.update(np.ones(20))
    assert report.shift == 1
    assert np.isnan(report.spread_ratio)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DriftMonitor(window=10), "`window` must be an int >= 20. Received: window=10"),
        (lambda: DriftMonitor(num_looks=0), "`num_looks` must be an int >= 1"),
        (lambda: DriftMonitor(alpha=1), "`alpha` must be a number between 0 and 1"),
        (lambda: DriftMonitor(coverage=0), "`coverage` must be a number between 0 and 1"),
        (
            lambda: DriftMonitor(window=20).fit(np.ones(19)),
            "at least one window of residuals, 20 rows.* has 19",
        ),
        (
            lambda: DriftMonitor(window=20).fit(np.ones((40, 2)), ["a"]),
            "`targets` must name each of the 2 columns",
        ),
        (
            lambda: DriftMonitor(window=20).fit(np.full(40, np.inf)),
            r"finite numbers.*\(40, 1\) with 40 infinite",
        ),
        (lambda: DriftMonitor().update([1.0]), "no reference yet. Call `fit`"),
        (lambda: DriftMonitor().get_state(), "no reference yet"),
        (
            lambda: DriftMonitor(window=20).fit(np.ones(40)).update(np.ones((3, 2))),
            r"one column for each target: residual 1. Received: shape \(3, 2\)",
        ),
        (lambda: DriftMonitor.from_state({"window": 20}), "The state of a drift monitor needs"),
        (
            lambda: DriftMonitor.from_state({**DriftMonitor(20).fit(np.ones(40)).get_state(), "rows": 1}),
            "Unknown part of a drift monitor's state 'rows'.* Did you mean 'row'",
        ),
    ],
)
def test_wrong_use_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
