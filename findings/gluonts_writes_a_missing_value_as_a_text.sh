#!/usr/bin/env bash
# gluonts 0.17.0 with numpy 2.4.6 and pandas 2.3.3: JSON lines hold a missing value as the text "Nan".
#
# Behaviour: JsonLinesWriter writes a target of 1, NaN, 3 as [1.0, "Nan", 3.0]. FileDataset reads it back as NaN, because
#   float("Nan") is one; pandas.read_json gives a list that holds a str, and so does any other reader of JSON.
# Output seen: "target": [1.0, "Nan", 3.0]; FileDataset nan; read_json ['float', 'str', 'float'].
# One would guess: null, or NaN as Python's json and pandas write it.
# Who is hurt: whoever reads such files, the common exchange form of forecasting data sets, with another tool: sums and
#   conversions fail on the text, or a column becomes one of objects. Read targets with float().
# Exit 0 while it is so, 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gluonts==0.17.0 numpy==2.4.6 pandas==2.3.3
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from gluonts.dataset.common import FileDataset, ListDataset
from gluonts.dataset.jsonl import JsonLinesWriter

series = ListDataset([{"start": "2024-01-31", "target": [1.0, np.nan, 3.0], "item_id": "007"}], freq="D")
Path("out").mkdir()
JsonLinesWriter(use_gzip=False).write_to_folder(series, Path("out"))
text = Path("out/data.json").read_text()
print(text.strip())
again = next(iter(FileDataset(Path("out"), freq="D")))["target"]
print("FileDataset:", again)
kinds = [type(value).__name__ for value in pd.read_json("out/data.json", lines=True)["target"][0]]
print("read_json:", kinds)
same = json.loads(text)["target"] == [1.0, "Nan", 3.0] and np.isnan(again[1]) and kinds == ["float", "str", "float"]
sys.exit(0 if same else 1)
PY
