"""The trivial job as a Hydra application: a side of `scale.py`, which runs it with `--multirun`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from scale_job import train_once


@dataclass
class Trivial:
    """store: of MLflow, by hand as most people write it; empty: no tracking."""

    generator_lr: float = 1e-4
    seed: int = 0
    store: str = ""


ConfigStore.instance().store("trivial", Trivial)


@hydra.main(version_base="1.3", config_path=None, config_name="trivial")
def main(config: Trivial) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir) / "run"
    if not config.store:
        train_once(folder, config.generator_lr, config.seed)
        return
    import mlflow

    mlflow.set_tracking_uri(config.store)
    mlflow.set_experiment("trivial")
    with mlflow.start_run():
        mlflow.log_params({"generator_lr": config.generator_lr, "seed": config.seed})
        mlflow.log_metrics(train_once(folder, config.generator_lr, config.seed), step=1)


if __name__ == "__main__":
    main()
