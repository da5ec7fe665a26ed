"""One self-contained HTML page, built block by block."""

import base64
import datetime
import io
from importlib import resources

import numpy as np
import pandas as pd

from tfts._files import replacing
from tfts.errors import DataError, SettingError

# Twice the dots that a page shows an inch in: sharp on a phone and when zoomed.
_DOTS, _PAGE_DOTS = 200, 100
# Less paper for the same letters: they can still be read on a phone.
_SHRINK = 0.8


class Page:
    """A report: headings, sentences, tables and pictures in one HTML file.

    The file holds everything it shows, so it can be mailed and read without a network. It
    runs no script. Whatever is given is shown as it is: no text becomes markup.

    Args:
        title: Heading of the page.
        subtitle: A line below it.

    Example:

    >>> page = Page("Sales of 2024", "3 stores, weekly")
    >>> page.section("Scores")
    >>> page.table(pd.DataFrame({"model": ["drift"], "rmse": [2.03456]}), "Scores of the test rows")
    >>> page.write("sales.html")
    >>> "<h1>Sales of 2024</h1>" in page.html()
    True
    """

    def __init__(self, title, subtitle=None):
        self.title = str(title)
        self.subtitle = None if subtitle is None else str(subtitle)
        self._blocks = []

    def section(self, heading):
        """Begins a section, which the top of the page links to."""
        self._add("section", text=str(heading), number=len(self._headings()) + 1)

    def subsection(self, heading):
        """Begins a part of a section."""
        self._add("subsection", text=str(heading))

    def text(self, text):
        """Adds a paragraph."""
        self._add("text", text=str(text))

    def sentences(self, sentences):
        """Adds a list with one point for each sentence; of none, nothing."""
        sentences = [str(sentence) for sentence in sentences]
        if sentences:
            self._add("sentences", sentences=sentences)

    def facts(self, facts):
        """Adds names with their values side by side.

        Args:
            facts: Dict from name to a value, which is shown as in `table`.
        """
        self._add("facts", facts=[(str(name), value) for name, value in facts.items()])

    def table(self, frame, caption):
        """Adds a table, which scrolls in its own box where the screen is narrow.

        Numbers are shown with four digits; the whole number stands beside it in the file,
        as the `value` of a `<data>` element. Missing values are shown as a dash.

        Args:
            frame: DataFrame; its index is not shown, and its first column heads each row.
            caption: Str above the table: what it shows, and in which units.

        Raises:
            ValueError: If the table has no column or `caption` is blank.
        """
        _check_words(caption, "caption", "a table")
        if not len(frame.columns):
            raise DataError("A table needs at least one column. Received: a table without columns.")
        columns = [
            {
                "name": str(name),
                "number": pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind),
            }
            for name, kind in zip(frame.columns, frame.dtypes, strict=True)
        ]
        rows = [list(row) for row in frame.itertuples(index=False, name=None)]
        number = sum(block["kind"] == "table" for block in self._blocks) + 1
        self._add("table", columns=columns, rows=rows, caption=str(caption), number=number)

    def figure(self, picture, alt, caption=None):
        """Adds a picture, and closes it.

        Args:
            picture: matplotlib axes or figure, such as a function of `tfts.plots` returns.
            alt: Str: what the picture shows, for those who can't see it.
            caption: Str below the picture.

        Raises:
            ValueError: If `alt` is blank.
        """
        from matplotlib import pyplot

        _check_words(alt, "alt", "a picture")
        figure = getattr(picture, "figure", picture)
        source, width, height = _image(figure)
        pyplot.close(figure)
        caption = None if caption is None else str(caption)
        self._add("figure", source=source, width=width, height=height, alt=str(alt), caption=caption)

    def settings(self, mapping):
        """Adds plain dicts, lists, numbers and texts as the YAML that reads back as the same."""
        from ruamel.yaml import YAML

        yaml = YAML(typ="safe")
        yaml.default_flow_style = False
        yaml.sort_base_mapping_type_on_output = False
        yaml.allow_unicode = True
        # A long text broken into lines would be the same YAML and harder to read.
        yaml.width = 100_000
        text = io.StringIO()
        yaml.dump(mapping, text)
        self.code(text.getvalue())

    def code(self, text):
        """Adds a text that keeps its lines and spaces, such as a command."""
        self._add("code", text=str(text).rstrip("\n"))

    def html(self):
        """The page as a str."""
        from jinja2 import Environment, StrictUndefined

        environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        template = environment.from_string(
            resources.files(__package__).joinpath("page.html").read_text("utf-8")
        )
        return template.render(
            title=self.title,
            subtitle=self.subtitle,
            headings=self._headings(),
            blocks=self._blocks,
            shown=_shown,
        )

    def write(self, path):
        """Writes the page; the file appears complete or not at all.

        Args:
            path: Path of the HTML file.
        """
        with replacing(path) as partial:
            partial.write_text(self.html(), encoding="utf-8")

    def _headings(self):
        return [block["text"] for block in self._blocks if block["kind"] == "section"]

    def _add(self, kind, **content):
        self._blocks.append({"kind": kind, **content})


def _check_words(text, name, of):
    if text is None or not str(text).strip():
        raise SettingError(
            f"`{name}` must say in words what {of} shows, so that everybody can read the page. Received: "
            f"{name}={text!r}."
        )


def _image(figure):
    """A figure as the address of an inline image, and its width and height on the page."""
    figure.set_size_inches(figure.get_size_inches() * _SHRINK)
    image = io.BytesIO()
    # Lossless WebP: as sharp as PNG at about half its size, and of maps far below SVG.
    figure.savefig(image, format="webp", dpi=_DOTS, pil_kwargs={"lossless": True})
    width, height = (round(inches * _PAGE_DOTS) for inches in figure.get_size_inches())
    return f"data:image/webp;base64,{base64.b64encode(image.getvalue()).decode()}", width, height


def _shown(value):
    """A cell as it is read; of a number that is rounded, with the whole number beside it."""
    from markupsafe import Markup

    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "-"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        value = float(value)
        # Four digits of a large number would need an exponent.
        digits = f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
        return Markup('<data value="{}">{}</data>').format(repr(value), digits)
    if isinstance(value, datetime.datetime):
        return shown_time(value)
    return str(value)


def shown_time(time):
    """A time as it is read: of a midnight, the date; with its time zone, if it has one.

    Args:
        time: `Timestamp`, datetime, or their text; or a row number, which is shown as it is.

    Returns:
        The text.

    Example:

    >>> shown_time("2024-03-01 00:00:00"), shown_time("2024-03-01T07:05:00+00:00")
    ('2024-03-01', '2024-03-01 07:05 UTC')
    """
    if str(time).lstrip("-").isdigit():
        return str(time)
    time = pd.Timestamp(time)
    clock = "" if time == time.normalize() else " %H:%M:%S" if time.second else " %H:%M"
    return time.strftime(f"%Y-%m-%d{clock}{' %Z' if time.tzinfo else ''}")
