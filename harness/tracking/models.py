"""Checkpoints as MLflow's logged models, with their own metrics. The weights stay in the run directory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.store.rundir import slug
from harness.tracking.content import KEY, ChildContent
from harness.tracking.session import Session

CHECKPOINT, MODEL_ROLE = "harness.checkpoint", "harness.role"
_EXTERNAL = "mlflow.model.isExternal"
_SUPERSEDED = "superseded"


@dataclass(frozen=True)
class LoggedModels:
    """The logged models of a run. by_step: MLflow's id by the checkpoint's step; unfinished: those not surely READY."""

    by_step: dict[int, str]
    unfinished: tuple[str, ...]


def make_models(session: Session, run_id: str, content: ChildContent, *, is_new: bool) -> LoggedModels:
    """Makes sure that each of `content.models` is a logged model of the run, once, with its role.

    A model that was last or best before keeps its metrics and gets the role `superseded`. is_new: the run was made just
    now, so that it has no models. Their metrics are points of the run that name them; `complete_models` comes last.
    """
    client = session.client
    source = f"source_run_id = '{run_id}'"
    found = [] if is_new else client.search_logged_models([session.experiment_id], source)
    by_checkpoint = {model.tags.get(CHECKPOINT): model for model in found}
    by_step: dict[int, str] = {}
    unfinished: list[str] = []
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
        by_step[step] = model.model_id
        unfinished += [model.model_id] if str(model.status) != "READY" else []
    for model in by_checkpoint.values():
        if model.tags.get(MODEL_ROLE) != _SUPERSEDED:
            client.set_logged_model_tags(model.model_id, {MODEL_ROLE: _SUPERSEDED})
    return LoggedModels(by_step, tuple(unfinished))


def complete_models(session: Session, run_id: str, models: LoggedModels, *, is_new: bool) -> None:
    """Names the models as outputs of the run, and says that they are whole; each step may be repeated."""
    from mlflow.entities import LoggedModelOutput

    known = set() if is_new else _outputs(session, run_id, models.by_step.values())
    missing = [LoggedModelOutput(model, step) for step, model in models.by_step.items() if model not in known]
    if missing:
        session.client.log_outputs(run_id, missing)
    for model in models.unfinished:
        session.client.finalize_logged_model(model, "READY")


def _outputs(session: Session, run_id: str, models: Iterable[str]) -> set[str]:
    outputs = session.client.get_run(run_id).outputs
    named = {output.model_id for output in outputs.model_outputs} if outputs else set()
    return named & set(models)


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
