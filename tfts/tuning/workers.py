"""One search on many processes or machines: KerasTuner's chief and workers, who may die."""

import contextlib
import contextvars
import dataclasses
import functools
import itertools
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.trial import TrialStatus

from tfts.errors import SettingError

# A worker says that it lives as often as this, also in the middle of a long trial.
BEAT_SECONDS = 2.0
# A machine that is just started loads TensorFlow before it can say a word.
START_SECONDS = 120.0
_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


@dataclasses.dataclass
class _Role:
    """What this process is in a search."""

    silence_seconds: float = 120.0
    processes: dict = dataclasses.field(default_factory=dict)


_role = contextvars.ContextVar("role", default=_Role())  # noqa: B039 - never changed


@contextlib.contextmanager
def role(name, address, *, silence_seconds=120.0, processes=None):
    """Makes every search inside it a part of one search: its chief or one of its workers.

    The chief chooses settings and trains nothing; workers train what they are given. They
    talk over gRPC, and share the folder of the search.

    Args:
        name: `"chief"`, or the name of a worker, different for each.
        address: Str `"host:port"` at which the chief listens.
        silence_seconds: Seconds without a word from a worker after which the chief gives
            its trial to another, and of silence of all workers after which it ends; a
            worker ends when the chief has not answered for so long. At least 5.
        processes: Of the chief: dict from the name of a worker to its `subprocess.Popen`,
            if they run on this machine. A worker that has ended is not waited for.

    Raises:
        ValueError: If a name, an address or the time can't be used.

    Example:

    >>> with role("anna", "127.0.0.1:7001"):
    ...     os.environ["KERASTUNER_TUNER_ID"], os.environ["KERASTUNER_ORACLE_PORT"]
    ('anna', '7001')
    """
    host, port = split_address(address)
    if not name or ("chief" in name and name != "chief"):
        raise SettingError(
            "A worker needs a name without the word chief, by which KerasTuner knows the chief. Received: "
            f"{name!r}."
        )
    # Of a worker that is alive, two words may be lost on the way.
    if silence_seconds < 2.5 * BEAT_SECONDS:
        raise SettingError(
            f"`silence_seconds` must be at least {2.5 * BEAT_SECONDS:g}, because workers speak every "
            f"{BEAT_SECONDS:g} seconds. Received: {silence_seconds}."
        )
    before = {variable: os.environ.get(variable) for variable in _VARIABLES}
    token = _role.set(_Role(silence_seconds, dict(processes or {})))
    os.environ.update(zip(_VARIABLES, (name, host, str(port)), strict=True))
    try:
        yield
    finally:
        _role.reset(token)
        for variable, value in before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value


def split_address(address):
    """Host and port of an address.

    Example:

    >>> split_address("10.0.0.7:7001")
    ('10.0.0.7', 7001)
    """
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingError(f"An address is host:port, such as 10.0.0.7:7001. Received: {address!r}.")
    return host, int(port)


def free_address():
    """An address on this machine at which nobody listens.

    Example:

    >>> split_address(free_address())[0]
    '127.0.0.1'
    """
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def serve(oracle):
    """Gives trials to workers until all are done: what the chief does instead of training.

    A worker that is silent, or whose process has ended, is forgotten, and its trial is given
    to another. Where two workers end one trial, the first is heard.

    Args:
        oracle: `keras_tuner.Oracle`. The address comes from KERASTUNER_ORACLE_IP and
            KERASTUNER_ORACLE_PORT, as `role` sets them.

    Returns:
        Sentence that says why it ended before all trials were done, or `None`.

    Raises:
        ValueError: If nobody can listen at the address.

    Example:

    >>> import keras_tuner, sys
    >>> oracle = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective("score", "min"), max_trials=3)
    >>> with processes({"anna": [sys.executable, "-c", "pass"]}, "workers") as running:
    ...     with role("chief", free_address(), processes=running):
    ...         serve(oracle)
    'All workers have ended before the trials were done.'
    """
    from concurrent import futures

    own = _role.get()
    host, port = (os.environ[variable] for variable in _VARIABLES[1:])
    chief = _Chief(oracle, own.silence_seconds, own.processes)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(chief, server)
    try:
        server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise SettingError(
            f"The chief can't listen at {host}:{port}: give another --address, with a host of this machine and a "
            "port that is free."
        ) from error
    server.start()
    try:
        while True:
            time.sleep(0.2)
            over, why = chief.look_round()
            if over:
                return why
    finally:
        server.stop(grace=1).wait()


