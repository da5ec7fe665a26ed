"""What `tfts regress` does, step by step."""

import math
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from tfts._files import replacing, replacing_folder, write_figure, write_json, write_table
from tfts._messages import unknown
from tfts.data.readers import read_table
from tfts.errors import DataError, SettingError, UnknownNameError
from tfts.experiment.folder import claim, frame_digest, now, say_changed
from tfts.regression import REGRESSIONS, SCORES
from tfts.report.regression import write_regression_report

SETS = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")


def run(settings, output, *, overwrite=False, console=None):
    """Fits one regression and scores it on rows it has not seen, beside the simplest guess.

    Args:
        settings: `RegressSettings`, as from `read_settings(path, kind=RegressSettings)`.
        output: Folder for the results.
        overwrite: Whether a run with other settings in `output` may be replaced.
        console: `rich.console.Console` for the tables.

    Returns:
        DataFrame with the rows of `model_metrics.csv`.

    Raises:
        ValueError: If `output` holds a run with other settings, the table can't be used,
            or the descent diverged.

    Example:

    >>> import io
    >>> from tfts.config import RegressSettings, parse_settings
    >>> settings = parse_settings('''
    ... task: logistic
    ... data: {source: sklearn, name: breast_cancer}
    ... metrics: [accuracy]
    ... ''', kind=RegressSettings)
    >>> table = run(settings, "cancer", console=Console(file=io.StringIO()))
    >>> table[["model", "part", "accuracy"]].round(2)
          model      part  accuracy
    0  logistic  training      0.99
    1  logistic      test      0.97
    2     guess  training      0.63
    3     guess      test      0.63
    """
    console = console or Console()
    output, started = Path(output), time.monotonic()
    table, target_names, feature_names = load_rows(settings)
    table = _without_gaps(table, target_names, feature_names, settings)
    train, test = _split(table, target_names, settings)
    fills = {}
    if settings.data.missing == "mean":
        # Means of the training rows alone: a mean over all would know the test rows.
        fills = train[feature_names].mean().to_dict()
        train, test = train.fillna(fills), test.fillna(fills)
    rows = {"training": frame_digest(train), "test": frame_digest(test)}
    described, changed = claim(output, settings, overwrite, rows, keep=())
    say_changed(changed, console)
    (output / "predictions.csv").unlink(missing_ok=True)
    described.pop("finished", None)
    described["data"] = {"rows": len(table), "targets": target_names, "features": feature_names}
    described["split"] = {"training": {"rows": len(train)}, "test": {"rows": len(test)}}
    write_json(described, output / "run.json")
    console.print(
        f"[bold]Data[/bold] {len(table)} rows, {len(feature_names)} features, targets: {', '.join(target_names)}; "
        f"{len(train)} rows to learn from, {len(test)} to score"
    )
    model, seconds = _fit(train, target_names, feature_names, settings, console)
    guess = DummyRegressor() if settings.task == "linear" else DummyClassifier(strategy="prior")
    guess.fit(*_xy(train, target_names, feature_names, settings))
    parts = {"training": train, "test": test}
    scores, predictions = [], []
    for name, fitted in ((settings.task, model), ("guess", guess)):
        for part, rows in parts.items():
            scored, predicted = _score(name, fitted, part, rows, target_names, feature_names, settings)
            scores += scored
            if name != "guess":
                predictions.append(predicted)
    scores = pd.DataFrame(scores)
    predictions = pd.concat(predictions, ignore_index=True)
    _write_model(model, output / "models" / settings.task, target_names, feature_names, fills, settings)
    write_table(predictions, output / "predictions.csv")
    write_table(scores, output / "model_metrics.csv")
    _draw(model, test, predictions, target_names, feature_names, settings, output)
    described["fit_seconds"], described["epochs"] = round(seconds, 3), model.n_iter_
    described["seconds"] = round(time.monotonic() - started, 2)
    described["finished"] = now()
    write_json(described, output / "run.json")
    report = write_regression_report(output)
    print_scores(scores, console)
    console.print(f"{model.n_iter_} epochs, fitted in {seconds:.2f} s. Results: {output}")
    console.print(f"Report: {report}")
    return scores


