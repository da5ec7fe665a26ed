"""What every model of tfts must do, whatever it computes."""

import functools
import inspect
import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pandas as pd
import pytest

from tests.outputs.spread import Spread
from tfts.models import MODELS, attention_scores, build_model
from tfts.outputs import OUTPUTS
from tfts.task import Task

# A distinct prime for each axis.
BATCH, CONTEXT, FEATURES, HORIZON, TARGETS, KNOWN = 11, 7, 5, 3, 2, 13
BACKENDS = ("tensorflow", "jax", "torch")
WITH_ATTENTION = {"attention_seq2seq", "inverted_transformer", "lstm_attention", "patch_transformer"}
TRANSFORMER = {"units": 6, "num_heads": 2, "feedforward_units": 11}
SMALL = {
    "attention_seq2seq": TRANSFORMER,
    "inverted_transformer": {**TRANSFORMER, "num_layers": 1, "dropout": 0.0},
    "nhits": {"units": 5, "num_layers": 1, "pool_sizes": (3, 1), "steps_per_knot": (2, 1)},
    "patch_transformer": {**TRANSFORMER, "num_layers": 1, "patch_length": 3, "stride": 2, "dropout": 0.0},
    "tcn": {"units": 5, "num_layers": 1, "dropout": 0.0},
    "tsmixer": {"feedforward_units": 11, "num_layers": 1, "dropout": 0.0},
    "segment_rnn": {"units": 5, "segment_length": 2, "dropout": 0.0},
}

# Another valid value for every option; a builder's test fails when one is missing here.
OTHER = {
    "units": 12,
    "attention_units": 17,
    "num_heads": 3,
    "num_layers": 2,
    "feedforward_units": 19,
    "dropout": 0.5,
    "teacher_forcing": 1.0,
    "kernel_size": 5,
    "num_blocks": 2,
    "patch_length": 5,
    "pool_sizes": (2, 1),
    "position": "sinusoidal",
    "steps_per_knot": (3, 1),
    "stride": 3,
    "shared": False,
    "individual": True,
    "affine": False,
    "segment_length": 3,
    "window_norm": "instance",
    "linear_skip": "own",
    "name": "another",
}

every_model = pytest.mark.parametrize("name", MODELS)
with_and_without_known = pytest.mark.parametrize("known", [0, KNOWN])


def _build(model, known=0, horizon=HORIZON, output="point", **options):
    task = Task(CONTEXT, horizon, targets=TARGETS, past=FEATURES - TARGETS, known_future=known, output=output)
    small = SMALL.get(model, {"units": 5} if "units" in inspect.signature(MODELS[model]).parameters else {})
    return build_model(model, task, **{**small, **options})


def _inputs(known=0, horizon=HORIZON, batch=BATCH, seed=0):
    rng = np.random.default_rng(seed)
    past = rng.normal(size=(batch, CONTEXT, FEATURES)).astype("float32")
    if not known:
        return past
    return {
        "past": past,
        "known_future": rng.normal(size=(batch, CONTEXT + horizon, known)).astype("float32"),
    }


