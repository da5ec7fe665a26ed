"""Our Bayesian search beside random search and Optuna's TPE, on the same spaces and budget.

Every setting of a grid is fitted once, for each of three tasks, and its validation RMSE is
kept in a table under --cache. A searcher then asks for settings one by one and is told
their score from the table, so that all see exactly the same scores and a trial costs
nothing. All begin with the default settings, as `tfts tune` does. What counts is the best
score so far, the mean over the seeds: after some trials, and over all of them.

    python -m benchmarks.tuning_searchers --data FOLDER --cache FOLDER
"""

import argparse
import itertools
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
_NORMS, _RATES = ["none", "last", "instance"], [1e-3, 3e-3, 1e-2, 3e-2]
# The first value of each is the default; the best is not known when a search begins.
SPACES = {
    "lstm_attention": {
        "units": [16, 8, 32],
        "learning_rate": _RATES,
        "batch_size": [64, 32],
        "window_norm": _NORMS,
        "linear_skip": ["none", "all"],
    },
    "attention_seq2seq": {
        "units": [16, 8, 32],
        "num_heads": [2, 1, 4],
        "learning_rate": _RATES,
        "window_norm": _NORMS,
    },
    "lstm_seq2seq": {
        "units": [16, 8, 32],
        "learning_rate": [1e-3, 3e-4, 3e-3, 6e-3, 1e-2, 3e-2],
        "batch_size": [64, 32, 128],
        "window_norm": _NORMS,
    },
}
TASKS = {
    "lstm_attention, hourly": ("lstm_attention", "hourly"),
    "attention_seq2seq, hourly": ("attention_seq2seq", "hourly"),
    "lstm_seq2seq, CO2": ("lstm_seq2seq", "co2"),
}
TRAINING = {"epochs": 4, "batch_size": 64, "schedule": "constant", "ema_momentum": None, "jit_compile": False}
SEARCHERS = ("bayesian", "random", "optuna TPE")


def grid(space):
    """Every combination of a dict of lists, the defaults first.

    Args:
        space: Dict from name to list of values.

    Returns:
        List of dicts.
    """
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


def evaluated(task, data, cache, console):
    """The validation RMSE of every setting of a task; what the cache has is not fitted again.

    Args:
        task: Key of TASKS.
        data: Folder of the data sets.
        cache: Folder of the tables.
        console: `rich.console.Console` for progress.

    Returns:
        DataFrame with a column for each setting, and `score`.
    """
    model, source = TASKS[task]
    space = SPACES[model]
    path = Path(cache) / f"{model}.csv"
    known = (
        pd.read_csv(path, keep_default_na=False)
        if path.is_file()
        else pd.DataFrame(columns=[*space, "score"])
    )
    rows = known.to_dict("records")
    done = {tuple(row[name] for name in space) for row in rows}
    # One network serves all learning rates and batches: most of a short fit is its compilation.
    apart = {name: values for name, values in space.items() if name not in ("learning_rate", "batch_size")}
    parts = None
    for settings in grid(apart):
        inner = grid({name: values for name, values in space.items() if name not in apart})
        absent = [
            point for point in inner if tuple({**settings, **point}[name] for name in space) not in done
        ]
        if absent:
            from tfts._files import write_table

            parts = parts or load(source, data)
            scores = fit(model, settings, absent, *parts)
            rows += [
                {**settings, **point, "score": score} for point, score in zip(absent, scores, strict=True)
            ]
            write_table(pd.DataFrame(rows)[[*space, "score"]], path)
            console.print(f"{task}: {len(rows)} of {len(grid(space))} settings fitted")
    return pd.DataFrame(rows)


def load(source, data):
    """Training and validation rows of a series, and the shape of its windows."""
    from tfts import Forecaster, chronological_split, load_dataset

    if source == "co2":
        windows = {"context_length": 26, "horizon": 6, "missing": "interpolate", "stride": 2}
        frame = load_dataset("co2")
    else:
        windows = {"context_length": 24, "horizon": 6, "targets": ["x1"], "stride": 2, "time": "time"}
        frame = pd.read_csv(Path(data) / "forecast" / "hourly_reference.csv", parse_dates=["time"])
    panel = Forecaster("persistence", **windows).panel(frame)
    train, validation, _ = chronological_split(panel, validation=0.15, test=0.15)
    return train, validation, windows


def fit(model, settings, points, train, validation, windows):
    """RMSE on validation rows, standardised, of the fits of one network.

    Args:
        model: Name of the model.
        settings: Dict of settings which all fits share.
        points: List of dicts of learning rates and batch sizes.
        train: `Panel` of training rows.
        validation: `Panel` of validation rows.
        windows: Dict of options of `Forecaster`.

    Returns:
        List of floats; what diverged counts as 1e6.
    """
    import keras

    from tfts import Forecaster

    keras.utils.clear_session()
    names = ("optimizer", "loss")
    training = {**TRAINING, **{name: settings[name] for name in names if name in settings}}
    options = {name: value for name, value in settings.items() if name not in names}
    forecaster = Forecaster(model, **windows, model_options=options)

    def compiled(point):
        own = {**training, "batch_size": point.get("batch_size", TRAINING["batch_size"])}
        return forecaster.compiled(train, validation=validation, metrics=["rmse"], seed=0, **own)

    network, _, checked = compiled(points[0])
    start, scores = network.get_weights(), []
    network.optimizer.build(network.trainable_variables)
    for point in points:
        network.set_weights(start)
        for variable in network.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        network.optimizer.learning_rate = point["learning_rate"]
        network.fit(compiled(point)[1], epochs=training["epochs"], shuffle=False, verbose=0)
        score = network.evaluate(checked, return_dict=True, verbose=0)["rmse"]
        scores.append(float(score) if np.isfinite(score) else 1e6)
    return scores


