import os
import sys
import threading
import time

import keras_tuner
import pytest

from tfts.tuning import workers
from tfts.tuning.workers import connect, core_shares, free_address, processes, role, serve, split_address

# KerasTuner's own.
pytestmark = pytest.mark.filterwarnings(
    "ignore:currentThread:DeprecationWarning", "ignore:getName:DeprecationWarning"
)


@pytest.fixture
def oracle(tmp_path):
    space = keras_tuner.HyperParameters()
    space.Int("units", 1, 100)
    made = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "min"), max_trials=7, hyperparameters=space, seed=3
    )
    made._set_project_dir(str(tmp_path), "search")
    made.verbose = 0
    return made


def finish(chief, trial, score=0.5):
    chief.update_trial(trial.trial_id, {"score": score})
    trial.status = "COMPLETED"
    chief.end_trial(trial)


def in_background(work):
    """Runs `work(chief)` as a worker; the list that comes back holds the error it ended with, if any."""
    errors = []

    def run():
        try:
            with connect(None) as chief:
                work(chief)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def work_off(name):
    def work(chief):
        while (trial := chief.create_trial(name)).status != "STOPPED":
            if trial.status == "IDLE":
                time.sleep(0.1)
            else:
                finish(chief, trial)

    return work


def test_two_workers_do_every_trial_once(oracle):
    with role("chief", free_address()):
        started = [in_background(work_off(name)) for name in ("anna", "berta")]
        assert serve(oracle) is None
        for thread, errors in started:
            thread.join(10)
            assert errors == []
    assert sorted(oracle.end_order) == [str(i) for i in range(7)]
    assert {trial.status for trial in oracle.trials.values()} == {"COMPLETED"}


def test_the_trial_of_a_silent_worker_goes_to_another(oracle, monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.2)
    taken = []

    def take_and_go(chief):
        taken.append(chief.create_trial("anna"))

    def come_second(chief):
        wait_for(lambda: taken)
        work_off("berta")(chief)

    with role("chief", free_address(), silence_seconds=1):
        started = [in_background(work) for work in (take_and_go, come_second)]
        assert serve(oracle) is None
        assert [errors for _, errors in started] == [[], []]
    assert taken[0].trial_id == "0"
    assert sorted(oracle.end_order) == [str(i) for i in range(7)]
    # The others were done while it was waited for.
    assert oracle.end_order[-1] == "0"


def test_a_worker_in_a_long_trial_is_not_silent(oracle, monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.2)
    given = []

    def work_long(chief):
        while (trial := chief.create_trial("anna")).status != "STOPPED":
            given.append(trial.trial_id)
            time.sleep(2.5 if trial.trial_id == "0" else 0)
            finish(chief, trial)

    with role("chief", free_address(), silence_seconds=1):
        thread, errors = in_background(work_long)
        assert serve(oracle) is None
        thread.join(10)
    assert errors == []
    assert given == [str(i) for i in range(7)]


def test_a_trial_that_two_workers_ended_counts_once(oracle, monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.2)

    def come_late(chief):
        mine = chief.create_trial("anna")
        # As if the network were gone: not a word until another has done the trial.
        chief._trial_id = None
        wait_for(lambda: "0" in oracle.end_order)
        finish(chief, mine, score=0.1)

    def come_second(chief):
        wait_for(lambda: oracle.trials)
        work_off("berta")(chief)

    with role("chief", free_address(), silence_seconds=1):
        started = [in_background(work) for work in (come_late, come_second)]
        assert serve(oracle) is None
        for thread, errors in started:
            thread.join(20)
            assert errors == []
    assert sorted(oracle.end_order) == [str(i) for i in range(7)]
    assert oracle.trials["0"].score == 0.5


def test_an_error_of_the_oracle_ends_the_chief(oracle, monkeypatch):
    def refuse(trial):
        raise RuntimeError("all trials fail")

    monkeypatch.setattr(oracle, "end_trial", refuse)
    with role("chief", free_address()):
        thread, errors = in_background(work_off("anna"))
        with pytest.raises(RuntimeError, match="all trials fail"):
            serve(oracle)
        thread.join(10)
    assert "all trials fail" in str(errors[0])


def test_a_chief_without_workers_ends(oracle, monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(workers, "START_SECONDS", 0.5)
    with role("chief", free_address(), silence_seconds=0.6):
        assert serve(oracle) == "No worker said a word for 0.6 seconds."


def test_a_chief_whose_workers_died_ends(oracle, tmp_path):
    commands = {"anna": [sys.executable, "-c", "import sys; print('boom'); sys.exit(3)"]}
    with processes(commands, tmp_path / "logs") as running, role("chief", free_address(), processes=running):
        assert serve(oracle) == "All workers have ended before the trials were done."
    assert (tmp_path / "logs" / "anna.log").read_text() == "boom\n"


def test_an_address_that_is_taken_is_named(oracle):
    address = free_address()
    with role("chief", address):
        thread, errors = in_background(lambda chief: (time.sleep(1), work_off("anna")(chief)))
        first = threading.Thread(target=serve, args=(oracle,))
        first.start()
        time.sleep(0.5)
        with pytest.raises(ValueError, match=rf"can't listen at {address}: give another --address"):
            serve(oracle)
        thread.join(20)
        first.join(20)
    assert errors == []


def test_a_worker_without_a_chief_is_interrupted(monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(workers, "START_SECONDS", 0.2)
    here = role("anna", free_address(), silence_seconds=0.3)
    with pytest.raises(KeyboardInterrupt), here, connect(None):
        time.sleep(10)


def test_the_environment_is_as_before(monkeypatch):
    monkeypatch.delenv("KERASTUNER_TUNER_ID", raising=False)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.9")
    with role("anna", "10.0.0.7:7001"):
        assert os.environ["KERASTUNER_ORACLE_IP"] == "10.0.0.7"
        assert os.environ["KERASTUNER_TUNER_ID"] == "anna"
    assert "KERASTUNER_TUNER_ID" not in os.environ
    assert os.environ["KERASTUNER_ORACLE_IP"] == "10.0.0.9"


@pytest.mark.parametrize(
    ("name", "address", "seconds", "message"),
    [
        ("", "a:1", 60, "needs a name without the word chief.* Received: ''"),
        ("chief2", "a:1", 60, "Received: 'chief2'"),
        ("anna", "7001", 60, "An address is host:port, such as 10.0.0.7:7001. Received: '7001'"),
        ("anna", "host:70001", 60, "Received: 'host:70001'"),
        ("anna", "host:1", 3, "must be at least 5, because workers speak every 2 seconds. Received: 3"),
    ],
)
def test_what_can_not_be_a_role_is_refused(name, address, seconds, message):
    with pytest.raises(ValueError, match=message), role(name, address, silence_seconds=seconds):
        pass


def test_processes_end_with_the_block_and_have_their_cores(tmp_path):
    words = (
        "import os, time; print(len(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'], flush=True); "
    )
    with processes(
        {"anna": [sys.executable, "-c", words + "time.sleep(60)"]}, tmp_path, cores=[0]
    ) as running:
        wait_for((tmp_path / "anna.log").read_text)
    assert running["anna"].returncode == -15
    assert (tmp_path / "anna.log").read_text() == "1 1\n"


def test_cores_are_shared_out():
    assert core_shares([3, 5, 7], 2) == [[3, 5], [7]]
    assert core_shares([3, 5], 2) == [[3], [5]]
    assert split_address("[::1]:80") == ("[::1]", 80)
