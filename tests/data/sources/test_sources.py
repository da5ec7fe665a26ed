"""Each source on what a tool of its name wrote, with values made up here, and on its traps."""

import gzip
import inspect
import json
import sqlite3
import typing

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from tfts.config.sections import Data
from tfts.data.panel import Panel
from tfts.data.readers import read_table
from tfts.data.sources import SOURCES
from tfts.errors import DataError, MissingFileError, SettingError


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def rows(frame):
    """The table as tuples, with times as texts and missing values as None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [
        tuple(str(v) if isinstance(v, pd.Timestamp) else v for v in row) for row in plain.to_numpy().tolist()
    ]


# All sources


def test_settings_know_all_sources():
    known = typing.get_args(Data.model_fields["source"].annotation)
    assert set(SOURCES) | {"synthetic", "sales", "dataset"} == set(known)


@pytest.mark.parametrize("name", SOURCES)
def test_a_reader_takes_a_path_and_named_options(name):
    first, *others = inspect.signature(SOURCES[name]).parameters.values()
    assert first.name == "path"
    assert all(option.kind is inspect.Parameter.KEYWORD_ONLY for option in others)


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"sql"}))
def test_a_file_that_is_not_there_is_named(name, tmp_path):
    path = tmp_path / {"tsf": "a.tsf", "ts": "a.ts", "gluonts": "a.json", "m4": "Daily-train.csv"}.get(
        name, "a.csv"
    )
    with pytest.raises(MissingFileError, match=path.name):
        read_table(path, name)


def test_a_source_or_option_that_does_not_exist(tmp_path):
    with pytest.raises(SettingError, match=r"Unknown source 'monash'\. Expected one of: file, gluonts,"):
        read_table("a.tsf", "monash")
    with pytest.raises(
        SettingError, match=r"Unknown option of the source 'tsf': 'frq'.*Did you mean 'freq'\?"
    ):
        read_table("a.tsf", "tsf", frq="h")
    with pytest.raises(SettingError, match=r"Unknown option of the source 'ts': 'time'"):
        read_table("a.ts", "ts", time="t")
    with pytest.raises(SettingError, match=r"The source 'sql' needs the option `query`"):
        read_table("sqlite://", "sql")


def test_columns_are_chosen_after_series_and_time(tmp_path):
    path = write(tmp_path, "a.csv", "unique_id,ds,y,price\na,2024-01-01,1,2\n")
    assert list(read_table(path, "nixtla", columns=["price"]).columns) == ["series", "time", "price"]
    with pytest.raises(
        KeyError, match=r"Unknown column of the source 'nixtla': 'prize'.*Did you mean 'price'"
    ):
        read_table(path, "nixtla", columns=["prize"])


# CSV and Parquet


def test_ids_stay_texts(tmp_path):
    path = write(tmp_path, "a.csv", "shop,day,y\n007,2024-01-01,1\nNA,2024-01-01,\nnull,2024-01-01,3\n")
    frame = read_table(path, time="day", series="shop")
    assert frame["shop"].tolist() == ["007", "NA", "null"]
    assert frame["y"].isna().tolist() == [False, True, False]
    pd.DataFrame({"shop": [7, 12], "y": [1.0, 2.0]}).to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", series="shop")["shop"].tolist() == ["7", "12"]


def test_an_id_that_is_absent_is_refused_by_the_panel(tmp_path):
    path = write(tmp_path, "a.csv", "shop,day,y\na,2024-01-01,1\n,2024-01-02,2\n")
    frame = read_table(path, time="day", series="shop")
    with pytest.raises(DataError, match=r"Series column 'shop' is missing in 1 rows \(first: row 1\)"):
        Panel.from_frame(frame, time="day", series="shop")


def test_several_id_columns_become_one(tmp_path):
    path = write(tmp_path, "a.csv", "shop,item,day,y,x\n007,NA,2024-01-01,1,5\n007,1,2024-01-01,2,6\n")
    frame = read_table(path, time="day", series=["shop", "item"], columns=["y"])
    assert rows(frame) == [
        ("2024-01-01 00:00:00", "007/NA", 1),
        ("2024-01-01 00:00:00", "007/1", 2),
    ]
    assert list(frame.columns) == ["day", "shop/item", "y"]
    with pytest.raises(KeyError, match=r"Unknown column in a.csv: 'itm'"):
        read_table(path, series=["shop", "itm"])


def test_a_table_of_another_library_is_read_as_a_file():
    table = pa.table({"shop": ["007", "NA"], "day": ["31.1.2024", "1.2.2024"], "y": [-9999, 2]})
    frame = read_table(table, time="day", series="shop", na_values=-9999)
    assert rows(frame) == [("007", "2024-01-31 00:00:00", None), ("NA", "2024-02-01 00:00:00", 2)]
    with pytest.raises(SettingError, match=r"`encoding` is for CSV files, not for a table"):
        read_table(table, encoding="latin-1")


@pytest.mark.parametrize(
    ("stamps", "time_format", "expected"),
    [
        ("1704067200,1704070800", "epoch seconds", "2024-01-01 00:00:00+00:00,2024-01-01 01:00:00+00:00"),
        (
            "1704067200.25,1704067201",
            "epoch seconds",
            "2024-01-01 00:00:00.250000+00:00,2024-01-01 00:00:01+00:00",
        ),
        (
            "1704067200001,1704067200002",
            "epoch milliseconds",
            "2024-01-01 00:00:00.001000+00:00,2024-01-01 00:00:00.002000+00:00",
        ),
        ("1704067200000001", "epoch microseconds", "2024-01-01 00:00:00.000001+00:00"),
        ("1704067200000000001", "epoch nanoseconds", "2024-01-01 00:00:00.000000001+00:00"),
        ("-86400", "epoch seconds", "1969-12-31 00:00:00+00:00"),
    ],
)
def test_numbers_counted_from_1970(tmp_path, stamps, time_format, expected):
    path = write(tmp_path, "a.csv", "t,y\n" + "".join(f"{stamp},1\n" for stamp in stamps.split(",")))
    frame = read_table(path, time="t", time_format=time_format)
    assert [str(time) for time in frame["t"]] == expected.split(",")


def test_numbers_of_a_parquet_file_counted_from_1970(tmp_path):
    pd.DataFrame({"t": [1704067200000, 1704067260000], "y": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    frame = read_table(tmp_path / "a.parquet", time="t", time_format="epoch milliseconds")
    assert frame["t"].dt.minute.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("stamps", "time_format", "message"),
    [
        (
            "1704067200",
            None,
            r"holds 1704067200, which may be counted from 1970 on.*time_format='epoch seconds'",
        ),
        ("1704067200000", None, r"time_format='epoch milliseconds'"),
        ("1704067200000", "epoch seconds", r"lies in the year 5\d{4}.*Did you mean 'epoch milliseconds'\?"),
        ("1704067200", "epoch milliseconds", None),
        ("soon", "epoch seconds", r"holds 'soon' in row 1 .*Expected a number in every row"),
        ("1.5", "row numbers", r"holds '1.5' in row 1"),
        ("1", "epoch minutes", r"Unknown time_format 'epoch minutes'\. Expected one of: epoch micro"),
    ],
)
def test_numbers_that_are_not_said_or_said_wrongly(tmp_path, stamps, time_format, message):
    path = write(tmp_path, "a.csv", f"t,y\n{stamps},1\n")
    if message is None:
        # Twenty days after the first of 1970: it can't be told that it is wrong.
        assert str(read_table(path, time="t", time_format=time_format)["t"][0]).startswith("1970-01-20")
        return
    with pytest.raises(ValueError, match=message):
        read_table(path, time="t", time_format=time_format)


def test_row_numbers_of_a_file(tmp_path):
    path = write(tmp_path, "a.csv", "t,y\n998,1\n999,2\n1000,3\n")
    frame = read_table(path, time="t")
    assert frame["t"].tolist() == [998, 999, 1000]
    assert Panel.from_frame(frame, time="t").freq == "row"
    late = write(tmp_path, "b.csv", "t,y\n2001,1\n2002,2\n")
    assert read_table(late, time="t")["t"].dt.year.tolist() == [2001, 2002]
    assert read_table(late, time="t", time_format="row numbers")["t"].tolist() == [2001, 2002]


# Nixtla


def test_nixtla(tmp_path):
    # As pandas writes a frame of utilsforecast.
    text = "unique_id,ds,y,static_0\n007,2000-01-01,31.5,88\n007,2000-01-02,,88\nNA,2000-01-01,41.75,12\n"
    frame = read_table(write(tmp_path, "a.csv", text), "nixtla")
    assert list(frame.columns) == ["series", "time", "y", "static_0"]
    assert rows(frame) == [
        ("007", "2000-01-01 00:00:00", 31.5, 88),
        ("007", "2000-01-02 00:00:00", None, 88),
        ("NA", "2000-01-01 00:00:00", 41.75, 12),
    ]
    polars = pytest.importorskip("polars")
    other = polars.DataFrame({"unique_id": ["007"], "ds": [5], "y": [1.5]})
    assert rows(read_table(other, "nixtla")) == [("007", 5, 1.5)]


def test_nixtla_with_the_id_in_the_index_and_a_future_without_y():
    frame = pd.DataFrame({"ds": pd.to_datetime(["2024-01-31"]), "price": [2.0]}, index=["a"])
    frame.index.name = "unique_id"
    assert rows(read_table(frame, "nixtla")) == [("a", "2024-01-31 00:00:00", 2.0)]


def test_nixtla_without_its_columns(tmp_path):
    path = write(tmp_path, "a.csv", "id,ds,y\na,2024-01-01,1\n")
    with pytest.raises(
        DataError, match=r"lacks 'unique_id'\. Expected the columns unique_id, ds and y\. Received: id"
    ):
        read_table(path, "nixtla")


# Monash

TSF = """# Dataset Information
@relation test
@attribute series_name string
@attribute state string
@attribute size numeric
@attribute start_timestamp date
@frequency monthly
@horizon 4
@missing true
@equallength false
@data
007:CA:1.5:1979-01-31 00-00-00:25.5,?,24
NA:TX:?:1980-05-01 00-00-00:3
"""


def test_tsf(tmp_path):
    frame = read_table(write(tmp_path, "a.tsf", TSF), "tsf")
    assert list(frame.columns) == ["series", "time", "value", "state", "size"]
    assert rows(frame) == [
        ("007", "1979-01-31 00:00:00", 25.5, "CA", 1.5),
        ("007", "1979-02-28 00:00:00", None, "CA", 1.5),
        ("007", "1979-03-31 00:00:00", 24.0, "CA", 1.5),
        ("NA", "1980-05-01 00:00:00", 3.0, "TX", None),
    ]


@pytest.mark.parametrize(
    ("word", "second"),
    [
        ("yearly", "2021-03-05"),
        ("quarterly", "2020-06-05"),
        ("weekly", "2020-03-12"),
        ("daily", "2020-03-06"),
        ("half_hourly", "2020-03-05 00:30"),
        ("10_minutes", "2020-03-05 00:10"),
        ("4_seconds", "2020-03-05 00:00:04"),
        ("minutely", "2020-03-05 00:01"),
    ],
)
def test_tsf_of_every_frequency(tmp_path, word, second):
    text = f"@attribute start_timestamp date\n@frequency {word}\n@data\n2020-03-05 00-00-00:1,2\n"
    frame = read_table(write(tmp_path, "a.tsf", text), "tsf")
    assert frame["time"].tolist() == [pd.Timestamp("2020-03-05"), pd.Timestamp(second)]
    assert frame["series"].tolist() == ["0", "0"]


def test_tsf_without_a_frequency(tmp_path):
    path = write(tmp_path, "a.tsf", TSF.replace("@frequency monthly\n", ""))
    with pytest.raises(
        DataError, match=r"has no @frequency, so its times can't be told.*freq='MS'; or freq=1"
    ):
        read_table(path, "tsf")
    assert read_table(path, "tsf", freq="D")["time"][1] == pd.Timestamp("1979-02-01")
    with pytest.raises(DataError, match=r"has @frequency fortnightly, which is unknown.*10_minutes"):
        read_table(write(tmp_path, "b.tsf", TSF.replace("monthly", "fortnightly")), "tsf")


def test_tsf_without_starts_has_row_numbers(tmp_path):
    text = "@attribute series_name string\n@frequency yearly\n@data\nT1:5,6\nT2:7\n"
    frame = read_table(write(tmp_path, "a.tsf", text), "tsf")
    assert rows(frame) == [("T1", 0, 5.0), ("T1", 1, 6.0), ("T2", 0, 7.0)]
    assert Panel.from_frame(frame, time="time", series="series").freq == "row"


def test_tsf_whose_names_stand_twice_is_told_apart_by_all_texts(tmp_path):
    text = "@attribute series_name string\n@attribute state string\n@data\na:CA:1\na:TX:2\n"
    frame = read_table(write(tmp_path, "a.tsf", text), "tsf")
    assert rows(frame) == [("a/CA", 0, 1.0, "a", "CA"), ("a/TX", 0, 2.0, "a", "TX")]


def test_tsf_in_the_encoding_of_windows(tmp_path):
    text = "# S\u00e3o Paulo\n@attribute series_name string\n@data\nS\u00e3o:1\n"
    assert read_table(write(tmp_path, "a.tsf", text, "cp1252"), "tsf")["series"].tolist() == ["S\u00e3o"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("25.5,?", "25.5,x"), r"Line 12 of a\.tsf holds 'x'\. Expected numbers, or \? for a missing one"),
        (("NA:TX:?:", "NA:"), r"Line 13 of a\.tsf has 3 parts between colons\. Expected 4 attributes"),
        (("1979-01-31 00-00-00", "soon"), r"Line 12 of a\.tsf starts at 'soon'"),
        (("@data", "@values"), r"has no line @data, so it is not a \.tsf file"),
        (("size numeric", "size integer"), r"Line 5 of a\.tsf is not an attribute.*string, numeric, date"),
    ],
)
def test_tsf_that_is_damaged(tmp_path, change, message):
    text = TSF.replace(*change)
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, "a.tsf", text), "tsf")


# sktime and aeon


def test_ts_of_unequal_lengths_with_missing_values(tmp_path):
    # As sktime writes it.
    text = (
        "@problemName sk\n@timestamps false\n@univariate false\n@equalLength false\n@classLabel true a b\n@data\n"
        "1.0,nan,3.0:0.1,0.2,0.3:a\n4.0,?:0.4,0.5:b\n"
    )
    frame = read_table(write(tmp_path, "a.ts", text), "ts")
    assert list(frame.columns) == ["series", "time", "dim_0", "dim_1", "label"]
    assert rows(frame) == [
        ("0", 0, 1.0, 0.1, "a"),
        ("0", 1, None, 0.2, "a"),
        ("0", 2, 3.0, 0.3, "a"),
        ("1", 0, 4.0, 0.4, "b"),
        ("1", 1, None, 0.5, "b"),
    ]


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (
            "(0,1.5),(2,2.5):(2,7)\n(5,1):(5,?)",
            [("0", 0, 1.5, None), ("0", 2, 2.5, 7.0), ("1", 5, 1.0, None)],
        ),
        (
            "(2007-01-01 00:00:00,241.5),(2007-01-01 00:01:00,?):(2007-01-01 00:00:00,3)",
            [("0", "2007-01-01 00:00:00", 241.5, 3.0), ("0", "2007-01-01 00:01:00", None, None)],
        ),
    ],
)
def test_ts_with_stamps(tmp_path, cases, expected):
    frame = read_table(
        write(tmp_path, "a.ts", f"@timeStamps true\n@classLabel false\n@data\n{cases}\n"), "ts"
    )
    assert rows(frame) == expected


def test_ts_with_a_target_and_many_cases_that_sort_as_they_stand(tmp_path):
    text = "@timeStamps false\n@targetLabel true\n@data\n" + "".join(f"1,2:{i}.5\n" for i in range(11))
    frame = read_table(write(tmp_path, "a.ts.gz", text), "ts")
    assert frame["series"].unique().tolist() == [f"{i:02d}" for i in range(11)]
    assert frame["label"].tolist()[-2:] == [10.5, 10.5]


@pytest.mark.parametrize(
    ("heading", "cases", "message"),
    [
        (
            "@classLabel true a",
            "1,2:c",
            r"Line 3 of a\.ts is of the class 'c'\. Expected one of @classLabel: a",
        ),
        ("@classLabel true a", "1,x:a", r"Line 3 of a\.ts holds 'x'"),
        ("@univariate false", "1:2\n1:2:3", r"Line 4 of a\.ts has 3 dimensions\. Expected 2"),
        ("@timeStamps true", "1,2,3", r"holds '1,2,3'\. Expected pairs \(time,value\)"),
        ("@timeStamps true", "(1,2),(1,3)", r"has the time '1' twice in value"),
        ("@timeStamps true", "(soon,2)", r"holds the time 'soon'\. Expected whole numbers, or times"),
        ("@univariate true", "", r"has no case after @data"),
    ],
)
def test_ts_that_is_damaged(tmp_path, heading, cases, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, "a.ts", f"{heading}\n@data\n{cases}\n"), "ts")


@pytest.mark.shared_data
def test_ts_of_the_archive(shared_data):
    frame = read_table(shared_data / "classify" / "BasicMotions_TEST.ts", "ts")
    assert (frame["series"].nunique(), len(frame), frame["label"].nunique()) == (40, 4000, 4)
    assert frame.loc[0, ["dim_0", "label"]].tolist() == [-0.740653, "Standing"]


# GluonTS

# As its JsonLinesWriter writes them.
JSON = (
    '{"item_id":"007","start":"2024-01-01","target":[1.0,"Nan",3.0],"feat_static_cat":[2],'
    '"feat_dynamic_real":[[0.0,1.0,0.5,0.25]]}\n'
    '{"item_id":"NA","start":"2024-01-03","target":[5.0,null],"feat_static_cat":[0],"feat_dynamic_real":[[0.0,1.0]]}\n'
)
EXPECTED = [
    ("007", "2024-01-01 00:00:00", 1.0, 0.0, 2),
    ("007", "2024-01-02 00:00:00", None, 1.0, 2),
    ("007", "2024-01-03 00:00:00", 3.0, 0.5, 2),
    ("007", "2024-01-04 00:00:00", None, 0.25, 2),
    ("NA", "2024-01-03 00:00:00", 5.0, 0.0, 0),
    ("NA", "2024-01-04 00:00:00", None, 1.0, 0),
]


@pytest.mark.parametrize("name", ["data.json", "data.json.gz", "train/data.jsonl"])
def test_gluonts_json_lines(tmp_path, name):
    frame = read_table(write(tmp_path, name, JSON), "gluonts", freq="D")
    assert list(frame.columns) == ["series", "time", "value", "feat_dynamic_real_0", "feat_static_cat_0"]
    assert rows(frame) == EXPECTED


@pytest.mark.parametrize("place", ["metadata.json", "train/metadata.json", "metadata/metadata.json"])
def test_gluonts_takes_the_frequency_of_its_metadata(tmp_path, place):
    write(tmp_path, "train/data.json", JSON)
    write(tmp_path, place, '{"freq": "D", "prediction_length": 2}')
    assert rows(read_table(tmp_path / "train", "gluonts")) == EXPECTED


def test_gluonts_without_a_frequency(tmp_path):
    path = write(tmp_path, "data.json", JSON)
    with pytest.raises(DataError, match=r"has no metadata\.json and no field freq.*Give it, e\.g\. freq='h'"):
        read_table(path, "gluonts")


@pytest.mark.parametrize("kind", ["file", "stream", "parquet"])
def test_gluonts_arrow(tmp_path, kind):
    # As its ArrowWriter writes it: arrays are flat, their shapes beside.
    lists = pa.list_(pa.float64())
    table = pa.table(
        {
            "item_id": ["m", "n"],
            "start": pa.array([1704085200000000, 1704085200000000], pa.timestamp("us")),
            "freq": ["H", "H"],
            "target._np_shape": [[2, 2], [2, 1]],
            "target": pa.array([[1.0, 2.0, 3.0, None], [5.0, 6.0]], lists),
        }
    )
    path = tmp_path / ("data.parquet" if kind == "parquet" else "data.arrow")
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with new(str(path), table.schema) as sink:
            sink.write_table(table)
    frame = read_table(path, "gluonts")
    assert list(frame.columns) == ["series", "time", "target_0", "target_1"]
    assert rows(frame) == [
        ("m", "2024-01-01 05:00:00", 1.0, 3.0),
        ("m", "2024-01-01 06:00:00", 2.0, None),
        ("n", "2024-01-01 05:00:00", 5.0, 6.0),
    ]


def test_gluonts_of_months_without_names(tmp_path):
    text = '{"start": "2024-01-31 00:00", "target": [1, 2]}\n{"start": {"start": "2024-03"}, "target": [3]}\n'
    frame = read_table(write(tmp_path, "a.json", text), "gluonts", freq="M")
    assert rows(frame) == [
        ("0", "2024-01-31 00:00:00", 1.0),
        ("0", "2024-02-29 00:00:00", 2.0),
        ("1", "2024-03-01 00:00:00", 3.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"start": "2024-01-01"}', r"Series '0' of .* has no 'target'\. Expected start and target"),
        ('{"start": "soon", "target": [1]}', r"Series '0' of .* starts at 'soon'"),
        ('{"start": "2024-01-01", "target": ["x"]}', r"has a 'target' that does not hold numbers only"),
        ("[1, 2", r"Line 1 of .*a\.json is not JSON"),
        (
            '{"start": "2024-01-01", "target": [1]}\n{"start": "2024-01-01", "target": [[1], [2]]}',
            r"Series '1' of .* has the columns \['target_0', 'target_1'\]\. Expected \['value'\]",
        ),
        ("", r"is empty"),
    ],
)
def test_gluonts_that_is_damaged(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, "a.json", text), "gluonts", freq="D")


def test_a_damaged_arrow_file_and_a_folder_without_data(tmp_path):
    with pytest.raises(DataError, match=r"a\.arrow can't be read"):
        read_table(write(tmp_path, "a.arrow", "not Arrow"), "gluonts", freq="D")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no data\. Expected a file ending in one of: \.json"):
        read_table(tmp_path / "empty", "gluonts", freq="D")


# Competitions


def test_m4_ids_are_texts(tmp_path):
    write(tmp_path, "Daily-train.csv", '"V1","V2","V3"\n"007","1","2"\n')
    write(tmp_path, "Daily-test.csv", '"V1","V2"\n"007","3"\n')
    frame = read_table(tmp_path / "Daily-train.csv", "m4")
    assert rows(frame) == [
        ("007", "1999-12-30 00:00:00", 1.0),
        ("007", "1999-12-31 00:00:00", 2.0),
        ("007", "2000-01-01 00:00:00", 3.0),
    ]


def test_m5(tmp_path):
    text = "id,item_id,store_id,d_1,d_2\nA_CA_1,A,CA_1,0,3\nB_CA_1,B,CA_1,5,0\n"
    frame = read_table(write(tmp_path, "sales_train_evaluation.csv", text), "m5")
    assert rows(frame) == [
        ("A_CA_1", "2011-01-29 00:00:00", 0, "A", "CA_1"),
        ("A_CA_1", "2011-01-30 00:00:00", 3, "A", "CA_1"),
        ("B_CA_1", "2011-01-29 00:00:00", 5, "B", "CA_1"),
        ("B_CA_1", "2011-01-30 00:00:00", 0, "B", "CA_1"),
    ]
    assert isinstance(frame["store_id"].dtype, pd.CategoricalDtype)
    with pytest.raises(DataError, match=r"is not a file of M5\. Expected a column id and days d_1"):
        read_table(write(tmp_path, "b.csv", "id,F1\na,1\n"), "m5")


# Anomaly benchmarks


def test_nab_with_its_labels(tmp_path):
    text = "timestamp,value\n2014-04-01 00:00:00,20.5\n2014-04-01 00:05:00,21.5\n2014-04-01 00:10:00,22\n"
    path = write(tmp_path, "data/real/a.csv", text)
    assert "label" not in read_table(path, "nab")
    windows = {"real/a.csv": [["2014-04-01 00:05:00.000000", "2014-04-01 00:09:00.000000"]]}
    write(tmp_path, "labels/combined_windows.json", json.dumps(windows))
    expected = [
        ("real/a.csv", "2014-04-01 00:00:00", 20.5, 0),
        ("real/a.csv", "2014-04-01 00:05:00", 21.5, 1),
        ("real/a.csv", "2014-04-01 00:10:00", 22.0, 0),
    ]
    assert rows(read_table(path, "nab")) == expected
    assert rows(read_table(tmp_path / "data", "nab")) == expected
    write(tmp_path, "data/real/b.csv", text)
    with pytest.raises(DataError, match=r"Unknown series of the labels 'real/b\.csv'.*labels=False"):
        read_table(tmp_path / "data", "nab")
    assert read_table(tmp_path / "data", "nab", labels=False)["series"].nunique() == 2


def test_nab_that_is_not(tmp_path):
    with pytest.raises(DataError, match=r"is not a file of NAB\. Expected the columns timestamp and value"):
        read_table(write(tmp_path, "a.csv", "time,value\n2014-04-01,1\n"), "nab")
    with pytest.raises(MissingFileError, match=r"There is no file of labels gone\.json"):
        read_table(write(tmp_path, "b.csv", "timestamp,value\n2014-04-01,1\n"), "nab", labels="gone.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no CSV file"):
        read_table(tmp_path / "empty", "nab")


@pytest.mark.shared_data
def test_nab_has_its_windows(shared_data):
    frame = read_table(shared_data / "anomaly" / "nab" / "data", "nab")
    assert frame["series"].nunique() == 35
    taxi = frame[frame["series"] == "realKnownCause/nyc_taxi.csv"]
    assert (len(taxi), int(taxi["label"].sum())) == (10320, 1035)


def test_tsb(tmp_path):
    frame = read_table(write(tmp_path, "001_NAB_tr_2_1st_3.csv", "Data,Label\n4.5,0\n5.5,0\n6.5,1\n"), "tsb")
    assert list(frame.columns) == ["series", "time", "value", "label", "is_training"]
    assert rows(frame) == [
        ("001_NAB_tr_2_1st_3", 0, 4.5, 0, True),
        ("001_NAB_tr_2_1st_3", 1, 5.5, 0, True),
        ("001_NAB_tr_2_1st_3", 2, 6.5, 1, False),
    ]
    many = read_table(write(tmp_path, "a.csv", "x,y,Label\n1,2,0\n"), "tsb")
    assert list(many.columns) == ["series", "time", "x", "y", "label"]
    plain = read_table(write(tmp_path, "MBA_ECG.out.gz", "0.5,0\n0.25,1\n"), "tsb")
    assert rows(plain) == [("MBA_ECG", 0, 0.5, 0), ("MBA_ECG", 1, 0.25, 1)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "Data,Label\n1,2\n", r"Expected columns of values and a last one Label of 0 and 1"),
        ("a.csv", "Data\n1\n", r"is not a file of TSB-AD"),
        ("a.out", "1,0\n1\n", r"does not hold numbers alone, as many in each row"),
    ],
)
def test_tsb_that_is_not(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, name, text), "tsb")


# InfluxDB

INFLUX = """#group,false,false,true,true,false,false,true,true,true
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string
#default,_result,,,,,,,,
,result,table,_start,_stop,_time,_value,_field,_measurement,host
,,0,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T00:00:00Z,15.5,used,mem,007
,,0,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T00:01:00.5Z,,used,mem,007
,,1,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,2024-01-01T00:00:00Z,2.5,used,mem,NA

