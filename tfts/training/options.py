"""The one schema of how a network is trained: for `Forecaster.fit`, YAML and the search."""

import inspect
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydantic
from pydantic import Field

from tfts._messages import unknown
from tfts.errors import SettingError
from tfts.training.described import told

_Function = typing.TypeVar("_Function", bound=Callable[..., typing.Any])

# What `weight_decay=None` stands for with "adamw".
WEIGHT_DECAY = 1e-4
# Fewest training steps of a default fit, and fewest in one pass of it, where the windows allow it.
FEWEST_STEPS = 1000
_STEPS_OF_A_PASS = 8
# Windows in a batch, by default, at most and at least.
_BATCH, _SMALLEST_BATCH = 64, 8
_EPOCHS, _PATIENCE = 20, 10
# What the default learning rate is multiplied by where a short table's network starts from the ridge.
_FROM_RIDGE = 0.1
# Options of one call, which a file of settings does not hold.
OF_THE_CALL = ("seed", "callbacks", "folder", "verbose")


_Auto = typing.Literal["auto"]
_Count = typing.Annotated[int, Field(ge=1)]


def _plain(value):
    """NumPy's numbers as Python's, a tuple as a list."""
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if isinstance(value, tuple) else value


def _listed(value):
    return [value] if isinstance(value, str) else value


