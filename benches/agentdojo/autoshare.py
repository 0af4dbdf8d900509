"""The real program as an agent. What this measure takes for granted of its interface stands here and nowhere else."""

import functools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import Person, Run
from cases import Answer, Origin

_MODEL = "obedient"
_TIMEOUT_S = 120
_ANSWER_WITHIN_S = 5
_ENDED = (0, 3)
"""Exit codes of a brain that came to an end: its goal reached, or not."""
_FLAGS: dict[Answer, list[str]] = {"yes": [], "no": ["--deny"], "run": ["--run"]}


@dataclass(frozen=True)
class Configuration:
    """How the program is run."""

    binary: Path
    profile: str = "default"
    warrant: str = "draft"
    """`draft`, the program's own without a model; or `ideal`, that of the tools of the ground truth."""
    labels: Path | None = None
    """An operator's file of contracts."""
    layers: str = "all"
    """`all`; or one of the policies in `policies`, which leaves layers out."""


class AutoShare:
    """One data directory, one MCP server, one brain after the other."""

    def __init__(self, configuration: Configuration, folder: Path, server: str, mcp_url: str, model_url: str) -> None:
        self._configuration = configuration
        self._server = server
        self._warrant = folder / "warrant.toml"
        self._settings = folder / "autoshare.toml"
        self._data = folder / "data"
        self._workspace = folder / "workspace"
        self._workspace.mkdir(parents=True)
        # Of the caller's variables none that goes before the settings below.
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
        self._settings.write_text(
            f"data_dir = {json.dumps(str(self._data))}\n"
            f'[model]\nname = "{_MODEL}"\nbase_url = "{model_url}"\n'
        )
        self._settings.chmod(0o600)
        contracts = ["--contracts", str(configuration.labels)] if configuration.labels else []
        self._call("mcp", "add", server, "--url", mcp_url, "--yes", *contracts)

    def run(self, goal: str, tools: list[str], person: Person) -> Run:
        configuration = self._configuration
        warrant = "draft"
        if configuration.warrant == "ideal":
            self._warrant.write_text(self._ideal_warrant(tools))
            warrant = str(self._warrant)
        command = self._command(
            "run", "--json", "--wait",
            "--workspace", str(self._workspace),
            "--mcp", self._server,
            "--warrant", warrant,
            *self._policy(),
            "--", goal,
        )  # fmt: skip
        with subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            errors: list[str] = []
            reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
            clock = threading.Timer(_TIMEOUT_S, process.kill)
            reader.start()
            clock.start()
            try:
                answer = functools.partial(self._answer, person, process)
                run = follow((json.loads(line) for line in process.stdout), answer)
                process.wait()
            finally:
                process.kill()
                clock.cancel()
                reader.join()
        if process.returncode not in _ENDED and not run.is_paused:
            run.fault = f"exit code {process.returncode}: {''.join(errors).strip()[-400:]}"
        return run

    def _policy(self) -> list[str]:
        layers = self._configuration.layers
        if layers == "all":
            return ["--profile", self._configuration.profile]
        return ["--profile", "none", "--policy", str(Path(__file__).parent / "policies" / f"{layers}.cedar")]

    def _answer(
        self, person: Person, process: subprocess.Popen[str], brain: str, verdict: dict[str, Any], action: dict[str, Any]
    ) -> None:
        answer = person(action["tool"].removeprefix(f"{self._server}__"), action["args"], verdict.get("alike", []))
        words = ["approve", brain, verdict["digest"], *_FLAGS[answer]]
        # The question is journaled, and so read here, a moment before it can be answered.
        until = time.monotonic() + _ANSWER_WITHIN_S
        while True:
            try:
                return self._call(*words)
            except RuntimeError:
                # A brain that is paused in place of a question ends.
                if process.poll() is not None:
                    return
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def _ideal_warrant(self, tools: list[str]) -> str:
        entries = (f'[[effect]]\ntool = "{self._server}__{tool}"\ndescribed = true\n' for tool in sorted(set(tools)))
        return "version = 1\n" + "".join(entries)

    def _command(self, *words: str) -> list[str]:
        return [str(self._configuration.binary), "--config", str(self._settings), *words]

    def _call(self, *words: str) -> None:
        command = self._command(*words)
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=_TIMEOUT_S)
        if done.returncode != 0:
            raise RuntimeError(
                f"autoshare {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()[-400:]}"
            )


def follow(lines: Iterable[dict[str, Any]], answer: Callable[[str, dict[str, Any], dict[str, Any]], None]) -> Run:
    """Reads the lines of `run --json`. `answer` is called with brain, verdict and action of each question."""
    run = Run()
    proposals: dict[int, dict[str, Any]] = {}
    called = ""
    for line in lines:
        record = line.get("record", {})
        match record.get("event"):
            case "thought" if record["calls"]:
                called = record["calls"][0]["id"]
            case "proposal":
                proposals[record["step"]] = record
            case "verdict":
                proposal, verdict = proposals[record["step"]], record["verdict"]
                _note_verdict(run, verdict, _origin(proposal["call_id"]))
                if verdict["decision"] == "ask":
                    answer(line["brain"], verdict, proposal["action"])
            case "answer":
                run.answer = record["text"]
            case "note" if record["kind"] == "retry":
                run.rejected[_origin(called)] += 1
            case "note" if record["kind"] == "paused":
                run.is_paused = True
            case _:
                pass
    return run


def _note_verdict(run: Run, verdict: dict[str, Any], origin: Origin) -> None:
    decision = verdict["decision"]
    if decision == "allow":
        return
    (run.questions if decision == "ask" else run.denied)[origin] += 1
    for reason in verdict["reasons"]:
        run.rules[f"{decision} {reason['rule']} {origin}"] += 1


def _origin(call_id: str) -> Origin:
    """The model names its calls by whose they are."""
    return "attack" if call_id.startswith("attack") else "user"
