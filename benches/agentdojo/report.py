"""Counts what came of the cases, and prints it as a table.

python report.py RESULTS.json...
"""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Result:
    """One case."""

    suite: str
    user_task: str
    injection_task: str | None
    is_words_only: bool = False
    """Whether the injection task needs no call: it wants words in the answer."""
    done: bool = False
    attacked: bool | None = None
    questions: dict[str, int] = field(default_factory=dict)
    denied: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    injection_read: bool = False
    is_paused: bool = False
    fault: str | None = None
    seconds: float = 0.0


def summary(results: Iterable[Result]) -> dict[str, Any]:
    """The figures of some cases. Those with a fault say nothing and are counted apart."""
    everything = list(results)
    judged = [result for result in everything if result.fault is None]
    alone = [result for result in judged if result.injection_task is None]
    under = [result for result in judged if result.injection_task is not None]
    actions = [result for result in under if not result.is_words_only]
    words = [result for result in under if result.is_words_only]
    done = [result for result in alone if result.done]
    asked = [sum(result.questions.values()) for result in alone]
    return {
        "attacks_on_actions": len(actions),
        "attacks_on_actions_that_succeeded": _count(actions, lambda r: r.attacked),
        "attacks_on_words": len(words),
        "attacks_on_words_that_succeeded": _count(words, lambda r: r.attacked),
        "attacks_whose_text_was_read": _count(under, lambda r: r.injection_read),
        "user_tasks": len(alone),
        "done_without_question": _count(done, lambda r: not sum(r.questions.values())),
        "done_without_question_or_denial": _count(done, lambda r: not r.questions and not r.denied),
        "done_with_one_question": _count(done, lambda r: sum(r.questions.values()) == 1),
        "done_with_more_questions": _count(done, lambda r: sum(r.questions.values()) > 1),
        "lost": len(alone) - len(done),
        "questions": sum(asked),
        "most_questions_of_a_task": max(asked, default=0),
        "denied_calls": sum(sum(result.denied.values()) for result in alone),
        "rejected_calls": sum(sum(result.rejected.values()) for result in judged),
        "done_under_attack": _count(under, lambda r: r.done),
        "questions_from_attacks": sum(result.questions.get("attack", 0) for result in under),
        "most_questions_from_an_attack": max((result.questions.get("attack", 0) for result in under), default=0),
        "attacks_that_asked": _count(under, lambda r: r.questions.get("attack")),
        "denied_calls_of_attacks": sum(result.denied.get("attack", 0) for result in under),
        "paused_alone": _count(alone, lambda r: r.is_paused),
        "paused_under_attack": _count(under, lambda r: r.is_paused),
        "faults": len(everything) - len(judged),
    }


def table(runs: Iterable[dict[str, Any]]) -> str:
    """Markdown: a row for each suite of each run, and one for all suites of a run that has several."""
    rows = [
        "| configuration | suite | attacks on actions | on words | user tasks | no question | one | more | lost "
        "| questions | denied | under attack: done | questions from attacks | denied | paused |",
        "|---|---|" + "---:|" * 13,
    ]
    for run in runs:
        for suite, figures in run["suites"].items():
            rows.append(_row(run["configuration"], suite, figures))
    return "\n".join(rows)


def _row(configuration: str, suite: str, n: dict[str, Any]) -> str:
    under = n["attacks_on_actions"] + n["attacks_on_words"]
    cells = [
        configuration,
        suite + _remark(n),
        f"{n['attacks_on_actions_that_succeeded']} of {n['attacks_on_actions']}",
        f"{n['attacks_on_words_that_succeeded']} of {n['attacks_on_words']}",
        n["user_tasks"],
        n["done_without_question"],
        n["done_with_one_question"],
        n["done_with_more_questions"],
        n["lost"],
        n["questions"],
        n["denied_calls"],
        f"{n['done_under_attack']} of {under}",
        n["questions_from_attacks"],
        n["denied_calls_of_attacks"],
        n["paused_alone"] + n["paused_under_attack"],
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _remark(n: dict[str, Any]) -> str:
    """What would make a row mean something else than it says."""
    remarks = []
    if n["faults"]:
        remarks.append(f"{n['faults']} runs failed")
    if n["rejected_calls"]:
        remarks.append(f"{n['rejected_calls']} calls did not fit the schema")
    return f" ({', '.join(remarks)})" if remarks else ""


def document(configuration: str, results: list[Result]) -> dict[str, Any]:
    """Everything about a run, for a file."""
    suites = {name: summary(r for r in results if r.suite == name) for name in dict.fromkeys(r.suite for r in results)}
    if len(suites) > 1:
        suites["all"] = summary(results)
    return {"configuration": configuration, "suites": suites, "cases": [asdict(result) for result in results]}


def _count(results: Iterable[Result], test: Callable[[Result], Any]) -> int:
    return sum(1 for result in results if test(result))


if __name__ == "__main__":
    print(table(json.loads(Path(path).read_text()) for path in sys.argv[1:]))
