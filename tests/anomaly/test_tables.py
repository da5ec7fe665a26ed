"""Names that stand for two things are refused before anything is overwritten."""

import numpy as np
import pandas as pd
import pytest

from tests.anomaly.test_detector import quietly
from tfts import AnomalyDetector


def frame(names, rows=120):
    values = np.random.default_rng(0).normal(9, 1, (rows, len(names)))
    return pd.DataFrame(values, columns=names, index=pd.date_range("2023-01-01", periods=rows))


def made(**options):
    return AnomalyDetector("linear_regression", **{"context_length": 5, **options})


@pytest.mark.parametrize("name", ["time", "series"])
def test_a_target_with_the_name_of_a_key_is_refused(name):
    with pytest.raises(ValueError, match=rf"'{name}'"):
        made().fit(frame([name, "y"]))


def test_a_column_with_the_name_of_the_time_is_refused():
    table = frame(["stamp", "y"]).rename_axis("stamp")
    with pytest.raises(ValueError, match="'stamp'"):
        made(targets=["y"]).fit(table)


@pytest.mark.parametrize("name", ["step_length", "weekday"])
def test_a_column_that_irregular_steps_make_is_not_overwritten(name):
    table = frame([name, "y"])
    with pytest.raises(ValueError, match=f"The table has a column '{name}', which irregular='step_length'"):
        made(targets=["y"], irregular="step_length", calendar=["weekday"]).fit(table)


def test_other_names_of_the_tables_of_results_are_free(tmp_path):
    names = ["target", "actual", "predicted", "residual", "score", "threshold", "flag"]
    table = frame([*names, "direction", "index", "level_0"], 200)
    fitted = made().fit(table[:150])
    rows = quietly(fitted.detect, table[150:])
    for name in table.columns:
        own = rows[rows["target"] == name]
        np.testing.assert_allclose(own["actual"], table[name][150:], rtol=1e-6)
    fitted.save(tmp_path / "d")
    pd.testing.assert_frame_equal(quietly(AnomalyDetector.load(tmp_path / "d").detect, table[150:]), rows)
