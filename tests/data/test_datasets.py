import numpy as np
import pandas as pd
import pytest

from tfts.data.datasets import DATASETS, load_dataset

# Shape, frequency, first and last time, first and last value of the first column.
FACTS = {
    "co2": ((2284, 1), "W-SAT", "1958-03-29", "2001-12-29", 316.1, 371.5),
    "danish_data": ((55, 5), "QS-JAN", "1974-01-01", "1987-07-01", 11.63255023, 12.0152941),
    "elec_equip": ((257, 1), "MS", "1995-01-01", "2016-05-01", 66.19, 97.86),
    "elnino": ((732, 1), "MS", "1950-01-01", "2010-12-01", 23.11, 22.07),
    "interest_inflation": ((107, 2), "QS-JAN", "1972-04-01", "1998-10-01", -0.00313258, 0.0239234),
    "macrodata": ((203, 12), "QS-JAN", "1959-01-01", "2009-07-01", 2710.349, 12990.341),
    "nile": ((100, 1), "YS-JAN", "1871-01-01", "1970-01-01", 1120, 740),
    "sunspots": ((309, 1), "YS-JAN", "1700-01-01", "2008-01-01", 5, 2.9),
}


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_is_a_ready_frame(name):
    shape, freq, start, end, first, last = FACTS[name]
    frame = load_dataset(name)
    assert frame.shape == shape
    assert frame.index.equals(pd.date_range(start, end, freq=freq))
    assert (frame.index.freqstr, frame.index.name) == (freq, "time")
    np.testing.assert_allclose(frame.iloc[[0, -1], 0], [first, last], rtol=1e-6)
    assert (frame.dtypes == np.float64).all()
    assert all(column.islower() and column.isidentifier() for column in frame.columns)
    assert frame.isna().sum().sum() == (59 if name == "co2" else 0)


def test_docstring_lists_every_dataset_with_its_rows_and_columns():
    entries = load_dataset.__doc__.split("Args:")[0].split("- `")[1:]
    entries = {entry.split("`")[0]: " ".join(entry.split()) for entry in entries}
    assert list(entries) == list(DATASETS)
    for name, entry in entries.items():
        frame = load_dataset(name)
        assert entry.startswith(f"{name}`: {len(frame):,} ")
        assert all(column in entry.split("Column")[1] for column in frame.columns)
        assert "Source: " in entry


def test_elnino_runs_month_by_month():
    frame = load_dataset("elnino")
    assert frame.loc["1950-12-01", "temperature"] == 21.80
    assert frame.loc["1951-01-01", "temperature"] == 24.19
    assert frame.loc["2009-08-01", "temperature"] == 22.03


def test_columns_of_interest_and_inflation_are_not_swapped():
    assert load_dataset("interest_inflation").iloc[0].to_dict() == {
        "inflation": -0.00313258,
        "interest": 0.083,
    }


def test_each_call_gives_a_table_of_its_own():
    frame = load_dataset("nile")
    frame.iloc[0, 0] = -1
    assert load_dataset("nile").iloc[0, 0] == 1120


def test_unknown_dataset_is_an_error():
    with pytest.raises(
        ValueError, match=r"Unknown data set 'sunspot'. Expected one of: co2, .*Did you mean 'sunspots'"
    ):
        load_dataset("sunspot")
