"""`AnomalyDetector` as the benchmarks run it: seeded and quiet."""

import warnings


def judge(model, train, test, **options):
    """Fits a detector on `train` and gives its `Detection` of `test`, with `rows` and `events`.

    Args:
        model: As in `AnomalyDetector`.
        train: Frame with the rows to learn from and to calibrate on.
        test: Frame with the rows that follow.
        options: Other options of `AnomalyDetector`.
    """
    # The simple detectors run without TensorFlow, which this brings.
    from tfts import MODELS, AnomalyDetector

    training = {"seed": 0, "verbose": 0} if model in MODELS else {}
    with warnings.catch_warnings():
        # That the rate of flags leaves the nominal one is what is measured here.
        warnings.simplefilter("ignore")
        return AnomalyDetector(model, **options).fit(train, **training).judge(test)
