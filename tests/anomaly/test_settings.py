import dataclasses
import inspect

import pytest

from tfts import AnomalyDetector, Forecaster
from tfts.anomaly.settings import Columns, Settings


def test_every_option_has_one_group_and_the_signature_names_it():
    parameters = inspect.signature(AnomalyDetector).parameters
    assert list(parameters)[:2] == ["model", "targets"]
    assert set(parameters) == set(Settings.of(model="persistence").flat())
    kinds = {p.kind for p in list(parameters.values())[2:]}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def test_an_unknown_option_is_told_with_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown option of AnomalyDetector: 'treshold'.*'threshold'\?"):
        AnomalyDetector("persistence", treshold="mad")
    with pytest.raises(ValueError, match=r"Unknown option of AnomalyDetector: 'contxt'.*'context'\?"):
        AnomalyDetector("persistence").clone(contxt=["weekday"])


def test_settings_can_not_be_changed_and_share_nothing():
    given = {"limit": 3.0}
    made = AnomalyDetector("persistence", threshold="fixed", threshold_options=given)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made._settings.columns.targets = ("y",)
    given["limit"] = 9.0
    made.settings["threshold_options"]["limit"] = 11.0
    assert made.settings["threshold_options"] == {"limit": 3.0}
    assert made.clone(gap=2).settings == {**made.settings, "gap": 2}


def test_one_name_is_a_list_of_one():
    columns = Columns(targets="sold", known_future="promotion", calendar="hour", log="sold")
    assert columns == Columns(targets=["sold"], known_future=["promotion"], calendar=["hour"], log=["sold"])


def test_columns_are_those_of_the_forecaster_that_is_given():
    forecaster = Forecaster(
        "persistence", context_length=3, horizon=1, time="day", series="shop", targets="sold"
    )
    made = AnomalyDetector(forecaster, k=4.0).settings
    assert (made["context_length"], made["time"], made["series"], made["targets"]) == (
        3,
        "day",
        "shop",
        ["sold"],
    )
    # The same once more does no harm.
    AnomalyDetector(forecaster, "sold", time="day", known_future=[])
    with pytest.raises(
        ValueError, match=r"has time='day', so the detector can't have another. .* time='hour'"
    ):
        AnomalyDetector(forecaster, time="hour")
    assert (
        AnomalyDetector("linear_regression", context_length=9).clone(model=forecaster).settings["time"]
        == "day"
    )
