import inspect
import json

import numpy as np
import pytest

from tfts.anomaly.thresholds import THRESHOLDS, build_threshold

OPTIONS = {"fixed": {"limit": 3.0}}
# For each option another value that must move a limit.
CHANGES = {
    "dynamic": {"window": 97, "every": 7, "pruning": 0.9},
    "fixed": {"limit": 2.0},
    "mad": {"k": 5.0},
    "pot": {"risk": 5e-3, "level": 0.9, "streaming": False, "peaks": 11},
    "quantile": {"rate": 0.01},
    "rolling_conformal": {"rate": 0.01, "window": 601},
    "std": {"k": 2.0},
}


def normal_sizes(rows, seed=0):
    return np.abs(np.random.default_rng(seed).normal(size=rows))


def stream(seed=1):
    """Sizes with a slow change and bursts."""
    sizes = normal_sizes(1511, seed) * np.linspace(1, 1.5, 1511)
    sizes[400:405] = 12.0
    sizes[900] = 6.0
    return sizes


@pytest.mark.parametrize("name", THRESHOLDS)
def test_limit_depends_on_nothing_later(name):
    first = build_threshold(name, **OPTIONS.get(name, {})).fit(normal_sizes(1009))
    again = build_threshold(name, **OPTIONS.get(name, {})).fit(normal_sizes(1009))
    sizes = stream()
    changed = np.where(np.arange(len(sizes)) >= 700, 99.0, sizes)
    np.testing.assert_array_equal(first.apply(sizes)[:701], again.apply(changed)[:701])


@pytest.mark.parametrize("name", THRESHOLDS)
def test_state_in_the_middle_survives_json(name):
    options = OPTIONS.get(name, {})
    threshold = build_threshold(name, **options).fit(normal_sizes(1009))
    threshold.apply(stream()[:777])
    again = build_threshold(name, **options).set_state(json.loads(json.dumps(threshold.get_state())))
    np.testing.assert_array_equal(again.apply(stream()[777:]), threshold.apply(stream()[777:]))
    assert again.rate_ == threshold.rate_


@pytest.mark.parametrize("name", THRESHOLDS)
def test_missing_sizes_teach_nothing(name):
    first = build_threshold(name, **OPTIONS.get(name, {})).fit(np.append(normal_sizes(1009), np.nan))
    again = build_threshold(name, **OPTIONS.get(name, {})).fit(normal_sizes(1009))
    holes = np.insert(stream(), 450, [np.nan] * 13)
    np.testing.assert_array_equal(np.delete(first.apply(holes), np.s_[450:463]), again.apply(stream()))


@pytest.mark.parametrize(("name", "option"), [(n, o) for n in CHANGES for o in CHANGES[n]])
def test_every_option_acts(name, option):
    assert set(CHANGES[name]) == set(inspect.signature(THRESHOLDS[name]).parameters)
    given = OPTIONS.get(name, {})
    limits = [
        build_threshold(name, **{**given, **changes}).fit(stream(2)).apply(stream())
        for changes in ({}, {option: CHANGES[name][option]})
    ]
    assert not np.array_equal(*limits)


@pytest.mark.parametrize("name", ["quantile", "rolling_conformal", "pot"])
def test_realised_rate_is_the_stated_one(name):
    option = "risk" if name == "pot" else "rate"
    flagged = []
    for seed in range(5):
        threshold = build_threshold(name, **{option: 0.005}).fit(normal_sizes(3001, seed))
        sizes = normal_sizes(10_007, 100 + seed)
        flagged.append(np.mean(sizes > threshold.apply(sizes)))
        assert threshold.rate_ == pytest.approx(0.005, rel=0.02)
    assert 0.0035 < np.mean(flagged) < 0.0065


def test_three_deviations_of_a_symmetric_size():
    sizes = [1.0, 2.0, 2.0]
    assert build_threshold("std").fit(sizes, symmetric=True).limit_ == pytest.approx(3 * np.sqrt(3))
    # mean 5/3, deviation sqrt(2)/3
    assert build_threshold("std").fit(sizes).limit_ == pytest.approx(5 / 3 + np.sqrt(2))


def test_median_deviations_of_a_symmetric_size():
    assert build_threshold("mad", k=1.0).fit([1.0, 2.0, 30.0], symmetric=True).limit_ == pytest.approx(2.9652)


