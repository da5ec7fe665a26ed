import numpy as np
import pandas as pd
import pytest

from tfts.tuning.importance import importance, importance_notes


@pytest.fixture(scope="module")
def results():
    """53 finished trials whose score is the rate, a little of the word, and nothing of the others."""
    random = np.random.default_rng(7)
    rate, word = random.uniform(size=53), random.choice(["adam", "adamw"], 53)
    table = pd.DataFrame(
        {
            "trial": range(53),
            "status": "finished",
            "score": rate + 0.3 * (word == "adam"),
            "epochs": 3,
            "rate": rate,
            "noise": random.choice([16, 32, 64], 53),
            "optimizer": word,
            "fixed": 5,
        }
    )
    bad = table.iloc[:11].assign(trial=range(53, 64), status="pruned", score=99.0)
    return pd.concat([table, bad], ignore_index=True)


def test_the_settings_that_made_the_score_are_found(results):
    table = importance(results, num_trees=40, repeats=5)
    assert table["setting"].tolist() == ["rate", "optimizer", "noise"]
    assert table["importance"][0] > 3 * table["importance"][1] > 0.05
    assert abs(table["importance"][2]) < 0.05
    assert table["values"].tolist() == [53, 2, 3]
    assert table.attrs["explained"] > 0.8
    again = importance(results, num_trees=40, repeats=5)
    pd.testing.assert_frame_equal(table, again)
    assert importance(results, num_trees=40, repeats=5, seed=3)["importance"][0] != table["importance"][0]


def test_absent_settings_and_lists_can_be_judged(results):
    table = results.assign(layers=results["rate"].where(results["optimizer"] == "adam"))
    table["calendar"] = [["24h"] if rate > 0.5 else [] for rate in table["rate"]]
    found = importance(table.drop(columns="rate"), num_trees=20, repeats=3)
    assert set(found["setting"]) == {"optimizer", "noise", "layers", "calendar"}
    assert found["setting"][0] in ("layers", "calendar")


def test_notes_say_what_the_numbers_do_not(results):
    table = importance(results, num_trees=20, repeats=3)
    notes = importance_notes(results, table)
    assert notes[0].startswith("The forests explain")
    assert "not cause" in notes[-1]
    few = importance_notes(results.iloc[:7], table)
    assert few[0] == "7 finished trials are few to tell 3 settings apart: the order may be chance."
    table.attrs["explained"] = -0.2
    assert (
        "explain 0 % of what unseen trials differ by, so their opinion" in importance_notes(results, table)[0]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:7], "at least 10 finished trials.* Received: 7"),
        (lambda t: t.iloc[:11][["trial", "status", "score", "fixed"]], "have the same settings"),
        (lambda t: t.assign(score=1.0), "have the same score"),
    ],
)
def test_what_can_not_be_judged_is_refused(results, change, message):
    with pytest.raises(ValueError, match=message):
        importance(change(results))
