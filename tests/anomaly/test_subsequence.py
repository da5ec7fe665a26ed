import numpy as np
import pytest

from tfts.anomaly.subsequence import SUBSEQUENCES, NearestWindows, PcaWindows


def waves(rows=211, targets=2, seed=0):
    random = np.random.default_rng(seed)
    steps = np.arange(rows)[:, None]
    table = np.sin(2 * np.pi * steps / 13 + np.arange(targets)) + random.normal(0, 0.05, (rows, targets))
    return np.lib.stride_tricks.sliding_window_view(table, 13, axis=0).transpose(0, 2, 1)


@pytest.mark.parametrize("name", SUBSEQUENCES)
def test_usual_windows_are_near_and_others_far(name):
    usual = SUBSEQUENCES[name]().fit(waves())
    new = waves(seed=1)
    flat = np.zeros_like(new[:1])
    near, far = (np.abs(usual.compare(w) - w).mean() for w in (new, flat))
    assert near < 0.1
    # A plane through the middle of the waves holds the flat line too.
    assert far > 3 * near or name == "pca_windows"


@pytest.mark.parametrize("name", SUBSEQUENCES)
def test_one_window_gives_what_it_gives_among_others(name):
    usual = SUBSEQUENCES[name]().fit(waves())
    new = waves(seed=1)[:17]
    np.testing.assert_array_equal(np.concatenate([usual.compare(w[None]) for w in new]), usual.compare(new))


@pytest.mark.parametrize("name", SUBSEQUENCES)
def test_state_gives_the_same(name):
    usual = SUBSEQUENCES[name]().fit(waves())
    again = SUBSEQUENCES[name]().set_state(usual.get_state())
    np.testing.assert_array_equal(again.compare(waves(seed=1)), usual.compare(waves(seed=1)))


def test_options_act():
    assert len(NearestWindows(max_windows=50).fit(waves()).windows_) == 50
    assert len(PcaWindows(0.5).fit(waves()).axes_) < len(PcaWindows(0.999).fit(waves()).axes_)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PcaWindows(1.0), r"`variance` must be a share in \(0, 1\). Received: variance=1.0"),
        (lambda: NearestWindows(0), "`max_windows` must be an int >= 1. Received: max_windows=0"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
