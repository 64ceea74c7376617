"""Checkpoints as MLflow's logged models, with their own metrics. The weights stay in the run directory."""

from __future__ import annotations

from collections.abc import Callable

from harness.store.rundir import slug
from harness.tracking.content import KEY, ChildContent
from harness.tracking.session import Session, log_metrics

CHECKPOINT, MODEL_ROLE = "harness.checkpoint", "harness.role"
_EXTERNAL = "mlflow.model.isExternal"
_SUPERSEDED = "superseded"


def log_models(session: Session, run_id: str, content: ChildContent, timestamp: Callable[[int], int]) -> None:
    """Makes sure that each of `content.models` is a logged model of the run, once, with its role and metrics.

    A model that was last or best before keeps its metrics and gets the role `superseded`. timestamp: of the points at
    a step, as they were logged to the run.
    """
    client = session.client
    found = client.search_logged_models([session.experiment_id], f"source_run_id = '{run_id}'")
    by_checkpoint = {model.tags.get(CHECKPOINT): model for model in found}
    for digest, (step, role) in content.models.items():
        model = by_checkpoint.pop(digest, None)
        if model is None:
            model = client.create_logged_model(
                session.experiment_id,
                name=_model_name(content, step),
                source_run_id=run_id,
                tags=_model_tags(content, digest, step, role),
                params=content.params,
            )
        elif model.tags.get(MODEL_ROLE) != role:
            client.set_logged_model_tags(model.model_id, {MODEL_ROLE: role})
        _complete(session, run_id, model.model_id, content, step, timestamp(step))
    for model in by_checkpoint.values():
        if model.tags.get(MODEL_ROLE) != _SUPERSEDED:
            client.set_logged_model_tags(model.model_id, {MODEL_ROLE: _SUPERSEDED})


def _complete(session: Session, run_id: str, model_id: str, content: ChildContent, step: int, time_ms: int) -> None:
    """Metrics, output of the run, status: each step may be repeated."""
    from mlflow.entities import LoggedModelOutput, Metric

    values = {key: by_step[str(step)] for key, by_step in content.points.items() if str(step) in by_step}
    log_metrics(
        session,
        run_id,
        [Metric(key, value, time_ms, step, model_id=model_id, run_id=run_id) for key, value in values.items()],
    )
    outputs = session.client.get_run(run_id).outputs
    if model_id not in {output.model_id for output in (outputs.model_outputs if outputs else [])}:
        session.client.log_outputs(run_id, [LoggedModelOutput(model_id, step)])
    session.client.finalize_logged_model(model_id, "READY")


def _model_tags(content: ChildContent, digest: str, step: int, role: str) -> dict[str, str]:
    return {
        CHECKPOINT: digest,
        MODEL_ROLE: role,
        KEY: content.key,
        "harness.step": str(step),
        _EXTERNAL: "true",
    }


def _model_name(content: ChildContent, step: int) -> str:
    """MLflow forbids dots, slashes, colons, quotes and percent signs in a model's name; a dot becomes `_`."""
    return f"{slug(content.name).replace('.', '_')}-{content.key[:8]}-step-{step:06d}"
