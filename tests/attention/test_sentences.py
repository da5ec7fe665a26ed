import numpy as np
import pandas as pd
import pytest

from tests.attention.stacks import noisy, on_lags, uniform
from tfts.attention import Faithfulness, describe, regime_comparison


def masking(passed=True):
    table = pd.DataFrame(
        {"masked": ["most attended", "random", "least attended"], "rows": 2, "change": [0.6, 0.2, 0.1]}
    )
    interval = {"difference": 0.4, "low": 0.3, "high": 0.5}
    return Faithfulness(table, interval, interval, passed)


def kinds(claims):
    return [claim.kind for claim in claims]


NULL = {"shuffled_targets": noisy(uniform(40))}
STEPS = range(1, 6)


def test_a_season_is_said_with_its_figures():
    stack = noisy(on_lags([24 - h for h in STEPS], 40))
    claims = describe(stack, others=NULL, faithful=masking(), seasonal_lags=[24], freq="h")
    assert kinds(claims) == ["seasonal", "horizon"]
    sentence = str(claims[0])
    share = stack[
        :, :, np.arange(5)[:, None], np.array([[30 - 24 + h + d for d in (-1, 0, 1)] for h in STEPS])
    ]
    share = 100 * share.sum(axis=-1).mean()
    assert f"24 hours before the row it forecasts: {share:.3g} % of the weight" in sentence
    assert "uniform attention 9.68 %" in sentence
    assert "shuffled targets" in sentence
    assert "most attended 2 rows changes the forecast by 0.6" in sentence
    assert "as many random ones by 0.2, the least attended by 0.1" in sentence
    assert claims[0].figures["masking_ratio"] == pytest.approx(3)
    assert claims[0].figures["season_24"] == pytest.approx(share / 100)
    assert "moves to newer rows along the horizon: by 3." in str(claims[1])
    assert "23 hours before the origin at step 1 and 19 hours at step 5" in str(claims[1])


def test_a_distance_that_nobody_named_is_found():
    claims = describe(noisy(on_lags([13 - h for h in STEPS], 40)), faithful=masking())
    assert kinds(claims) == ["peak", "horizon"]
    assert "It looks 13 steps before the row it forecasts, a place that was found and not given:" in str(
        claims[0]
    )


def test_a_lag_that_stays_is_told_from_a_distance_that_stays():
    claims = describe(noisy(on_lags([24] * 5, 40)), faithful=masking(), freq="h")
    assert kinds(claims) == ["peak"]
    assert "It looks 24 hours before the origin, a place that was found and not given:" in str(claims[0])
    given = describe(noisy(on_lags([24] * 5, 40)), faithful=masking(), fixed_lags=[24])
    assert kinds(given) == ["lag"]
    assert "It looks 24 steps before the origin:" in str(given[0])


def test_newest_rows_are_said_when_they_have_most_of_the_weight():
    claims = describe(noisy(on_lags([0] * 5, 40)), others=NULL, faithful=masking(), freq="15min")
    assert kinds(claims) == ["recent"]
    assert "mostly at the newest 3 rows (45 minutes)" in str(claims[0])


def test_heads_that_divide_the_work_are_said():
    stack = np.concatenate([on_lags([0] * 5, 40, 1), on_lags([25] * 5, 40, 1)], axis=1)
    claims = describe(noisy(stack), others=NULL, faithful=masking())
    assert "heads" in kinds(claims)
    assert "The 2 heads divide the work" in str(claims[-1])
    one = describe(noisy(on_lags([0] * 5, 40, 1)), faithful=masking())
    assert kinds(one) == ["recent"]


def test_a_regime_is_said_when_it_looks_elsewhere():
    mask = np.arange(100) >= 60
    stack = noisy(np.concatenate([on_lags([0] * 5, 60), on_lags([24] * 5, 40)]))
    table = regime_comparison(stack, mask, block_length=3)
    claims = describe(stack, faithful=masking(), regimes={"promotion": table}, block_length=3)
    (claim,) = [claim for claim in claims if claim.kind == "regime"]
    assert "Within promotion the weight on the newest rows is" in str(claim)
    assert claim.figures["inside"] < 0.1 < 0.8 < claim.figures["outside"]
    alike = regime_comparison(noisy(on_lags([0] * 5, 100)), mask, block_length=3)
    again = describe(stack, faithful=masking(), regimes={"promotion": alike}, block_length=3)
    assert "regime" not in kinds(again)


def test_uniform_attention_has_no_clear_pattern():
    (claim,) = describe(noisy(uniform(40)), others=NULL, faithful=masking(), seasonal_lags=[24])
    assert claim.kind == "none"
    assert str(claim).startswith("No clear pattern: no measure stands out from its baselines. The entropy is")


def test_what_masking_does_not_confirm_is_not_said():
    stack = noisy(on_lags([24 - h for h in STEPS], 40))
    (claim,) = describe(stack, others=NULL, faithful=masking(passed=False), seasonal_lags=[24])
    assert "masking the most attended rows does no more to the forecast than masking random ones" in str(
        claim
    )


def test_what_the_shuffled_network_shows_as_well_is_not_said():
    stack = noisy(on_lags([24 - h for h in STEPS], 40))
    same = {"shuffled_targets": noisy(on_lags([24 - h for h in STEPS], 40), seed=1)}
    (claim,) = describe(stack, others=same, faithful=masking(), seasonal_lags=[24])
    assert claim.kind == "none"


def test_without_masking_every_sentence_says_so():
    claims = describe(noisy(on_lags([0] * 5, 40)))
    assert [str(claim).endswith("What masking does was not tried.") for claim in claims] == [True]
    assert "masking_ratio" not in claims[0].figures


def test_self_attention_is_told_from_the_row_that_looks():
    stack = np.zeros((40, 1, 13, 13), np.float32)
    for row in range(13):
        stack[:, :, row, row - 5 if row >= 5 else row + 5] = 1
    claims = describe(noisy(stack), faithful=masking(), seasonal_lags=[5], freq="h", query="context")
    assert "It looks 5 hours from the row that looks" in str(claims[0])
    assert "horizon" not in kinds(claims)
