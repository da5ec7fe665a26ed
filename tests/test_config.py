import io
import json
import re
import textwrap
from inspect import signature

import pytest

from tfts.config import (
    BenchmarkSettings,
    DetectionSettings,
    Settings,
    TuneSettings,
    parse_settings,
    read_settings,
)
from tfts.training import TrainingSettings

GOOD = textwrap.dedent("""\
    seed: 7
    data:
      source: dataset
      name: sunspots
    window:
      context_length: 22
      horizon: 11
    training:
      learning_rate: 1e-3
    baselines:
      persistence: {}
      linear_regression: {alpha: 2.0}
    models:
      lstm_attention: {training: {epochs: 3}}
    """)


def test_reads_numbers_in_scientific_notation():
    assert parse_settings(GOOD).training.learning_rate == pytest.approx(1e-3)


def test_a_change_overrules_the_file():
    settings = parse_settings(GOOD, ["window.horizon=5", "training.patience=null", "data.targets=[a, b]"])
    assert settings.window.horizon == 5
    assert settings.training.patience is None
    assert settings.data.targets == ["a", "b"]


def test_five_mistakes_are_reported_at_once_with_line_and_nearest_key():
    text = (
        GOOD.replace("horizon: 11", "horizn: 11")
        .replace("learning_rate: 1e-3", "learning_rate: fast")
        .replace("persistence: {}", "persistance: {}")
        .replace("alpha: 2.0", "alfa: 2.0")
        .replace("epochs: 3", "epoch: 3")
    )
    with pytest.raises(ValueError, match="settings has 6 mistakes") as error:
        parse_settings(text)
    message = str(error.value)
    assert "line 7: Unknown key 'window.horizn'." in message
    assert "Did you mean 'window.horizon'?" in message
    assert "window.horizon is missing" in message
    assert "line 9: training.learning_rate: Input should be a valid number" in message
    assert "Received: 'fast'" in message
    assert "line 11: Unknown baseline 'persistance'." in message
    assert "Did you mean 'persistence'?" in message
    assert "line 12: Unknown option of linear_regression 'alfa'." in message
    assert "line 14: Unknown key 'models.lstm_attention.training.epoch'." in message
    assert "Did you mean 'models.lstm_attention.training.epochs'?" in message


def test_a_mistake_on_the_command_line_is_placed_there():
    with pytest.raises(ValueError, match=r"--set: Unknown key 'training.epohcs'.*'training.epochs'\?"):
        parse_settings(GOOD, ["training.epohcs=3"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("window.horizon", "Expected section.key=value. Received: 'window.horizon'"),
        ("seed.x=1", "'seed.x' can't be set: 'seed' holds 7"),
        (
            "data.source=table",
            "data.source: Input should be 'synthetic', 'sales', 'dataset', 'file', 'gluonts'",
        ),
        ("window.horizon=0", "window.horizon: Input should be greater than or equal to 1"),
        ("data.name=null", "data: `name` is missing"),
        ("data.source=file", "data: `path` is missing. Give it in the file, or with --set data.path=FILE"),
        ("split={validation: 0.1, tset: 3}", "--set: Unknown key 'split.tset'"),
        (
            "data.start=yesterday-ish",
            "--set: data.start: 'yesterday-ish' is not a time, such as '2017-06-26'",
        ),
        ("split.test=soon", "--set: split.test: 'soon' is not a time"),
        ("seed=-1", "seed: Input should be greater than or equal to 0"),
        (
            "data={source: synthetic, options: {num_stps: 3}}",
            "--set: Unknown option of synthetic data 'num_stps'. Expected one of: coupling, coupling_lag, ",
        ),
        ("split.validation=[1]", "split.validation: Input should be a valid number"),
        (
            "training.loss=3",
            "training.loss: `loss` must be 'auto', a Keras loss, its name or its config. Received: loss=3",
        ),
        ("data.calendar=[24]", "data.calendar: Input should be a valid string"),
        (
            "forecast.output=quantles",
            "forecast: Unknown output 'quantles'. Expected one of: negative_",
        ),
        ("forecast.output=quantles", "Did you mean 'quantiles'?"),
        ("forecast.quantiles=[0.9, 0.1]", "forecast: `quantiles` must be levels between 0 and 1"),
        ("forecast.calibration=conformal", "forecast: calibration='conformal' acts on quantiles"),
        (
            "forecast={quantiles: [0.1, 0.9], calibration: none}",
            "forecast: A point forecast has no quantiles. Make the forecaster with",
        ),
        (
            "forecast={quantiles: [0.1], output: {name: quantiles, levels: [0.3]}}",
            "forecast: The quantiles from 0.3 to 0.5 were learnt, and nothing beyond. Received: level 0.1",
        ),
    ],
)
def test_wrong_changes(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_settings(GOOD, [change])


def test_a_sentence_of_a_mistake_ends_once():
    with pytest.raises(ValueError, match=r"Received: quantiles=\[0.9, 0.1\]\.$"):
        parse_settings(GOOD, ["forecast.quantiles=[0.9, 0.1]"])
    with pytest.raises(ValueError, match=r"Did you mean 'quantiles'\?$"):
        parse_settings(GOOD, ["forecast.output=quantles"])


def test_dates_may_be_written_plainly():
    settings = parse_settings(GOOD, ["split.test=2001-01-01", "data.end=2003-05-06 07:00:00"])
    assert settings.split.test == "2001-01-01"
    assert settings.data.end == "2003-05-06T07:00:00"


def test_text_that_is_no_yaml_names_line_and_column():
    with pytest.raises(ValueError, match=r"not valid YAML: .*\(line 2, column"):
        parse_settings("data: {source: file\nwindow: }")


def test_a_file_in_another_encoding_is_told(tmp_path):
    (tmp_path / "old.yaml").write_bytes("data: {name: caf\xe9}".encode("latin-1"))
    with pytest.raises(ValueError, match=r"old\.yaml is not a text in UTF-8: .* at byte 16\."):
        read_settings(tmp_path / "old.yaml")


def test_a_list_instead_of_sections():
    with pytest.raises(ValueError, match="must hold sections such as data: and window:"):
        parse_settings("- 1")


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "co2.yaml").write_text(GOOD)
    with pytest.raises(FileNotFoundError, match=r"Did you mean '.*co2.yaml'\?"):
        read_settings(tmp_path / "co22.yaml")
    assert read_settings(tmp_path / "co2.yaml").seed == 7


