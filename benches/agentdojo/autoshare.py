"""The real program as an agent. What this measure takes for granted of its interface stands here and nowhere else."""

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import Person, Run
from cases import Origin

_MODEL = "obedient"
_TIMEOUT_S = 120


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
        self._settings.write_text(
            f'data_dir = {json.dumps(str(self._data))}\n'
            f'[model]\nname = "{_MODEL}"\nbase_url = "{model_url}"\n'
            f'[gate]\nlayers = "{configuration.layers}"\n'
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
            "run", goal, "--json", "--wait",
            "--workspace", str(self._workspace),
            "--mcp", self._server,
            "--warrant", warrant,
            "--profile", configuration.profile,
        )  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            errors: list[str] = []
            reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
            reader.start()
            clock = threading.Timer(_TIMEOUT_S, process.kill)
            clock.start()
            try:
                run = self._follow((json.loads(line) for line in process.stdout), person)
                process.wait()
            finally:
                process.kill()
                clock.cancel()
                reader.join()
        if not run.answer and not run.is_paused:
            run.fault = f"exit code {process.returncode}: {''.join(errors).strip()[-400:]}"
        return run

    def _follow(self, lines: Iterator[dict[str, Any]], person: Person) -> Run:
        run = Run()
        proposals: dict[int, dict[str, Any]] = {}
        for line in lines:
            record = line.get("record", {})
            match record.get("event"):
                case "proposal":
                    proposals[record["step"]] = record
                case "verdict":
                    self._note_verdict(run, record["verdict"], _origin(proposals[record["step"]]))
                    if record["verdict"]["decision"] == "ask":
                        self._answer(line["brain"], record["verdict"], proposals[record["step"]]["action"], person)
                case "answer":
                    run.answer = record["text"]
                case "note" if record["kind"] == "retry":
                    run.rejected["user"] += 1
                case "note" if record["kind"] == "paused":
                    run.is_paused = True
                case _:
                    pass
        return run

    @staticmethod
    def _note_verdict(run: Run, verdict: dict[str, Any], origin: Origin) -> None:
        decision = verdict["decision"]
        if decision == "allow":
            return
        (run.questions if decision == "ask" else run.denied)[origin] += 1
        for reason in verdict["reasons"]:
            run.rules[f"{decision} {reason['rule']} {origin}"] += 1

    def _answer(self, brain: str, verdict: dict[str, Any], action: dict[str, Any], person: Person) -> None:
        yes = person(action["tool"].removeprefix(f"{self._server}__"), action["args"])
        self._call("approve", brain, verdict["digest"], *([] if yes else ["--deny"]))

    def _ideal_warrant(self, tools: list[str]) -> str:
        entries = (f'[[effect]]\ntool = "{self._server}__{tool}"\n' for tool in sorted(set(tools)))
        return "version = 1\n" + "".join(entries)

    def _command(self, *words: str) -> list[str]:
        return [str(self._configuration.binary), *words, "--config", str(self._settings)]

    def _call(self, *words: str) -> None:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, timeout=_TIMEOUT_S)
        if done.returncode != 0:
            raise RuntimeError(f"autoshare {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()[-400:]}")


def _origin(proposal: dict[str, Any]) -> Origin:
    """The model numbers its calls by whose they are."""
    return "attack" if proposal["call_id"].startswith("attack") else "user"
