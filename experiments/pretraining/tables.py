"""The tables of the README, from ``results.json``."""

from __future__ import annotations

from typing import Any

import methods
import numpy as np

PROTOCOLS = {
    "linear": "linear probe",
    "neighbours": "nearest neighbours",
    "attentive": "attentive probe",
    "tuned": "fine-tuned",
}


def label(which: str) -> str:
    """How a method or control is called."""
    if which in methods.METHODS:
        method = methods.METHODS[which]
        return f"{method.label} ({method.network})"
    kind, _, network = which.partition("-")
    names = {"random": "random features", "scratch": "from scratch", "pixels": "pixels"}
    return names[kind] + (f" ({network})" if network else "")


def values(rows: list[dict[str, Any]], protocol: str, fraction: str) -> np.ndarray:
    """Balanced accuracy on test, one number a seed; empty where it was not asked."""
    outcomes = [row.get(protocol, {"outcomes": {}})["outcomes"].get(fraction) for row in rows]
    return np.asarray([o[0]["test"]["balanced_accuracy"] for o in outcomes if o is not None])


def verdicts(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """For each method, plainly, what its frozen features beat.

    A method beats a control where the linear probe's difference, averaged over the seeds, is
    more than twice its standard error. Seeds are paired: they share the choice of labels.
    """
    lines = []
    for which, rows in found.items():
        if which not in methods.METHODS:
            continue
        network = methods.METHODS[which].network
        for control, protocol, words in (
            (f"random-{network}", "linear", "random features"),
            (f"scratch-{network}", "tuned", "training from scratch"),
        ):
            parts = []
            for fraction in ("0.01", "0.1", "1"):
                own = values(rows, "linear", fraction)
                other = values(found[control], protocol, fraction)
                if not other.size:
                    continue
                difference = own - other
                error = difference.std(ddof=1) / len(own) ** 0.5 if len(own) > 1 else np.inf
                mean = difference.mean()
                if mean > 2 * error:
                    verdict = "beats"
                elif mean < -2 * error:
                    verdict = "LOSES to"
                else:
                    verdict = "is not apart from"
                parts.append(f"{float(fraction):.0%}: {verdict} ({100 * mean:+.1f})")
            lines.append(f"- {label(which)} and {words} of the same network: {'; '.join(parts)}")
    return lines


def markdown(summary: dict[str, Any]) -> str:
    """All tables: a row a method, a column a protocol and label fraction."""
    columns = [
        (protocol, fraction)
        for protocol in PROTOCOLS
        for fraction in ("0.01", "0.1", "1")
        if any(
            values(rows, protocol, fraction).size
            for task in summary["tasks"].values()
            for rows in task["found"].values()
        )
    ]
    text = []
    for name, task in summary["tasks"].items():
        head = [f"{PROTOCOLS[p]} {float(f):.0%}" for p, f in columns]
        samples = ", ".join(f"{count} {side}" for side, count in task["samples"].items())
        text += [f"## {name}", "", f"{task['statement']}; {samples}.", ""]
        text += [f"| | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
        for which, rows in task["found"].items():
            cells = []
            for protocol, fraction in columns:
                found = 100 * values(rows, protocol, fraction)
                spread = f" ± {found.std(ddof=1):.1f}" if found.size > 1 else ""
                cells.append(f"{found.mean():.1f}{spread}" if found.size else "")
            text.append(f"| {label(which)} | {' | '.join(cells)} |")
        text += ["", *verdicts(task["found"]), ""]
        seconds = {
            label(which): np.mean([row["seconds"] for row in rows])
            for which, rows in task["found"].items()
            if "seconds" in rows[0]
        }
        each = ", ".join(f"{who} {value:.0f}" for who, value in seconds.items())
        text += [f"Seconds of one pretraining: {each}.", ""]
    return "\n".join(text)
