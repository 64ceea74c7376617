"""Cost: how long training and measuring took, how large the networks are, and what the machine's time cost."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.album import Album
from harness.report.content import Content
from harness.report.cost import CellCost, MachineTime, cell_costs, machine_time, price
from harness.report.environments import environments
from harness.report.epochs import epochs_text
from harness.report.language import Language
from harness.report.markdown import escape, number, table
from harness.report.rounding import rounded, significant
from harness.report.templating import rendered
from harness.store.networks import NetworkSize

LONG_S = 120.0
"""Training that takes longer is told in minutes."""


def body(content: Content, album: Album) -> str:
    costs, whole = cell_costs(content), machine_time(content)
    has_times = any(run.step_s for cost in costs for run in cost.runs)
    return rendered(
        "sections/cost.md.jinja",
        content.language,
        table=_table(content, costs, whole) if has_times or any(cost.networks for cost in costs) else "",
        result=_result(content, costs),
        runs=_runs_alike(costs),
        caption=_caption(content),
        epochs=epochs_text(content),
        sharing=_sharing(content, whole),
        devices=_devices(content, costs),
        totals=_totals(content, costs, whole),
        without_networks=content.language.listed(
            escape(cost.cell.label) for cost in costs if cost.runs and cost.networks is None
        ),
    )


def _table(content: Content, costs: list[CellCost], whole: MachineTime) -> str:
    language = content.language
    say = language.say
    settings = content.view.plan.experiment.cost
    in_minutes = max((over.mean for cost in costs if (over := cost.over("training_s"))), default=0.0) > LONG_S
    per = 60.0 if in_minutes else 1.0
    has_runs = _runs_alike(costs) is None
    headers = [
        say("Cell"),
        *([say("Runs")] if has_runs else []),
        say("Time per epoch (s)"),
        say("Images per second"),
        say("Training of a run (min)") if in_minutes else say("Training of a run (s)"),
        say("Measuring of a run (min)") if in_minutes else say("Measuring of a run (s)"),
        say("Parameters of G"),
        say("Parameters of D"),
        say("Weights of G"),
        say("Weights of D"),
    ]
    if settings:
        headers.append(say("Price of a run ({currency})", currency=escape(settings.currency)))
    rows = []
    for cost in costs:
        generator = cost.networks.generator if cost.networks else None
        discriminator = cost.networks.discriminator if cost.networks else None
        row = [
            escape(cost.cell.label),
            *([str(len(cost.runs))] if has_runs else []),
            _with_sd(language, cost, "epoch_s"),
            _with_sd(language, cost, "images_per_s"),
            _with_sd(language, cost, "training_s", per),
            _with_sd(language, cost, "measuring_s", per),
            *(f"{size.parameters:,}" if size else "–" for size in (generator, discriminator)),
            *(_bytes_text(size) for size in (generator, discriminator)),
        ]
        rows.append(row + ([_run_price(content, cost, whole)] if settings else []))
    return table(headers, rows, right=range(1, len(headers)))


def _runs_alike(costs: Sequence[CellCost]) -> int | None:
    """How many runs of every cell have begun; None where cells differ in it."""
    counts = {len(cost.runs) for cost in costs}
    return counts.pop() if len(counts) == 1 else None


def _result(content: Content, costs: Sequence[CellCost]) -> str:
    """How long the training of a run takes, from the fastest cell to the slowest; empty before any is complete."""
    language = content.language
    timed = [(over.mean, cost) for cost in costs if (over := cost.over("training_s"))]
    if not timed:
        return ""
    (low, fastest), (high, slowest) = (choose(timed, key=lambda item: item[0]) for choose in (min, max))
    if _duration(language, low) == _duration(language, high):
        return language.say("To train a run took {time}.", time=_duration(language, low))
    return language.say(
        "To train a run took {low} ({fastest}) to {high} ({slowest}), each the mean of a cell.",
        low=_duration(language, low),
        fastest=escape(fastest.cell.label),
        high=_duration(language, high),
        slowest=escape(slowest.cell.label),
    )


def _duration(language: Language, seconds: float) -> str:
    if seconds <= LONG_S:
        return language.say("{seconds} s", seconds=significant(seconds, 2))
    return language.say("{minutes} min", minutes=significant(seconds / 60, 2))


def _caption(content: Content) -> str:
    """What the table's numbers are."""
    language = content.language
    told = [
        language.say(
            "Times are means ± the standard deviation (SD) over runs, that is, over the cell's seeds; those of "
            "training and measuring a run are of complete runs alone."
        ),
        language.say(
            "Time per epoch and images per second are of training: of the seconds that its log intervals took, in "
            "which pauses, saved states and pictures do not count. Images are the real ones that the discriminator is "
            "trained on."
        ),
        language.say(
            "Parameters are trained values; weights are parameters and buffers as they are stored, 1 KB = 1000 bytes."
        ),
    ]
    if content.view.plan.experiment.cost:
        told.append(
            language.say(
                "Price of a run: of the time that attempts worked on it, where an hour of the machine is shared by all "
                "runs that were at work in it."
            )
        )
    return language.paragraph(*told)


