import datetime
import gzip

import numpy as np
import pandas as pd
import pytest

from tfts.data.panel import Panel
from tfts.data.readers import read_m4, read_table


def write(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def stamps(frame, column="time"):
    return [t.isoformat() for t in frame[column]]


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "TABLE.CSV"])
def test_csv_keeps_rows_columns_and_missing_values(tmp_path, name):
    frame = read_table(write(tmp_path, "day,load,zone\n2024-01-02,3,a\n2024-01-01,,None\n", name))
    assert list(frame.columns) == ["day", "load", "zone"]
    assert frame["day"].tolist() == ["2024-01-02", "2024-01-01"]
    np.testing.assert_array_equal(frame["load"], [3.0, np.nan])
    assert frame["zone"].isna().tolist() == [False, True]


@pytest.mark.parametrize("name", ["table.parquet", "table.parquet.gz"])
def test_parquet_gives_back_the_table(tmp_path, name):
    table = pd.DataFrame(
        {"load": [3, -9999], "when": [datetime.date(2024, 1, 31), datetime.date(2024, 2, 1)]}
    )
    path = tmp_path / "table.parquet"
    table.to_parquet(path)
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
    frame = read_table(tmp_path / name, time="when", na_values=-9999)
    assert stamps(frame, "when") == ["2024-01-31T00:00:00", "2024-02-01T00:00:00"]
    np.testing.assert_array_equal(frame["load"], [3.0, np.nan])


@pytest.mark.parametrize(("index_name", "column"), [(None, "time"), ("hour", "hour")])
def test_datetime_index_of_a_parquet_file_becomes_a_column(tmp_path, index_name, column):
    index = pd.date_range("2024-03-31", periods=3, freq="h", tz="Europe/Paris", name=index_name)
    pd.DataFrame({"load": [1.0, 2.0, 3.0]}, index=index).to_parquet(tmp_path / "table.parquet")
    frame = read_table(tmp_path / "table.parquet", time=column)
    assert list(frame.columns) == [column, "load"]
    assert frame[column].tolist() == index.tolist()


def test_named_index_of_a_parquet_file_becomes_a_column(tmp_path):
    pd.DataFrame({"load": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="store")).to_parquet(
        tmp_path / "t.parquet"
    )
    assert list(read_table(tmp_path / "t.parquet").columns) == ["store", "load"]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2011-01-13", "2011-02-01", ["2011-01-13T00:00:00", "2011-02-01T00:00:00"]),
        ("2011-01", "2011-12", ["2011-01-01T00:00:00", "2011-12-01T00:00:00"]),
        ("1700", "1701", ["1700-01-01T00:00:00", "1701-01-01T00:00:00"]),
        ("20110113", "20110201", ["2011-01-13T00:00:00", "2011-02-01T00:00:00"]),
        ("1990/1/9 0:00", "1990/10/9 13:30", ["1990-01-09T00:00:00", "1990-10-09T13:30:00"]),
        (
            "2011-01-13 07:00:00",
            "2011-01-13 07:00:00.5",
            ["2011-01-13T07:00:00", "2011-01-13T07:00:00.500000"],
        ),
        ("1/1/2011", "1/13/2011", ["2011-01-01T00:00:00", "2011-01-13T00:00:00"]),
        ("1/1/2011", "13/1/2011", ["2011-01-01T00:00:00", "2011-01-13T00:00:00"]),
        ("13/1/2011", "1/2/2011", ["2011-01-13T00:00:00", "2011-02-01T00:00:00"]),
        ("3/3/2011", "4/4/2011", ["2011-03-03T00:00:00", "2011-04-04T00:00:00"]),
        ("13.1.2011 05:00", "1.2.2011 06:00", ["2011-01-13T05:00:00", "2011-02-01T06:00:00"]),
        ("Jan-1-1995", "Feb-1-1995", ["1995-01-01T00:00:00", "1995-02-01T00:00:00"]),
        (
            "2011-03-27T01:30:00+01:00",
            "2011-03-27T03:30:00+02:00",
            ["2011-03-27T00:30:00+00:00", "2011-03-27T01:30:00+00:00"],
        ),
        (
            " 2011-01-13T05:00Z",
            "2011-01-13T06:00Z ",
            ["2011-01-13T05:00:00+00:00", "2011-01-13T06:00:00+00:00"],
        ),
    ],
)
def test_time_column_is_read_in_one_format(tmp_path, first, last, expected):
    frame = read_table(write(tmp_path, f"when,load\n{first},1\n{last},2\n"), time="when")
    assert stamps(frame, "when") == expected
    assert pd.api.types.is_datetime64_any_dtype(frame["when"])