def search_bayesian(space, score, trials, seed, model="lstm_attention", tuner="bayesian"):
    """Scores of the settings that an oracle of `tfts.tuning` asks for.

    Args:
        space: Dict from name to list of values, the default first.
        score: Function from a dict of settings to a float, the lower the better.
        trials: Most of them.
        seed: Of the search.
        model: Name of the model whose settings they are.
        tuner: Name of the searcher.

    Returns:
        `(trials,)` floats, fewer where the space has fewer points.
    """
    from tfts.models import MODELS
    from tfts.tuning.oracles import ORACLES
    from tfts.tuning.space import Space

    entries = {
        name: {"values": sorted(values) if isinstance(values[0], int | float) else values}
        for name, values in space.items()
    }
    made = Space(entries, MODELS[model], {name: values[0] for name, values in space.items()})
    with tempfile.TemporaryDirectory() as folder:
        oracle = ORACLES[tuner](made, "score", trials, seed)
        oracle._set_project_dir(folder, "search")
        scores = []
        while (trial := oracle.create_trial("one")).status == "RUNNING":
            value = score(oracle.settings(trial))
            scores.append(value)
            oracle.update_trial(trial.trial_id, {"score": value})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    return np.array(scores)


def search_random(space, score, trials, seed):
    """Scores of settings drawn without repetition, after the default ones."""
    points = grid(space)
    order = 1 + np.random.default_rng(seed).permutation(len(points) - 1)
    return np.array([score(points[i]) for i in [0, *order[: trials - 1]]])


def search_optuna(space, score, trials, seed):
    """Scores of the settings that Optuna's TPE asks for; numbers are told to it in their order."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scores = []

    def objective(trial):
        settings = {}
        for name, values in space.items():
            if isinstance(values[0], int | float):
                settings[name] = sorted(values)[trial.suggest_int(name, 0, len(values) - 1)]
            else:
                settings[name] = trial.suggest_categorical(name, values)
        scores.append(score(settings))
        return scores[-1]

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(
        {
            name: sorted(values).index(values[0]) if isinstance(values[0], int | float) else values[0]
            for name, values in space.items()
        }
    )
    study.optimize(objective, n_trials=trials)
    return np.array(scores)


def best_so_far(scores, trials):
    """The lowest score after each trial; a search that ended early stays where it is.

    Args:
        scores: `(done,)`, at most `trials`.
        trials: Length of the result.

    Returns:
        `(trials,)` floats.
    """
    lowest = np.minimum.accumulate(scores)
    return np.concatenate([lowest, np.full(trials - len(lowest), lowest[-1])])


def main(arguments=None):
    """Fits what the cache lacks, runs every searcher and prints where they stand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("TFTS_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the data sets")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/tuning_searchers"), help="folder of the tables"
    )
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables-only", action="store_true", help="fit, and do not search")
    chosen = parser.parse_args(arguments)
    chosen.cache.mkdir(parents=True, exist_ok=True)
    console = Console(width=120)
    at = sorted({min(number, chosen.trials) for number in (5, 10, 15, 20, 25, 30, chosen.trials)})
    shown = Table("task", "searcher", *(f"after {n}" for n in at), "mean of all")
    for task in chosen.tasks:
        table = evaluated(task, chosen.data, chosen.cache, console)
        if chosen.tables_only:
            continue
        model = TASKS[task][0]
        space, names = SPACES[model], list(SPACES[model])
        found = {
            tuple(row[:-1]): row[-1] for row in table[[*names, "score"]].itertuples(index=False, name=None)
        }
        best = table["score"].min()

        def score(settings, found=found, names=names):
            return found[tuple(settings[name] for name in names)]

        for searcher in SEARCHERS:
            runs = []
            for seed in range(chosen.seeds):
                if searcher == "bayesian":
                    runs.append(search_bayesian(space, score, chosen.trials, seed, model))
                elif searcher == "random":
                    runs.append(search_random(space, score, chosen.trials, seed))
                else:
                    runs.append(search_optuna(space, score, chosen.trials, seed))
            means = np.mean([best_so_far(run, chosen.trials) for run in runs], axis=0)
            shown.add_row(task, searcher, *(f"{means[n - 1]:.4f}" for n in at), f"{means.mean():.4f}")
        shown.add_row(task, f"best of all {len(table)}", *[""] * (len(at) - 1), f"{best:.4f}", "")
        shown.add_section()
    if not chosen.tables_only:
        console.print(shown)


if __name__ == "__main__":
    main()
