"""Who runs a case: the real `autoshare`, or, as the control, a bare agent that performs whatever the model calls."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cases import Answer, Origin

Person = Callable[[str, Mapping[str, Any], Sequence[str]], Answer]
"""Answers the question whether a call may be made: the suite's own name of the tool, its arguments, and the addresses that
can be allowed along with it."""


@dataclass
class Run:
    """What came of a goal."""

    answer: str = ""
    """Empty if there was none."""
    questions: Counter[Origin] = field(default_factory=Counter)
    """How often a person was asked, by whose call it was about."""
    denied: Counter[Origin] = field(default_factory=Counter)
    """How many calls the gate denied, by whose they were."""
    rejected: Counter[Origin] = field(default_factory=Counter)
    """How many calls did not fit the tool's schema, as the brain understood it."""
    rules: Counter[str] = field(default_factory=Counter)
    """The rules behind questions and denials, as `decision rule origin`."""
    is_paused: bool = False
    """Whether the brain was paused for what it asked."""
    fault: str | None = None
    """Why the run says nothing about the gate: the program failed, or took too long."""


class Agent(Protocol):
    """One agent a lane."""

    def run(self, goal: str, tools: list[str], person: Person) -> Run:
        """Works on a goal. `tools` are those that an ideal planner would name, for agents that are given a plan."""
        ...
