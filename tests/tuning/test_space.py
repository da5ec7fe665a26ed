import keras_tuner
import numpy as np
import pytest

from tfts.models import MODELS, SPACES, attention_seq2seq, linear, lstm_attention
from tfts.tuning.space import Space

HEADS = {
    "units": {"values": [32, 64, 100]},
    "num_heads": {"values": [2, 4, 8], "divides": "units"},
    "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
    "window_norm": {"values": ["last", "instance"]},
    "num_layers": {"min": 1, "max": 3, "when": {"window_norm": ["last"]}},
    "weight_decay": {"values": [None, 1e-3]},
}


@pytest.fixture(scope="module")
def space():
    return Space(HEADS, attention_seq2seq)


def points(space, count, seed=0):
    generator = np.random.default_rng(seed)
    return [space.at(generator.random(space.dimensions)) for _ in range(count)]


def test_defaults_are_those_of_the_builder_and_of_fit(space):
    assert space.defaults == {
        "units": 32,
        "num_heads": 4,
        "learning_rate": 0.003,
        "window_norm": "last",
        "num_layers": 1,
        "weight_decay": 1e-4,
    }
    # 1e-4 is what None means, and it is none of the two values.
    assert space.outside == ("weight_decay",)


def test_what_is_given_is_the_default():
    assert Space(HEADS, attention_seq2seq, {"units": 64, "optimizer": "adam"}).defaults["units"] == 64


def test_heads_always_divide_units(space):
    settings = [space.settings(point) for point in points(space, 100)]
    assert all(s["units"] % s["num_heads"] == 0 for s in settings)
    assert {s["num_heads"] for s in settings if s["units"] == 100} == {2, 4}


def test_a_condition_holds_back_a_setting(space):
    for point in points(space, 50):
        assert ("num_layers" in point) == (point["window_norm"] == "last")


def test_a_log_range_is_halved_at_its_geometric_mean():
    space = Space({"learning_rate": {"min": 1e-4, "max": 1e-2, "log": True}}, linear)
    # The root of 1e-4 times 1e-2.
    assert space.at([0.5]) == {"learning_rate": 0.001}
    assert space.vector({"learning_rate": 0.001}).tolist() == pytest.approx([0.5])


def test_the_unit_cube_leads_to_a_point_and_back(space):
    for point in points(space, 30):
        assert space.at(space.unit(point)) == point


def test_values_that_are_no_words_come_back_as_they_were(space):
    meant = {space.settings(point)["weight_decay"] for point in points(space, 30)}
    assert meant == {None, 1e-3}


def test_words_are_as_far_apart_as_the_ends_of_a_range():
    space = Space({"window_norm": {"values": ["none", "last", "instance"]}}, linear)
    vectors = [space.vector({"window_norm": word}) for word in ("none", "last", "instance")]
    for at, other in ((0, 1), (0, 2), (1, 2)):
        assert np.linalg.norm(vectors[at] - vectors[other]) == pytest.approx(1.0)


def test_the_grid_counts_conditions_and_divisors():
    space = Space({name: HEADS[name] for name in ("units", "num_heads")}, attention_seq2seq)
    pairs = {(p["units"], p["num_heads"]) for p in space.grid()}
    # 32 and 64 have three heads each, 100 has two.
    assert pairs == {(32, 2), (32, 4), (32, 8), (64, 2), (64, 4), (64, 8), (100, 2), (100, 4)}
    assert space.size == 8


def test_a_range_without_steps_is_infinite_and_gives_five_to_a_grid():
    space = Space({"learning_rate": {"min": 0.0, "max": 1.0}}, linear)
    assert space.size == np.inf
    assert [p["learning_rate"] for p in space.grid()] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])


def test_representatives_meet_every_value(space):
    met = list(space.representatives())
    for name, values in (("units", {32, 64, 100}), ("num_heads", {2, 4, 8}), ("weight_decay", {None, 1e-3})):
        assert {s[name] for s in met} == values
    assert {s.get("num_layers") for s in met} >= {1, 3}


def test_keras_tuner_is_told_the_same_space(space):
    hp = keras_tuner.HyperParameters()
    assert space.declare(hp)["units"] == 32
    assert [own.name for own in hp.space] == [own.name for own in space.hyperparameters.space]
    hp.values = {
        "units": 100,
        "num_heads": 2,
        "learning_rate": 0.002,
        "window_norm": "instance",
        "weight_decay": "None",
    }
    assert space.declare(hp) == {
        "units": 100,
        "num_heads": 2,
        "learning_rate": 0.002,
        "window_norm": "instance",
        "weight_decay": None,
    }