@pytest.mark.parametrize(("time_format", "day"), [("%d/%m/%y", "2011-02-01"), ("%m/%d/%y", "2011-01-02")])
def test_time_format_is_obeyed(tmp_path, time_format, day):
    frame = read_table(write(tmp_path, "when,load\n1/2/11,1\n"), time="when", time_format=time_format)
    assert stamps(frame, "when") == [f"{day}T00:00:00"]


def test_day_or_month_that_the_column_can_not_tell_is_an_error(tmp_path):
    path = write(tmp_path, "when,load\n1/1/2011,1\n1/2/2011,2\n")
    message = r"'when' is ambiguous.*'%m/%d/%Y' and as '%d/%m/%Y'.*'1/1/2011'.*time_format='%d/%m/%Y'"
    with pytest.raises(ValueError, match=message):
        read_table(path, time="when")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("2011-02-30", r"'when' holds '2011-02-30' in row 2 \(the first below.*Expected a time in every row"),
        ("soon", "holds 'soon' in row 2"),
        ("", "holds nothing in row 2"),
        ("2011-01-02 05:00+01:00", r"holds '2011-01-02 05:00\+01:00' in row 2.*a time without an offset"),
    ],
)
def test_unreadable_time_names_row_and_text(tmp_path, second, message):
    path = write(tmp_path, f"when,load\n2011-01-01,1\n{second},2\n2011-01-03,3\n")
    with pytest.raises(ValueError, match=message):
        read_table(path, time="when")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("1/1/2011,13/1/2011,14/1/2011,1/15/2011", r"'1/15/2011' in row 4.*in the format '%d/%m/%Y'"),
        ("1/1/2011,1/14/2011,13/1/2011,1/15/2011", r"'13/1/2011' in row 3.*in the format '%m/%d/%Y'"),
        ("1325376000,1325379600", "holds 1325376000, which may be .* time_format='epoch seconds'"),
        ("soon,1/1/2011", "'soon' in row 1"),
    ],
)
def test_unreadable_time_is_sought_in_the_likeliest_format(tmp_path, column, message):
    path = write(tmp_path, "when,load\n" + ",1\n".join(column.split(",")) + ",1\n")
    with pytest.raises(ValueError, match=message):
        read_table(path, time="when")


def test_date_and_hour_are_joined_in_front_and_dropped(tmp_path):
    path = write(tmp_path, "n,day,hr,count\n1,12/31/2011,0,5\n2,12/31/2011,24,7\n3,1/1/2012,13,11\n")
    frame = read_table(path, time=["day", "hr"])
    assert list(frame.columns) == ["time", "n", "count"]
    assert stamps(frame) == ["2011-12-31T00:00:00", "2012-01-01T00:00:00", "2012-01-01T13:00:00"]
    kept = read_table(path, time=["day", "hr"], columns=["count", "hr"])
    assert list(kept.columns) == ["time", "count", "hr"]
    assert kept["hr"].tolist() == [0, 24, 13]


def test_date_and_time_of_day_are_joined(tmp_path):
    path = write(tmp_path, "date,time,load\n16/12/2006,17:24:00,4.2\n16/12/2006,17:25:00,5.3\n")
    frame = read_table(path, time=["date", "time"])
    assert list(frame.columns) == ["time", "load"]
    assert stamps(frame) == ["2006-12-16T17:24:00", "2006-12-16T17:25:00"]
    table = pd.DataFrame({"date": pd.to_datetime(["2006-12-16"]), "clock": ["17:24"], "load": [1.0]})
    table.to_parquet(tmp_path / "t.parquet")
    assert stamps(read_table(tmp_path / "t.parquet", time=["date", "clock"])) == ["2006-12-16T17:24:00"]


@pytest.mark.parametrize(
    ("hour", "message"),
    [
        ("25", r"Hour column 'hr' holds '25' in row 2 .*hours from 0 to 24"),
        ("noon", "'noon' in row 2"),
        ("", "'hr' holds nothing in row 2"),
    ],
)
def test_wrong_hour_names_row_and_text(tmp_path, hour, message):
    path = write(tmp_path, f"day,hr,load\n2011-01-01,1,1\n2011-01-01,{hour},2\n")
    with pytest.raises(ValueError, match=message):
        read_table(path, time=["day", "hr"])


def test_columns_are_kept_in_the_wanted_order_with_the_time(tmp_path):
    path = write(tmp_path, "load,when,temp,wind\n1,2011-01-01,3,5\n")
    assert list(read_table(path, columns=["wind", "load"]).columns) == ["wind", "load"]
    assert list(read_table(path, columns=["wind", "load"], time="when").columns) == ["when", "wind", "load"]
    assert list(read_table(path, columns=["wind", "when"], time="when").columns) == ["wind", "when"]
    assert list(read_table(path, columns="temp").columns) == ["temp"]


