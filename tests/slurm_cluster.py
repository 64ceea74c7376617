"""A real Slurm on this machine: munged, slurmctld and slurmd as processes on the loopback, in a folder of their own.

One node that claims more cores than there are; the partition `high` pre-empts `main`. No accounting, no cgroups, no
service manager; all runs as the user of the tests.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from services import require_program

START_S = 60.0

_CONFIGURATION = """
ClusterName=harness
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
CryptoType=crypto/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=15
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 PriorityTier=1 State=UP
PartitionName=high Nodes={host} MaxTime=60 PriorityTier=10 State=UP
"""
"""cred_expire: a job that was queued again waits for that long, 120 s by default."""


@dataclass(frozen=True)
class SlurmCluster:
    """environment: with it, Slurm's commands speak to this cluster."""

    folder: Path
    environment: dict[str, str]

    def call(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    def states(self) -> dict[str, str]:
        """States of all jobs by id, ended ones included."""
        lines = self.call("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T").splitlines()
        return dict(line.split("|") for line in lines)

    def wait_for(self, job: str, *states: str, seconds: float = 60.0) -> str:
        """The state of `job` once it is one of `states`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (state := self.states().get(job, "")) in states:
                return state
            time.sleep(0.3)
        raise AssertionError(f"job {job} is {self.states().get(job)}, not {' or '.join(states)}, after {seconds} s")


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Starts the cluster and ends it with the block, jobs included."""
    programs = {name: require_program(name) for name in ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun")}
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a short path: sockets have at most 107 characters
    host = platform.node().partition(".")[0]
    (folder / "spool").mkdir()
    (folder / "state").mkdir()
    folder.chmod(0o755)
    ports = {"controller": _free_port(), "node": _free_port()}
    configuration = folder / "slurm.conf"
    configuration.write_text(_CONFIGURATION.format(host=host, folder=folder, user=getuser(), **ports))
    cluster = SlurmCluster(folder, {"SLURM_CONF": str(configuration)})
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> None:
        with (folder / f"{name}.out").open("wb") as output:
            command = [str(programs[name]), *arguments]
            environment = os.environ | cluster.environment
            started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))

    try:
        _start_munge(folder, start)
        start("slurmctld", "-D", "-f", str(configuration))
        start("slurmd", "-D", "-f", str(configuration))
        _wait_until_idle(cluster)
        yield cluster
    finally:
        with suppress(subprocess.SubprocessError):
            cluster.call("scancel", f"--user={getuser()}")
            _wait_until_empty(cluster)
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in reversed(started):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _start_munge(folder: Path, start: object) -> None:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    paths = {
        "key-file": key,
        "socket": folder / "munge.sock",
        "pid-file": folder / "munged.pid",
        "log-file": folder / "munged.log",
        "seed-file": folder / "munge.seed",
    }
    assert callable(start)
    start("munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in paths.items()))
    deadline = time.monotonic() + START_S
    while not (folder / "munge.sock").exists():
        assert time.monotonic() < deadline, (folder / "munged.out").read_text()
        time.sleep(0.05)


def _wait_until_idle(cluster: SlurmCluster) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with suppress(subprocess.SubprocessError):
            if cluster.call("sinfo", "-h", "-p", "main", "-o", "%T").strip() == "idle":
                return
        assert time.monotonic() < deadline, (cluster.folder / "slurmctld.log").read_text()[-2000:]
        time.sleep(0.3)


def _wait_until_empty(cluster: SlurmCluster) -> None:
    deadline = time.monotonic() + 30
    while cluster.call("squeue", "-h").strip() and time.monotonic() < deadline:
        time.sleep(0.5)


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
