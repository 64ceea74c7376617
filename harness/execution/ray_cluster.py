"""The Ray executor's side of the cluster, the one module that imports ray. It runs in `ray_process.cluster_process`.

Each run is one task. A small actor beside this process hears how far tasks are and passes on what is wished of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.errors import ClusterError, DeviceError, HarnessError
from harness.execution import ray_messages, ray_nodes
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.ray_board import STARTING, Board, Flight, feel_all
from harness.execution.ray_messages import Capacity, Errand, FromCluster, Pulse, ToCluster, Wishes
from harness.execution.ray_process import START_REMEDY, TOKEN_REMEDY, task_variables

ADDRESS = "--ray-address"

LEAVE_S = 7.0
"""How long tasks may take to save their states once they are asked to leave."""
TURN_S = 0.05
LOOK_S = 0.25
NODES_S = 2.0
ANSWER_S = 120.0
"""How long a node may take to load torch and answer."""

HEAD_GONE_S = 10.0
AWAKE_S = 2.0
"""The most that one look counts as a task's silence: while this process slept, nobody was listening."""

OBJECTS_BYTES = 128 * 2**20
"""Of a cluster of one's own: assignments and results are small."""


def work(ticket: int, assignment: Assignment, errand: Errand, board: Any) -> WorkResult | HarnessError:
    """A task: one run, on whatever node it was put."""
    me, node = psutil.Process(), ray.get_runtime_context().get_node_id()
    board.tell.remote(Pulse(ticket, node, me.pid, me.create_time(), STARTING))  # not waited for
    from harness.execution.ray_task import work_in_task  # loads torch, from a file system that may hang

    def tell(asked: int) -> Wishes | None:
        pulse = Pulse(ticket, node, me.pid, me.create_time(), asked)
        try:
            wishes: Wishes = ray.get(board.tell.remote(pulse), timeout=10.0)
        except ray.exceptions.RayError:
            return None
        return wishes

    def name() -> str:
        return next((ray_nodes.node_name(one) for one in _nodes() if one["NodeID"] == node), f"node {node[:8]}")

    return work_in_task(name, assignment, errand, tell)


def serve(connection: Connection, errand: Errand) -> None:
    """Works on what comes through the pipe until it says to leave, or closes. HarnessError, or one of Ray's."""
    with _joined(errand):
        connection.send(ray_messages.Joined())
        _Cluster(connection, errand).serve()


@contextmanager
def _joined(errand: Errand) -> Iterator[None]:
    """In the cluster at the address, or in one of its own on the loopback address, which ends with the block."""
    try:
        _join(errand)
    except ray.exceptions.AuthenticationError as error:
        raise HarnessError("there is no token for the Ray cluster", where=ADDRESS, remedy=TOKEN_REMEDY) from error
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise HarnessError(f"cannot join the Ray cluster: {words}", where=ADDRESS, remedy=START_REMEDY) from error
    try:
        yield
    finally:
        ray.shutdown()


def _join(errand: Errand) -> None:
    settings: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if errand.address is None:
        settings |= {"num_cpus": errand.cores, "object_store_memory": OBJECTS_BYTES, "include_dashboard": False}
        ray.init(address="local", _temp_dir=str(errand.scratch), **settings)
    else:
        ray.init(address=errand.address, runtime_env={"env_vars": task_variables()}, **settings)


def _nodes() -> list[dict[str, Any]]:
    """As Ray knows them, dead ones among them."""
    nodes: Any = ray.nodes
    return list(nodes())