def test_a_file_holds_every_option_of_fit_but_those_of_one_call():
    from tfts.forecaster import Forecaster
    from tfts.training.options import OF_THE_CALL

    parameters = signature(Forecaster.fit).parameters
    options = parameters.keys() - {"self", "data", "validation", *OF_THE_CALL}
    assert options == set(TrainingSettings.model_fields)
    for name, field in TrainingSettings.model_fields.items():
        assert parameters[name].default == field.default, name
    settings = parse_settings(GOOD, ["training.metrics=[rmse]", "training.steps_per_execution=2"])
    assert (settings.training.metrics, settings.training.steps_per_execution) == (["rmse"], 2)
    for kind in (Settings, TuneSettings, DetectionSettings, BenchmarkSettings):
        assert kind.model_fields["training"].annotation is TrainingSettings


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("metrics=[rmse, mae]", ["rmse", "mae"]),
        ("metrics=mape", ["mape"]),
        ("steps_per_execution=4", 4),
        ("loss={class_name: Huber, config: {delta: 2.0}}", {"class_name": "Huber", "config": {"delta": 2.0}}),
        ("patience=null", None),
        ("jit_compile=false", False),
        ("learning_rate=1", 1.0),
    ],
)
def test_every_option_of_fit_can_be_written_in_a_file(change, value):
    settings = parse_settings(GOOD, [f"training.{change}"])
    name = change.partition("=")[0]
    assert getattr(settings.training, name) == value
    # As run.json holds it, and reads it again.
    plain = json.loads(json.dumps(settings.model_dump(mode="json")))
    assert Settings.model_validate(plain) == settings


def test_metrics_and_steps_of_a_file_reach_the_fit(tmp_path):
    from rich.console import Console

    from tfts.experiment.forecasting import run
    from tfts.forecaster import Forecaster

    text = """
    data: {source: dataset, name: sunspots}
    window: {context_length: 11, horizon: 2}
    training: {epochs: 1, metrics: [rmse], steps_per_execution: 2}
    models: {linear: {}}
    """
    run(parse_settings(text), tmp_path / "run", console=Console(file=io.StringIO()))
    assert "val_rmse" in Forecaster.load(tmp_path / "run" / "models" / "linear").history_


TUNE = """\
data: {source: dataset, name: sunspots}
window: {context_length: 22, horizon: 7}
tune:
  model: lstm_seq2seq
  model_options: {units: 8}
  space: {learning_rate: {min: 1e-4, max: 1e-2, log: true}}
"""


