"""The models in a folder: which versions there are, which answer, and the switch between them."""

import contextlib
import dataclasses
import logging
import threading
import time
from pathlib import Path

from tfts._messages import unknown
from tfts.errors import MissingFileError, ModelError
from tfts.serving.errors import ServingError, invalid
from tfts.serving.saved_model import SavedModel

_LOG = logging.getLogger("tfts.serving")
# Seconds that an old version waits for its last requests.
_LAST_REQUESTS = 60.0


@dataclasses.dataclass
class Version:
    """One version of a model.

    Attributes:
        number: The name of its folder, an int.
        state: `"START"`, `"LOADING"`, `"AVAILABLE"`, `"UNLOADING"` or `"END"`.
        error: Why it could not be loaded, else an empty text.
        saved_model: The `SavedModel` while it is in memory.
        in_flight: Requests that it has not answered yet.
        stamp: When its graph was written, for a failed load is tried again when it changes.

    Example:

    >>> Version(3).state
    'START'
    """

    number: int
    state: str = "START"
    error: str = ""
    saved_model: SavedModel | None = None
    in_flight: int = 0
    stamp: int = 0


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a folder says of one model.

    Attributes:
        folder: Path of the folder with the versions.
        labels: Dict from label to version number.
        latest: How many of the newest versions to serve; 0 for all.
        only: Set of version numbers to serve, if they are named, else empty.

    Example:

    >>> plan = Plan(Path("load"), latest=2)
    >>> sorted(plan.chosen([1, 2, 5]))
    [2, 5]
    """

    folder: Path
    labels: dict = dataclasses.field(default_factory=dict)
    latest: int = 1
    only: frozenset = frozenset()

    def chosen(self, numbers):
        """The versions to serve of those that are there, a set."""
        if self.only:
            return self.only & set(numbers)
        return set(sorted(numbers)[-self.latest :])


class Models:
    """All models of a folder, each with the versions that are served.

    `PATH/NAME/VERSION/` holds a SavedModel, as `tfts.serving.export` writes it. PATH may
    be the folder of one model, too. A `models.config` in PATH, as TensorFlow Serving reads
    it, says which versions are served and gives labels; without it, the newest version of
    each model is served.

    A new version is loaded and warmed up before requests go to it; the old one answers
    what it has begun and is then unloaded. A version that can't be loaded leaves the old
    one where it is.

    Args:
        path: Folder.
        **options: Of `SavedModel`.

    Raises:
        FileNotFoundError: If the folder is not there.
        ValueError: If no model can be served.

    Example:

    >>> Models("models")
    Traceback (most recent call last):
        ...
    tfts.errors.MissingFileError: models does not exist. Expected a folder with NAME/VERSION/saved_model.pb.
    """

    def __init__(self, path, **options):
        self._path = Path(path)
        self._options = options
        self._plans = {}
        self._versions = {}
        self._change = threading.Condition()
        self._polling = threading.Lock()
        _check_folder(self._path)
        self.poll()
        if not any(self.available(name) for name in self._versions):
            reasons = [v.error for versions in self._versions.values() for v in versions.values() if v.error]
            self.close()
            raise ModelError(
                f"{self._path} has no model that can be served. {reasons[0] if reasons else _EXPECTED}"
            )

    @property
    def names(self):
        """Names of the models, a list."""
        with self._change:
            return sorted(self._plans)

    def available(self, name):
        """Numbers of the versions that answer, the newest last."""
        with self._change:
            versions = self._versions.get(name, {}).values()
            return sorted(version.number for version in versions if version.state == "AVAILABLE")

    def labels(self, name):
        """Dict from label to version number."""
        with self._change:
            return dict(self._plans[name].labels) if name in self._plans else {}

    @contextlib.contextmanager
    def lease(self, name, number=None, label=None):
        """A version that stays in memory until the block is left.

        Args:
            name: Name of the model.
            number: Version, `None` for the newest that answers.
            label: Label of a version, instead of the number.

        Returns:
            Context manager that gives a `Version`.

        Raises:
            ServingError: If there is no such model, version or label.
        """
        number = self._number(name, number, label)
        with self._change:
            ready = [v for v in self._versions.get(name, {}).values() if v.state == "AVAILABLE"]
            if number is not None:
                ready = [version for version in ready if version.number == number]
            if not ready:
                which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise ServingError("NOT_FOUND", f"Servable not found for request: {which}")
            version = max(ready, key=lambda version: version.number)
            version.in_flight += 1
        try:
            yield version
        finally:
            with self._change:
                version.in_flight -= 1
                self._change.notify_all()

    def status(self, name, number=None, label=None):
        """The versions of a model and their states, the newest first, a list of `Version`.

        Raises:
            ServingError: If there is no such model, version or label.
        """
        number = self._number(name, number, label)
        with self._change:
            found = [dataclasses.replace(v) for v in self._versions.get(name, {}).values()]
        if not found:
            raise ServingError("NOT_FOUND", f"Could not find any versions of model {name}")
        if number is not None:
            found = [version for version in found if version.number == number]
            if not found:
                raise ServingError("NOT_FOUND", f"Could not find version {number} of model {name}")
        return sorted(found, key=lambda version: -version.number)

    def poll(self):
        """Looks at the folder once: loads what is new and unloads what is no longer wanted."""
        with self._polling:
            self._look()

    def close(self):
        """Unloads everything, each version after its last answer."""
        with self._change:
            versions = [v for versions in self._versions.values() for v in versions.values()]
        for version in versions:
            self._unload(version)

    def _look(self):
        try:
            plans = _plans(self._path)
        except (OSError, ValueError) as error:
            if not self._plans:
                raise
            # A file that is being written: what is served stays.
            _LOG.warning("The folder can't be read as it is, so nothing changes: %s", error)
            return
        with self._change:
            gone = {name: Plan(plan.folder) for name, plan in self._plans.items() if name not in plans}
            self._plans = plans
        for name, plan in {**gone, **plans}.items():
            self._update(name, plan, _numbers(plan.folder) if name in plans else [])

    def _number(self, name, number, label):
        if not label:
            return number
        with self._change:
            labels = self._plans[name].labels if name in self._plans else {}
            if label not in labels:
                raise invalid(f"Unrecognized servable version label: {label}")
            return labels[label]

    def _update(self, name, plan, numbers):
        wanted = plan.chosen(numbers)
        with self._change:
            versions = self._versions.setdefault(name, {})
        for number in sorted(wanted):
            stamp = _stamp(plan.folder / str(number))
            known = versions.get(number)
            ended = known is not None and known.state == "END"
            # What failed is tried again when it has changed; what was unloaded may be wanted again.
            if known is None or (ended and (not known.error or known.stamp != stamp)):
                self._load(name, versions, Version(number, stamp=stamp), plan.folder / str(number))
        with self._change:
            ready = [v for v in versions.values() if v.state == "AVAILABLE"]
            old = [version for version in ready if version.number not in wanted]
            # Without a new version that answers, the old one goes on, unless its folder is gone.
            if len(old) == len(ready):
                old = [version for version in old if version.number not in numbers]
        for version in old:
            self._unload(version)
        with self._change:
            for version in [v for v in versions.values() if v.state == "END" and v.number not in numbers]:
                del versions[version.number]
            if not versions:
                self._versions.pop(name, None)

    def _load(self, name, versions, version, folder):
        version.state = "LOADING"
        with self._change:
            versions[version.number] = version
        began = time.monotonic()
        saved_model = None
        try:
            saved_model = SavedModel(folder, **self._options)
            saved_model.warm_up(folder / "assets.extra" / "tf_serving_warmup_requests")
        except Exception:
            # TensorFlow and protocol buffers raise what they like on a damaged file.
            _LOG.exception("Version %d of model %s can't be loaded", version.number, name)
            if saved_model is not None:
                saved_model.close()
            with self._change:
                what = "be loaded" if saved_model is None else "answer its warm-up requests"
                version.state, version.error = (
                    "END",
                    f"Version {version.number} of model {name} can't {what}.",
                )
            return
        with self._change:
            version.saved_model, version.state = saved_model, "AVAILABLE"
        _LOG.info("Model %s: version %d in %.2f s", name, version.number, time.monotonic() - began)

    def _unload(self, version):
        with self._change:
            if version.state != "AVAILABLE":
                return
            version.state = "UNLOADING"
            self._change.wait_for(lambda: version.in_flight == 0, _LAST_REQUESTS)
        version.saved_model.close()
        with self._change:
            version.saved_model, version.state = None, "END"


_EXPECTED = "Expected a folder with NAME/VERSION/saved_model.pb."


def _check_folder(path):
    if not path.is_dir():
        raise MissingFileError(f"{path} does not exist. {_EXPECTED}")
    if (path / "saved_model.pb").is_file():
        raise ModelError(
            f"{path} is one version of a model. Give the folder that holds the versions, {path.parent}, or the "
            "folder of all models."
        )


def _numbers(folder):
    """Numbers of the versions in a folder that hold a SavedModel."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    return [int(n) for n in names if n.isascii() and n.isdigit() and _stamp(folder / n)]


