import numpy as np
import pandas as pd
import pytest

from tfts.data.panel import Panel
from tfts.forecaster import Forecaster

OPTIONS = {
    "time": "day",
    "series": "shop",
    "targets": "y",
    "known_future": "promotion",
    "static": ["kind", "size"],
}
SMALL = 0.02


def _frame(shops=12, days=40):
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame(
            {
                "shop": f"{i:03d}",
                "day": pd.date_range("2024-01-01", periods=days),
                "y": rng.normal(size=days) + i,
                "promotion": rng.choice(["gift", "sale", None], days),
                "kind": "xyz"[i % 3],
                "size": float(i),
            }
        )
        for i in range(shops)
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def folder(tmp_path):
    """Parts by month and in no order, as other tools write them."""
    frame = _frame().sample(frac=1, random_state=0)
    frame.assign(month=frame["day"].dt.month).to_parquet(tmp_path / "sales", partition_cols=["month"])
    return tmp_path / "sales"


def _read(folder, **options):
    columns = ["y", "promotion", "kind", "size"]
    return Panel.from_parquet(folder, **{**OPTIONS, "columns": columns, "memory": SMALL, **options})


def test_a_folder_is_the_panel_of_its_rows_mapped_from_files(folder):
    panel, whole = _read(folder), Panel.from_frame(_frame(), **OPTIONS)
    assert panel.digest() == whole.digest()
    assert panel.labels == whole.labels
    assert isinstance(panel.values, np.memmap)
    assert panel.times.equals(whole.times)
    assert _read(folder, columns=None).columns == ("y", "promotion", "month")


def test_a_forecaster_learns_the_same_from_files(folder):
    panel, whole = _read(folder), Panel.from_frame(_frame(), **OPTIONS)
    made = {"context_length": 7, "horizon": 3, **OPTIONS}
    found = [
        Forecaster("linear", **made).fit(table, epochs=1, verbose=0).error_sums(table).score(["mae"])
        for table in (panel, whole)
    ]
    pd.testing.assert_frame_equal(*found)


def test_a_store_is_opened_until_files_or_options_change(folder, monkeypatch):
    _read(folder)

    def refuse(*args, **options):
        raise AssertionError

    monkeypatch.setattr(Panel, "from_frame", refuse)
    assert len(_read(folder).series) == 12
    with pytest.raises(AssertionError):
        _read(folder, missing="drop")
    monkeypatch.undo()
    part = next(folder.rglob("*.parquet"))
    pd.read_parquet(part).assign(y=0.0).to_parquet(part)
    assert (_read(folder).values[:, 0] == 0).any()


def test_a_stopped_call_goes_on_with_the_next_group(folder, monkeypatch):
    made, original = [], Panel.from_frame

    def stop(frame, **options):
        made.append(sorted(frame["shop"].unique()))
        if len(made) == 3:
            raise KeyboardInterrupt
        return original(frame, **options)

    monkeypatch.setattr(Panel, "from_frame", stop)
    with pytest.raises(KeyboardInterrupt):
        _read(folder)
    assert not (folder.parent / "sales.columns").exists()
    panel = _read(folder)
    # The group that was stopped is made again, those before it are not.
    assert made[3] == made[2]
    assert sorted(name for group in made[:2] + made[3:] for name in group) == list(panel.series)
    assert [path.name for path in folder.parent.iterdir() if "partial" in path.name] == []


def test_holes_steps_and_zones_are_those_of_a_table(tmp_path):
    frame = _frame(shops=3, days=30).drop(columns="promotion").drop(index=[4, 5, 40])
    frame["day"] = frame["day"].dt.tz_localize("Europe/Berlin")
    (tmp_path / "sales").mkdir()
    frame.to_parquet(tmp_path / "sales" / "all.parquet")
    options = {**OPTIONS, "known_future": (), "missing": "interpolate"}
    panel = Panel.from_parquet(tmp_path / "sales", **options, memory=SMALL)
    assert panel.digest() == Panel.from_frame(frame, **options).digest()
    assert str(panel.times.tz) == "Europe/Berlin"


def test_what_can_not_be_read_is_named(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        _read(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no file that ends in \.parquet"):
        _read(tmp_path / "empty")
    with pytest.raises(KeyError, match=r"Unknown column of the Parquet files: 'prize'"):
        _read(folder, known_future="prize")
    with pytest.raises(ValueError, match=r"`memory` must be a number > 0 \(megabytes\)"):
        _read(folder, memory=0)
    part = sorted(folder.rglob("*.parquet"))[-1]
    pd.read_parquet(part).drop(columns=["size"]).to_parquet(part)
    with pytest.raises(
        ValueError, match=r"The part month=2.* has the columns .*, but the first part has .*'size'"
    ):
        _read(folder)