@pytest.mark.parametrize(
    ("ending", "na_values"),
    [
        ("csv", -9999),
        ("csv", "-9999.0"),
        ("csv", [-9999, "?"]),
        ("csv", {"load": [-9999]}),
        ("parquet", -9999),
        ("parquet", [-9999, "?"]),
        ("parquet", {"load": [-9999]}),
    ],
)
def test_sentinels_are_missing_values(tmp_path, ending, na_values):
    path = tmp_path / f"table.{ending}"
    table = pd.DataFrame({"load": [-9999.0, 3.0], "temp": [2, 4]})
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    assert read_table(path)["load"].tolist() == [-9999.0, 3.0]
    np.testing.assert_array_equal(read_table(path, na_values=na_values)["load"], [np.nan, 3.0])


def test_other_encodings_are_read_and_named_in_the_error(tmp_path):
    path = write(tmp_path, "when,SWDR (W/m²)\n2020-01-01,7\n", encoding="latin-1")
    assert list(read_table(path, encoding="latin-1").columns) == ["when", "SWDR (W/m²)"]
    with pytest.raises(ValueError, match=r"not encoded as utf-8 \(byte 0xb2\).*encoding='latin-1'"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("table.csv", "", "is empty. Expected a heading and at least one row"),
        ("table.csv", "a,b\n", "is empty: it holds no rows"),
        ("table.csv.gz", "", "is empty"),
        ("table.parquet", "", "is empty. Expected a Parquet file"),
        ("table.parquet", "a,b\n1,2\n", "Parquet"),
        ("table.csv", "a,b\n1,2\n1,2,3\n", "can't be read as comma-separated values: .*line 3, saw 3"),
        ("table.csv", "a,b\n1,2,3\n4,5,6\n", "can't be read"),
    ],
)
def test_empty_or_damaged_file_is_an_error(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path, text, name))


def test_truncated_gzip_is_an_error(tmp_path):
    path = write(tmp_path, "a,b\n" + "1,2\n" * 997, "table.csv.gz")
    path.write_bytes(path.read_bytes()[:-11])
    with pytest.raises(ValueError, match="can't be read"):
        read_table(path)


def test_missing_file_names_the_nearest(tmp_path):
    write(tmp_path, "a\n1\n", "bike_sharing.csv")
    with pytest.raises(
        FileNotFoundError, match=r"bike_sharng.csv does not exist. Did you mean 'bike_sharing.csv'\?"
    ):
        read_table(tmp_path / "bike_sharng.csv")
    with pytest.raises(FileNotFoundError, match=r"q.csv does not exist\.$"):
        read_table(tmp_path / "q.csv")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        read_table(tmp_path / "nowhere" / "bike.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_table(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": ["laod"]}, KeyError, "Unknown column in table.csv: 'laod'.*Did you mean 'load'"),
        ({"time": "wen"}, KeyError, "Did you mean 'when'"),
        ({"time": ["when", "hour", "minute"]}, ValueError, "or a pair.*'minute'"),
        ({"time": ["when", "load"]}, ValueError, "already has a column 'time'"),
        ({"time_format": "%Y"}, ValueError, "no `time` column"),
    ],
)
def test_wrong_options_are_errors(tmp_path, options, error, message):
    path = write(tmp_path, "when,load,time\n2011-01-01,1,x\n")
    with pytest.raises(error, match=message):
        read_table(path, **options)


def test_unknown_ending_and_encoding_of_parquet_are_errors(tmp_path):
    with pytest.raises(
        ValueError, match=r"'table.xlsx' is unknown. Expected one of: .csv, .csv.gz, .parquet"
    ):
        read_table(tmp_path / "table.xlsx")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"`encoding` is for CSV files; t.parquet is Parquet"):
        read_table(tmp_path / "t.parquet", encoding="latin-1")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "options", "rows", "first", "last"),
    [
        ("AirPassengers.csv", {"time": "Month"}, 144, "1949-01-01", "1960-12-01"),
        ("bike_sharing_hour.csv", {"time": ["dteday", "hr"]}, 17379, "2011-01-01", "2012-12-31 23:00"),
        ("exchange_rate.csv", {"time": "date"}, 7588, "1990-01-01", "2010-10-10"),
        ("metro_traffic.csv", {"time": "date_time"}, 48204, "2012-10-02 09:00", "2018-09-30 23:00"),
        ("temps.csv", {"time": "Date"}, 3650, "1981-01-01", "1990-12-31"),
        ("us_gasoline.csv", {"time": "Week"}, 1578, "2021-04-30", "1991-02-08"),
        ("ETTm1.csv.gz", {"time": "date"}, 69680, "2016-07-01", "2018-06-26 19:45"),
    ],
)
def test_real_files_are_read(shared_data, name, options, rows, first, last):
    frame = read_table(shared_data / "forecast" / name, **options)
    time = options["time"] if isinstance(options["time"], str) else "time"
    assert len(frame) == rows
    assert (frame[time].iloc[0], frame[time].iloc[-1]) == (pd.Timestamp(first), pd.Timestamp(last))


