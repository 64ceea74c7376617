"""docker-compose.yml and its overlay: valid for the specification, bound to this machine, pinned, without passwords."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from server_stack import COMPOSE, OVERLAY, PROJECT, SECRETS, compose, interpolated, server_flags, services

RECIPE = PROJECT / "deploy" / "mlflow.Dockerfile"


def specification_says(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_files_are_valid_for_the_compose_specification(tmp_path: Path) -> None:
    merged = tmp_path / "merged.yml"
    merged.write_text(yaml.safe_dump(compose(OVERLAY)), encoding="utf-8")
    for path in (COMPOSE, OVERLAY, merged):
        done = specification_says(path)
        assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text(COMPOSE.read_text(encoding="utf-8").replace("healthcheck:", "heathcheck:"), encoding="utf-8")
    assert specification_says(broken).returncode == 1


@pytest.mark.parametrize("overlays", [(), (OVERLAY,)], ids=["alone", "with-s3"])
def test_only_the_server_has_a_port_and_only_on_this_machine(overlays: tuple[Path, ...]) -> None:
    found = services(*overlays)
    assert {name: service["ports"] for name, service in found.items() if "ports" in service} == {
        "mlflow": ["127.0.0.1:5000:5000"]
    }
    for name, service in found.items():
        assert service["healthcheck"]["test"] if name != "bucket" else service["restart"] == "on-failure:5"


def test_every_secret_comes_from_outside_and_has_no_default() -> None:
    for path, names in (
        (COMPOSE, {"POSTGRES_PASSWORD"}),
        (OVERLAY, {"S3_ACCESS_KEY", "S3_SECRET_KEY"}),
    ):
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"\$\{(\w+)(\W+)", text)) == {(name, ":?") for name in names}
    for service in services(OVERLAY).values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|ACCESS_KEY", name):
                assert interpolated(value) in SECRETS.values(), f"{name} is written into the file"
    assert "PASSWORD" not in " ".join(services(OVERLAY)["mlflow"]["command"])  # a command line is read by everybody


def test_versions_are_pinned_and_agree_with_the_constraints() -> None:
    found = services(OVERLAY)
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", found["database"]["image"])
    assert re.fullmatch(r"chrislusf/seaweedfs:\d+\.\d+", found["objects"]["image"])
    recipe = RECIPE.read_text(encoding="utf-8")
    assert re.search(r"^FROM python:\d+\.\d+\.\d+-\S+$", recipe, re.MULTILINE)
    constraints = dict(
        line.lower().split("==")
        for line in (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    pinned = dict(re.findall(r'"(\w+)(?:\[\w+\])?==([\d.]+)"', recipe))
    assert pinned == {name: constraints[name] for name in ("mlflow", "psycopg", "boto3")}
    assert found["mlflow"]["image"].endswith(f":{pinned['mlflow']}")
    assert re.search(r"^USER mlflow$", recipe, re.MULTILINE)
    for name in ("mlflow", "bucket"):
        assert (PROJECT / found[name]["build"]["dockerfile"]) == RECIPE


def test_what_is_kept_is_in_named_volumes() -> None:
    document = compose(OVERLAY)
    used = {
        mount.partition(":")[0] for service in document["services"].values() for mount in service.get("volumes", ())
    }
    assert used == set(document["volumes"]) == {"database", "artifacts", "objects"}


def test_the_overlay_changes_the_destination_of_artifacts_alone() -> None:
    plain, other = server_flags({}), server_flags({}, OVERLAY)
    assert [pair for pair in zip(plain, other, strict=True) if pair[0] != pair[1]] == [
        ("/artifacts", "s3://mlflow/artifacts")
    ]
    assert "--serve-artifacts" in plain
    assert services(OVERLAY)["mlflow"]["depends_on"].keys() == {"database", "bucket"}