def load_rows(settings):
    """The table that the settings name, and which of its columns are what.

    Returns:
        Tuple `(table, names of the targets, names of the features)`. Features are by
        default all columns of numbers that are no target.

    Raises:
        KeyError: If a column is not there.
        ValueError: If a feature holds no numbers, or a classifier has several targets.

    Example:

    >>> from tfts.config import RegressSettings, parse_settings
    >>> settings = parse_settings('''
    ... task: softmax
    ... data: {source: sklearn, name: wine, features: [alcohol, hue]}
    ... ''', kind=RegressSettings)
    >>> table, targets, features = load_rows(settings)
    >>> table.shape, targets, features
    ((178, 14), ['target'], ['alcohol', 'hue'])
    """
    data = settings.data
    if data.source == "file":
        table = read_table(data.path, encoding=data.encoding, na_values=data.na_values)
        targets = list(data.targets)
    else:
        table, own = _shipped(data.name)
        targets = list(data.targets or own)
    for name in (*targets, *(data.features or ())):
        if name not in table.columns:
            raise UnknownNameError(unknown("column", name, table.columns))
    numbers = table.select_dtypes(["number", "bool"]).columns
    features = list(data.features or [name for name in numbers if name not in targets])
    taken = {"part", "row", *(f"{name} predicted" for name in targets)}
    clashes = [name for name in targets if name in taken or str(name).startswith("probability of ")]
    if clashes:
        raise DataError(
            f"The target {clashes[0]!r} has the name of a column of the table of predictions, which holds part, row, "
            "and for each target its values, those predicted and the probabilities. Rename the column."
        )
    both = [name for name in features if name in targets]
    if both:
        raise DataError(f"Column {both[0]!r} is a target and a feature: it would explain itself.")
    needed = [*features, *(targets if settings.task == "linear" else ())]
    for name in needed:
        if name not in numbers:
            raise DataError(
                f"Column {name!r} holds text, and a weighted sum needs numbers. Leave it out of data.features, or "
                "make a column of 0 and 1 for each of its values (pandas.get_dummies)."
            )
    if not features:
        raise DataError("No column of numbers is left that is no target: name some in data.features.")
    if settings.task != "linear" and len(targets) != 1:
        raise DataError(f"task: {settings.task} has one target, the class. Received: {', '.join(targets)}.")
    return table, targets, features


def _shipped(name):
    from sklearn import datasets

    if name not in SETS:
        raise SettingError(unknown("data set of scikit-learn", name, SETS))
    found = getattr(datasets, f"load_{name}")(as_frame=True)
    targets = found.target.to_frame() if isinstance(found.target, pd.Series) else found.target
    if name in ("breast_cancer", "iris", "wine"):
        targets = targets.apply(lambda codes: np.asarray(found.target_names).astype(str)[codes])
    return pd.concat([found.data, targets], axis=1), list(targets.columns)


def _without_gaps(table, targets, features, settings):
    """The rows that can be used, or an error that says how they could be."""
    columns = [*features, *targets]
    gaps = table[columns].isna().sum()
    gaps = gaps[gaps > 0]
    way = settings.data.missing
    if len(gaps) and way == "raise":
        listed = ", ".join(f"{name!r} has {count} missing values" for name, count in gaps.items())
        raise DataError(
            f"{listed} in {len(table)} rows. data.missing: drop leaves those rows out, mean fills features with "
            "the mean of the training rows; on the command line, for example: --set data.missing=drop"
        )
    # A target that is not known can be neither learnt from nor scored.
    table = table.dropna(subset=columns if way == "drop" else targets)
    empty = [name for name in features if table[name].isna().all()]
    if empty or len(table) < 4:
        what = f"column {empty[0]!r} holds no value" if empty else f"{len(table)} rows are left"
        raise SettingError(f"After data.missing: {way}, {what}, which is too little to fit and to score.")
    return table


def _split(table, targets, settings):
    stratify, least = None, 1
    if settings.task != "linear" and settings.split.shuffle:
        counts = table[targets[0]].value_counts()
        if counts.min() < 2:
            raise DataError(
                f"Class {counts.idxmin()} has 1 row, which can't be learnt from and scored. Leave it out."
            )
        stratify, least = table[targets[0]], len(counts)
    test = math.ceil(settings.split.test * len(table))
    if min(test, len(table) - test) < least:
        each = "one row" if least == 1 else f"{least} rows, one for each class,"
        raise SettingError(
            f"split.test={settings.split.test} of {len(table)} rows leaves {len(table) - test} to learn from and "
            f"{test} to score. Expected at least {each} in both."
        )
    return train_test_split(
        table,
        test_size=settings.split.test,
        shuffle=settings.split.shuffle,
        random_state=settings.seed if settings.split.shuffle else None,
        stratify=stratify,
    )


def _xy(rows, targets, features, settings):
    y = rows[targets].to_numpy() if settings.task == "linear" else rows[targets[0]].to_numpy()
    if settings.task == "linear" and len(targets) == 1:
        y = y[:, 0]
    return rows[features].astype(np.float64), y


def _fit(train, targets, features, settings, console):
    model = REGRESSIONS[settings.task](**settings.options, random_state=settings.seed)
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(*_xy(train, targets, features, settings))
    for warning in caught:
        console.print(f"[yellow]Note[/yellow] {warning.message}")
    return model, time.perf_counter() - began


