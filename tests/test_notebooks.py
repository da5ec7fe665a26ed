import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted(Path(__file__).parents[1].glob("notebooks/*.ipynb"))
# As the fixture `eager` does, where networks are fitted for a few batches.
FEW_BATCHES = {"01_forecasting", "02_attention", "05_tuning"}
WITHOUT_GRAPHS = "import tensorflow\n\ntensorflow.config.run_functions_eagerly(True)"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# The kernel's own start-up, which is not ours.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.setenv("TFTS_NOTEBOOK_EPOCHS", "2")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(path.parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    notebook = nbformat.read(path, as_version=4)
    if path.stem in FEW_BATCHES:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(WITHOUT_GRAPHS))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    results = [output["data"]["text/plain"] for output in notebook.cells[-1].outputs if "data" in output]
    assert results == ["True"]