def _with_sd(language: Language, cost: CellCost, name: str, per: float = 1.0) -> str:
    """`3.21 ± 0.05`, with the number of runs where it is another than the row's; a dash where no run has it."""
    over = cost.over(name)
    if over is None:
        return "–"
    told = significant(over.mean / per, 3) if over.sd is None else rounded(over.mean / per, over.sd / per)
    return told if over.n == len(cost.runs) else language.say("{mean} (n = {n})", mean=told, n=over.n)


def _bytes_text(size: NetworkSize | None) -> str:
    """In units of 1000."""
    if size is None:
        return "–"
    if size.weights_bytes < 1_000_000:
        return f"{size.weights_bytes / 1000:.1f} KB"
    return f"{size.weights_bytes / 1_000_000:.2f} MB"


def _run_price(content: Content, cost: CellCost, whole: MachineTime) -> str:
    """The mean price of the cell's runs: an hour of the machine is shared by the runs that were at work in it."""
    if not cost.runs or not whole.present_s:
        return "–"
    mean = sum(run.present_s for run in cost.runs) / len(cost.runs)
    return number(price(content, mean * whole.busy_s / whole.present_s), 3)


def _sharing(content: Content, whole: MachineTime) -> str:
    """Whether runs shared their machine, which makes each of them slower."""
    if whole.most < 2:
        return ""
    return content.language.say(
        "Runs shared the machine: {mean} were at work at the same time on average, {most} at most. A run that has the "
        "machine to itself is faster, so times of cells differ by what ran beside them, too.",
        mean=f"{whole.at_once:.1f}",
        most=whole.most,
    )


def _devices(content: Content, costs: list[CellCost]) -> str:
    """What the times are of, and where they do not compare."""
    language = content.language
    kinds: dict[tuple[str, str], int] = {}
    for machine, runs in environments(content):
        if "device" in machine:
            kind = (str(machine["device"]), str(machine.get("threads", "")))
            kinds[kind] = kinds.get(kind, 0) + runs
    if not kinds:
        return ""
    named = language.listed(
        language.say(
            "{device} with {threads} ({runs})",
            device=escape(device),
            threads=language.plural("{n} CPU thread", "{n} CPU threads", int(threads)),
            runs=language.plural("{n} run", "{n} runs", runs),
        )
        if threads.isdigit()
        else language.say("{device} ({runs})", device=escape(device), runs=language.plural("{n} run", "{n} runs", runs))
        for (device, threads), runs in kinds.items()
    )
    told = language.say("Trained on: {machines}.", machines=named)
    mixed = [
        escape(cost.cell.label) for cost in costs if len({device for run in cost.runs for device in run.devices}) > 1
    ]
    if len({device for device, _ in kinds}) == 1:
        return told
    unlike = language.say("Times on different devices do not compare with each other.")
    inside = language.say("Means over different devices: {cells}.", cells=language.shortened(mixed)) if mixed else ""
    return language.paragraph(told, unlike, inside)


def _totals(content: Content, costs: list[CellCost], whole: MachineTime) -> str:
    language = content.language
    runs = [run for cost in costs for run in cost.runs]
    if not whole.busy_s:
        return ""
    told = language.say(
        "All {runs} together: {training} min of training and {measuring} min of measuring in complete runs; the "
        "machine was at work for {busy} min, counted once where runs shared it.",
        runs=language.plural("{n} run that has begun", "{n} runs that have begun", len(runs)),
        training=number(sum(run.training_s or 0.0 for run in runs) / 60, 3),
        measuring=number(sum(run.measuring_s or 0.0 for run in runs) / 60, 3),
        busy=number(whole.busy_s / 60, 3),
    )
    settings = content.view.plan.experiment.cost
    if settings is None:
        return told
    return language.paragraph(
        told,
        language.say(
            "At {per_hour} {currency} an hour of the machine that is {price} {currency}.",
            per_hour=f"{settings.per_hour:g}",
            currency=escape(settings.currency),
            price=number(price(content, whole.busy_s), 3),
        ),
    )
