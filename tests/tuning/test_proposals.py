import numpy as np
import pytest

from tests.tuning.cheap import SPACE, planted
from tfts.models import linear
from tfts.tuning.proposals import bayesian_point, new_point, random_point, spread_point
from tfts.tuning.space import Space


@pytest.fixture(scope="module")
def space():
    return Space(SPACE, linear)


def test_the_first_points_fill_the_space_evenly():
    space = Space({"learning_rate": {"min": 0.0, "max": 1.0}}, linear)
    places = np.sort([spread_point(space, number, seed=3)["learning_rate"] for number in range(13)])
    # Random draws leave gaps of 0.2 and more; by the golden ratio no gap is above 2 / 13.
    assert np.diff(places).max() < 2 / 13


def test_the_seed_moves_the_first_points(space):
    assert spread_point(space, 0, seed=1) != spread_point(space, 0, seed=2)
    assert spread_point(space, 5, seed=1) == spread_point(space, 5, seed=1)


def test_a_new_point_is_found_though_every_draw_has_been_tried():
    space = Space({"batch_size": {"values": [3, 5, 7]}}, linear)
    tried = {space.key({"batch_size": size}) for size in (3, 7)}
    assert new_point(space, lambda attempt: {"batch_size": 3}, tried) == {"batch_size": 5}
    tried.add(space.key({"batch_size": 5}))
    assert new_point(space, lambda attempt: {"batch_size": 3}, tried) is None


def test_random_points_reach_every_word(space):
    generator = np.random.default_rng(0)
    words = {random_point(space, generator)["window_norm"] for _ in range(30)}
    assert words == {"none", "last", "instance"}


def tried_points(space, count=13):
    found = [spread_point(space, number, seed=5) for number in range(count)]
    return found, [planted(space.settings(point)) for point in found]


def test_the_proposal_is_better_than_what_it_learnt_from(space):
    found, scores = tried_points(space)
    for number in range(6):
        tried = {space.key(space.settings(point)) for point in found}
        found.append(bayesian_point(space, found, scores, tried, seed=[0, number]))
        scores.append(planted(space.settings(found[-1])))
    assert min(scores[13:]) < min(scores[:13])
    assert len({space.key(space.settings(point)) for point in found}) == 19


def test_one_diverged_trial_does_not_hide_the_others(space):
    found, scores = tried_points(space)
    scores[0] = 1e9
    point = bayesian_point(space, found, scores, set(), seed=0)
    assert planted(space.settings(point)) < np.median(scores)


def test_a_running_point_is_not_proposed_again(space):
    found, scores = tried_points(space)
    first = bayesian_point(space, found, scores, set(), seed=0)
    tried = {space.key(space.settings(first))}
    second = bayesian_point(space, found, scores, tried, seed=0, running=[first])
    assert np.abs(space.vector(second) - space.vector(first)).max() > 0.01


def test_the_last_point_of_a_space_is_found_and_then_none():
    space = Space({"batch_size": {"values": [3, 5, 7]}}, linear)
    found = [{"batch_size": 3}, {"batch_size": 7}, {"batch_size": 7}]
    tried = {space.key({"batch_size": size}) for size in (3, 7)}
    assert bayesian_point(space, found, [1.0, 2.0, 2.0], tried, seed=0) == {"batch_size": 5}
    tried.add(space.key({"batch_size": 5}))
    assert bayesian_point(space, found, [1.0, 2.0, 2.0], tried, seed=0) is None


def test_equal_scores_are_no_trouble(space):
    found, _ = tried_points(space, 4)
    assert bayesian_point(space, found, [2.0] * 4, set(), seed=0)
