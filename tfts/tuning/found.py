"""What a search has found, read from its folder."""

import json
from pathlib import Path

import keras

from tfts.errors import FailedRunError, SettingError
from tfts.forecaster import Forecaster
from tfts.tuning.folder import read_described
from tfts.tuning.oracles import trial_folder
from tfts.tuning.records import best_record, curves_table, read_record, read_records, results_table


class Search:
    """What a search has found, read from its folder.

    Args:
        directory: Folder of the search.
        described: What `search.json` says.
        trials: What fits its networks; `None` when it was loaded.
        seed: Of the networks.

    Attributes:
        directory: Path of the folder.
        objective: `"val_rmse"` or `"val_mae"`.
        space: Dict of the names of the settings, their ranges and defaults.
        default_trial: 0, the number of the trial with the defaults.
        complete: Whether nothing was left to do when the search ended; `None` when loaded.
        interrupted: Whether Ctrl-C ended it.
        note: Sentence on why the search ended before `max_trials`, or `None`.

    Example:

    >>> Search.load("nowhere")
    Traceback (most recent call last):
        ...
    tfts.errors.MissingFileError: nowhere holds no search: search.json is not there...
    """

    default_trial = 0
    complete = note = None
    interrupted = False

    def __init__(self, directory, described, trials=None, seed=0):
        self.directory = Path(directory)
        self.objective = described["objective"]
        self.space = described["space"]
        self._trials = trials
        self._seed = seed

    @classmethod
    def load(cls, directory):
        """A finished or interrupted search.

        Raises:
            FileNotFoundError: If the folder holds no search.
            ValueError: If another version of tfts wrote it.
        """
        described = read_described(directory)
        return cls(directory, described, seed=described["seed"])

    def results(self):
        """All trials that have ended.

        Returns:
            DataFrame with the columns trial, status (finished, pruned, diverged, failed),
            score, epochs (to the best weights), seconds, reason, and one for each setting;
            a searched `epochs` is in `max_epochs`.
        """
        return results_table(read_records(self.directory), self.space["names"])

    def curves(self):
        """The objective after every epoch: DataFrame of trial, execution, part, epoch, value."""
        return curves_table(read_records(self.directory))

    @property
    def best_trial(self):
        """Number of the best trial that was finished."""
        return self._best()["trial"]

    @property
    def best_settings(self):
        """Settings of the best trial, a dict."""
        return self._best()["settings"]

    @property
    def default_settings(self):
        """Settings of trial 0, a dict: the defaults."""
        return read_record(self.directory, self.default_trial)["settings"]

    @property
    def seconds(self):
        """Seconds that the search took, earlier runs of it included."""
        return json.loads((self.directory / "oracle.json").read_text())["seconds"]

    @property
    def best_epochs(self):
        """Epochs that the best trial took to its best weights; the mean of several fits."""
        return self._best()["epochs"]

    @property
    def best_score(self):
        """The objective of the best trial."""
        return self._best()["score"]

    def best_forecaster(self, refit=True):
        """The best network.

        Args:
            refit: Whether it is fitted anew on training and validation rows together, for
                the number of epochs that was best; `False` gives it as the search left it,
                fitted on training rows alone. Quantiles that come from held-out errors are then those
                of the latter, which has not seen the rows.

        Returns:
            A fitted `Forecaster`; a `keras.Model` where the search was given windows, which gives what
            `quantiles` and `mean` of its `Output` take.

        Raises:
            ValueError: If no trial was finished, or a loaded search is to be refitted.
        """
        best = self._best()
        if not refit:
            folder = trial_folder(self.directory, best["trial"]) / "model"
            if (folder / "forecaster.json").is_file():
                return Forecaster.load(folder)
            # The layers, losses and metrics that the file names must be registered.
            import tfts.keras_metrics
            import tfts.models  # noqa: F401

            return keras.models.load_model(folder / "model.keras")
        if self._trials is None:
            raise SettingError(
                "A search that was loaded has no data to refit on. Make the same call of search again: its trials are "
                "not repeated; or give refit=False."
            )
        found = self._trials.refit(best["settings"], best["epochs"], self._seed)
        if not isinstance(found, Forecaster):
            return found
        return found.with_errors_of(self.best_forecaster(refit=False))

    def _best(self):
        best = best_record(read_records(self.directory))
        if best is None:
            raise FailedRunError(f"No trial in {self.directory} has finished yet.")
        return best