class _Cluster:
    """The loop between the pipe and Ray."""

    def __init__(self, connection: Connection, errand: Errand) -> None:
        self._connection = connection
        self._errand = errand
        self._wishes = Wishes()
        self._flights: dict[Any, Flight] = {}
        self._names: dict[str, str] = {}
        self._capacity: Capacity | None = None
        self._here = ray.get_runtime_context().get_node_id()
        self._head = ray.get_runtime_context().gcs_address
        self._head_seen = time.monotonic()
        reservation = errand.reservation
        reserved: dict[str, Any] = {"num_cpus": reservation.cpus, "max_retries": 0}
        if reservation.gpus:
            reserved |= {"num_gpus": reservation.gpus, "max_calls": 1}  # a process sees one GPU for all its life
        if reservation.memory:
            reserved["memory"] = reservation.memory
        self._work = ray.remote(**reserved)(work)

    def serve(self) -> None:
        self._look_at_nodes()
        self._check_nodes()
        board: Any = ray.remote(num_cpus=0, max_restarts=-1)(Board)
        self._board = board.options(scheduling_strategy=_only_on(self._here)).remote()
        if self._capacity:
            self._send(self._capacity)
        looked = nodes_at = time.monotonic()
        problem: HarnessError | None = None
        while problem is None and self._read():
            problem = self._collect()
            now = time.monotonic()
            if now - looked >= LOOK_S:
                self._look(min(now - looked, AWAKE_S))
                looked = now
            if now - nodes_at >= NODES_S:
                if self._hears_head():
                    self._look_at_nodes()
                nodes_at = time.monotonic()
        self._leave()
        if problem:
            raise problem

    def _send(self, message: FromCluster) -> None:
        with suppress(OSError):  # the command was killed; the next look into the pipe finds out
            self._connection.send(message)

    def _read(self) -> bool:
        """Does what the pipe says; False when it is time to leave."""
        while self._connection.poll(0.0 if self._flights else TURN_S):
            try:
                message: ToCluster = self._connection.recv()
            except (EOFError, OSError):
                return False  # the command was killed
            match message:
                case ray_messages.Submit(ticket, assignment):
                    ref = self._work.remote(ticket, assignment, self._errand, self._board)
                    self._flights[ref] = Flight(ticket, assignment)
                case ray_messages.SaveStates():
                    self._wishes = Wishes(self._wishes.stop, self._wishes.saves + 1)
                case ray_messages.Leave():
                    return False
        return True

    def _collect(self, timeout_s: float = TURN_S) -> HarnessError | None:
        """Tells of all tasks that ended; returns the error of a node that may not work."""
        if not self._flights:
            return None
        ready, _ = ray.wait(list(self._flights), num_returns=1, timeout=timeout_s, fetch_local=False)
        if ready:
            ready, _ = ray.wait(list(self._flights), num_returns=len(self._flights), timeout=0, fetch_local=False)
        for ref in ready:
            flight = self._flights.pop(ref)
            try:
                result = ray.get(ref, timeout=30.0)
            except ray.exceptions.TaskCancelledError:
                continue  # it had not begun when it was time to leave
            except ray.exceptions.RayError as error:
                if _is_death_of_node(error) and flight.pulse and flight.pulse.node == self._here:
                    self._give_up("the Ray node of this machine died", self._names[self._here])
                self._send(ray_messages.Died(flight.ticket, self._how_it_died(flight, error)))
                continue
            if isinstance(result, HarnessError):
                return result
            self._send(ray_messages.Ended(flight.ticket, result))
        return None

    def _how_it_died(self, flight: Flight, error: Exception) -> str:
        node = self._names.get(flight.pulse.node, flight.pulse.node[:8]) if flight.pulse else "a node"
        if flight.stalled:
            return f"no progress for {self._errand.stall_timeout_s:g} s (--stall-timeout)"
        match error:
            case ray.exceptions.OutOfMemoryError():
                return f"ended by Ray, as {node} was out of memory"
            case _ if _is_death_of_node(error):
                return f"{node} died"
            case ray.exceptions.WorkerCrashedError():
                return f"its process on {node} was killed"
        words = str(error).strip().splitlines() or [type(error).__name__]
        return f"{words[-1]} (on {node})"

    def _look(self, passed_s: float) -> None:
        """Reads the board; ends tasks that did nothing for the stall timeout."""
        try:
            pulses: list[Pulse] = ray.get(self._board.look.remote(self._wishes), timeout=5.0)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            return  # it is restarted, and tasks tell it all again
        begun, stalled = feel_all(self._flights.values(), pulses, passed_s, self._errand.stall_timeout_s)
        for flight in begun:
            self._send(ray_messages.Begun(flight.ticket))
        for pulse in [flight.pulse for flight in stalled if flight.pulse]:
            _ask(pulse.node, ray_nodes.kill_process, pulse.pid, pulse.created)

    def _look_at_nodes(self) -> None:
        """Tells of the capacity where it changed."""
        fitting = []
        for node in _nodes():
            self._names[node["NodeID"]] = ray_nodes.node_name(node)
            if not node["Alive"] and node["NodeID"] == self._here:
                self._give_up("the Ray node of this machine died", self._names[self._here])
            if node["Alive"]:
                fitting.append(self._errand.reservation.fits(node["Resources"]))
        capacity = Capacity(sum(fitting), sum(1 for runs in fitting if runs))
        if self._capacity is not None and capacity != self._capacity:
            self._send(capacity)
        self._capacity = capacity

    def _hears_head(self) -> bool:
        """Whether the head takes connections. When it has not for long, this process ends with words.

        Ray itself would wait for a minute in its next question, and then end the process without any.
        """
        if ray_nodes.takes_connections(self._head):
            self._head_seen = time.monotonic()
            return True
        if time.monotonic() - self._head_seen > HEAD_GONE_S:
            self._give_up("the head of the Ray cluster is gone", self._head)
        return False

    def _give_up(self, what: str, where: str) -> None:
        """Ends this process with words: without a head, or a node on this machine, Ray cannot even leave."""
        remedy = "Start it again, then the same command: every run goes on from its newest state."
        self._send(ray_messages.Refused(ClusterError(what, where=where, remedy=remedy)))
        os._exit(1)

    def _check_nodes(self) -> None:
        """HarnessError where no node could ever take a run, or one that could may not."""
        alive = [node for node in _nodes() if node["Alive"]]
        reservation = self._errand.reservation
        able = [node for node in alive if reservation.fits(node["Resources"])]
        if not able:
            raise ray_nodes.nothing_fits(reservation, {self._names[one["NodeID"]]: one["Resources"] for one in alive})
        probe, arguments = ray_nodes.node_probe(), ray_nodes.probe_arguments(self._errand)
        asked = {_ask(node["NodeID"], probe, *arguments): node["NodeID"] for node in able}
        ready, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
        facts = []
        for ref in ready:
            with suppress(ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):  # it works no more
                facts.append(ray_nodes.node_facts(self._names[asked[ref]], ray.get(ref)))
        if silent:
            names = ", ".join(self._names[asked[ref]] for ref in silent)
            remedy = "Are they overloaded, or cut off? `ray status` shows what the head knows."
            raise DeviceError(f"no answer within {ANSWER_S:g} s from {names}", where="--executor ray", remedy=remedy)
        problem = ray_nodes.refusal(facts, self._errand)
        if problem:
            raise problem

    def _leave(self) -> None:
        """Asks all tasks to save their states and end, waits for them, and ends what is left."""
        self._wishes = Wishes(True, self._wishes.saves)
        deadline = time.monotonic() + LEAVE_S
        self._look(0.0)
        for ref, flight in self._flights.items():
            if flight.pulse is None:
                ray.cancel(ref)
        while self._flights and time.monotonic() < deadline:
            self._collect()
        late = ", ".join(flight.assignment.name for flight in self._flights.values() if flight.pulse)
        if late:
            self._send(ray_messages.Told(f"not saved within {LEAVE_S:g} s, ended without it: {late}"))
        for ref in self._flights:
            ray.cancel(ref, force=True)
        ray.kill(self._board)


def _is_death_of_node(error: Exception) -> bool:
    return isinstance(error, ray.exceptions.NodeDiedError | ray.exceptions.LocalRayletDiedError)


def _ask(node: str, question: Any, *arguments: Any) -> Any:
    """A small task on this node alone, however busy it is."""
    task: Any = ray.remote(num_cpus=0, max_retries=0)(question)
    return task.options(scheduling_strategy=_only_on(node)).remote(*arguments)


def _only_on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)
