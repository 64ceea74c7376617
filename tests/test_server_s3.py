"""The stack with docker-compose.s3.yml: artifacts go through the server into an S3-compatible store, and come back."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_stack import (
    OVERLAY,
    SECRETS,
    Postgres,
    environment_of,
    free_port,
    mlflow_server,
    running,
    server_flags,
    services,
)
from tracking_data import Laboratory

from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.stores import resolve_address

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[str]:
    """The address of moto's server in place of SeaweedFS, with the bucket that the overlay's own command makes."""
    address = f"http://127.0.0.1:{free_port()}"

    def is_ready() -> bool:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    environment = environment_of("bucket", OVERLAY, MLFLOW_S3_ENDPOINT_URL=address)
    with running(command, tmp_path / "objects.log", is_ready, environment):
        program, *arguments = services(OVERLAY)["bucket"]["command"]
        assert program == "python"
        for _ in range(2):  # the second time, as at every start of the stack, the bucket is there
            subprocess.run([sys.executable, *arguments], env=environment, check=True)
        yield address


def store(address: str) -> Any:
    import boto3

    secrets = {"aws_access_key_id": SECRETS["S3_ACCESS_KEY"], "aws_secret_access_key": SECRETS["S3_SECRET_KEY"]}
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", **secrets)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")
def test_artifacts_lie_in_the_bucket_and_come_back(objects: str, tmp_path: Path) -> None:
    flags = server_flags({}, OVERLAY)
    destination = flags[flags.index("--artifacts-destination") + 1]
    assert destination == "s3://mlflow/artifacts"
    lab = Laboratory(tmp_path / "runs")
    lab.complete(0)
    with (
        Postgres.made() as database,
        mlflow_server(tmp_path, database.uri, destination, OVERLAY, MLFLOW_S3_ENDPOINT_URL=objects) as server,
    ):
        address = resolve_address(server, lab.runs_dir)
        project(lab.view(), address)
        finish(lab.view(), address, None)
        assert is_up_to_date(lab.view(), address)
        ((run, uri, experiment),) = database.rows(
            "SELECT run_uuid, artifact_uri, experiment_id FROM runs JOIN tags USING (run_uuid) "
            "WHERE key = 'harness.role' AND value = 'child'"
        )
        assert uri.startswith("mlflow-artifacts:/")
        view = lab.view().runs[0]
        assert view.directory is not None and view.status.commit is not None
        expected = view.directory.metrics.read_bytes()[: view.status.commit.metrics_offset]
        name = f"artifacts/{experiment}/{run}/artifacts/metrics.jsonl"
        assert store(objects).get_object(Bucket="mlflow", Key=name)["Body"].read() == expected
        with connected(address) as client:
            fetched = Path(client.download_artifacts(run, "metrics.jsonl", str(tmp_path)))
        assert fetched.read_bytes() == expected