def _shake(model, seed=0):
    """Gives every weight, the zero ones included, a random value."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(scale=0.3, size=w.shape) for w in model.get_weights()])
    return model


@functools.cache
def _shaken(name, known=0):
    """The model that most tests ask and none changes."""
    return _shake(_build(name, known))


def _forecast(model, inputs, **options):
    return keras.ops.convert_to_numpy(model(inputs, **options))


def _map(function, inputs):
    return {k: function(v) for k, v in inputs.items()} if isinstance(inputs, dict) else function(inputs)


# Columns of labels in every role, beside numbers.
LABELLED = Task(
    CONTEXT,
    HORIZON,
    targets=TARGETS,
    past=["weather", "wind"],
    known_future=["promotion", "price"],
    static=["kind", "size"],
    categories={"weather": 3, "promotion": 2, "kind": 5},
)


def _labelled_inputs(seed=0):
    rng = np.random.default_rng(seed)
    inputs = {name: rng.normal(size=(BATCH, *shape)) for name, shape in LABELLED.input_shapes.items()}
    for name, column, count in (("past", 2, 3), ("known_future", 0, 2), ("static", 0, 5)):
        inputs[name][..., column] = rng.integers(1, count + 1, inputs[name].shape[:-1])
    return {name: values.astype("float32") for name, values in inputs.items()}


# Models that see what is put in place of a missing value, and not where that is.
UNTOLD = {"linear", "dlinear", "nlinear", "rlinear"}


@every_model
def test_a_mask_acts_on_every_model_but_linear_maps(name, tmp_path):
    task = Task(
        CONTEXT, HORIZON, targets=TARGETS, past=["weather", "wind"], categories={"weather": 3}, masked=True
    )
    small = SMALL.get(name, {"units": 5} if "units" in inspect.signature(MODELS[name]).parameters else {})
    model = _shake(build_model(name, task, **small))
    rng = np.random.default_rng(0)
    inputs = {
        key: rng.normal(size=(BATCH, *shape)).astype("float32") for key, shape in task.input_shapes.items()
    }
    inputs["past"][..., 2] = rng.integers(1, 4, (BATCH, CONTEXT))
    inputs["observed"] = (rng.random((BATCH, CONTEXT, task.num_features)) < 0.7).astype("float32")
    before = _forecast(model, inputs)
    hidden = {**inputs, "observed": np.array(inputs["observed"])}
    hidden["observed"][..., 0] = 1 - hidden["observed"][..., 0]
    moved = np.abs(_forecast(model, hidden) - before).max(axis=(1, 2)).min()
    assert moved == 0 if name in UNTOLD else moved > 1e-6
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(_forecast(loaded, inputs), before)


@every_model
def test_labels_and_attributes_act_on_every_model(name, tmp_path):
    small = SMALL.get(name, {"units": 5} if "units" in inspect.signature(MODELS[name]).parameters else {})
    skip = {"linear_skip": "all"} if "linear_skip" in inspect.signature(MODELS[name]).parameters else {}
    model = _shake(build_model(name, LABELLED, **{**small, **skip}))
    inputs = _labelled_inputs()
    before = _forecast(model, inputs)
    for role, column, change in (
        ("past", 2, 1),
        ("known_future", 0, 1),
        ("static", 0, 1),
        ("static", 1, 0.5),
    ):
        if role == "past" and name in ("linear", "nlinear", "rlinear", "dlinear"):
            # They see the targets alone.
            continue
        changed = {key: values.copy() for key, values in inputs.items()}
        changed[role][..., column] -= change
        assert np.abs(_forecast(model, changed) - before).max(axis=(1, 2)).min() > 1e-6, (role, column)
    new = {key: values.copy() for key, values in inputs.items()}
    new["static"][:, 0] = 0
    unknown = _forecast(model, new)
    new["static"][:, 0] = 6
    np.testing.assert_array_equal(_forecast(model, new), unknown)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(
        _forecast(keras.models.load_model(tmp_path / "model.keras"), inputs), before, rtol=1e-5, atol=1e-6
    )


@every_model
@with_and_without_known
@pytest.mark.parametrize("horizon", [1, HORIZON])
def test_names_and_shapes(name, known, horizon):
    model = _shaken(name, known) if horizon == HORIZON else _build(name, known, horizon)
    assert model.name == name
    assert model.output_names == ["forecast"]
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    if known:
        assert set(model.input) == {"past", "known_future"}
    else:
        assert model.input.name == "past"
    assert _forecast(model, _inputs(known, horizon)).shape == (BATCH, horizon, TARGETS)


@every_model
@with_and_without_known
def test_a_window_is_forecast_alike_wherever_it_stands_in_the_batch(name, known):
    model, inputs = _shaken(name, known), _inputs(known)
    order = np.random.default_rng(1).permutation(BATCH)
    forecast = _forecast(model, inputs)
    np.testing.assert_allclose(_forecast(model, _map(lambda x: x[order], inputs)), forecast[order], atol=1e-5)
    np.testing.assert_allclose(_forecast(model, _map(lambda x: x[4:5], inputs)), forecast[4:5], atol=1e-5)
    assert np.abs(np.diff(forecast, axis=0)).min() > 0


@every_model
def test_every_input_matters(name):
    model, inputs = _shaken(name, KNOWN), _inputs(KNOWN)
    forecast = _forecast(model, inputs)
    for key, rows in (("past", slice(None)), ("known_future", slice(CONTEXT, None))):
        changed = {k: v.copy() for k, v in inputs.items()}
        changed[key][:, rows] += np.random.default_rng(1).normal(size=changed[key][:, rows].shape)
        assert np.abs(_forecast(model, changed) - forecast).max() > 1e-3, key


@every_model
@with_and_without_known
def test_rows_after_the_origin_change_nothing(name, known):
    table = np.random.default_rng(0).normal(size=(29, FEATURES)).astype("float32")
    later = table.copy()
    later[17:] += 100.0
    model = _shaken(name, known)
    inputs = _inputs(known, batch=1)
    forecasts = []
    for rows in (table, later):
        past = rows[17 - CONTEXT : 17][None]
        forecasts.append(_forecast(model, {**inputs, "past": past} if known else past))
    np.testing.assert_array_equal(*forecasts)


@every_model
def test_a_shift_of_the_level_shifts_the_forecast(name):
    takes = "window_norm" in inspect.signature(MODELS[name]).parameters
    model, past = _shake(_build(name, **({"window_norm": "last"} if takes else {}))), _inputs()
    np.testing.assert_allclose(_forecast(model, past + 64.0), _forecast(model, past) + 64.0, atol=1e-3)


@every_model
@with_and_without_known
def test_the_loss_falls_on_a_series_that_can_be_learnt(name, known):
    keras.utils.set_random_seed(0)
    time = np.arange(200)
    table = np.stack([np.sin(2 * np.pi * (time + lag) / 7) for lag in range(FEATURES)], axis=1)
    starts = np.arange(64)
    past = np.stack([table[s : s + CONTEXT] for s in starts]).astype("float32")
    future = np.stack([table[s + CONTEXT : s + CONTEXT + HORIZON, :TARGETS] for s in starts])
    inputs = {"past": past, "known_future": _inputs(known, batch=64)["known_future"]} if known else past
    model = _build(name, known)
    # One of the two with XLA, which must compile it, but on PyTorch, which has none; the other without
    # a graph, which starts at once.
    # Plain descent: most of what Adam compiles is Adam.
    optimizer = keras.optimizers.SGD(0.2, global_clipnorm=1.0)
    compiled = bool(known) and keras.backend.backend() != "torch"
    model.compile(optimizer, "mse", jit_compile=compiled, run_eagerly=not known)
    # Compiled steps cost nothing, the others 30 times as much: these go down, those far down.
    steps, share = (60, 0.5) if known else (9, 0.9)
    losses = [model.train_on_batch(inputs, future) for _ in range(steps)]
    assert losses[-1] < share * losses[0]


@every_model
@with_and_without_known
def test_no_builder_knows_how_many_numbers_an_output_has(name, known, tmp_path, monkeypatch):
    monkeypatch.setitem(OUTPUTS, "spread", Spread)
    keras.utils.set_random_seed(0)
    point, model = _build(name, known), _build(name, known, output="spread")
    assert model.output_shape == (None, HORIZON, TARGETS, 2)
    inputs = _inputs(known)
    # Heads start at zero, so low and high are the level of the window, but where a head starts small.
    start = _forecast(model, inputs)
    assert np.abs(start[..., 1] - start[..., 0]).max() < (9 if name == "segment_rnn" else 0.5)
    _shake(model)
    shifted = _map(lambda x: x + 64.0, inputs) if not known else {**inputs, "past": inputs["past"] + 64.0}
    if name != "dlinear":
        np.testing.assert_allclose(_forecast(model, shifted), _forecast(model, inputs) + 64.0, atol=1e-3)
    forecast = _forecast(model, inputs)
    assert np.abs(forecast[..., 1] - forecast[..., 0]).min() > 0
    assert np.abs(np.diff(forecast, axis=2)).min() > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(_forecast(loaded, inputs), forecast)
    model.compile(keras.optimizers.SGD(0.05, global_clipnorm=1.0), Spread().loss(), run_eagerly=True)
    future = np.zeros((BATCH, HORIZON, TARGETS), "float32")
    losses = [model.train_on_batch(inputs, future) for _ in range(3)]
    assert losses[-1] < losses[0]
    for layer in ("linear_skip", "map"):
        if layer in {part.name for part in point.layers}:
            # What maps the locations is the same for every output.
            assert model.get_layer(layer).kernel.shape == point.get_layer(layer).kernel.shape


@every_model
@pytest.mark.parametrize("output", sorted({*OUTPUTS} - {"point"}))
def test_a_distribution_is_learnt_and_its_quantiles_never_cross(name, output):
    keras.utils.set_random_seed(0)
    model, described = _build(name, output=output), OUTPUTS[output]()
    assert model.output_shape[:3] == (None, HORIZON, TARGETS)
    inputs, levels = _inputs(), [0.1, 0.25, 0.5, 0.8, 0.9]
    for seed in range(3):
        parameters = _forecast(_shake(model, seed), 30 * inputs).astype("float64")
        quantiles = described.quantiles(parameters, levels)
        assert quantiles.shape == (BATCH, HORIZON, TARGETS, len(levels))
        assert (np.diff(quantiles, axis=-1) >= 0).all()
    model.compile(keras.optimizers.SGD(0.02, global_clipnorm=1.0), described.loss(), run_eagerly=True)
    future = np.full((BATCH, HORIZON, TARGETS), 2.0, "float32")
    losses = [model.train_on_batch(inputs, future) for _ in range(3)]
    assert losses[-1] < losses[0]


@every_model
def test_every_option_changes_the_model(name):
    options = [
        p.name for p in inspect.signature(MODELS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    base = {"dropout": 0.2} if "dropout" in options else {}
    plain = [trait() for trait in _traits(_build(name, **base))]
    assert options
    for option in options:
        changed = _traits(_build(name, **{**base, option: OTHER[option]}))
        # One after the other: most options show before the model is run in training.
        assert any(trait() != before for trait, before in zip(changed, plain, strict=True)), option


def _traits(model):
    """How its parts are called, and what it computes without and with training, to be asked for."""
    _shake(model)
    given = {"past": _inputs(), "teacher": np.ones((BATCH, HORIZON, TARGETS), "float32")}
    is_dict = isinstance(model.input, dict)
    inputs = {key: given[key] for key in model.input} if is_dict else given["past"]

    def names():
        heads = sorted(layer.name for layer in model.layers if layer.name.startswith("head_"))
        return model.name, heads, sorted(model.input) if is_dict else model.input.name

    def numbers(training):
        keras.utils.set_random_seed(0)
        return _forecast(model, inputs, training=training).round(5).tolist()

    return names, functools.partial(numbers, False), functools.partial(numbers, True)


@every_model
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_forecast_is_float32_under_mixed_precision(name, policy):
    exact = _shaken(name, KNOWN)
    keras.config.set_dtype_policy(policy)
    try:
        model = _build(name, KNOWN)
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(exact.get_weights())
    output = model(_inputs(KNOWN))
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(output), _forecast(exact, _inputs(KNOWN)), atol=0.3)


LOAD = """
import sys
from pathlib import Path
import numpy as np
import tfts.models
import keras
import pandas as pd

