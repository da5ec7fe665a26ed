import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from ruamel.yaml import YAML

from tests.report.reading import Reader, browser, check_page, open_in_browser, tables
from tfts import plots
from tfts.report import Page

HOSTILE = '<script>alert("1")</script>'


def page():
    made = Page("A <b>title</b>", "sub & line")
    made.section("First")
    made.text("One & two")
    made.sentences(["Lag 24 < lag 48.", "Second."])
    made.facts({"rows": 2000, "span": pd.Timestamp("2024-03-01 04:00")})
    made.section("Second")
    made.subsection("Inner")
    made.table(pd.DataFrame({"model": ["drift"], "rmse": [2.0345678901]}), "Scores")
    made.figure(plots.plot_history({"loss": [2.0, 1.0]}), "Loss by epoch, falling from 2 to 1", "Below")
    made.code("tfts run  x.yaml\n  indented")
    return made


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    pyplot.close("all")


def test_blocks_stand_in_the_order_in_which_they_were_added():
    reader = check_page(page().html())
    assert reader.texts("title") == reader.texts("h1") == ["A <b>title</b>"]
    assert reader.texts("h2") == ["First", "Second"]
    assert reader.texts("h3") == ["Inner"]
    assert reader.texts("p") == ["sub & line", "One & two"]
    assert "Lag 24 < lag 48." in reader.texts("li")
    assert (reader.texts("dt"), reader.texts("dd")) == (["rows", "span"], ["2,000", "2024-03-01 04:00"])
    assert reader.texts("figcaption") == ["Scores", "Below"]
    assert reader.texts("code") == ["tfts run  x.yaml\n  indented"]
    tags = [e["tag"] for e in reader.elements if e["tag"] in ("h2", "dl", "h3", "table", "img", "pre")]
    assert tags == ["h2", "dl", "h2", "h3", "table", "img", "pre"]


def test_the_top_links_to_each_section_of_several():
    links = check_page(page().html()).all("a")
    assert [(link["text"], link["attributes"]["href"]) for link in links] == [
        ("First", "#section-1"),
        ("Second", "#section-2"),
    ]
    one = Page("One")
    one.section("Alone")
    assert check_page(one.html()).all("nav") == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.0345678901, "2.035"),
        (0.5, "0.5"),
        (-0.00012345678, "-0.0001235"),
        (12345.678, "12,346"),
        (-9876543.2, "-9,876,543"),
        (np.float32(0.25), "0.25"),
        (float("nan"), "-"),
        (float("inf"), "inf"),
        (None, "-"),
        (pd.NA, "-"),
        (pd.NaT, "-"),
        (1234567, "1,234,567"),
        (np.int64(7), "7"),
        (True, "yes"),
        (np.False_, "no"),
        (pd.Timestamp("2024-03-01"), "2024-03-01"),
        (pd.Timestamp("2024-03-01 04:05"), "2024-03-01 04:05"),
        (pd.Timestamp("2024-03-01 04:05:06"), "2024-03-01 04:05:06"),
        (pd.Timestamp("2024-03-01 04:05", tz="Asia/Tokyo"), "2024-03-01 04:05 JST"),
        ("a <i>b</i>", "a <i>b</i>"),
    ],
)
def test_values_are_shown_as_people_read_them(value, shown):
    made = Page("Values")
    made.facts({"value": value})
    assert check_page(made.html()).texts("dd") == [shown]


def test_a_rounded_number_keeps_all_its_digits_beside_it():
    frame = pd.DataFrame({"model": ["a", "b"], "rmse": [2.0345678901234, 1 / 3], "rows": [3, 5]})
    made = Page("Values")
    made.table(frame, "Scores")
    read = tables(made.html())["Scores"]
    assert read["rmse"].tolist() == frame["rmse"].tolist()
    assert read["rows"].tolist() == ["3", "5"]


def test_a_table_heads_its_rows_and_columns_and_aligns_numbers():
    frame = pd.DataFrame(
        {"model": ["a"], "rmse": [2.5], "parameters": pd.array([None], "Int64"), "best": [True]}
    )
    made = Page("Table")
    made.table(frame, "Scores")
    reader = check_page(made.html())
    heads = [(e["text"], e["attributes"]) for e in reader.all("th")]
    assert heads == [
        ("model", {"scope": "col"}),
        ("rmse", {"scope": "col", "class": "number"}),
        ("parameters", {"scope": "col", "class": "number"}),
        ("best", {"scope": "col"}),
        ("a", {"scope": "row"}),
    ]
    assert reader.texts("td") == ["2.5", "-", "yes"]
    box = next(e for e in reader.all("div") if e["attributes"]["class"] == "scroll")
    caption = next(e for e in reader.all("figcaption") if e["text"] == "Scores")
    assert box["attributes"]["aria-labelledby"] == caption["attributes"]["id"]
    assert box["attributes"]["tabindex"] == "0"


