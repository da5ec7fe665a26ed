from tfts.experiment import attention as attention
from tfts.experiment import benchmark as benchmark
from tfts.experiment import detection as detection
from tfts.experiment import forecasting as forecasting
from tfts.experiment import regression as regression
from tfts.experiment import tuning as tuning