def _one_at_a_time(method):
    """A request that waits for the one before; what goes wrong in it ends the chief."""

    @functools.wraps(method)
    def answer(self, request, context):
        with self.lock:
            try:
                return method(self, request, context)
            except Exception as error:
                self.error = error
                raise

    return answer


class _Chief(OracleServicer):
    """The oracle as workers see it; it remembers when it heard of each."""

    def __init__(self, oracle, silence_seconds, processes):
        super().__init__(oracle)
        self.silence_seconds = silence_seconds
        self.processes = processes
        self.heard = {}
        self.error = None
        self.last_word = time.monotonic() + START_SECONDS - silence_seconds
        # KerasTuner's own lock is left locked by an error inside it.
        self.lock = threading.Lock()

    GetSpace = _one_at_a_time(OracleServicer.GetSpace)
    UpdateSpace = _one_at_a_time(OracleServicer.UpdateSpace)
    GetBestTrials = _one_at_a_time(OracleServicer.GetBestTrials)

    @_one_at_a_time
    def CreateTrial(self, request, context):
        worker = request.tuner_id
        self._hear(worker)
        trial = self.oracle.create_trial(worker)
        if trial.status == TrialStatus.STOPPED and self.oracle.ongoing_trials:
            # Another worker may die, and then this one is needed for its trial.
            trial.status = TrialStatus.IDLE
        elif trial.status == TrialStatus.STOPPED:
            self.stop_triggered = True
            del self.heard[worker]
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

    @_one_at_a_time
    def GetTrial(self, request, context):
        self._hear(self._worker_of(request.trial_id))
        return super().GetTrial(request, context)

    @_one_at_a_time
    def UpdateTrial(self, request, context):
        self._hear(self._worker_of(request.trial_id))
        return super().UpdateTrial(request, context)

    @_one_at_a_time
    def EndTrial(self, request, context):
        number, waiting = request.trial.trial_id, self.oracle._retry_queue
        self._hear(self._worker_of(number))
        if self._worker_of(number) is None and number not in waiting:
            # Another worker has ended it meanwhile.
            return protos.get_service().EndTrialResponse()
        while number in waiting:
            waiting.remove(number)
        return super().EndTrial(request, context)

    def look_round(self):
        """Forgets dead workers; gives whether the search is over, and why if it is too early."""
        with self.lock:
            if self.error is not None:
                raise self.error
            now = time.monotonic()
            for worker, heard in list(self.heard.items()):
                process = self.processes.get(worker)
                ended = process is not None and process.poll() is not None
                if ended or now - heard > self.silence_seconds:
                    self._forget(worker)
            if self.stop_triggered and not self.oracle.ongoing_trials and not self.heard:
                return True, None
            if self.processes and all(p.poll() is not None for p in self.processes.values()):
                return True, "All workers have ended before the trials were done."
            if not self.heard and now - self.last_word > self.silence_seconds:
                return True, f"No worker said a word for {self.silence_seconds:g} seconds."
            return False, None

    def _hear(self, worker):
        if worker is not None:
            self.heard[worker] = self.last_word = time.monotonic()

    def _worker_of(self, number):
        for worker, trial in self.oracle.ongoing_trials.items():
            if trial.trial_id == number:
                return worker
        return None

    def _forget(self, worker):
        """Puts the trial of a worker back, for the next who asks."""
        del self.heard[worker]
        trial = self.oracle.ongoing_trials.pop(worker, None)
        if trial is not None:
            # What it may have told of its score is told again.
            trial.metrics = type(trial.metrics)()
            self.oracle._retry_queue.append(trial.trial_id)
            self.oracle.save()


