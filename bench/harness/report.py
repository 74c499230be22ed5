"""The table.

Guarantees: figures are medians over the turns, with the least and the greatest beside them; ratios are medians of the
ratios within a round, in which both took their turns one after the other; a row that does not count says so.
Does not know: how anything was measured.
"""

import json
import os
import platform
from pathlib import Path
from statistics import median

REFERENCES = {"nginx": "nginx", "haproxy": "HAProxy", "envoy-cache": "Envoy (cache)"}
# Below this the proxy was waiting: for the load, the upstream or other work on the machine.
LEAST_BUSY = 95


def machine():
    """One line about the machine."""
    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    model = models[0] if models else "CPU unknown"
    cpus = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {model}, {cpus} CPUs, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"


def table(results):
    """Markdown of all rows but those of idle connections."""
    head = "scenario | peer | req/s | CPU µs/req | least–greatest | of it user"
    head += "".join(f" | to {name}" for name in REFERENCES.values())
    head += " | busy % | p50 µs | p99 µs | PSS MiB | remarks"
    lines = [f"| {head} |", "|---|---|" + "--:|" * (head.count("|") - 2) + "---|"]
    for result in results:
        for row in result.rows:
            if row.turns:
                lines.append(_line(row, {other.peer: other for other in result.rows}))
    return "\n".join(lines) if len(lines) > 2 else ""


def idle_table(results):
    rows = [row for result in results for row in result.rows if row.held]
    if not rows:
        return ""
    head = "| peer | connections | PSS MiB before | PSS MiB with them | KiB per connection | least–greatest | remarks |"
    lines = [head, "|---|--:|--:|--:|--:|--:|---|"]
    for row in rows:
        each = [(held.after - held.before) * 1024 / held.connections for held in row.held]
        before, after = median(held.before for held in row.held), median(held.after for held in row.held)
        bad = sum(held.bad for held in row.held)
        remarks = f"**unsound**: {bad} connections not held" if bad else ""
        figures = f"{row.held[0].connections:,} | {before:.1f} | {after:.1f} | {median(each):.2f} | {_range(each)}"
        lines.append(f"| {row.peer} | {figures} | {remarks} |")
    return "\n".join(lines)


def unsound(row):
    """Why the figures of a row do not count; empty if they do."""
    why = []
    bad = sum(turn.seen.bad for turn in row.turns + row.passes)
    if bad:
        why.append(f"{bad} bad answers")
    scenario, busy = row.scenario, _busy(row)
    # Where CPUs are shared nobody is kept busy throughout; and the floor costs less than the load that it is put under.
    if scenario.saturates and row.apart and row.peer != "relay" and busy < LEAST_BUSY * scenario.workers:
        why.append(f"only {busy:.0f} % busy")
    asked = scenario.rate * scenario.connections
    sent = median(turn.seen.requests / turn.seen.seconds for turn in row.turns)
    if sent < asked * 0.95:
        why.append(f"only {sent:,.0f} of {asked:,} requests a second")
    return ", ".join(why)


def raw(results):
    """Every turn of every row, as JSON."""
    rows = [row for result in results for row in result.rows]
    return json.dumps([{**vars(row), "scenario": row.scenario.name} for row in rows], default=vars, indent=1)


def _line(row, rows):
    cpu = [turn.cpu_per_request() for turn in row.turns]
    seen = [turn.seen for turn in row.turns]
    remarks = []
    if why := unsound(row):
        remarks.append(f"**unsound**: {why}")
    if row.scenario.saturates and not row.apart:
        remarks.append("shares its CPUs with the load: only CPU per request counts")
    if row.passes:
        passes = [turn.cpu_per_request() for turn in row.passes]
        share = median(refusal / passing for refusal, passing in zip(cpu, passes))
        remarks.append(f"a pass: {median(passes):.2f} µs, so a refusal costs {share:.2f} of it")
    if row.scenario.workers > 1:
        remarks.append(f"busiest worker: {_range([turn.busiest * 100 for turn in row.turns])} % of the CPU time")
    cells = [
        row.scenario.name,
        row.peer,
        f"{median(one.requests / one.seconds for one in seen):,.0f}",
        f"{median(cpu):.2f}",
        _range(cpu),
        f"{median(turn.user_per_request() for turn in row.turns):.2f}",
        *(_ratio(row, rows.get(name)) for name in REFERENCES),
        f"{_busy(row):.0f}",
        f"{median(one.p50 for one in seen):,.0f}",
        f"{median(one.p99 for one in seen):,.0f}",
        f"{row.pss:.1f}",
        "; ".join(remarks),
    ]
    return f"| {' | '.join(cells)} |"


def _ratio(row, other):
    if other is None or not row.peer.startswith("portcullis"):
        return ""
    pairs = zip(row.turns, other.turns)
    return f"{median(ours.cpu_per_request() / max(theirs.cpu_per_request(), 0.001) for ours, theirs in pairs):.2f}"


def _busy(row):
    return median(turn.busy() for turn in row.turns)


def _range(figures):
    return f"{min(figures):.2f}–{max(figures):.2f}"


def _lines(path):
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
