import io
import json

import pytest
from rich.console import Console

from tfts.config import RegressSettings, parse_settings
from tfts.experiment.regression import run
from tfts.report.regression import write_regression_report

LINEAR = "{task: linear, data: {source: sklearn, name: linnerud}, options: {standard_errors: true}}"
FLOWERS = "{task: softmax, data: {source: sklearn, name: iris}, metrics: [accuracy, log_loss]}"


def finished(text, folder):
    table = run(parse_settings(text, kind=RegressSettings), folder, console=Console(file=io.StringIO()))
    return table, (folder / "report.html").read_text(encoding="utf-8")


def test_numbers_have_weights_errors_and_a_picture_for_each_target(tmp_path):
    table, page = finished(LINEAR, tmp_path)
    for target in ("Weight", "Waist", "Pulse"):
        assert f"Dots of {target} over its prediction" in page
    assert "standard error" in page
    assert page.count("<img") == 4
    assert f"rmse {table.loc[3, 'rmse']:.4g} on rows that were not learnt from" in page
    assert "the mean as the guess for every row" in page


def test_classes_have_a_confusion_and_the_settings(tmp_path):
    table, page = finished(FLOWERS, tmp_path)
    assert "How often each class of target was taken for each" in page
    assert f"accuracy {table.loc[1, 'accuracy']:.4g} on rows" in page
    assert "name: iris" in page
    assert "epochs in" in page


def test_a_closed_form_has_no_training(tmp_path):
    _, page = finished(LINEAR.replace("standard_errors: true", "method: ols"), tmp_path)
    assert "Training" not in page


def test_many_weights_are_cut_and_the_file_named(tmp_path):
    _, page = finished(FLOWERS.replace("iris", "digits"), tmp_path)
    assert "The first 60 of 650; all are in models/softmax/coefficients.csv" in page


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        write_regression_report(tmp_path)
    finished(FLOWERS, tmp_path)
    (tmp_path / "models" / "softmax" / "history.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"models/softmax/history\.csv is not there"):
        write_regression_report(tmp_path)
    described = json.loads((tmp_path / "run.json").read_text())
    described.pop("finished")
    (tmp_path / "run.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match="was stopped before it was finished"):
        write_regression_report(tmp_path)