def test_rate_of_a_counted_limit_is_never_zero():
    threshold = build_threshold("fixed", limit=9.0).fit(np.ones(99))
    assert threshold.rate_ == 0.01


def test_quantile_states_the_rate_that_few_rows_can_promise():
    threshold = build_threshold("quantile", rate=0.001).fit(np.arange(19.0))
    assert threshold.limit_ == 18
    assert threshold.rate_ == 0.05


def test_rolling_conformal_waits_until_it_can_keep_its_promise():
    threshold = build_threshold("rolling_conformal", rate=0.1, window=20).fit([1.0] * 7)
    limits = threshold.apply(np.arange(10.0, 15.0))
    assert np.isinf(limits[:2]).all()
    # With nine sizes the largest of them is the limit.
    assert limits[2] == 11


def test_rolling_conformal_equals_a_quantile_of_each_window():
    sizes = stream()
    threshold = build_threshold("rolling_conformal", rate=0.01, window=307).fit(sizes[:307])
    wanted = [np.sort(sizes[i - 307 : i])[-3] for i in range(307, len(sizes))]
    np.testing.assert_array_equal(threshold.apply(sizes[307:]), wanted)


def test_rolling_conformal_follows_a_level_that_stays():
    threshold = build_threshold("rolling_conformal", rate=0.01, window=101).fit(normal_sizes(101))
    sizes = 50 + normal_sizes(501)
    flags = sizes > threshold.apply(sizes)
    assert flags[0]
    assert flags[101:].mean() < 0.03


def test_pot_finds_the_tail_of_a_heavy_distribution():
    sizes = np.random.default_rng(3).pareto(4.0, size=50_021)
    limit = build_threshold("pot", risk=1e-4).fit(sizes).limit_
    # P(x > a) = (1 + a)^-4
    assert limit == pytest.approx(1e-4**-0.25 - 1, rel=0.2)


def test_streaming_pot_learns_no_height_from_what_it_flags():
    first, again = (build_threshold("pot").fit(normal_sizes(1009)) for _ in range(2))
    before = first.limit_
    first.apply([50.0])
    again.apply([5e6])
    assert first.limit_ == again.limit_ < 1.5 * before


def test_pot_of_constant_sizes_is_that_size():
    threshold = build_threshold("pot").fit(np.ones(50))
    assert threshold.apply([1.0, 4.0, 1.0]).tolist() == [1, 1, threshold.limit_]
    assert threshold.limit_ > 1


def test_dynamic_parts_the_runs_from_the_rest():
    sizes = normal_sizes(997)
    sizes[300:310] = 30.0
    assert sizes[:300].max() < build_threshold("dynamic").fit(sizes).limit_ < 30


def test_dynamic_takes_back_what_is_hardly_higher():
    ladder = np.append(normal_sizes(997) * 0.1, 1.0 * 1.05 ** np.arange(20))
    kept, pruned = (build_threshold("dynamic", pruning=p).fit(ladder).limit_ for p in (0.0, 0.5))
    assert kept < pruned


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("std", {"k": 0}, r"`k` must be a number > 0 \(standard deviations\). Received: k=0"),
        ("mad", {"k": True}, "robust standard deviations.*k=True"),
        ("quantile", {"rate": 1.0}, r"`rate` must be a share in \(0, 1\). Received: rate=1.0"),
        ("rolling_conformal", {"rate": 0.01, "window": 50}, "at least 1 / rate - 1 = 99 sizes"),
        ("rolling_conformal", {"window": 2.5}, "`window` must be an int >= 2"),
        ("pot", {"risk": 0.1}, "must be below 1 - level"),
        ("pot", {"peaks": 1}, "`peaks` must be an int >= 2"),
        ("dynamic", {"pruning": 1}, r"`pruning` must be a share in \[0, 1\)"),
        ("dynamic", {"every": 0}, "`every` must be an int >= 1"),
        ("fixed", {"limit": -1}, "`limit` must be a number >= 0"),
        ("fixed", {}, "'fixed' needs the option `limit`"),
        ("stdd", {}, "Unknown threshold 'stdd'.*Did you mean 'std'"),
        ("std", {"q": 1}, "Unknown option of threshold 'std': 'q'. Expected one of: k"),
    ],
)
def test_what_is_wrong_is_said(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_threshold(name, **options)


def test_too_few_sizes_are_refused():
    with pytest.raises(ValueError, match=r"at least 2 calibration sizes\. Received: 1"):
        build_threshold("std").fit([1.0, np.nan])
