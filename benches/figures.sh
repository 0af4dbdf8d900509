#!/usr/bin/env bash
# The figures of docs/benchmarks.md, as rows of its table. Builds what it measures; takes a minute after that.
#   benches/figures.sh            everything
#   BIN=DIR benches/figures.sh    the programs in DIR instead of building them
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ -z ${BIN:-} ]]; then
  cargo build --locked --release -p autoshare -p autoshare-testkit
  cargo build --locked --release -p autoshare-store --example durable
  cargo build --locked --release -p autoshare-host --example cells
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
readonly autoshare=$BIN/autoshare ROUNDS=41
dir=$(mktemp -d)
server=
finish() { [[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf -- "$dir"; }
trap finish EXIT
mkdir "$dir/home" "$dir/work"
echo '# A note' >"$dir/work/a.md"
export HOME=$dir/home

now() { echo "${EPOCHREALTIME/./}"; }
median() { sort -n | sed -n "$((($1 + 1) / 2))p"; }

# Microseconds of one run of a command.
once() { local from; from=$(now); "$@" >/dev/null 2>&1 </dev/null; echo $(($(now) - from)); }

# Medians of commands that take turns: pairs NAME FUNCTION-OR-COMMAND.
turns() {
  local round pair
  for ((round = 0; round < ROUNDS; round++)); do
    for pair in "$@"; do once ${pair#*=} >>"$dir/${pair%%=*}.us"; done
  done
}

ms() { awk -v us="$1" 'BEGIN { printf "%.1f ms", us / 1000 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a / b }'; }

# The interpreter itself: `python3` may be a script that looks for it.
python3=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')

first_step() {
  # From the start of the program to the journaled result of its first action.
  "$autoshare" run "list the folder" --model gullible --json -w "$dir/work" 2>/dev/null | sed -n '/"observation"/q' || true
}
turns floor=/bin/true version="$autoshare --version" first=first_step python="$python3 -c pass"
floor=$(median $ROUNDS <"$dir/floor.us")
version=$(median $ROUNDS <"$dir/version.us")
first=$(median $ROUNDS <"$dir/first.us")
python=$(median $ROUNDS <"$dir/python.us")
echo "| cold start of \`autoshare --version\` | $(ms "$version") | $(ratio "$version" "$floor") × \`/bin/true\` ($(ms "$floor")), $(ratio "$version" "$python") × \`python3 -c pass\` ($(ms "$python")) |"
echo "| from the start of \`run\` to its first journaled result: settings, keys, journal, launcher, cell with battery, one action | $(ms "$first") | $(ratio "$first" "$python") × \`python3 -c pass\` |"
size=$(stat -c %s "$autoshare")
echo "| size of the binary | $(awk -v b="$size" 'BEGIN { printf "%.1f MiB", b / 1048576 }') | |"

cat >"$dir/script.json" <<'JSON'
{"turns": [{"calls": [{"name": "list_folder", "arguments": {}}]}, {"text": "x", "faults": [{"kind": "silence"}]}]}
JSON
"$BIN/scripted-model" --script "$dir/script.json" >"$dir/url" 2>/dev/null &
server=$!
until [[ -s $dir/url ]]; do sleep 0.05; done
OPENAI_BASE_URL=$(cat "$dir/url") "$autoshare" run wait --model scripted --json -w "$dir/work" >"$dir/log" 2>/dev/null &
host=$!
until [[ $(grep -c '"budget"' "$dir/log") -ge 2 ]]; do sleep 0.05; done
sleep 0.5
tree() { local child; echo "$1"; for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$child"; done; }
memory=0 processes=0
for pid in $(tree "$host"); do
  pss=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null || true)
  memory=$((memory + ${pss:-0})) processes=$((processes + 1))
done
kill -KILL "$host"
echo "| memory of \`run\` while it waits for a model (PSS of host, launcher and cell: $processes processes) | $(awk -v k="$memory" 'BEGIN { printf "%.1f MiB", k / 1024 }') | |"

for example in durable cells; do
  printf '\n%s:\n' "$example"
  AUTOSHARE=$autoshare "$BIN/examples/$example"
done
