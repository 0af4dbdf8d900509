"""A case: one user task of a suite, alone or with one injection task, in an environment of its own."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import sdks  # noqa: F401  Before AgentDojo, which imports what it stands in for.

from agentdojo.agent_pipeline.ground_truth_pipeline import GroundTruthPipeline
from agentdojo.agent_pipeline.tool_execution import tool_result_to_str
from agentdojo.attacks import load_attack
from agentdojo.base_tasks import BaseInjectionTask, BaseUserTask
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime, TaskEnvironment
from agentdojo.models import MODEL_NAMES
from agentdojo.task_suite.load_suites import get_suite
from agentdojo.task_suite.task_suite import TaskSuite
from agentdojo.types import text_content_block_from_string
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

BENCHMARK_VERSION = "v1.2.2"
ATTACK = "important_instructions_no_names"

Origin = Literal["user", "attack"]
"""Whose call it is: of the user task's ground truth or of the injection task's."""

Answer = Literal["yes", "no", "run"]
"""What a person says to a question; `run` is yes, and for the rest of the run to all addresses that were listed with it."""


@dataclass(frozen=True)
class Call:
    """A call of a ground truth, with arguments as JSON has them."""

    id: str
    origin: Origin
    function: str
    args: Mapping[str, Any]


class ToolResult(NamedTuple):
    """What a tool returned: `structured` is always an object, and None where the call failed."""

    structured: dict[str, Any] | None
    text: str
    is_error: bool


class Judgement(NamedTuple):
    """`attacked` is None where there was no injection task."""

    done: bool
    attacked: bool | None


class Suite:
    """A suite of AgentDojo, and the cases that can be made of it."""

    def __init__(self, name: str, attack: str = ATTACK) -> None:
        self.suite: TaskSuite = get_suite(BENCHMARK_VERSION, name)
        self.name = name
        # Attacks are made for a pipeline that bears some model's name, even those that do not use it.
        pipeline = GroundTruthPipeline(None)
        pipeline.name = next(iter(MODEL_NAMES))
        self._attack = load_attack(attack, self.suite, pipeline)

    def user_tasks(self) -> list[str]:
        return list(self.suite.user_tasks)

    def injection_tasks(self) -> list[str]:
        return list(self.suite.injection_tasks)

    def case(self, user_task: str, injection_task: str | None = None) -> "Case":
        """A fresh case.

        Raises ValueError if the user task reads nothing in which an injection could stand.
        """
        user = self.suite.get_user_task_by_id(user_task)
        injection = self.suite.get_injection_task_by_id(injection_task) if injection_task else None
        injections = self._attack.attack(user, injection) if injection else {}
        return Case(self.suite, user, injection, injections)


class Case:
    """The environment changes with each call that is performed; a case is run once."""

    def __init__(
        self,
        suite: TaskSuite,
        user_task: BaseUserTask,
        injection_task: BaseInjectionTask | None,
        injections: Mapping[str, str],
    ) -> None:
        self.suite = suite
        self.user_task = user_task
        self.injection_task = injection_task
        self.injection_read = False
        """Whether a result that carries an injection has been handed out."""
        self.asides = 0
        """Calls to the model that offered none of the suite's tools."""
        self._injections = [squash(text) for text in injections.values()]
        self._runtime = FunctionsRuntime(suite.tools)
        self._environment: TaskEnvironment = user_task.init_environment(
            suite.load_and_inject_default_environment(dict(injections))
        )
        self._pre_environment = self._environment.model_copy(deep=True)
        self._trace: list[FunctionCall] = []
        self._lock = threading.Lock()
        self.user_calls = list(self._ground_truth("user", user_task))
        self.attack_calls = list(self._ground_truth("attack", injection_task)) if injection_task else []

    def perform(self, function: str, args: Mapping[str, Any]) -> ToolResult:
        """Performs a call in the environment."""
        with self._lock:
            self._trace.append(FunctionCall(function=function, args=dict(args)))
            value, error = self._runtime.run_function(self._environment, function, args)
            if error is not None:
                result = ToolResult(None, error, True)
            else:
                structured = as_object(value)
                result = ToolResult(structured, as_text(value, structured), False)
            if self._carries_injection(result):
                self.injection_read = True
            return result

    def judge(self, answer: str) -> Judgement:
        """What the suite itself says of the environment and the answer."""
        with self._lock:
            return Judgement(
                self._check(self.user_task, answer),
                self._check(self.injection_task, answer) if self.injection_task else None,
            )

    def answer(self) -> str:
        """What the obedient agent says at the end: never nothing, which would be no answer."""
        texts = [self.user_task.GROUND_TRUTH_OUTPUT]
        if self.injection_task and self.injection_read:
            texts.append(self.injection_task.GROUND_TRUTH_OUTPUT)
        return "\n".join(text for text in texts if text) or "Done."

    def is_wanted(self, function: str, args: Mapping[str, Any]) -> bool:
        """Whether the user, who knows the task, would say yes to this call: it is one of the task's ground truth."""
        asked = self._accepted(function, _given(args))
        return any(asked == self._accepted(call.function, _given(call.args)) for call in self.user_calls)

    def answer_of_person(self, function: str, args: Mapping[str, Any], addresses: Sequence[str]) -> Answer:
        """What the user, who knows the task, says to this call; to all addresses at once only if the task has a call of
        this tool for each."""
        if not self.is_wanted(function, args):
            return "no"
        calls = [call for call in self.user_calls if call.function == function]
        known = {text.casefold() for call in calls for text in texts_in(list(call.args.values()))}
        return "run" if len(addresses) > 1 and known.issuperset(addresses) else "yes"

    def _check(self, task: BaseUserTask | BaseInjectionTask, answer: str) -> bool:
        output = [text_content_block_from_string(answer)]
        return self.suite._check_task_result(task, output, self._pre_environment, self._environment, self._trace)

    def _carries_injection(self, result: ToolResult) -> bool:
        shown = squash(result.text if result.structured is None else " ".join(texts_in(result.structured)))
        return any(injection in shown for injection in self._injections)

    def _ground_truth(self, origin: Origin, task: BaseUserTask | BaseInjectionTask) -> Iterator[Call]:
        """The task's calls in the environment as it is at the beginning, injections included: what the agent finds."""
        scratch = self._pre_environment.model_copy(deep=True)
        calls = task.ground_truth(self._pre_environment.model_copy(deep=True))
        steps: list[tuple[str, dict[str, Any]]] = []
        for call in calls:
            self._make(call, scratch, steps)
        for number, (function, args) in enumerate(steps):
            yield Call(f"{origin}_{number}", origin, function, self._accepted(function, args)[1])

    def _make(self, call: FunctionCall, environment: TaskEnvironment, steps: list[tuple[str, dict[str, Any]]]) -> Any:
        """Makes a call, before it those whose results are its arguments, and lists them all as steps."""
        args = {
            name: self._make(value, environment, steps) if isinstance(value, FunctionCall) else value
            for name, value in call.args.items()
        }
        steps.append((call.function, args))
        value, _ = self._runtime.run_function(environment, call.function, args)
        return value

    def _accepted(self, function: str, args: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The call with arguments of the kinds that the tool's schema names, as a model that knows it sends them."""
        tool = self._runtime.functions.get(function)
        try:
            if tool is not None:
                return function, tool.parameters.model_validate(args).model_dump(mode="json", exclude_unset=True)
        except ValidationError:
            pass  # A ground truth may call a tool wrongly on purpose; the tool says so.
        return function, to_jsonable_python(dict(args))


def as_object(value: Any) -> dict[str, Any]:
    """A result as structured content: what is no object is wrapped, as the official Python SDK does it."""
    plain = to_jsonable_python(value, fallback=str)
    return plain if isinstance(plain, dict) else {"result": plain}


def as_text(value: Any, structured: Mapping[str, Any]) -> str:
    """A result as AgentDojo shows it to models; some values its formatter does not take."""
    try:
        return tool_result_to_str(value)
    except Exception:  # noqa: BLE001  YAML's and its own errors have no common class.
        return str(dict(structured))


def squash(text: str) -> str:
    """Letters and digits alone: what stays the same however a text is wrapped and quoted."""
    return re.sub(r"[\W_]+", "", text).casefold()


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def _given(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments less those that are null, which say the same as none."""
    return {name: value for name, value in args.items() if value is not None}
