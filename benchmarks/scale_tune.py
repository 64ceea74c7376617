"""The trivial job as a grid search of Ray Tune: a side of `scale.py`.

python benchmarks/scale_tune.py --runs 40 --workers 2 --folder FOLDER
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from scale_job import rates, seeds, train_once

START_S = 300
"""What Ray may take to start; a machine that is busy needs more than the minute that it gives itself."""


def trial(config: dict[str, Any]) -> None:
    from ray import tune

    folder = Path(config["folder"]) / f"{config['generator_lr']}-{config['seed']}"
    tune.report(train_once(folder, config["generator_lr"], config["seed"]))


def main() -> int:
    parser = argparse.ArgumentParser(description="The trivial job as a grid search of Ray Tune.")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", str(START_S))
    import ray
    from ray import tune

    place = tempfile.mkdtemp(prefix="ray-")  # short: the names of its sockets must be
    try:
        ray.init(num_cpus=options.workers, include_dashboard=False, log_to_driver=False, _temp_dir=place)
        space = {
            "generator_lr": tune.grid_search(rates(options.runs)),
            "seed": tune.grid_search(seeds(options.runs)),
            "folder": str(options.folder.absolute() / "runs"),
        }
        tuner = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space=space,
            run_config=tune.RunConfig(name="trivial", storage_path=str(options.folder.absolute()), verbose=0),
        )
        failed = tuner.fit().num_errors
    finally:
        ray.shutdown()
        shutil.rmtree(place, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
