import numpy as np
import pytest

from tests.anomaly.conftest import shops
from tests.anomaly.test_detector import detector
from tfts.anomaly.choice import _f1, _with_faults, choose


def test_faults_are_put_into_held_out_rows_alone():
    table = shops(rows=301)
    made = detector("auto")
    early, late, wrong = _with_faults(made, table, seed=0)
    whole = table.set_index(["shop", "day"])
    assert early.equals(table[table["day"] < late["day"].min()])
    merged = late.set_index(["shop", "day"])
    for target in ("sold", "stock"):
        changed = merged.index[merged[target].to_numpy() != whole.loc[merged.index, target].to_numpy()]
        assert {(shop, day, target) for shop, day in changed} == {key for key in wrong if key[2] == target}
    assert len(wrong) > 8
    np.testing.assert_array_equal(merged["promotion"], whole.loc[merged.index, "promotion"])


def test_f1_of_flags():
    import pandas as pd

    found = pd.DataFrame(
        {"series": "a", "time": [1, 2, 3, 4], "target": "y", "flag": [True, True, False, True]}
    )
    # Two of three flags are right, two of four faults found.
    assert _f1(found, {("a", 1, "y"), ("a", 2, "y"), ("a", 3, "y"), ("a", 9, "y")}) == pytest.approx(
        (4 / 7, 2 / 3, 0.5)
    )
    assert _f1(found[:0], {("a", 1, "y")}) == (0, 0, 0)


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match=r"No method can be fitted to choose from; seasonal_naive: .*rows"):
        choose(detector("auto", context_length=40), shops(rows=41), candidates=("seasonal_naive",))