def test_a_picture_is_inside_sharp_and_closed():
    axes = plots.plot_history({"loss": [2.0, 1.0]})
    made = Page("Picture")
    made.figure(axes, "Loss")
    assert pyplot.get_fignums() == []
    (image,) = check_page(made.html()).all("img")
    from PIL import Image

    source = image["attributes"]["src"]
    assert source.startswith("data:image/webp;base64,")
    opened = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    width, height = int(image["attributes"]["width"]), int(image["attributes"]["height"])
    assert opened.size == (2 * width, 2 * height) == (1440, 640)


def test_a_whole_figure_can_be_given():
    made = Page("Picture")
    made.figure(plots.plot_attention_heads(np.full((2, 3, 5), 0.2)), "Two heads")
    assert len(check_page(made.html()).all("img")) == 1
    assert pyplot.get_fignums() == []


def test_nothing_that_is_given_becomes_markup():
    made = Page(HOSTILE, HOSTILE)
    made.section(HOSTILE)
    made.section('" onmouseover="alert(1)')
    made.subsection(HOSTILE)
    made.text("{{ 7 * 7 }} {% raise %} " + HOSTILE)
    made.sentences([HOSTILE])
    made.facts({HOSTILE: HOSTILE})
    made.table(pd.DataFrame({HOSTILE: [HOSTILE], "</table>": [1.5]}), '"><img src=x onerror=alert(1)>')
    made.figure(plots.plot_history({"loss": [1.0]}), '"><img src=x onerror=alert(1)>', HOSTILE)
    made.settings({HOSTILE: ["</code></pre>" + HOSTILE]})
    made.code(HOSTILE)
    text = made.html()
    reader = check_page(text)
    assert "<script" not in text
    assert reader.texts("h1") == reader.texts("h3") == [HOSTILE]
    assert reader.texts("p")[1] == "{{ 7 * 7 }} {% raise %} " + HOSTILE
    assert len(reader.all("img")) == 1


def test_settings_read_back_as_the_same():
    settings = {
        "seed": 3,
        "data": {"path": "a b/ö#1: x.csv", "start": "2017-06-26", "columns": ["1e-3", "off", "null", " x "]},
        "training": {"learning_rate": 1e-3, "weight_decay": None, "jit_compile": True, "patience": 10},
        "models": {"linear": {}, "note": "word " * 60 + "\nsecond line: yes"},
    }
    made = Page("Settings")
    made.settings(settings)
    (shown,) = check_page(made.html()).texts("code")
    assert YAML(typ="safe").load(shown) == settings
    assert list(YAML(typ="safe").load(shown)) == ["seed", "data", "training", "models"]


def test_no_sentence_makes_no_list():
    made = Page("Nothing")
    made.sentences([])
    assert check_page(made.html()).all("ul") == []


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_every_picture_and_table_must_be_explained(blank):
    made = Page("Blank")
    axes = plots.plot_history({"loss": [1.0]})
    with pytest.raises(ValueError, match=f"`alt` must say in words what a picture shows.*alt={blank!r}"):
        made.figure(axes, blank)
    with pytest.raises(ValueError, match="`caption` must say in words what a table shows"):
        made.table(pd.DataFrame({"a": [1]}), blank)
    with pytest.raises(ValueError, match="A table needs at least one column"):
        made.table(pd.DataFrame(index=[0, 1]), "Rows")
    assert check_page(made.html()).all("figure") == []


def test_the_file_appears_complete_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    made = page()
    made.write(path)
    assert path.read_text(encoding="utf-8") == made.html()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    made.title = "New"
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="the disk is full"):
        made.write(path)
    assert "A &lt;b&gt;title" in path.read_text(encoding="utf-8")


def test_a_page_can_be_written_again_as_it_grows():
    made = page()
    before = made.html()
    made.section("Third")
    assert Reader(made.html()).texts("h2") == ["First", "Second", "Third"]
    assert before.count("<h2") == 2


@pytest.mark.skipif(browser() is None, reason="needs Chromium")
def test_a_browser_opens_it_runs_nothing_and_nothing_is_wider_than_a_phone(tmp_path):
    made = page()
    wide = {f"column {i}": ["a long word_without_a_break"] for i in range(17)}
    made.table(pd.DataFrame(wide), "A wide table")
    made.text("word" * 200)
    # The page forbids scripts: the measuring one is let in here, one that was injected is not.
    text = made.html().replace("style-src 'unsafe-inline'", "style-src 'unsafe-inline'; script-src 'nonce-7'")
    measure = """<script nonce="7">onload = () => { document.title = JSON.stringify({
        page: document.documentElement.scrollWidth, screen: innerWidth,
        images: [...document.images].map(i => i.naturalWidth) }) }</script><script>document.body.remove()</script>"""
    path = tmp_path / "page.html"
    path.write_text(text.replace("</body>", measure + "</body>"), encoding="utf-8")
    for width in (390, 1280):
        printed = open_in_browser(path, tmp_path / "profile", "--dump-dom", f"--window-size={width},900")
        title = Reader(printed).texts("title")[0]
        found = {key: int(value) for key, value in re.findall(r'"(page|screen)":(\d+)', title)}
        assert found["page"] <= found["screen"], found
        assert '"images":[1440]' in title