from tfts.data.panel import Panel
from tfts.data.windows import WindowSpec
from tfts.forecaster import Forecaster

# Op by op is quickest for a few batches, but JAX compiles every op by itself.
jax = keras.backend.backend() == "jax"


def run(model, inputs):
    return model.predict(inputs, verbose=0) if jax else keras.ops.convert_to_numpy(model(inputs))


folder = Path(sys.argv[1])
frame = pd.read_csv(folder / "table.csv", index_col=0, parse_dates=True)
known = [column for column in frame if column.startswith("known")]
panel = Panel.from_frame(frame, targets=list(frame)[:2], known_future=known)
results = {}
for path in sorted(folder.glob(sys.argv[3])):
    model = keras.saving.load_model(path)
    inputs = dict(np.load(path.with_suffix(".npz")))
    inputs = inputs if isinstance(model.input, dict) else inputs["past"]
    results[path.stem] = run(model, inputs)
    if path.stem.split("-")[0] in sys.argv[4:]:
        results[path.stem + "-scores"] = tfts.models.attention_scores(model, inputs)
    if known and path.stem.endswith(f"-{len(known)}"):
        context, horizon = model.input["past"].shape[1], model.output.shape[1]
        windows, future = WindowSpec(context, horizon, stride=3).arrays(panel)
        optimizer = keras.optimizers.SGD(0.05, global_clipnorm=1.0)
        model.compile(optimizer, "mse", run_eagerly=not jax, jit_compile=jax)
        history = model.fit(windows, future, batch_size=len(future) // 2, shuffle=False, verbose=0)
        results[path.stem + "-loss"] = history.history["loss"]
        results[path.stem + "-trained"] = np.concatenate([weight.ravel() for weight in model.get_weights()])
        model.save(Path(sys.argv[2]) / path.name)
columns = {"targets": panel.targets, "known_future": known}
forecaster = Forecaster("linear", context_length=7, horizon=3, **columns).fit(panel, epochs=2, verbose=0)
results["fitted"] = forecaster.history_["val_loss"] + forecaster.evaluate(panel, by="overall")["mse"].tolist()
np.savez(sys.argv[2], **results)
"""


@pytest.fixture(scope="module")
def loading(tmp_path_factory):
    """The numbers of every saved model, and a process for each backend that loads and trains them."""
    folder = tmp_path_factory.mktemp("models")
    columns = [*(f"past_{i}" for i in range(FEATURES)), *(f"known_{i}" for i in range(KNOWN))]
    table = np.random.default_rng(2).normal(size=(CONTEXT + HORIZON + 29, len(columns)))
    days = pd.date_range("2024-01-01", periods=len(table), freq="D")
    pd.DataFrame(table, days, columns).to_csv(folder / "table.csv")
    expected = {}
    for name in MODELS:
        for known in (0, KNOWN):
            model, inputs = _shaken(name, known), _inputs(known)
            stem = f"{name}-{known}"
            model.save(folder / f"{stem}.keras")
            np.savez(folder / f"{stem}.npz", **(inputs if known else {"past": inputs}))
            expected[stem] = _forecast(model, inputs)
            if name in WITH_ATTENTION:
                expected[f"{stem}-scores"] = attention_scores(model, inputs)
    processes = {}
    for backend in BACKENDS:
        if find_spec(backend) is not None:
            (folder / backend).mkdir()
            # The models with known columns hold every part of those without.
            pattern = "*.keras" if backend == "tensorflow" else f"*-{KNOWN}.keras"
            processes[backend] = subprocess.Popen(
                [sys.executable, "-c", LOAD, folder, folder / backend, pattern, *WITH_ATTENTION],
                env={
                    **os.environ,
                    "KERAS_BACKEND": backend,
                    "JAX_PLATFORMS": "cpu",
                    # One batch each: quick code costs more to make than it saves.
                    "XLA_FLAGS": "--xla_backend_optimization_level=0",
                },
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
    yield folder, expected, processes
    for process in processes.values():
        process.kill()
        process.communicate()


def _numbers(backend, loading):
    """What the process of a backend found."""
    folder, _, processes = loading
    if backend not in processes:
        pytest.skip(f"{backend} is not installed")
    _, errors = processes[backend].communicate(timeout=300)
    assert processes[backend].returncode == 0, errors
    return np.load(folder / f"{backend}.npz")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fresh_process_and_every_backend_give_the_same_numbers(backend, loading):
    numbers, expected = _numbers(backend, loading), loading[1]
    wanted = {key for key in expected if backend == "tensorflow" or f"-{KNOWN}" in key}
    assert {key for key in numbers if not key.endswith(("-loss", "-trained", "fitted"))} == wanted
    for key in wanted:
        np.testing.assert_allclose(numbers[key], expected[key], rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_every_backend_trains_alike_and_what_it_saves_is_loaded_by_tensorflow(backend, loading):
    numbers, reference = _numbers(backend, loading), _numbers("tensorflow", loading)
    for name, model in ((name, f"{name}-{KNOWN}") for name in MODELS):
        np.testing.assert_allclose(
            numbers[f"{model}-loss"], reference[f"{model}-loss"], rtol=1e-5, err_msg=name
        )
        trained = numbers[f"{model}-trained"]
        np.testing.assert_allclose(trained, reference[f"{model}-trained"], rtol=1e-4, atol=1e-5, err_msg=name)
        assert np.abs(trained - _flat(_shaken(name, KNOWN))).max() > 1e-3, name
        saved = keras.saving.load_model(loading[0] / backend / f"{model}.keras", compile=False)
        np.testing.assert_array_equal(_flat(saved), trained, err_msg=name)
    np.testing.assert_allclose(numbers["fitted"], reference["fitted"], rtol=1e-3)


def _flat(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])
