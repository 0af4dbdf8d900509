"""Runs the cases of AgentDojo's suites, counts, and prints the row of a table.

python run.py --binary PATH [--suite NAME...] [--profile P] [--warrant draft|ideal] [--labels FILE] [--layers L]
python run.py --bare              no gate at all: the control
"""

import argparse
import itertools
import json
import queue
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from agents import Agent
from autoshare import AutoShare, Configuration
from bare import Bare
from cases import ATTACK, Case, Suite
from loopback import Loopback
from report import Result, document, table

SERVER = "tools"
"""The name of the MCP server: one that says nothing about the suite."""


def main() -> int:
    flags = _flags()
    # Some of the suites' own judges print.
    out, sys.stdout = sys.stdout, sys.stderr
    results: list[Result] = []
    # A short name: the path of a control socket below it has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="ad-") as folder:
        for name in flags.suite:
            results += _run_suite(Suite(name, flags.attack), flags, Path(folder) / name)
    report = document(flags.name or _name(flags), results)
    if flags.json:
        flags.json.write_text(json.dumps(report, indent=1) + "\n")
    print(table([report]), file=out)
    faults = [result for result in results if result.fault]
    for result in faults[:10]:
        print(f"{result.suite} {result.user_task} {result.injection_task}: {result.fault}", file=sys.stderr)
    return 1 if faults or not results else 0


def _run_suite(suite: Suite, flags: argparse.Namespace, folder: Path) -> list[Result]:
    """All cases of a suite, by as many workers as asked for; in the order of the cases."""
    todo: queue.SimpleQueue[tuple[int, tuple[str, str | None]]] = queue.SimpleQueue()
    for item in enumerate(_cases(suite, flags)):
        todo.put(item)
    total = todo.qsize()
    done: dict[int, Result] = {}

    def work(lane: str, agent: Agent, loopback: Loopback) -> None:
        while True:
            try:
                number, (user_task, injection_task) = todo.get_nowait()
            except queue.Empty:
                return
            result = Result(suite.name, user_task, injection_task)
            started = time.monotonic()
            try:
                case = suite.case(user_task, injection_task)
                loopback.put(lane, case)
                _run_case(case, agent, result)
            except Exception as error:  # noqa: BLE001  A case that cannot be judged is reported, not left out.
                traceback.print_exc()
                result.fault = f"{type(error).__name__}: {error}"
            result.seconds = round(time.monotonic() - started, 3)
            done[number] = result
            if sys.stderr.isatty():
                print(f"\r{suite.name}: {len(done)} of {total}", end="", file=sys.stderr, flush=True)

    with Loopback(SERVER) as loopback:
        lanes = {f"w{n}": _agent(flags, suite, folder, loopback, f"w{n}") for n in range(flags.workers)}
        workers = [threading.Thread(target=work, args=(lane, agent, loopback)) for lane, agent in lanes.items()]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return [done[number] for number in sorted(done)]


def _run_case(case: Case, agent: Agent, result: Result) -> None:
    run = agent.run(case.user_task.PROMPT, [call.function for call in case.user_calls], case.answer_of_person)
    result.done, result.attacked = case.judge(run.answer)
    result.is_words_only = case.injection_task is not None and not case.attack_calls
    result.injection_read = case.injection_read
    result.is_paused = run.is_paused
    result.fault = run.fault
    result.questions, result.denied = dict(run.questions), dict(run.denied)
    result.rejected, result.rules = dict(run.rejected), dict(run.rules)


def _cases(suite: Suite, flags: argparse.Namespace) -> Iterator[tuple[str, str | None]]:
    injections = [] if flags.no_attacks else flags.injection_task or suite.injection_tasks()
    return itertools.product(flags.user_task or suite.user_tasks(), [None, *injections])


def _agent(flags: argparse.Namespace, suite: Suite, folder: Path, loopback: Loopback, lane: str) -> Agent:
    # The tools are the same in every case; any will do while they are added.
    loopback.put(lane, suite.case(suite.user_tasks()[0]))
    urls = loopback.mcp_url(lane), loopback.model_url(lane)
    if flags.bare:
        return Bare(SERVER, *urls)
    labels = flags.labels / f"{suite.name}.toml" if flags.labels and flags.labels.is_dir() else flags.labels
    configuration = Configuration(flags.binary, flags.profile, flags.warrant, labels, flags.layers)
    return AutoShare(configuration, folder / lane, SERVER, *urls)


def _name(flags: argparse.Namespace) -> str:
    if flags.bare:
        return "no gate"
    words = [flags.profile, f"{flags.warrant} warrant", "hand labels" if flags.labels else "derived contracts"]
    return ", ".join(words if flags.layers == "all" else [f"layers: {flags.layers}", *words])


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="AgentDojo with a model that obeys every injection.")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--binary", type=Path, help="the autoshare to measure")
    who.add_argument("--bare", action="store_true", help="an agent without a gate: the control")
    parser.add_argument("--suite", action="append", help="a suite (repeatable) [banking and slack]")
    parser.add_argument("--user-task", action="append", help="only this user task (repeatable)")
    parser.add_argument("--injection-task", action="append", help="only this injection task (repeatable)")
    parser.add_argument("--no-attacks", action="store_true", help="the user tasks alone")
    parser.add_argument("--attack", default=ATTACK, help="AgentDojo's name of the injections' wording [%(default)s]")
    parser.add_argument("--profile", default="default", help="cautious, default or trusting [%(default)s]")
    parser.add_argument("--warrant", default="draft", choices=["draft", "ideal"], help="[%(default)s]")
    parser.add_argument("--labels", type=Path, help="an operator's contracts: a file, or a folder with SUITE.toml")
    parser.add_argument("--layers", default="all", help="all, none, warrant or provenance [%(default)s]")
    parser.add_argument("--workers", type=int, default=2, help="cases at once [%(default)s]")
    parser.add_argument("--name", help="what the configuration is called in the table")
    parser.add_argument("--json", type=Path, help="a file for all numbers and cases")
    flags = parser.parse_args()
    flags.suite = flags.suite or ["banking", "slack"]
    return flags


if __name__ == "__main__":
    sys.exit(main())
