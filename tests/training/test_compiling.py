import numpy as np
import pytest

from tfts.models import linear
from tfts.task import Task
from tfts.training import TrainingOptions, compile_network


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # Half of the cosine from 1 to a hundredth lies at step 50 of 100.
        ({}, {0: 0.4, 50: 0.4 * 0.505, 100: 0.004}),
        ({"schedule": "constant"}, {0: 0.4, 50: 0.4, 100: 0.4}),
        # 20 steps up, then the cosine over the other 80: its middle is step 60.
        ({"warmup": 0.2}, {0: 0.0, 10: 0.2, 20: 0.4, 60: 0.4 * 0.505, 100: 0.004}),
        ({"warmup": 0.2, "schedule": "constant"}, {0: 0.0, 10: 0.2, 20: 0.4, 100: 0.4}),
    ],
)
def test_the_learning_rate_follows_its_schedule(options, expected):
    model = linear(Task(context_length=3))
    compile_network(model, 10, TrainingOptions.of(epochs=10, learning_rate=0.4, **options))
    found = {}
    for step in expected:
        model.optimizer.iterations.assign(step)
        found[step] = float(model.optimizer.learning_rate)
    np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-5, atol=1e-8)