class _Worker(OracleClient):
    """The oracle of the chief, from a worker who says every few seconds that it lives."""

    def __init__(self, oracle, silence_seconds):
        super().__init__(oracle)
        self._silence_seconds = silence_seconds
        self._trial_id = None
        self._closed = threading.Event()
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()

    def create_trial(self, tuner_id):
        trial = super().create_trial(tuner_id)
        self._trial_id = trial.trial_id if trial.status == TrialStatus.RUNNING else None
        return trial

    def end_trial(self, trial):
        super().end_trial(trial)
        self._trial_id = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closed.set()
        self._beats.join()

    def _beat(self):
        answered = time.monotonic() + START_SECONDS - self._silence_seconds
        while not self._closed.wait(BEAT_SECONDS):
            try:
                if self._trial_id is None:
                    self.stub.GetSpace(protos.get_service().GetSpaceRequest(), timeout=BEAT_SECONDS)
                else:
                    request = protos.get_service().GetTrialRequest(trial_id=self._trial_id)
                    self.stub.GetTrial(request, timeout=BEAT_SECONDS)
                answered = time.monotonic()
            except grpc.RpcError:
                if time.monotonic() - answered > self._silence_seconds:
                    # KerasTuner itself would wait for an hour.
                    os.kill(os.getpid(), signal.SIGINT)
                    return


def connect(oracle):
    """The oracle of the chief as a worker asks it; closed at the end of a `with`.

    Args:
        oracle: The worker's own `keras_tuner.Oracle`, for what does not change.

    Returns:
        `OracleClient` that says every few seconds that the worker lives. If the chief is
        silent for long, the worker is interrupted as by Ctrl-C.

    Example:

    >>> with role("anna", free_address()), connect(None) as chief:
    ...     chief.tuner_id
    'anna'
    """
    return _Worker(oracle, _role.get().silence_seconds)


@contextlib.contextmanager
def processes(commands, folder, cores=None):
    """Runs workers as processes of this machine, each with its share of the cores.

    Args:
        commands: Dict from name to the words of a command.
        folder: Where what they print is written, `NAME.log`.
        cores: Numbers of the cores to share. By default all that this process may use.

    Yields:
        Dict from name to `subprocess.Popen`. All have ended when the block is left.

    Example:

    >>> import sys
    >>> with processes({"anna": [sys.executable, "-c", "print('ready')"]}, "workers") as running:
    ...     running["anna"].wait(20)
    0
    >>> Path("workers", "anna.log").read_text()
    'ready\\n'
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    shares = core_shares(list(known if cores is None else cores), len(commands))
    running = {}
    try:
        for (name, command), share in zip(commands.items(), shares, strict=True):
            threads = str(len(share))
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "TF_NUM_INTRAOP_THREADS": threads,
                "TF_NUM_INTEROP_THREADS": threads,
            }
            with open(folder / f"{name}.log", "w") as log:
                running[name] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    # Ctrl-C is for this process, which ends the others.
                    start_new_session=True,
                )
            if hasattr(os, "sched_setaffinity"):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(running[name].pid, share)
        yield running
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def core_shares(cores, count):
    """The cores of each of several processes; where there are too few, they are shared.

    Example:

    >>> core_shares([0, 1, 2, 3, 4], 2), core_shares([0, 1], 3)
    ([[0, 1, 2], [3, 4]], [[0], [1], [0]])
    """
    if count >= len(cores):
        return [[cores[i % len(cores)]] for i in range(count)]
    ends = [-(-len(cores) * i // count) for i in range(count + 1)]
    return [cores[a:b] for a, b in itertools.pairwise(ends)]
