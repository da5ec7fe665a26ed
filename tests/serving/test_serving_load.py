"""The load benchmark tells right answers from wrong ones; its figures are measured by running it."""

import asyncio
import json
import os
import shutil
from urllib.parse import urlsplit

import numpy as np
import pytest

from benchmarks.serving_load import loaded
from tfts.serving import Server


@pytest.mark.parametrize(("factors", "versions"), [((2, 3), {1, 2}), ((2, 4), {0, 1})])
def test_every_answer_is_compared_with_both_versions(written_models, tmp_path, factors, versions):
    shutil.copytree(written_models / "load" / "1", tmp_path / "load" / "1")
    shutil.copytree(written_models / "load" / "2", tmp_path / ".new")
    windows = np.arange(3 * 15.0).reshape(3, 5, 3)
    bodies = [json.dumps({"instances": [window.tolist()]}).encode() for window in windows]
    forecasts = [np.tile(f * windows.sum(axis=(1, 2))[:, None, None], (1, 2, 1)) for f in factors]

    def switch():
        os.rename(tmp_path / ".new", tmp_path / "load" / "2")

    with Server(tmp_path, rest_port=0, grpc_port=0, poll=0.02) as server:
        url = urlsplit(server.rest_url)
        seen = asyncio.run(loaded((url.hostname, url.port), bodies, forecasts, 1.5, 3, switch))
    assert {version for *_, version in seen} == versions


def test_a_server_that_is_not_there_is_an_error(free_port):
    async def ask():
        return await loaded(("127.0.0.1", free_port), [b"{}"], [np.zeros((1, 2, 1))], 0.1, 1, lambda: None)

    assert {version for *_, version in asyncio.run(ask())} == {0}
