"""What a report says, read back from its HTML, and whether it keeps its promises."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd

VOID = {"meta", "img", "br", "hr", "link", "input"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Reader(HTMLParser):
    """Elements in the order of the page, with the text of each; complains about unclosed ones."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.mistakes = []
        self._open = []
        self.feed(text)
        self.close()
        self.mistakes += [f"<{element['tag']}> is never closed" for element in self._open]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.mistakes.append(f"<{tag}> has an attribute twice: {names}")
        element = {"tag": tag, "attributes": dict(attrs), "text": ""}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        if not self._open or self._open[-1]["tag"] != tag:
            self.mistakes.append(f"</{tag}> closes nothing that is open")
        else:
            self._open.pop()

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def texts(self, tag):
        return [element["text"].strip() for element in self.all(tag)]


def tables(text):
    """Dict from caption to DataFrame; of numbers that are rounded, the whole number."""
    found = {}
    for body in re.findall(r"<figure>\s*<figcaption id=.*?</figure>", text, re.DOTALL):
        rows = [
            [cell(element) for element in re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.DOTALL)]
            for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)
        ]
        found[Reader(body).texts("figcaption")[0]] = pd.DataFrame(rows[1:], columns=rows[0])
    return found


def cell(text):
    reader = Reader(text)
    data = reader.all("data")
    return float(data[0]["attributes"]["value"]) if data else reader.elements[0]["text"]


def check_page(text, most_bytes=5_000_000):
    """The promises of every page; returns what was read."""
    reader = Reader(text)
    assert reader.mistakes == []
    assert len(text.encode()) < most_bytes
    assert reader.all("script") == reader.all("link") == reader.all("iframe") == []
    for element in reader.elements:
        for name, value in element["attributes"].items():
            assert not name.startswith("on"), f"{element} would run a script"
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value.startswith(("data:image/", "#")), f"{element['tag']} {name}={value[:80]}"
    style = "".join(reader.texts("style"))
    assert "@import" not in style
    assert "url(" not in style
    for image in reader.all("img"):
        assert image["attributes"]["alt"].strip()
        assert int(image["attributes"]["width"]) > 0 < int(image["attributes"]["height"])
    identifiers = [e["attributes"]["id"] for e in reader.elements if "id" in e["attributes"]]
    assert len(set(identifiers)) == len(identifiers)
    links = [e["attributes"]["href"].removeprefix("#") for e in reader.all("a")]
    assert set(links) <= set(identifiers)
    return reader


def browser():
    """Path of a Chromium, `None` where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def open_in_browser(path, folder, *options):
    """What a headless browser prints that opens the file, with the given options."""
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    command += ["--disable-dev-shm-usage", "--virtual-time-budget=2000", *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