def test_m4_series_end_together_with_the_test_rows_at_2000(tmp_path):
    write(tmp_path, "V1,V2,V3,V4\nQ1,1,2,3\nQ2,4,,\n", "Quarterly-train.csv")
    write(tmp_path, "V1,V2,V3\nQ1,7,8\nQ2,9,10\n", "Quarterly-test.csv")
    frame = read_m4(tmp_path / "Quarterly-train.csv")
    assert frame["value"].tolist() == [1, 2, 3, 7, 8, 4, 9, 10]
    assert frame["series"].tolist() == ["Q1"] * 5 + ["Q2"] * 3
    assert frame["time"].dt.strftime("%Y-%m").tolist() == [
        *("1999-04", "1999-07", "1999-10", "2000-01", "2000-04"),
        *("1999-10", "2000-01", "2000-04"),
    ]


def test_files_that_are_not_those_of_m4(tmp_path):
    with pytest.raises(ValueError, match=r"one of: Yearly-train.csv, .*Received: 'Hourly.csv'"):
        read_m4(tmp_path / "Hourly.csv")
    path = write(tmp_path, "V1,V2\nH1,1\n", "Hourly-train.csv")
    with pytest.raises(FileNotFoundError, match=r"Hourly-test.csv does not exist. Did you mean"):
        read_m4(path)
    write(tmp_path, "V1,V2\nH1,1\nH2,1\n", "Hourly-test.csv")
    with pytest.raises(ValueError, match="holds 1 series and its test file 2"):
        read_m4(path)


@pytest.mark.shared_data
def test_m4_hourly_has_414_series(shared_data):
    frame = read_m4(shared_data / "m4" / "Hourly-train.csv")
    assert frame["series"].nunique() == 414
    assert len(frame) == 245 * 960 + 169 * 700 + 414 * 48


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("Yearly", "YS-JAN"),
        ("Quarterly", "QS-JAN"),
        ("Monthly", "MS"),
        ("Weekly", "7D"),
        ("Daily", "D"),
        ("Hourly", "h"),
    ],
)
def test_m4_of_every_frequency_reaches_back_as_far_as_its_rows(tmp_path, name, step):
    # The longest yearly series has 835 rows, and pandas' nanoseconds begin in 1678.
    values = ",".join(str(value) for value in range(835))
    heading = ",".join(f"V{i}" for i in range(1, 837))
    (tmp_path / f"{name}-train.csv").write_text(f"{heading}\nA1,{values}\n")
    (tmp_path / f"{name}-test.csv").write_text("V1,V2,V3\nA1,900,901\n")
    frame = read_m4(tmp_path / f"{name}-train.csv")
    panel = Panel.from_frame(frame, time="time", series="series")
    assert (panel.freq, len(panel.times)) == (step, 837)
    assert panel.times[835] == pd.Timestamp("2000-01-01")
    assert panel.values[[0, 834, 835, 836], 0].tolist() == [0, 834, 900, 901]


def test_offsets_of_postgresql_are_read_in_utc(tmp_path):
    path = write(
        tmp_path,
        "when,load\n2024-10-27 02:00:00+02,1\n2024-10-27 02:00:00+01,2\n2024-10-27 03:00:00.5+05:30,3\n",
    )
    times = read_table(path, time="when")["when"]
    assert [str(time) for time in times] == [
        "2024-10-27 00:00:00+00:00",
        "2024-10-27 01:00:00+00:00",
        "2024-10-26 21:30:00.500000+00:00",
    ]


@pytest.mark.parametrize(
    ("stamps", "row"),
    [(["1959.1", "1959.2", "1959.3", "1959.4"], 1), (["1871.09", "1871.1", "1871.11", "1871.12"], 2)],
)
def test_a_digit_after_the_year_is_ambiguous_unless_a_format_is_given(tmp_path, stamps, row):
    path = write(tmp_path, "when,load\n" + "".join(f"{stamp},1\n" for stamp in stamps))
    message = rf"'when' is ambiguous: '{stamps[row - 1]}' in row {row} .*PeriodIndex.*by time_format='%Y\.%m'"
    with pytest.raises(ValueError, match=message):
        read_table(path, time="when")
    assert read_table(path, time="when", time_format="%Y.%m")["when"].dt.day.tolist() == [1] * 4
    path = write(tmp_path, "when,load\n1871.09,1\n1871.10,2\n1871.11,3\n")
    assert read_table(path, time="when")["when"].dt.month.tolist() == [9, 10, 11]