def _stamp(folder):
    try:
        return (folder / "saved_model.pb").stat().st_mtime_ns
    except OSError:
        return 0


def _plans(path):
    """From the name of each model to its `Plan`."""
    if (path / "models.config").is_file():
        return _configured(path)
    if _numbers(path):
        return {path.resolve().name: Plan(path)}
    return {
        entry.name: Plan(entry)
        for entry in sorted(path.iterdir())
        if entry.is_dir() and not entry.name.startswith(".") and _numbers(entry)
    }


def _configured(path):
    """The plans of a `models.config` as TensorFlow Serving reads it.

    Its folders are those of a container, such as /models/load: their last part counts.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    file = path / "models.config"
    try:
        config = text_format.Parse(file.read_text(), model_server_config_pb2.ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is not a ModelServerConfig: {error}") from None
    plans = {}
    for one in config.model_config_list.config:
        policy = one.model_version_policy
        kind = policy.WhichOneof("policy_choice") or "latest"
        folder = path / Path(one.base_path).name
        if not folder.is_dir():
            folders = [entry.name for entry in path.iterdir() if entry.is_dir()]
            raise ModelError(f"{file}: {unknown('folder of a model', Path(one.base_path).name, folders)}")
        plans[one.name] = Plan(
            folder,
            dict(one.version_labels),
            0 if kind == "all" else max(1, policy.latest.num_versions),
            frozenset(policy.specific.versions) if kind == "specific" else frozenset(),
        )
    return plans
