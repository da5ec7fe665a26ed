import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.serving.test_saved_model import past_of, write_warm_up
from tfts.serving.errors import ServingError
from tfts.serving.models import Models

ONE = """model_config_list { config { name: "%s" base_path: "/models/load" model_platform: "tensorflow" %s } }"""


@pytest.fixture
def models(written_models, tmp_path):
    """A folder with version 1 of `load`, and its `Models`."""
    shutil.copytree(written_models / "load" / "1", tmp_path / "load" / "1")
    models = Models(tmp_path)
    yield models
    models.close()


def add_version(written_models, folder, number, source="2"):
    """Brings a version as an export does: whole."""
    shutil.copytree(written_models / "load" / source, folder / f".new-{number}")
    os.rename(folder / f".new-{number}", folder / "load" / str(number))


def factor(models, **which):
    """What the version that answers multiplies by: 2 for the first, 3 for the second."""
    with models.lease("load", **which) as version:
        answer = version.saved_model.submit("serving_default", past_of(1)).result(30)
    return float(answer["forecast"][0, 0, 0]) / 15


def states(models, name="load"):
    return [(version.number, version.state) for version in models.status(name)]


def test_a_new_version_takes_over_and_the_old_one_is_unloaded(models, written_models, tmp_path):
    assert models.names == ["load"]
    assert factor(models) == 2.0
    add_version(written_models, tmp_path, 7)
    models.poll()
    assert factor(models) == 3.0
    assert states(models) == [(7, "AVAILABLE"), (1, "END")]
    with pytest.raises(ServingError, match=r"Servable not found for request: Specific\(load, 1\)"):
        factor(models, number=1)


def test_a_newer_version_counts_by_its_number_and_not_as_text(models, written_models, tmp_path):
    add_version(written_models, tmp_path, 9, source="1")
    add_version(written_models, tmp_path, 10)
    models.poll()
    assert models.available("load") == [10]


def test_the_old_version_ends_what_it_has_begun(models, written_models, tmp_path):
    # The lease ends before the pool waits for its thread.
    with ThreadPoolExecutor(1) as pool, models.lease("load") as old:
        add_version(written_models, tmp_path, 2)
        polled = pool.submit(models.poll)
        while models.available("load") != [2]:
            pass
        assert factor(models) == 3.0
        assert dict(states(models))[1] == "UNLOADING"
        answer = old.saved_model.submit("serving_default", past_of(1)).result(30)
        assert float(answer["forecast"][0, 0, 0]) == 30.0
        assert not polled.done()
    polled.result(30)
    assert dict(states(models))[1] == "END"


@pytest.mark.parametrize("damage", ["graph", "warm_up"])
def test_a_version_that_fails_leaves_the_old_one_and_is_tried_again_when_it_changes(
    models, written_models, tmp_path, damage
):
    add_version(written_models, tmp_path, 2)
    graph = tmp_path / "load" / "2" / "saved_model.pb"
    content = graph.read_bytes()
    if damage == "graph":
        graph.write_bytes(b"no graph")
    else:
        path = graph.parent / "assets.extra" / "tf_serving_warmup_requests"
        write_warm_up(path, [np.zeros((1, 4, 3), np.float32)])
    models.poll()
    models.poll()
    assert states(models) == [(2, "END"), (1, "AVAILABLE")]
    words = models.status("load", 2)[0].error
    assert words.startswith("Version 2 of model load can't ")
    assert str(tmp_path) not in words
    assert factor(models) == 2.0
    if damage == "warm_up":
        path.unlink()
    graph.write_bytes(content)
    os.utime(graph, ns=(1, 10**18))
    models.poll()
    assert states(models) == [(2, "AVAILABLE"), (1, "END")]


def test_a_version_whose_folder_is_gone_is_unloaded(models, written_models, tmp_path):
    add_version(written_models, tmp_path, 2)
    models.poll()
    shutil.rmtree(tmp_path / "load" / "2")
    models.poll()
    assert states(models) == [(1, "AVAILABLE")]
    shutil.rmtree(tmp_path / "load")
    models.poll()
    assert models.names == []
    with pytest.raises(ServingError, match="Could not find any versions of model load"):
        models.status("load")


def test_a_model_that_comes_later_is_served(models, written_models, tmp_path):
    shutil.copytree(written_models / "words", tmp_path / "words")
    models.poll()
    assert models.names == ["load", "words"]
    assert models.available("words") == [1]


def test_a_configuration_gives_names_versions_and_labels(models, written_models, tmp_path):
    add_version(written_models, tmp_path, 2)
    add_version(written_models, tmp_path, 3)
    config = tmp_path / "models.config"
    config.write_text(
        ONE
        % (
            "load",
            'model_version_policy { latest { num_versions: 2 } } version_labels { key: "old" value: 2 }',
        )
    )
    models.poll()
    assert models.available("load") == [2, 3]
    assert models.labels("load") == {"old": 2}
    assert models.status("load", label="old")[0].number == 2
    with pytest.raises(ServingError, match="Unrecognized servable version label: new") as raised:
        factor(models, label="new")
    assert raised.value.code == "INVALID_ARGUMENT"
    config.write_text(ONE % ("load", "model_version_policy { specific { versions: 1 } }"))
    models.poll()
    assert models.available("load") == [1]
    config.write_text(ONE % ("load", "model_version_policy { all {} }"))
    models.poll()
    assert models.available("load") == [1, 2, 3]
    config.write_text(ONE % ("demand", ""))
    models.poll()
    assert models.names == ["demand"]
    assert models.available("demand") == [3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list {", "is not a ModelServerConfig"),
        (
            (ONE % ("load", "")).replace("/models/load", "/models/lood"),
            "Unknown folder of a model 'lood'.*Did you mean",
        ),
    ],
)
def test_a_wrong_configuration_is_an_error_at_the_start_and_changes_nothing_later(
    models, tmp_path, text, message
):
    (tmp_path / "models.config").write_text(text)
    models.poll()
    assert factor(models) == 2.0
    with pytest.raises(ValueError, match=message):
        Models(tmp_path)


def test_the_folder_of_one_model_is_served_under_its_name(written_models):
    models = Models(written_models / "load")
    assert models.names == ["load"]
    assert models.available("load") == [2]
    models.close()


def test_a_folder_that_holds_no_model_is_refused(written_models, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nowhere does not exist\. Expected a folder with NAME/VERSION"
    ):
        Models(tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"has no model that can be served\. Expected a folder with NAME/VERSION"
    ):
        Models(tmp_path)
    with pytest.raises(
        ValueError, match=r"is one version of a model\. Give the folder that holds the versions"
    ):
        Models(written_models / "load" / "1")
    (tmp_path / "load" / "1").mkdir(parents=True)
    (tmp_path / "load" / "1" / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(ValueError, match=r"can be served\. Version 1 of model load can't be loaded"):
        Models(tmp_path)


def test_no_request_is_lost_while_versions_come_and_go(models, written_models, tmp_path):
    done, factors = threading.Event(), []

    def ask():
        while not done.is_set():
            factors.append(factor(models))

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            for number in (2, 3, 4):
                add_version(written_models, tmp_path, number)
                models.poll()
                count = len(factors)
                while len(factors) < count + 7 and not any(one.done() for one in asking):
                    pass
        finally:
            done.set()
        for one in asking:
            one.result(30)
    assert set(factors) == {2.0, 3.0}
    assert models.available("load") == [4]