def test_settings_of_a_search():
    settings = parse_settings(TUNE, ["tune.max_trials=5"], kind=TuneSettings)
    assert settings.tune.max_trials == 5
    assert settings.tune.space["learning_rate"]["min"] == pytest.approx(1e-4)
    assert parse_settings(TUNE, ["tune.space=default"], kind=TuneSettings).tune.space == "default"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tune.model=lstm_seqseq", "--set: Unknown model 'lstm_seqseq'"),
        ("tune.model_options.unit=3", "--set: Unknown option of lstm_seq2seq 'unit'"),
        ("tune.max_trial=3", "Unknown key 'tune.max_trial'"),
        ("tune.space=defualt", "--set: tune.space: Input should be 'default'. Received: 'defualt'"),
        (
            "tune.tuner=bayes",
            "--set: tune.tuner: Input should be 'bayesian', 'hyperband', 'random' or 'grid'",
        ),
        ("tune.budget_seconds=0", "tune.budget_seconds: Input should be greater than 0"),
        ("tune=3", "tune: Input should be a valid dictionary or instance of Tune"),
        ("models={}", "Unknown key 'models'"),
    ],
)
def test_mistakes_in_a_search_are_placed(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_settings(TUNE, [change], kind=TuneSettings)


def test_the_defaults_of_a_search_are_those_of_the_function():
    from inspect import signature

    from tfts.config import Tune
    from tfts.tuning import search

    parameters = signature(search).parameters
    own = {"model", "model_options", "refit", "tensorboard"}
    for name, field in Tune.model_fields.items():
        assert name in own or field.default == parameters[name].default, name


SUITE = """\
data: {source: dataset, name: sunspots}
split: {validation: 44, test: 0.25}
protocol: {context_length: 22, horizons: [3, 7]}
baselines: {ridge: {choose: {centres: [1, 11]}}}
models:
  linear: {shared: false, training: {epochs: 3}}
  small: {model: lstm_seq2seq, backend: jax, context_length: 11, choose: {units: [8, 16], epochs: [3]}}
"""


def test_settings_of_a_suite():
    settings = parse_settings(SUITE, ["protocol.windows=[5, 1]"], kind=BenchmarkSettings)
    assert settings.models["small"]["choose"] == {"units": [8, 16], "epochs": [3]}
    assert (settings.split.validation, settings.split.test) == (44, 0.25)
    assert isinstance(settings.split.validation, int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("protocol.windows=[1]", "`windows` must hold a number for each of the 2 horizons. Received: [1]"),
        ("protocol.horizons=[3, 3]", "`horizons` must be different ints >= 1. Received: [3, 3]"),
        ("protocol.metrics=[smape]", "smape is of original units: give units: original"),
        (
            "protocol={context_length: 2, horizons: [3], units: original, metrics: [mase]}",
            "`season_length` is missing",
        ),
        ("models.linear.choos={}", "--set: Unknown option of linear 'choos'"),
        ("models.linear.choose=3", "--set: What is chosen is a list of values"),
        ("models.linear.choose.epochs=3", "--set: What is chosen is a list of values. Received: epochs: 3"),
        ("models.linear.choose.unit=[3]", "--set: Unknown setting of linear 'unit'"),
        ("models.linear.training.epoch=3", "Did you mean 'models.linear.training.epochs'?"),
        ("models.linear.backend=tf", "--set: Unknown backend 'tf'. Expected one of: jax, tensorflow, torch"),
        ("models.small.model=lstm", "--set: Unknown model 'lstm'"),
        ("baselines.ridge.training={}", "--set: Unknown option of ridge 'training'"),
        ("baselines.a/b={}", "A name holds letters, digits and . + - _ alone. Received: 'a/b'"),
        ("peers={a b: {model: NHITS}}", "letters, digits and . + - _ alone. Received: 'a b'"),
        ("baselines.linear={model: drift}", "'linear' stands twice among baselines, models and peers"),
        ("peers.x.modl=3", "Did you mean 'peers.x.model'?"),
        ("published=[{model: a, source: b, mse: [1]}]", "a score of a for each of the 2 horizons"),
        ("published=[{model: a, source: b, msee: [1]}]", "--set: published: Unknown key 'msee'"),
        ("published=[{model: a}]", "--set: published: source is missing"),
    ],
)
def test_mistakes_in_a_suite_are_placed(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_settings(SUITE, [change], kind=BenchmarkSettings)