class TrainingSettings(pydantic.BaseModel):
    """The options of a training that a file of settings can hold.

    Attributes:
        epochs: Most passes over the windows; `"auto"` is 20, or more where those have fewer than
            1,000 training steps.
        batch_size: Windows in a training step; `"auto"` is 64, and less (down to 8) where one pass
            would have fewer than 8 steps.
        windows_per_epoch: Windows of one pass, others in each; `None` takes all.
        sampling: `"windows"`, every window has an equal chance, so that a long series counts more; or
            `"series"`, every series has.
        optimizer: `"adamw"` or `"adam"`.
        learning_rate: The first (largest) learning rate.
        schedule: `"cosine"` (down to a hundredth over `epochs`) or `"constant"`.
        warmup: Share of the training steps, in [0, 1), over which the rate rises from 0 to
            `learning_rate` before the schedule begins.
        weight_decay: Of `"adamw"`; `None` is 1e-4.
        clipnorm: Largest norm of all gradients together; `None` for no limit.
        ema_momentum: Share of the old in a running average of the weights over the
            training steps; the average is what is validated and kept (Polyak and
            Juditsky, 1992). `None` averages nothing.
        loss: A Keras loss, its name or its config, on scaled targets; of point forecasts alone. `"auto"` is
            that of the output: `"mse"` of points, the pinball loss of quantiles, the likelihood of
            distributions.
        linear_start: First weights of the linear map beside a network: `"zeros"`, or
            `"ridge"`, those of the `ridge` that is best on held-out rows. From there
            the network learns what the ridge misses, and a lower learning rate will do.
            `"auto"` is `"ridge"` where `epochs` is `"auto"` and the table so short that 20 passes
            are too few, if the network has such a map and rows can be held out; else `"zeros"`. There
            the learning rate is a tenth of its default, because a network that leaves the ridge
            quickly learns the few rows by heart, and one whose `linear_skip` is `"none"` by
            default has `"own"`.
        metrics: Names of METRICS that the history shows beside the loss, for example
            `"val_rmse"`: one target in its own units, several each in units of its
            standard deviation in the training rows. `"val_rmse"` is what `evaluate` says of
            the validation rows with the weights of that epoch, series of different scales and
            filled values too. mase is none of them.
        patience: Epochs without a better validation loss before training stops; `None` never stops
            early; `"auto"` is 10, or a fifth of `epochs` where that is more.
        jit_compile: Whether XLA compiles the training step; `"auto"` does so for fits
            long enough to pay for it; on a CPU not with dropout or an LSTM. On the JAX
            backend `"auto"` always does, on PyTorch never.
        steps_per_execution: Training steps between which no Python runs, int >= 1;
            `"auto"` is 8 on the TensorFlow backend, 1 on the others. Only callbacks for
            each batch, and Ctrl-C, notice: they wait for the last of these steps.
        precision: Of the training. In `"mixed_bfloat16"` the layers compute in bfloat16,
            but linear maps, levels, recurrent layers and the last one in float32, as
            are weights, optimizer, loss and, after the fit, the whole network.
            `"float32"` is plain; `"auto"` takes the former on a TPU, or GPUs of compute
            capability 8.0 or more, for networks of `MODELS`, unless Keras's own policy
            is another. (float16 would need its loss scaled by an optimizer around this
            one, in which the average of `ema_momentum` is not found.)

    Example:

    >>> TrainingSettings(epochs=5).learning_rate
    0.003
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), strict=True, arbitrary_types_allowed=True
    )

    epochs: _Auto | _Count = "auto"
    batch_size: _Auto | _Count = "auto"
    windows_per_epoch: _Count | None = None
    sampling: typing.Literal["windows", "series"] = "windows"
    optimizer: typing.Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0, allow_inf_nan=False)
    schedule: typing.Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1)
    weight_decay: float | None = Field(None, ge=0, allow_inf_nan=False)
    clipnorm: float | None = Field(1.0, gt=0)
    ema_momentum: float | None = Field(0.98, ge=0, lt=1)
    loss: typing.Any = Field("auto", description="Keras loss, by name or as its config")
    linear_start: typing.Literal["auto", "zeros", "ridge"] = "auto"
    metrics: typing.Annotated[list[str], pydantic.BeforeValidator(_listed)] = Field(
        [], description="shown after each epoch beside the loss"
    )
    patience: _Auto | _Count | None = "auto"
    jit_compile: bool | _Auto = "auto"
    steps_per_execution: _Auto | _Count = "auto"
    precision: typing.Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto", description="mixed_bfloat16 trains faster on some accelerators, where auto takes it"
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_python(cls, given):
        return {key: _plain(value) for key, value in given.items()} if isinstance(given, dict) else given

    @pydantic.model_validator(mode="after")
    def _fits(self):
        if self.optimizer == "adam" and self.weight_decay is not None:
            raise SettingError(
                f"`weight_decay` belongs to optimizer='adamw'. Received: optimizer='adam', "
                f"weight_decay={self.weight_decay}"
            )
        return self

    @pydantic.field_validator("loss")
    @classmethod
    def _is_loss(cls, loss):
        if not (isinstance(loss, str | dict) or callable(loss)):
            raise SettingError(
                f"`loss` must be 'auto', a Keras loss, its name or its config. Received: loss={loss!r}"
            )
        return loss


class TrainingOptions(TrainingSettings):
    """All options of a training, those of one call too: the options of `Forecaster.fit`.

    Make one with `TrainingOptions.of`, whose errors are sentences. Beside the attributes of
    `TrainingSettings` it has:

    Attributes:
        seed: Of the first weights, the order of windows and dropout. One seed gives
            the same numbers again on a CPU.
        callbacks: Further Keras callbacks.
        folder: Where the state of the training is kept after each epoch. A fit with
            the same settings, rows and folder goes on where an earlier one was stopped, and
            on a CPU ends with the numbers of an unbroken one. On other rows it starts anew,
            and says so. The state is removed when the fit is complete.
        verbose: As in `keras.Model.fit`.

    Example:

    >>> TrainingOptions.of(epochs=5).epochs
    5
    >>> TrainingOptions.of(epoch=5)
    Traceback (most recent call last):
        ...
    tfts.errors.SettingError: Unknown option of fit 'epoch'. Expected one of: batch_size, ... Did you mean 'epochs'?
    """

    seed: int = Field(0, ge=0, lt=2**32)
    callbacks: list[typing.Any] = []
    folder: str | Path | None = None
    verbose: typing.Any = "auto"

    @classmethod
    def of(cls, **given):
        """The options, checked.

        Raises:
            ValueError: If an option is unknown or a value can't be used; the message says what
                was expected.
        """
        for name in given:
            if name not in cls.model_fields:
                raise SettingError(unknown("option of fit", name, cls.model_fields))
        try:
            return cls(**given)
        except pydantic.ValidationError as error:
            raise SettingError(_sentence(error.errors()[0])) from None

    def changed(self, **changes):
        """The same options but for the changes."""
        return type(self).of(**{**dict(self), **changes})

    def for_windows(self, count):
        """The same options with numbers in place of the `"auto"` that depend on the windows.

        Args:
            count: Int, training windows.

        Example:

        >>> options = TrainingOptions.of().for_windows(67)
        >>> options.batch_size, options.epochs, options.patience
        (8, 112, 22)
        >>> options = TrainingOptions.of().for_windows(10_000)
        >>> options.batch_size, options.epochs, options.patience
        (64, 20, 10)
        """
        size = self.batch_size
        if size == "auto":
            size = _BATCH
            while size > _SMALLEST_BATCH and -(-count // size) < _STEPS_OF_A_PASS:
                size //= 2
        return self.changed(batch_size=size)._for_steps(-(-count // size), self.model_fields_set)

    def for_steps(self, steps):
        """As `for_windows`, where the batches are made already.

        Args:
            steps: Int, training steps in an epoch.
        """
        return self._for_steps(steps, self.model_fields_set)

    def _for_steps(self, steps, asked):
        epochs, patience, start = self.epochs, self.patience, self.linear_start
        if epochs == "auto":
            epochs = max(_EPOCHS, -(-FEWEST_STEPS // steps))
        if start == "auto" and (self.epochs != "auto" or epochs == _EPOCHS):
            start = "zeros"
        if patience == "auto":
            patience = max(_PATIENCE, epochs // 5)
        rate = self.learning_rate
        if start == "auto" and "learning_rate" not in asked:
            rate *= _FROM_RIDGE
        return self.changed(epochs=epochs, patience=patience, linear_start=start, learning_rate=rate)

    def check_unused(self, what, used):
        """Refuses options that would do nothing.

        Args:
            what: Who does not use them, the first words of the message.
            used: Names of the options that are used.

        Raises:
            ValueError: If another option is not at its default.
        """
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name not in used and not (value is field.default or value == field.default):
                raise SettingError(
                    f"{what} does not use `{name}`, so it can't be set. Received: {name}={value!r}."
                )

    def identity(self):
        """What a training can be known by, as plain data: all but what does not change its numbers."""
        described = self.model_dump(exclude={"callbacks", "folder", "verbose"})
        if not isinstance(self.loss, str | dict):
            described["loss"] = told(self.loss)
        return described


def _sentence(item):
    """What a mistake in an option is, in one sentence."""
    if item["type"] == "value_error":
        return f"{item['ctx']['error']}."
    name, value = item["loc"][0], item["input"]
    if item["type"] == "literal_error" and name not in _EXPECTED:
        return unknown(name, value, typing.get_args(TrainingOptions.model_fields[name].annotation))
    expected = _EXPECTED.get(name) or item["msg"].replace("Input should be", "must be", 1)
    return f"`{name}` {expected}. Received: {name}={value!r}."


# Options of more than one kind, of which the schema's own words name one alone.
_EXPECTED = {
    "jit_compile": "must be 'auto', True or False",
    "steps_per_execution": "must be 'auto' or an int >= 1",
    "epochs": "must be 'auto' or an int >= 1",
    "batch_size": "must be 'auto' or an int >= 1",
    "patience": "must be 'auto', None or an int >= 1",
    "windows_per_epoch": "must be None or an int >= 1",
    "folder": "must be a path or None",
}


class TrainingArguments(typing.TypedDict, total=False):
    """The options of `Forecaster.fit` as a type checker sees them.

    Example:

    >>> chosen: TrainingArguments = {"epochs": 5}
    >>> TrainingOptions.of(**chosen).epochs
    5
    """

    epochs: int | typing.Literal["auto"]
    batch_size: int | typing.Literal["auto"]
    windows_per_epoch: int | None
    sampling: typing.Literal["windows", "series"]
    optimizer: typing.Literal["adam", "adamw"]
    learning_rate: float
    schedule: typing.Literal["cosine", "constant"]
    warmup: float
    weight_decay: float | None
    clipnorm: float | None
    ema_momentum: float | None
    loss: typing.Any
    linear_start: typing.Literal["auto", "zeros", "ridge"]
    metrics: str | Sequence[str]
    patience: int | typing.Literal["auto"] | None
    jit_compile: bool | typing.Literal["auto"]
    steps_per_execution: int | typing.Literal["auto"]
    precision: typing.Literal["auto", "float32", "mixed_bfloat16"]
    seed: int
    callbacks: Sequence[typing.Any]
    folder: str | Path | None
    verbose: typing.Any


def takes_training_options(function: _Function) -> _Function:
    """Shows each option of `TrainingOptions` in the signature of a function with `**training`.

    Example:

    >>> @takes_training_options
    ... def fit(data, **training): ...
    >>> inspect.signature(fit).parameters["seed"].default
    0
    """
    own = inspect.signature(function)
    kept = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for name, field in TrainingOptions.model_fields.items()
    ]
    function.__signature__ = own.replace(parameters=[*kept, *options])
    return function
