"""Real series that ship with statsmodels, ready to model."""

import importlib

import numpy as np
import pandas as pd

from tfts._messages import unknown
from tfts.errors import SettingError


def load_dataset(name: str) -> pd.DataFrame:
    """Loads a real table that is installed with statsmodels; nothing is downloaded.

    - `co2`: 2,284 weeks that end on Saturday, 1958-03-29 to 2001-12-29, 59 of them missing.
      Column co2: ppm by volume at Mauna Loa. Source: Keeling and Whorf, CDIAC 2004.
    - `danish_data`: 55 quarters, 1974 Q1 to 1987 Q3. Columns lrm, lry, lpy: logarithms of real
      money, real income and prices; ibo, ide: bond and deposit rate as shares of 1. Source:
      Johansen and Juselius, Oxford Bulletin of Economics and Statistics 1990.
    - `elec_equip`: 257 months, 1995-01 to 2016-05. Column turnover: index for the makers of
      electrical equipment in the euro area. Source: Eurostat.
    - `elnino`: 732 months, 1950-01 to 2010-12. Column temperature: degrees Celsius at the sea
      surface, region Nino 1+2. Source: NOAA, ERSST.V3B.
    - `interest_inflation`: 107 quarters, 1972 Q2 to 1998 Q4, (West) Germany. Columns inflation:
      change of the logarithm of prices in a quarter; interest: long-term rate as a share of 1.
      Source: JMulTi, data set E6.
    - `macrodata`: 203 quarters, 1959 Q1 to 2009 Q3, United States. Columns realgdp, realcons,
      realinv, realgovt, realdpi: billions of 2005 dollars a year; cpi: 1982-84 is 100; m1:
      money stock, billions of dollars; tbilrate, unemp, infl, realint: percent; pop: millions.
      Source: FRED and Bureau of Labor Statistics.
    - `nile`: 100 years, 1871 to 1970. Column volume: flow at Aswan, 1e8 cubic metres. Source:
      Cobb, Biometrika 1978.
    - `sunspots`: 309 years, 1700 to 2008. Column sunspots: number. Source: NOAA National
      Geophysical Data Center.

    Args:
        name: One of the names above.

    Returns:
        Float64 `pandas.DataFrame` with a regular `DatetimeIndex` named "time" that knows its
        frequency; a month, quarter or year has the time of its first day. NaN where the
        source has a gap.

    Raises:
        ValueError: If there is no data set of that name.

    Example:

    >>> frame = load_dataset("co2")
    >>> frame.shape, frame.index.freqstr, int(frame["co2"].isna().sum())
    ((2284, 1), 'W-SAT', 59)
    """
    if name not in DATASETS:
        raise SettingError(unknown("data set", name, DATASETS))
    return DATASETS[name]()


def _co2():
    return _regular(_shipped("co2"), "W-SAT")


def _danish_data():
    return _regular(_shipped("danish_data"), "QS")


def _elec_equip():
    return _regular(_shipped("elec_equip").set_axis(["turnover"], axis=1), "MS")


def _elnino():
    years = _shipped("elnino").set_index("YEAR")
    # One row for each year, one column for each month: row by row is the order of time.
    values = years.to_numpy().reshape(-1, 1)
    index = pd.date_range(f"{years.index[0]:.0f}-01-01", periods=len(values), freq="MS")
    return _regular(pd.DataFrame(values, index=index, columns=["temperature"]), "MS")


def _interest_inflation():
    return _quarterly("interest_inflation").rename(columns={"Dp": "inflation", "R": "interest"})


def _macrodata():
    return _quarterly("macrodata")


def _nile():
    return _yearly("nile", "year", "volume")


def _sunspots():
    return _yearly("sunspots", "YEAR", "sunspots")


DATASETS = {
    "co2": _co2,
    "danish_data": _danish_data,
    "elec_equip": _elec_equip,
    "elnino": _elnino,
    "interest_inflation": _interest_inflation,
    "macrodata": _macrodata,
    "nile": _nile,
    "sunspots": _sunspots,
}


def _shipped(name):
    # Not from statsmodels.datasets: not every release lists all its data sets there.
    return importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data


def _yearly(name, year, column):
    table = _shipped(name)
    index = pd.to_datetime(table[year].astype(int).astype(str), format="%Y")
    return _regular(table.drop(columns=year).set_axis([column], axis=1).set_index(index), "YS")


def _quarterly(name):
    table = _shipped(name)
    index = pd.to_datetime(
        {"year": table["year"], "month": 3 * table["quarter"] - 2, "day": np.ones(len(table), dtype=int)}
    )
    return _regular(table.drop(columns=["year", "quarter"]).set_index(index), "QS")


def _regular(table, freq):
    """The table as floats on an index that knows its frequency; an index without it is an error."""
    return table.astype(np.float64).set_axis(pd.DatetimeIndex(table.index, freq=freq, name="time"), axis=0)
