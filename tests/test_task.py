import dataclasses
import json

import numpy as np
import pytest

from tfts.outputs import Point
from tfts.task import Task

FULL = {
    "context_length": 7,
    "horizon": 5,
    "targets": ["load", "price"],
    "past": ["wind", "day"],
    "known_future": ["promo", "hour"],
    "static": ["region", "store"],
    "categories": {"store": 11, "day": 7},
    "masked": True,
}


def test_names_and_numbers_of_columns():
    task = Task(**FULL)
    assert task.features == ("load", "price", "wind", "day")
    assert (task.num_targets, task.num_features, task.num_known_future) == (2, 4, 2)
    assert task.categories == (("store", 11), ("day", 7))
    assert task.output == Point()


def test_numbers_stand_for_names():
    task = Task(7, 5, targets=2, past=1, known_future=2, static=1)
    assert task.targets == ("target_0", "target_1")
    assert (task.past, task.known_future, task.static) == (("past_0",), ("known_0", "known_1"), ("static_0",))
    assert Task(7) == Task(7, 1, targets=1, past=0, known_future=0)


def test_one_name_is_a_column():
    assert Task(7, targets="load", past="wind").features == ("load", "wind")


def test_a_model_takes_the_inputs_that_there_are_columns_for():
    assert Task(7, 5, past=2).input_shapes == {"past": (7, 3)}
    known = Task(7, 5, targets=2, known_future=11).input_shapes
    assert list(known.items()) == [("past", (7, 2)), ("known_future", (12, 11))]
    assert Task(7, 5, static=3).input_shapes == {"past": (7, 1), "static": (3,)}


def test_a_task_is_a_value():
    task = Task(**FULL)
    assert task == Task(**{**FULL, "targets": ("load", "price"), "categories": (("store", 11), ("day", 7))})
    assert hash(task) == hash(Task(**FULL))
    assert task != Task(**{**FULL, "masked": False})
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.horizon = 3


@pytest.mark.parametrize("task", [Task(7), Task(**FULL)], ids=["least", "full"])
def test_plain_data_make_the_same_task(task):
    text = json.dumps(task.get_config())
    assert Task.from_config(json.loads(text)) == task


def test_the_config_is_plain():
    assert Task(**FULL).get_config() == {**FULL, "output": {"name": "point"}}
    config = Task(np.int64(7), np.int64(5)).get_config()
    assert {type(config[key]) for key in ("context_length", "horizon")} == {int}


@pytest.mark.parametrize("name", ["context_length", "horizon"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "7"])
def test_sizes_are_positive_ints(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must be an int >= 1. Received: {name}={value!r}"):
        Task(**{"context_length": 7, name: value})


@pytest.mark.parametrize("role", ["targets", "past", "known_future", "static"])
@pytest.mark.parametrize("value", [2.0, [1, 2], {"load"}, None])
def test_columns_are_names_or_their_number(role, value):
    with pytest.raises(
        ValueError, match=rf"`{role}` must hold names of columns, or be their number. Received"
    ):
        Task(7, **{role: value})


def test_negative_numbers_of_columns_are_refused():
    with pytest.raises(ValueError, match=r"`known_future` must be an int >= 0. Received: known_future=-1"):
        Task(7, known_future=-1)


@pytest.mark.parametrize("targets", [0, ()])
def test_there_is_a_target(targets):
    with pytest.raises(ValueError, match=r"A task needs at least one target"):
        Task(7, targets=targets)


def test_no_name_stands_twice():
    with pytest.raises(
        ValueError, match=r"Column 'load' stands twice in `targets`. Expected a name for each"
    ):
        Task(7, targets=["load", "price", "load"])
    with pytest.raises(
        ValueError, match=r"'load' stands in `targets` and in `known_future`.*known_future=\['load'\]"
    ):
        Task(7, targets=["load"], known_future=["load"])
    with pytest.raises(ValueError, match=r"'store' stands in `past` and in `static`"):
        Task(7, past=["store"], static=["store"])


def test_labels_stand_in_columns_of_another_role():
    assert Task(7, static=["store"], categories={"store": 3}).input_shapes["static"] == (1,)
    with pytest.raises(ValueError, match=r"Unknown column in `categories`: 'store'. Expected one of: stores"):
        Task(7, static=["stores"], categories={"store": 3})
    with pytest.raises(ValueError, match=r"Unknown column in `categories`: 'load'"):
        Task(7, targets=["load"], categories={"load": 3})


@pytest.mark.parametrize("value", [3, ["store"], {"store": 0}, {"store": 2.5}, {3: 3}])
def test_categories_have_sizes(value):
    with pytest.raises(ValueError, match=r"`categories.*(must map|must be an int >= 1|must name)"):
        Task(7, static=["store"], categories=value)


def test_masked_is_a_bool():
    with pytest.raises(ValueError, match=r"`masked` must be a bool. Received: masked='yes'"):
        Task(7, masked="yes")


def test_an_output_is_known_by_its_name():
    assert Task(7, output="point") == Task(7)
    with pytest.raises(ValueError, match=r"Unknown output 'pont'. Expected one of: .*point"):
        Task(7, output="pont")


def test_parts_of_another_version_are_named():
    with pytest.raises(ValueError, match=r"Unknown part of a task: 'horizons'.*Did you mean 'horizon'"):
        Task.from_config({"context_length": 7, "horizons": 3})
    with pytest.raises(ValueError, match=r"A task needs a `context_length`. Received: {'horizon': 3}"):
        Task.from_config({"horizon": 3})
