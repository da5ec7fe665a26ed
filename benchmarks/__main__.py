"""All benchmarks, one after the other: `python -m benchmarks --data FOLDER`."""

import argparse

from benchmarks import (
    arima_origins,
    attributes,
    comparison_errors,
    fit_time,
    holes,
    hourly_reference,
    monitor_rows,
    nab,
    prediction,
    recurrent_step,
    regression,
    sales_anomalies,
    serving_latency,
    serving_load,
    smap_msl,
    tuning_overhead,
    tuning_reference,
    tuning_searchers,
    windows_per_second,
)


def main():
    """Runs each with its defaults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder of the data sets")
    data = parser.parse_args().data
    where = ["--data", data] if data else []
    windows_per_second.main([])
    windows_per_second.main(["--memory"])
    fit_time.main([])
    prediction.main([])
    arima_origins.main(where)
    attributes.main([])
    comparison_errors.main([])
    hourly_reference.main(where)
    holes.main(where)
    nab.main(where)
    smap_msl.main(where)
    sales_anomalies.main([])
    monitor_rows.main([])
    serving_latency.main([])
    recurrent_step.main([])
    recurrent_step.main(["--models"])
    regression.main([])
    regression.main(["--stream"])
    tuning_overhead.main([])
    tuning_searchers.main(where)
    tuning_reference.main(where)
    serving_load.main([])


if __name__ == "__main__":
    main()
