"""A search goes on with the same settings on rows of the same values, and with nothing else."""

import dataclasses
import functools
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.tuning.cheap import CheapTrials, cheap_search
from tfts.data.panel import Panel
from tfts.data.split import chronological_split
from tfts.models import linear
from tfts.training import described as described_module
from tfts.training.described import told
from tfts.tuning import Search, search
from tfts.tuning.table_trials import TableTrials
from tfts.tuning.window_trials import WindowTrials

SIZES = {"context_length": 7, "horizon": 2}


@pytest.fixture(scope="module")
def frame():
    days = pd.date_range("2024-01-01", periods=61, freq="D")
    return pd.DataFrame({"a": np.sin(np.arange(61.0)), "price": np.cos(np.arange(61.0))}, index=days)


def split(frame, **options):
    return chronological_split(Panel.from_frame(frame, known_future=["price"]), 0.2, 0.2, **options)


def described(frame, model="linear", training=None, **options):
    trials = TableTrials(model, split(frame, **options), SIZES, training or {})
    return trials.describe()


def changes(one, other):
    return [name for name in one if one[name] != other[name]]


# 37 rows to learn from, 12 to validate on, 12 to test on.
@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (5, "a", ["training rows", "validation rows"]),
        (40, "a", ["validation rows"]),
        (40, "price", ["validation rows"]),
        (55, "a", []),
    ],
)
def test_a_search_is_known_by_the_values_of_its_rows(row, column, expected, frame):
    corrected = frame.copy()
    corrected.iloc[row, frame.columns.get_loc(column)] += 1e-3
    assert changes(described(frame), described(corrected)) == expected


def test_a_search_is_known_by_which_rows_it_has(frame):
    assert changes(described(frame), described(frame, gap=1)) == ["validation rows"]
    # Rows that come after it are none of its own.
    longer = pd.concat([frame, frame.iloc[-3:].set_axis(pd.date_range("2024-03-02", periods=3))])
    parts = split(frame)
    assert parts.train.digest() == dataclasses.replace(split(longer).train, spans=parts.train.spans).digest()


def test_a_search_on_rows_that_were_corrected_does_not_go_on(frame, tmp_path):
    def again(table, **options):
        return search(
            "linear", split(table), **SIZES, max_trials=1, space={"shared": {"values": [True, False]}}, verbose=0,
            training={"epochs": 1}, directory=tmp_path / "s", **options,
        )  # fmt: skip

    first = again(frame).best_score
    corrected = frame.copy()
    corrected.iloc[40, 0] = 3.0
    with pytest.raises(
        ValueError, match=r"another search \(changed: validation rows\).*overwrite=True to replace it"
    ):
        again(corrected)
    assert again(frame).best_score == first
    assert again(corrected, overwrite=True).best_score > first


def slower(*sizes, **options):
    return linear(*sizes, **options)


def test_a_search_is_known_by_what_its_builder_and_its_loss_do(frame):
    def slower_still(*sizes, **options):
        return linear(*sizes[:4], 0, **options)

    slower_still.__qualname__ = "slower"
    assert changes(described(frame, slower), described(frame, slower_still)) == ["model"]
    assert described(frame, slower) == described(frame, slower)
    wrapped = [functools.partial(linear, window_norm=norm) for norm in ("last", "none")]
    for builder in wrapped:
        builder.__name__ = "wrapped"
    assert changes(*(described(frame, builder) for builder in wrapped)) == ["model"]
    losses = [{"loss": keras.losses.Huber(delta)} for delta in (1.0, 2.0, 2.0)]
    one, other, same = (described(frame, training=training) for training in losses)
    assert changes(one, other) == ["training"]
    assert other == same
    json.dumps(one)


def test_what_is_told_of_settings_is_the_same_in_every_process_and_tells_them_apart():
    def made(units, names=("a",), *, norm="last"):
        def build(*sizes):
            return linear(*sizes) if norm in {"last", "none", "instance"} else units

        return build

    assert told(made(3)) == told(made(3)) != told(made(5))
    assert told(made) == told(made)
    options = {"act": made(3), "loss": keras.losses.Huber(3.0), "array": np.arange(3), "none": object()}
    # In another process strings hash otherwise, and objects lie elsewhere.
    code = f"""
import json, runpy
told = runpy.run_path({described_module.__file__!r})["told"]
def build(norm):
    return norm in {{"last", "none", "instance", "own"}}
print(json.dumps(told({{"act": build, "of": object(), "type": dict}})))
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert json.loads(said[0])["of"] == "object"
    assert json.loads(json.dumps(told(options)))["array"] == [0, 1, 2]


def windows(values, known=None, batch=11):
    inputs = values[:, :7] if known is None else {"past": values[:, :7], "known_future": known}
    return tf.data.Dataset.from_tensor_slices((inputs, values[:, 7:])).batch(batch)


def test_windows_are_known_by_their_values_in_whatever_order_they_come():
    random = np.random.default_rng(0)
    values = random.standard_normal((31, 9, 1)).astype("float32")
    known = random.standard_normal((31, 9, 3)).astype("float32")

    def told(train, valid):
        return WindowTrials("linear", (train, valid), {}).describe()

    first = told(windows(values, known), windows(values))
    assert first == told(windows(values[::-1], known[::-1], 5), windows(values))
    corrected = values.copy()
    corrected[3, 8] += 1e-3
    assert changes(first, told(windows(corrected, known), windows(values))) == ["training windows"]
    assert changes(first, told(windows(values, known), windows(corrected))) == ["validation windows"]
    # The futures of two windows, exchanged.
    corrected = values.copy()
    corrected[[3, 5], 7:] = values[[5, 3], 7:]
    assert changes(first, told(windows(corrected, known), windows(values))) == ["training windows"]
    known[0, 0, 2] += 1e-3
    assert changes(first, told(windows(values, known), windows(values))) == ["training windows"]


def test_a_folder_of_another_version_says_which_one_wrote_it(monkeypatch, tmp_path):
    cheap_search(monkeypatch, CheapTrials(), directory=tmp_path / "s", max_trials=1)
    path = tmp_path / "s" / "search.json"
    for version, said in (
        ("0.0.7", "written by tfts 0.0.7"),
        (None, "written by tfts of an earlier version"),
    ):
        told = json.loads(path.read_text())
        told.pop("tfts")
        path.write_text(json.dumps(told if version is None else {**told, "tfts": version}))
        with pytest.raises(ValueError, match=said):
            Search.load(tmp_path / "s")
        with pytest.raises(ValueError, match=rf"{said}.*overwrite=True"):
            cheap_search(monkeypatch, CheapTrials(), directory=tmp_path / "s", max_trials=1)
        path.write_text(json.dumps({**told, "tfts": "0.0.7"}))
