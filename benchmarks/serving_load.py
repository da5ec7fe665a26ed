"""Requests a second that `tfts serve` answers, with a switch of versions in the middle.

python -m benchmarks.serving_load
python -m benchmarks.serving_load --seconds 10 --connections 8

Server and load generator share the machine. Every answer is compared with what the two
versions forecast, so that a lost, mixed-up or wrong answer counts as an error.
"""

import argparse
import asyncio
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

CONTEXT_LENGTH, HORIZON, WINDOWS = 60, 10, 97


def prepared(folder):
    """Two versions of a small LSTM with attention, 60 rows of 3 columns in.

    Returns:
        Tuple of the requests as bytes of JSON, and the forecasts of both versions, each
        `(windows, horizon, 1)`.
    """
    from tfts import Forecaster
    from tfts.serving import export

    hours = np.arange(CONTEXT_LENGTH + 400)
    rng = np.random.default_rng(0)
    columns = {
        f"x{i}": 100 + 10 * np.sin(hours * np.pi / 12 + i) + rng.normal(0, 1, len(hours)) for i in (1, 2, 3)
    }
    frame = pd.DataFrame(columns, index=pd.date_range("2024-01-01", periods=len(hours), freq="h"))
    forecasts = []
    for seed in (0, 1):
        forecaster = Forecaster(
            "lstm_attention", context_length=CONTEXT_LENGTH, horizon=HORIZON, targets=["x1"]
        )
        forecaster.fit(frame, epochs=1, seed=seed, verbose=0)
        export(forecaster, folder, name="load")
        panel = forecaster.panel(frame)
        rows = forecaster.spec.forecast_origins(panel)[:WINDOWS]
        forecasts.append(forecaster.forecast_windows(panel, rows))
        windows = forecaster.spec.inputs(panel, rows)
    bodies = [json.dumps({"instances": [window.tolist()]}).encode() for window in windows]
    return bodies, forecasts


async def one_connection(address, bodies, forecasts, until, first, seen):
    """Asks one request after the other; appends `(seconds, version)`, version 0 for an error."""
    reader = writer = None
    at = first
    while time.monotonic() < until:
        at = (at + 1) % len(bodies)
        began, version = time.monotonic(), 0
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(*address)
            body = bodies[at]
            head = f"POST /v1/models/load:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE).group(1))
            answer = json.loads(await reader.readexactly(length))
            if b" 200 " in head[:16]:
                found = np.array(answer["predictions"][0])
                fits = [np.allclose(found, forecast[at], rtol=1e-4) for forecast in forecasts]
                version = fits.index(True) + 1 if any(fits) else 0
        except (OSError, asyncio.IncompleteReadError, ValueError):
            writer = None
        seen.append((began, time.monotonic() - began, version))
    if writer is not None:
        writer.close()


async def loaded(address, bodies, forecasts, seconds, connections, switch):
    """What was seen under load, while `switch` is called in the middle."""
    seen, until = [], time.monotonic() + seconds
    asking = [
        asyncio.create_task(one_connection(address, bodies, forecasts, until, first, seen))
        for first in range(connections)
    ]
    await asyncio.sleep(seconds / 2)
    switch()
    await asyncio.gather(*asking)
    return seen


def main(arguments=None):
    """Serves, asks and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=32)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        aside, served = Path(folder, "aside"), Path(folder, "served")
        bodies, forecasts = prepared(aside)
        (served / "load").mkdir(parents=True)
        shutil.move(aside / "load" / "1", served / "load" / "1")
        command = [sys.executable, "-c", "from tfts.cli import main; main()", "serve", str(served)]
        server = subprocess.Popen(
            [*command, "--rest-port", "0", "--grpc-port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        try:
            url = urlsplit(re.search(r"http://\S+", server.stdout.readline()).group(0))
            seen = asyncio.run(
                loaded(
                    (url.hostname, url.port),
                    bodies,
                    forecasts,
                    chosen.seconds,
                    chosen.connections,
                    lambda: (aside / "load" / "2").rename(served / "load" / "2"),
                )
            )
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)
    show(seen, chosen)


def show(seen, chosen):
    """Prints rate, waiting times, errors and versions."""
    began = min(one[0] for one in seen)
    took = max(start + wait for start, wait, _ in seen) - began
    waits = 1e3 * np.array([wait for _, wait, _ in seen])
    counts = collections.Counter(version for *_, version in seen)
    table = Table(
        title=f"tfts serve, REST, LSTM with attention, {chosen.connections} connections, {os.cpu_count()} cores"
    )
    for column in ("requests", "a second", "p50 ms", "p99 ms", "errors", "version 1", "version 2"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{len(seen):,}",
        f"{len(seen) / took:,.0f}",
        *(f"{np.percentile(waits, at):.1f}" for at in (50, 99)),
        *(f"{counts[version]:,}" for version in (0, 1, 2)),
    )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
