"""How good alarms are, measured against labels that no fit and no threshold has seen.

| measure | what it asks | random flags |
|---|---|---|
| `precision_recall_f1`, `auc_pr` | row by row, is it right? | the share of labelled rows |
| `vus_pr` | the same, forgiving a few rows | about that |
| `event_f1` | are alarms right, are events found? | low |
| `affiliation` | how near are alarms and events? | about 0.5 |
| `nab_score` | is the first alarm early, are there few others? | below 0 |
| `detection_delays`, `false_alarms_per_day` | what does it mean for the user? | |
| `point_adjusted_f1` | quoted in papers | near 1 on long events |

Labels and flags are bools for each row. `evaluate` gives all but the NAB score, which
works on a corpus of series at once: its arguments are dicts from the name of a series to
its flags `(rows,)`, its labelled windows `[(start, end), ...]` (both ends within) and its
times `(rows,)`.
"""

from tfts.anomaly.evaluation.events import detection_delays, event_f1, false_alarms_per_day
from tfts.anomaly.evaluation.nab import (
    NAB_PROFILES,
    NabProfile,
    nab_best_threshold,
    nab_points,
    nab_score,
    probation_rows,
    window_rows,
)
from tfts.anomaly.evaluation.near import affiliation, vus_pr
from tfts.anomaly.evaluation.rows import auc_pr, flag_runs, point_adjusted_f1, precision_recall_f1
from tfts.anomaly.evaluation.summary import evaluate

__all__ = [
    "NAB_PROFILES",
    "NabProfile",
    "affiliation",
    "auc_pr",
    "detection_delays",
    "evaluate",
    "event_f1",
    "false_alarms_per_day",
    "flag_runs",
    "nab_best_threshold",
    "nab_points",
    "nab_score",
    "point_adjusted_f1",
    "precision_recall_f1",
    "probation_rows",
    "vus_pr",
    "window_rows",
]