#group,false,false,false,false,true,true,true
#datatype,string,long,dateTime:RFC3339,long,string,string,string
#default,_result,,,,,,
,result,table,_time,_value,_field,_measurement,host
,,2,2024-01-01T00:00:00Z,7,users,system,007
"""


def test_influx(tmp_path):
    frame = read_table(write(tmp_path, "a.csv", INFLUX), "influx")
    assert list(frame.columns) == ["series", "time", "used", "users", "host"]
    assert rows(frame) == [
        ("007", "2024-01-01 00:00:00+00:00", 15.5, 7.0, "007"),
        ("007", "2024-01-01 00:01:00.500000+00:00", None, None, "007"),
        ("NA", "2024-01-01 00:00:00+00:00", 2.5, None, "NA"),
    ]


def test_influx_with_one_field_of_several_measurements(tmp_path):
    frame = read_table(write(tmp_path, "a.csv", INFLUX.replace("users,system", "used,system")), "influx")
    assert list(frame.columns) == ["series", "time", "mem.used", "system.used", "host"]
    assert frame.loc[0, ["mem.used", "system.used"]].tolist() == [15.5, 7.0]


def test_influx_that_was_pivoted(tmp_path):
    text = (
        "#group,false,false,false,true,false,false\n#datatype,string,long,dateTime:RFC3339,string,double,boolean\n"
        "#default,_result,,,,,\n,result,table,_time,host,used,up\n"
        ",,0,2024-01-01T00:00:00Z,a,1.5,true\n,,0,2024-01-01T00:01:00Z,a,,false\n"
    )
    frame = read_table(write(tmp_path, "a.csv", text), "influx")
    assert rows(frame) == [
        ("a", "2024-01-01 00:00:00+00:00", 1.5, 1.0, "a"),
        ("a", "2024-01-01 00:01:00+00:00", None, 0.0, "a"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"Line 1 of a\.csv is a heading without annotations\. Expected #datatype"),
        (INFLUX.replace("_time", "when"), r"has a table without _time"),
        (
            INFLUX.replace("00:01:00.5Z", "00:00:00Z"),
            r"the field 'used' of series '007' twice at 2024-01-01T00:00:00Z",
        ),
        ("\n".join(INFLUX.splitlines()[:4]), r"holds no values"),
        (
            "#datatype,string,long\n#group,true,true\n#default,,\n,error,reference\n,query failed: no bucket,897\n",
            r"holds an error of InfluxDB: query failed: no bucket",
        ),
    ],
)
def test_influx_that_is_damaged(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, "a.csv", text), "influx")


# SQL


@pytest.fixture
def shop(tmp_path):
    pytest.importorskip("sqlalchemy")
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("create table sales (store text, item integer, day text, sold integer)")
    connection.executemany(
        "insert into sales values (?, ?, ?, ?)", [("007", 1, "2024-01-31", 3), ("NA", 12, "2024-02-01", None)]
    )
    connection.commit()
    connection.close()
    return f"sqlite:///{tmp_path / 'shop.db'}"


def test_sql(shop, monkeypatch):
    monkeypatch.setenv("SHOP_URL", shop)
    query = "select * from sales order by day"
    frame = read_table("$SHOP_URL", "sql", query=query, time="day", series=["store", "item"])
    assert rows(frame) == [("007/1", "2024-01-31 00:00:00", 3.0), ("NA/12", "2024-02-01 00:00:00", None)]


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (
            "select * from sals",
            DataError,
            r"did not answer the query 'select \* from sals': no such table: sals",
        ),
        ("select * from sales where sold > 5", DataError, r"gives no rows"),
        (" ", SettingError, r"`query` must be the text of a query"),
    ],
)
def test_sql_that_fails(shop, query, error, message):
    with pytest.raises(error, match=message):
        read_table(shop, "sql", query=query)


def test_sql_without_a_url_does_not_show_it(shop):
    with pytest.raises(SettingError, match=r"must be the URL of a database") as caught:
        read_table("user:secret@host", "sql", query="select 1")
    assert "secret" not in str(caught.value)


def test_numbers_are_not_rounded_on_their_way():
    frame = read_table(pa.table({"t": pa.array([1, 2]), "y": pa.array([2**53 + 1, None])}))
    assert frame["y"][0] == 2**53 + 1
    assert np.isnan(frame["y"].to_numpy(dtype=float, na_value=np.nan)[1])