def test_a_float_that_lost_digits_over_the_network_is_found_again():
    space = Space(
        {"dropout": {"values": [0.0, 0.1]}, "learning_rate": {"min": 1e-4, "max": 1e-2}}, lstm_attention
    )
    hp = space.hyperparameters.copy()
    hp.values = {"dropout": float(np.float32(0.1)), "learning_rate": float(np.float32(0.003))}
    assert space.declare(hp) == {"dropout": 0.1, "learning_rate": 0.003}


def test_a_function_is_explored_behind_its_conditions():
    def chosen(hp):
        heads = hp.Choice("heads", [2, 4])
        settings = {"num_heads": heads, "units": heads * hp.Int("width", 4, 16, step=4)}
        with hp.conditional_scope("heads", [4]):
            settings["dropout"] = hp.Float("drop", 0.0, 0.5)
        return settings

    space = Space(chosen, attention_seq2seq)
    assert set(space.names) == {"num_heads", "units", "dropout"}
    assert space.dimensions == 3
    for point in points(space, 30):
        settings = space.settings(point)
        assert settings["units"] == settings["num_heads"] * point["width"]
        assert ("dropout" in settings) == (settings["num_heads"] == 4)


def test_a_function_gives_a_dict_of_known_settings():
    with pytest.raises(ValueError, match=r"returns a dict from names of settings to values. Received: int"):
        Space(lambda hp: 3, linear)
    with pytest.raises(ValueError, match="Unknown setting 'unitz'"):
        Space(lambda hp: {"unitz": hp.Int("unitz", 1, 3)}, lstm_attention)


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ({"unit": {"values": [3]}}, "Unknown setting 'unit'. .*Did you mean 'units'?"),
        ({"units": [32, 64]}, r"'units' must hold \{values: \[...\]\} or"),
        ({"units": {"value": [32]}}, "Unknown key of the setting 'units': 'value'. .*Did you mean 'values'"),
        ({"units": {"values": []}}, "values of 'units' must be a list of one or more. Received: \\[\\]"),
        ({"units": {"values": [3, 3]}}, "hold one of them twice"),
        ({"units": {"values": [3], "min": 1}}, "holds values and min"),
        ({"units": {"min": 8, "max": 4}}, "numbers with min < max. Received: min=8, max=4"),
        ({"units": {"min": 8}}, "Received: min=8, max=None"),
        ({"learning_rate": {"min": 0.0, "max": 1.0, "log": True}}, "is log, so min must be above 0"),
        (
            {"learning_rate": {"min": 0.1, "max": 1.0, "log": "yes"}},
            "`log` of 'learning_rate' must be true or",
        ),
        ({"units": {"min": 1, "max": 9, "step": 0}}, "`step` of 'units' must be a number above 0"),
        ({"units": {"min": 1, "max": 9, "step": 1, "log": True}}, "above 1, because it multiplies"),
        ({"dropout": {"values": [0.1], "divides": "units"}, "units": {"values": [4]}}, "expected ints >= 1"),
        (
            {"num_layers": {"min": 1, "max": 3, "divides": "units"}, "units": {"values": [4]}},
            "give its `values`",
        ),
        ({"units": {"values": [4], "when": {"norm": [1]}}}, "Unknown setting in `when` of 'units': 'norm'"),
        (
            {"num_heads": {"values": [4], "divides": "unit"}},
            "Unknown setting in `divides` of 'num_heads': 'unit'",
        ),
        (
            {"num_heads": {"values": [4], "divides": "units"}, "units": {"values": [4, 6]}},
            r"none of its values \[4\] divides 6",
        ),
        (
            {"units": {"values": [4], "when": {"dropout": [0.5]}}, "dropout": {"values": [0.1]}},
            "the space never gives 'dropout' that value",
        ),
        (
            {
                "units": {"values": [4], "when": {"num_layers": [1]}},
                "num_layers": {"values": [1], "when": {"units": [4]}},
            },
            "depend on each other in a circle",
        ),
        ({}, "holds no setting"),
        (3, "must be 'default', a dict .* Received: int"),
    ],
)
def test_a_wrong_space_is_refused(space, complaint):
    with pytest.raises(ValueError, match=complaint):
        Space(space, attention_seq2seq)


@pytest.mark.parametrize("name", MODELS)
def test_the_default_space_holds_the_defaults(name):
    space = Space(SPACES[name], MODELS[name])
    assert space.outside == ()
    assert "learning_rate" in space.names
