import pandas as pd
import pytest

from tfts.data.stamps import parse_stamps


@pytest.mark.parametrize(
    ("texts", "first", "last"),
    [
        (["2020Q1", "2020Q4"], "2020-01-01", "2020-10-01"),
        (["2020-Q1", "2021-Q2"], "2020-01-01", "2021-04-01"),
        (["1999M01", "2000M12"], "1999-01-01", "2000-12-01"),
        (["2020M1", "2020M11"], "2020-01-01", "2020-11-01"),
        # The first week of 2020 began in the year before; 2020 had 53.
        (["2020-W01", "2020-W53"], "2019-12-30", "2020-12-28"),
    ],
)
def test_names_of_periods_are_the_times_at_which_they_begin(texts, first, last):
    found = parse_stamps(pd.Series(texts, name="when"))
    assert [str(time.date()) for time in found] == [first, last]
    assert found.name == "when"


def test_a_period_of_another_kind_is_told_with_its_row():
    with pytest.raises(
        ValueError, match=r"holds '2020M02' in row 2 .*Expected a quarter, as in the first row"
    ):
        parse_stamps(pd.Series(["2020Q1", "2020M02"], name="when"))
    # 2021 had 52 weeks.
    with pytest.raises(ValueError, match=r"holds '2021-W53' in row 2 .*Expected a week"):
        parse_stamps(pd.Series(["2021-W52", "2021-W53"], name="when"))
