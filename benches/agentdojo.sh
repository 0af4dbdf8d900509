#!/usr/bin/env bash
# AgentDojo with a model that obeys every injection: the table of docs/benchmarks.md. See agentdojo/README.md.
#   benches/agentdojo.sh [SUITE...]            banking and slack unless others are named
#   BIN=DIR WORKERS=4 benches/agentdojo.sh     the program in DIR instead of building it; so many cases at once
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
if [[ -z ${BIN:-} ]]; then
  cargo build --locked --release -p autoshare
  BIN=$target/release
fi
out=$target/agentdojo
venv=$out/venv
mkdir -p "$out"
python=$(realpath "$out")/venv/bin/python
if ! cmp -s benches/agentdojo/requirements.txt "$venv/installed.txt"; then
  python3 -m venv --clear "$venv"
  "$python" -m pip install --quiet --no-deps --requirement benches/agentdojo/requirements.txt
  cp benches/agentdojo/requirements.txt "$venv/installed.txt"
fi
(cd benches/agentdojo && "$python" -m unittest --quiet)

(($#)) || set -- banking slack
suites=()
for suite; do suites+=(--suite "$suite"); done
results=() failed=0
# measure FLAGS...
measure() {
  local json=$out/${#results[@]}.json
  rm -f -- "$json"
  "$python" benches/agentdojo/run.py "$@" --workers "${WORKERS:-2}" --json "$json" "${suites[@]}" >/dev/null || failed=1
  results+=("$json")
}
ours() { measure --binary "$BIN/autoshare" "$@"; }

measure --bare
ours --layers none
ours --layers warrant
ours --layers provenance
ours --profile cautious
ours
ours --profile trusting
ours --warrant ideal
labels=benches/agentdojo/labels
is_labelled() { local suite; for suite; do [[ -f $labels/$suite.toml ]] || return 1; done; }
if is_labelled "$@"; then
  ours --labels "$labels"
  ours --labels "$labels" --warrant ideal
fi
"$python" benches/agentdojo/report.py "${results[@]}"
exit "$failed"