def _score(name, model, part, rows, targets, features, settings):
    """Rows of the table of scores, and the predictions."""
    X, y = _xy(rows, targets, features, settings)
    chosen = settings.metrics or list(SCORES[settings.task])[:3]
    functions = SCORES[settings.task]
    predicted = model.predict(X)
    table = pd.DataFrame({"part": part, "row": rows.index})
    scored = []
    if settings.task == "linear":
        actual, predicted = (np.reshape(values, (len(X), -1)) for values in (y, predicted))
        for i, target in enumerate(targets):
            values = {metric: functions[metric](actual[:, i], predicted[:, i]) for metric in chosen}
            scored.append({"model": name, "target": target, "part": part, "rows": len(X), **values})
            table[target], table[f"{target} predicted"] = actual[:, i], predicted[:, i]
    else:
        chances = model.predict_proba(X)
        values = {metric: functions[metric](y, predicted, chances, model.classes_) for metric in chosen}
        scored.append({"model": name, "target": targets[0], "part": part, "rows": len(X), **values})
        table[targets[0]], table[f"{targets[0]} predicted"] = y, predicted
        for label, chance in zip(model.classes_, chances.T, strict=True):
            table[f"probability of {label}"] = chance
    return scored, table


def _write_model(model, folder, targets, features, fills, settings):
    """The Keras model, and as plain files what a reader or another program needs beside it."""
    classes = getattr(model, "classes_", None)
    outputs = targets if settings.task == "linear" else [str(c) for c in classes[-len(model.coef_) :]]
    coefficients = pd.DataFrame(
        {"output": np.repeat(outputs, len(features) + 1), "feature": [*features, "intercept"] * len(outputs)}
    )
    whole = np.column_stack([np.atleast_2d(model.coef_), np.broadcast_to(model.intercept_, len(outputs))])
    coefficients["coefficient"] = whole.ravel()
    # Weights of features in the same units can be compared.
    scaled = np.column_stack([np.atleast_2d(model.coef_) * model.scale_, np.full(len(outputs), np.nan)])
    coefficients["per scaled unit"] = scaled.ravel()
    if hasattr(model, "standard_errors_"):
        constant = getattr(model, "intercept_standard_error_", np.nan)
        errors = np.column_stack(
            [np.atleast_2d(model.standard_errors_), np.broadcast_to(constant, len(outputs))]
        )
        coefficients["standard error"] = errors.ravel()
    with replacing_folder(folder) as partial:
        with replacing(partial / "model.keras") as path:
            # Keras looks at how the name ends.
            model.to_keras().save(path)
        write_table(coefficients, partial / "coefficients.csv")
        epochs = pd.DataFrame({"epoch": np.arange(1, model.n_iter_ + 1), **model.history_})
        write_table(epochs, partial / "history.csv")
        write_json(
            {
                "task": settings.task,
                "features": features,
                "targets": targets,
                "classes": None if classes is None else classes.tolist(),
                "missing": fills,
                "offset": model.offset_.tolist(),
                "scale": model.scale_.tolist(),
                "options": settings.options,
            },
            partial / "model.json",
        )


def _draw(model, test, predictions, targets, features, settings, output):
    from tfts import plots

    if model.n_iter_ > 1:
        write_figure(plots.plot_history(model.history_, "cost").figure, output / "history.png")
    shown = predictions[predictions["part"] == "test"]
    target = targets[0]
    if settings.task != "linear":
        actual, predicted = shown[target], shown[f"{target} predicted"]
        axes = plots.plot_confusion(actual, predicted, labels=model.classes_)
        write_figure(axes.figure, output / "confusion.png")
        if len(features) == 2 and len(model.classes_) <= 6:
            rows = test[features].astype(np.float64)
            axes = plots.plot_decision_boundary(
                rows, test[target], lambda points: model.predict(pd.DataFrame(points, columns=features))
            )
            write_figure(axes.figure, output / "boundary.png")
        return
    axes = plots.plot_fit(
        shown[f"{target} predicted"],
        shown[target],
        {"as predicted": lambda x: x[:, 0]},
        x_name=f"{target} predicted",
        y_name=target,
    )
    write_figure(axes.figure, output / "predicted.png")
    if len(features) == 1 and len(targets) == 1:
        axes = plots.plot_fit(
            test[features[0]],
            test[target],
            {"linear": lambda x: model.predict(pd.DataFrame(x, columns=features))},
            x_name=features[0],
            y_name=target,
        )
        write_figure(axes.figure, output / "fit.png")


def print_scores(table, console):
    """Prints the scores of a regression, the test rows beside the training rows.

    Example:

    >>> table = pd.DataFrame([{"model": "linear", "target": "mpg", "part": "test", "rows": 98, "rmse": 3.25}])
    >>> print_scores(table, Console(width=60))
    <BLANKLINE>
    model   target  part  rows  rmse
    linear  mpg     test    98  3.25
    """
    shown = Table(box=None, padding=(0, 2, 0, 0))
    words = ("model", "target", "part")
    for column in table.columns:
        shown.add_column(
            column.replace("_", " "), justify="left" if column in words else "right", no_wrap=True
        )
    for row in table.itertuples(index=False):
        shown.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row))
    console.print()
    console.print(shown)
