import numpy as np
import pytest

from tfts.tuning.records import best_record, curves_table, read_records, results_table, write_record


def record(trial, value, **changes):
    fits = [{"execution": 0, "part": 0, "score": value, "epochs": 2, "curve": [value + 1, value]}]
    made = {
        "trial": trial,
        "status": "finished",
        "score": value,
        "epochs": 2,
        "seconds": 1.5,
        "reason": "",
        "settings": {"epochs": 7, "units": 3},
        "fits": fits,
    }
    return {**made, **changes}


def test_records_come_back_in_the_order_of_their_numbers(tmp_path):
    for trial in (10, 2, 0):
        write_record(tmp_path, record(trial, 0.5))
    assert [r["trial"] for r in read_records(tmp_path)] == [0, 2, 10]
    assert read_records(tmp_path)[1] == record(2, 0.5)


def test_the_searched_epochs_stand_beside_the_best_ones():
    table = results_table([record(0, 0.5)], ["epochs", "units"])
    assert table.columns.tolist() == [
        "trial", "status", "score", "epochs", "seconds", "reason", "max_epochs", "units",
    ]  # fmt: skip
    assert table.loc[0, ["epochs", "max_epochs", "units"]].tolist() == [2, 7, 3]


def test_a_trial_without_a_score_or_a_setting_has_none_in_the_table():
    failed = record(1, 0.5, score=None, status="failed", settings={"calendar": ["hour"]}, fits=[])
    table = results_table([record(0, 0.5), failed], ["units", "calendar"])
    assert np.isnan(table["score"][1])
    assert np.isnan(table["units"][1])
    assert table["calendar"][1] == '["hour"]'


def test_curves_count_epochs_from_one():
    table = curves_table([record(3, 0.5)])
    assert table.values.tolist() == [[3, 0, 0, 1, 1.5], [3, 0, 0, 2, 0.5]]


def test_only_what_was_finished_can_be_the_best():
    records = [record(0, 2.0), record(1, 1.0, status="pruned"), record(2, 1.5), record(3, 1.5)]
    assert best_record(records)["trial"] == 2
    assert best_record(records[1:2]) is None


def test_a_record_is_there_whole_or_not_at_all(tmp_path):
    write_record(tmp_path, record(0, 0.5))
    with pytest.raises(TypeError, match="can't be written as JSON"):
        write_record(tmp_path, record(0, 0.7, reason=object()))
    assert read_records(tmp_path) == [record(0, 0.5)]
