import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfts.anomaly import AnomalyDetector
from tfts.data.frames import as_pandas, with_one_id
from tfts.data.panel import Panel
from tfts.errors import DataError, SettingError
from tfts.forecaster import Forecaster

DAYS = pd.date_range("2024-01-01", periods=20)


def sales():
    return pd.DataFrame(
        {
            "store": ["007"] * 20 + ["NA"] * 20,
            "item": [7] * 20 + [11] * 20,
            "day": [*DAYS, *DAYS],
            "sold": np.arange(40.0) % 13,
        }
    )


def test_a_frame_of_pandas_is_given_back_as_it_is():
    frame = sales()
    assert as_pandas(frame) is frame


def test_arrow_keeps_whole_numbers_and_booleans_with_holes():
    table = pa.table(
        {
            "large": pa.array([2**53 + 1, None], pa.int64()),
            "small": pa.array([3, None], pa.uint8()),
            "open": [True, None],
            "full": pa.array([1, 2], pa.int32()),
            "part": [0.5, None],
            "day": pa.array([0, 19723], pa.date32()),
        }
    )
    made = as_pandas(table)
    assert made["large"].tolist() == [9007199254740993, pd.NA]
    assert {name: str(kind) for name, kind in made.dtypes.items()} == {
        "large": "Int64",
        "small": "UInt8",
        "open": "boolean",
        "full": "int32",
        "part": "float64",
        "day": "datetime64[ms]",
    }
    assert made["day"].iloc[1] == pd.Timestamp("2024-01-01")


def test_arrow_keeps_the_index_that_pandas_gave_it():
    frame = pd.DataFrame({"sold": [1, None, 3]}, index=DAYS[:3], dtype="Int64")
    made = as_pandas(pa.Table.from_pandas(frame))
    assert made.index.equals(frame.index)
    assert made["sold"].tolist() == [1, pd.NA, 3]


def test_batches_of_arrow_are_tables():
    batch = pa.record_batch({"sold": [1.0, 2.0]})
    assert as_pandas(batch)["sold"].tolist() == [1.0, 2.0]
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch, batch])
    assert as_pandas(reader)["sold"].tolist() == [1.0, 2.0, 1.0, 2.0]


def test_numbers_of_arrow_are_not_copied():
    values = np.arange(1000.0)
    made = as_pandas(pa.table({"sold": pa.array(values)}))
    assert np.shares_memory(made["sold"].to_numpy(), values)


def test_what_is_no_table_is_refused():
    with pytest.raises(DataError, match=r"Expected a table: a pandas DataFrame, or .* Received: ndarray"):
        as_pandas(np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"Expected a table: .* Received: DoubleArray"):
        as_pandas(pa.array([1.0]))


def test_polars_gives_the_same_panel_and_forecasts():
    polars = pytest.importorskip("polars")
    frame = sales()
    other = polars.from_pandas(frame)
    panel = Panel.from_frame(other, time="day", series="store", targets="sold")
    assert panel.digest() == Panel.from_frame(frame, time="day", series="store", targets="sold").digest()
    forecaster = Forecaster(
        "persistence", context_length=2, horizon=2, time="day", series="store", targets="sold"
    )
    expected = forecaster.clone().fit(frame).predict(frame)
    pd.testing.assert_frame_equal(forecaster.fit(other).predict(other), expected)


def test_a_plan_of_polars_that_has_not_run_is_refused():
    polars = pytest.importorskip("polars")
    lazy = polars.from_pandas(sales()).lazy()
    with pytest.raises(DataError, match=r"Received: a polars LazyFrame, which is a plan .* collect\(\) it"):
        Panel.from_frame(lazy, time="day", series="store")


def test_a_detector_takes_arrow():
    frame = sales().loc[:19, ["day", "sold"]]
    detector = AnomalyDetector("running_median", context_length=2, time="day")
    expected = detector.clone().fit(frame).detect(frame)
    table = pa.Table.from_pandas(frame)
    pd.testing.assert_frame_equal(detector.fit(table).detect(table), expected)


def test_several_columns_are_one_id():
    frame = sales()
    panel = Panel.from_frame(frame, time="day", series=["store", "item"])
    assert (panel.series_name, panel.series, panel.columns) == (
        "store/item",
        ("007/7", "NA/11"),
        ("sold",),
    )
    again = Panel.from_frame(panel.to_frame(), time="day", series=["store", "item"])
    assert again.digest() == panel.digest()


def test_a_forecaster_of_several_id_columns_is_saved_and_predicts(tmp_path):
    frame = sales()
    made = Forecaster("persistence", context_length=2, horizon=1, time="day", series=["store", "item"]).fit(
        frame
    )
    made.save(tmp_path / "model")
    forecast = Forecaster.load(tmp_path / "model").predict(frame)
    assert forecast["series"].tolist() == ["007/7", "NA/11"]
    assert forecast["sold"].tolist() == [19 % 13, 39 % 13]


def test_a_list_of_one_id_column_is_that_column():
    assert Panel.from_frame(sales(), time="day", series=["store"], targets="sold").series == ("007", "NA")


def test_ids_that_would_be_one_once_joined_are_refused():
    frame = pd.DataFrame({"a": ["x/y", "x"], "b": ["z", "y/z"], "sold": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"\['x/y', 'z'\] and \['x', 'y/z'\] apart, but .* both are 'x/y/z'"):
        with_one_id(frame, ["a", "b"])


def test_an_id_column_that_is_absent_or_has_a_hole_is_refused():
    frame = pd.DataFrame({"a": ["x", None], "b": ["z", "y"]})
    with pytest.raises(KeyError, match=r"Unknown series column 'c'"):
        with_one_id(frame, ["b", "c"])
    with pytest.raises(DataError, match=r"Series column 'a' is missing in 1 rows \(first: row 1\)"):
        with_one_id(frame, ["a", "b"])


def test_a_detector_refuses_several_id_columns():
    with pytest.raises(SettingError, match=r"`series` of a detector must be the name of one column"):
        AnomalyDetector("running_median", context_length=2, series=["store", "item"])
