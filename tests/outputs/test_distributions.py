"""The right values of the outputs that describe a distribution."""

import keras
import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from tfts import Forecaster
from tfts.outputs import NegativeBinomial, Normal, Quantiles, StudentT
from tfts.outputs.log_gamma import log_gamma
from tfts.outputs.output import checked_levels

LEVELS = [0.1, 0.5, 0.9]


def _learnt(output, values, epochs=400, rate=0.05):
    """Parameters that a single weight for each raw number learns from all values."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(output.width, kernel_initializer="zeros")]
    )
    optimizer = keras.optimizers.Adam(rate)
    weights = model.trainable_variables
    import tensorflow as tf

    loss = output.loss()
    target = tf.constant(values.reshape(-1, 1, 1), tf.float32)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            raw = tf.reshape(model(tf.ones((1, 1))), (1, 1, 1, output.width))
            parameters = tf.repeat(output.head(raw), len(values), axis=0)
            cost = loss(target, parameters)
        optimizer.apply_gradients(zip(tape.gradient(cost, weights), weights, strict=True))

    for _ in range(epochs):
        step()
    raw = np.asarray(model(np.ones((1, 1)))).reshape(1, 1, 1, -1)
    return np.asarray(output.head(raw), dtype="float64")


def test_a_normal_distribution_is_found_again():
    values = np.random.default_rng(0).normal(1.5, 0.4, size=4000)
    mean, deviation = _learnt(Normal(), values).ravel()
    assert mean == pytest.approx(values.mean(), abs=0.01)
    assert deviation == pytest.approx(values.std(), abs=0.01)


def test_a_student_t_distribution_is_found_again():
    values = stats.t.rvs(4, loc=-1, scale=0.5, size=6000, random_state=0)
    location, scale, freedom = _learnt(StudentT(), values).ravel()
    assert location == pytest.approx(-1, abs=0.03)
    assert scale == pytest.approx(0.5, abs=0.03)
    assert freedom == pytest.approx(4, abs=0.8)


def test_quantiles_are_those_of_the_values():
    values = np.random.default_rng(0).exponential(size=5000)
    found = _learnt(Quantiles(LEVELS), values, epochs=800).ravel()
    np.testing.assert_allclose(found, np.quantile(values, LEVELS), atol=0.04)


def test_counts_of_which_four_in_five_are_zero():
    values = stats.nbinom.rvs(0.2, 0.2 / (0.2 + 0.5), size=6000, random_state=0).astype(float)
    assert 0.75 < (values == 0).mean() < 0.85
    output = NegativeBinomial()
    parameters = _learnt(output, values)
    assert output.mean(parameters).item() == pytest.approx(values.mean(), rel=0.05)
    assert parameters[0, 0, 0, 1] == pytest.approx(1 / 0.2, rel=0.2)
    quantiles = output.quantiles(parameters, [0.1, 0.5, 0.75, 0.9, 0.95]).ravel()
    assert (
        quantiles.tolist() == np.quantile(values, [0.1, 0.5, 0.75, 0.9, 0.95], method="inverted_cdf").tolist()
    )
    assert quantiles[1] == 0


def test_losses_are_the_likelihoods():
    raw, actual = np.random.default_rng(0).normal(size=(5, 3, 2, 3)), np.full((5, 3, 2), 2.0)
    for output, likelihood, constant in (
        (Normal(), lambda p: stats.norm.logpdf(actual, p[..., 0], p[..., 1]), np.log(2 * np.pi) / 2),
        (StudentT(), lambda p: stats.t.logpdf(actual, p[..., 2], p[..., 0], p[..., 1]), np.log(np.pi) / 2),
        (
            NegativeBinomial(),
            lambda p: stats.nbinom.logpmf(
                2, 1 / p[..., 1], 1 / (1 + p[..., 1] * (np.logaddexp(0, p[..., 0]) + 1e-6))
            ),
            0,
        ),
    ):
        parameters = np.asarray(output.head(raw[..., : output.width].astype("float32")), dtype="float64")
        cost = np.asarray(output.cost(*map(keras.ops.convert_to_tensor, (actual, parameters))))
        np.testing.assert_allclose(cost + constant, -likelihood(parameters), rtol=1e-4, atol=1e-5)


def test_the_pinball_loss_of_quantiles_by_hand():
    # 0.1 * 5, 0.5 * 3 and (1 - 0.9) * 1 below; twice their mean.
    cost = Quantiles(LEVELS).cost(keras.ops.convert_to_tensor([[[4.0]]]), np.float32([[[[-1.0, 1.0, 5.0]]]]))
    assert float(cost[0, 0, 0]) == pytest.approx(2 * (0.5 + 1.5 + 0.1) / 3)


def test_the_logarithm_of_gamma():
    x = np.array([1e-3, 0.5, 1, 2, 5.99, 6, 20, 1e3, 1e6], "float32")
    found = np.asarray(log_gamma(keras.ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found, special.gammaln(x), rtol=1e-6, atol=2e-6)


def test_quantiles_move_with_level_and_scale():
    parameters = np.array([[[[1.0, 0.5]]]])
    np.testing.assert_allclose(Normal().restore(parameters, 10.0, 3.0), [[[[13.0, 1.5]]]])
    level, scale = np.array([[[10.0]]]), np.array([[[3.0]]])
    np.testing.assert_allclose(
        StudentT().restore(np.array([[[[1.0, 0.5, 4.0]]]]), level, scale), [[[[13, 1.5, 4]]]]
    )
    np.testing.assert_allclose(Quantiles([0.5, 0.9]).restore(parameters, level, scale), [[[[13.0, 11.5]]]])


def test_counts_are_those_of_the_table_whatever_the_network_sees():
    plain, scaled = NegativeBinomial(), NegativeBinomial().in_units([4.0], [2.0])
    inside = np.array([[[[0.5, 0.3]]]])
    restored = plain.restore(inside, np.array([[[4.0]]]), np.array([[[2.0]]]))
    assert plain.mean(restored).item() == pytest.approx(4 + 2 * scaled.mean(inside).item())
    counts = plain.quantiles(restored, LEVELS)
    np.testing.assert_allclose(4 + 2 * scaled.quantiles(inside, LEVELS), counts)
    actual = keras.ops.convert_to_tensor([[[0.5]]])  # A count of 5.
    assert float(scaled.cost(actual, np.float32(inside))[0, 0, 0]) == pytest.approx(
        float(plain.cost(keras.ops.convert_to_tensor([[[5.0]]]), np.float32(restored))[0, 0, 0]), rel=1e-5
    )


@pytest.mark.parametrize(("level", "scale"), [(None, None), (0.0, 1.0), (1.5, 0.25)])
def test_zeros_are_counts_of_the_mean_and_the_deviation_that_the_units_tell(level, scale):
    # Variances: 9 = 4 + 5 / 16 * 4 ** 2; 0.01 is less than the mean of 0.02 and 100 what a mean of 100 has anyway.
    output = NegativeBinomial().in_units([4.0, 0.02, 100.0], [3.0, 0.1, 10.0])
    raw = keras.ops.zeros((2, 1, 3, 2), dtype="float32")
    shifts = (
        ()
        if level is None
        else tuple(keras.ops.full((2, 1, 3), number, "float32") for number in (level, scale))
    )
    parameters = np.asarray(output.parameters(raw, None, *shifts), dtype="float64")
    np.testing.assert_allclose(parameters[..., 1], np.full((2, 1, 3), [0.3125, 1e-3, 1e-3]) + 1e-4, rtol=1e-3)
    if level == 1.5:
        np.testing.assert_array_less([4.0, 0.02, 100.0], output.mean_count(parameters)[0, 0])
    else:
        np.testing.assert_allclose(output.mean_count(parameters)[0, 0], [4, 0.02, 100], rtol=1e-3)


def test_counts_start_as_dispersed_as_their_errors_are():
    rng, output = np.random.default_rng(0), NegativeBinomial().in_units([20.0], [8.0])
    counts = stats.nbinom.rvs(2, 2 / (2 + 20), size=(4000, 2, 1), random_state=rng).astype(float)
    actual = (counts - 20) / 8
    actual[7, 0, 0] = np.nan
    parameters = np.asarray(output.parameters(np.zeros((4000, 2, 1, 2), "float32")), dtype="float64")
    further = output.further_from(parameters, actual)
    assert further.shape == (2, 1, 1)
    raw = np.concatenate([np.zeros((1, 2, 1, 1)), further[None]], axis=-1).astype("float32")
    found = np.asarray(output.parameters(raw))
    np.testing.assert_allclose(found[..., 1], 0.5, rtol=0.1)


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_few_sales_are_forecast_as_few(rate, eager):
    sold = (np.random.default_rng(1).random(600) < rate).astype(float)
    frame = pd.DataFrame({"sold": sold}, index=pd.date_range("2024-01-01", periods=600))
    forecaster = Forecaster(
        "linear", context_length=7, horizon=2, output="negative_binomial", quantiles=[0.5, 0.9]
    ).fit(frame, epochs=2, verbose=0)
    found = forecaster.evaluate(frame, ["bias"])["bias"][0] + sold.mean()
    assert 0.3 * sold.mean() < found < 3 * sold.mean()
    assert forecaster.predict(frame[:-7])["sold_q0.9"].max() <= 1


@pytest.mark.parametrize("output", [Normal(), StudentT(), Quantiles(LEVELS)])
def test_scores_and_values_turn_into_each_other(output):
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(7, 5, 3, output.width)).astype("float32")
    parameters = np.asarray(output.head(raw), dtype="float64")
    values = rng.normal(scale=3, size=(7, 5, 3))
    np.testing.assert_allclose(output.at(parameters, output.scores(parameters, values)), values, atol=1e-9)
    scores = special.ndtri(LEVELS)
    found = np.stack([output.at(parameters, score) for score in scores], axis=-1)
    np.testing.assert_allclose(found, output.quantiles(parameters, LEVELS), atol=1e-9)


def test_scores_of_a_value_hold_all_that_is_below_it_and_it_too():
    counts = np.array([[[0.0], [3.0], [11.0]]])
    parameters = np.broadcast_to([3.0, 0.5], (1, 3, 1, 2))
    law = stats.nbinom(2.0, 2.0 / (2.0 + np.logaddexp(0, 3.0) + 1e-6))
    low, high = NegativeBinomial().score_range(parameters, counts)
    np.testing.assert_allclose(special.ndtr(low), law.cdf(counts - 1), atol=1e-9)
    np.testing.assert_allclose(special.ndtr(high), law.cdf(counts), rtol=1e-6)
    inside = NegativeBinomial().scores(parameters, counts)
    assert ((low < inside) & (inside < high)).all()
    # Where a single value has no probability of its own both are its score.
    low, high = Normal().score_range(np.array([[[[10.0, 2.0]]]]), np.array([[[14.0]]]))
    assert low.item() == high.item() == 2.0


@pytest.mark.parametrize(
    "levels",
    [
        [],
        [0.0, 0.5],
        [0.5, 1.0],
        [0.9, 0.1],
        [0.5, 0.5],
        [0.5, "0.9"],
        0.5,
        np.array(0.5),
        [[0.1, 0.9]],
        None,
    ],
)
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ValueError, match=r"must be levels between 0 and 1 in ascending order.*Received"):
        Quantiles(levels)
    if levels is not None:
        with pytest.raises(ValueError, match=r"`quantiles` must be levels between 0 and 1"):
            Forecaster("ridge", context_length=3, horizon=1, quantiles=levels)


@pytest.mark.parametrize("levels", [[0.1, 0.1000000001], [1e-9, 0.9999999999]])
def test_levels_whose_columns_would_have_one_name_are_refused(levels):
    with pytest.raises(ValueError, match=r"must differ from each other, from 0 and from 1 within six digits"):
        Quantiles(levels)


def test_levels_are_those_that_are_written():
    output = Quantiles([1 - 0.9, 0.1 + 0.2, np.float32(0.7), np.float64(0.9)])
    assert output.levels == (0.1, 0.3, 0.7, 0.9)
    parameters = np.arange(5.0)[None, None, None]
    found = output.quantiles(parameters, checked_levels(np.array([0.1, 0.9], "float32")))
    assert found.ravel().tolist() == [0.0, 4.0]


def test_a_level_beyond_the_learnt_ones_is_refused_before_a_fit():
    output = {"name": "quantiles", "levels": [0.2, 0.8]}
    with pytest.raises(ValueError, match=r"from 0.2 to 0.8 were learnt.*Received: level 0.1"):
        Forecaster("linear", context_length=3, horizon=1, output=output, quantiles=[0.1, 0.9])
    made = Forecaster(
        "linear",
        context_length=3,
        horizon=1,
        output=output,
        quantiles=[0.1, 0.9],
        calibration="conformal",
    )
    assert made.quantiles == (0.1, 0.9)


def test_a_level_beyond_the_learnt_ones_is_refused():
    with pytest.raises(ValueError, match=r"from 0.1 to 0.9 were learnt.*level 0.99.*calibrate"):
        Quantiles(LEVELS).quantiles(np.zeros((1, 1, 1, 3)), [0.99])


@pytest.mark.parametrize(("values", "words"), [([1.5, 2, 0], "y=1.5"), ([-1, 2, 0], "y=-1")])
def test_values_that_are_no_counts_are_refused(values, words):
    frame = pd.DataFrame({"y": np.tile(values, 20)}, index=pd.date_range("2024-01-01", periods=60))
    forecaster = Forecaster("linear", context_length=5, horizon=2, output="negative_binomial")
    with pytest.raises(ValueError, match=rf"describes counts.*Received: {words}"):
        forecaster.fit(frame, epochs=1, verbose=0)


def test_a_count_that_is_missing_is_no_wrong_one(eager):
    frame = pd.DataFrame({"y": np.arange(90.0) % 5}, index=pd.date_range("2024-01-01", periods=90))
    frame.iloc[30] = np.nan
    forecaster = Forecaster(
        "linear", context_length=5, horizon=2, output="negative_binomial", missing="drop"
    ).fit(frame, epochs=1, verbose=0)
    assert np.isfinite(forecaster.predict(frame)["y"]).all()


def test_what_is_filled_between_counts_need_not_be_one(eager):
    frame = pd.DataFrame({"y": np.arange(90.0) % 5}, index=pd.date_range("2024-01-01", periods=90))
    frame.iloc[30:33, 0] = [2, np.nan, 3]
    forecaster = Forecaster(
        "linear", context_length=5, horizon=2, output="negative_binomial", missing="interpolate"
    ).fit(frame, epochs=1, verbose=0)
    assert forecaster.panel(frame).values[31, 0] == 2.5
    assert np.isfinite(forecaster.predict(frame)["y"]).all()
    frame.iloc[33] = 2.5
    with pytest.raises(ValueError, match=r"Received: y=2.5 \(1 values are not counts\)"):
        forecaster.fit(frame, epochs=1, verbose=0)


def test_counts_take_one_scale_for_all():
    frame = pd.DataFrame({"y": np.arange(60) % 5 + 1}, index=pd.date_range("2024-01-01", periods=60))
    forecaster = Forecaster("linear", context_length=5, horizon=2, output="negative_binomial", scaler="log")
    with pytest.raises(ValueError, match=r"without logarithms. Received: scaler='log'"):
        forecaster.fit(frame, epochs=1, verbose=0)
