import numpy as np
import pytest


@pytest.fixture
def houses():
    """Six houses: square feet, and prices in thousands."""
    sizes = np.array([800.0, 950.0, 1040.0, 1120.0, 1250.0, 1350.0])
    return sizes[:, None], np.array([200.0, 230.0, 245.0, 274.0, 259.0, 262.0])


@pytest.fixture
def ages():
    """Five ages, and who bought."""
    return np.array([[5.0], [15.0], [25.0], [35.0], [45.0]]), np.array([0, 0, 1, 1, 1])
