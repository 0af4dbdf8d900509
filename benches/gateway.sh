#!/usr/bin/env bash
# What the gateway costs: the table of docs/benchmarks.md. Builds what it measures; takes three minutes after that.
#   benches/gateway.sh            beside bare servers
#   benches/gateway.sh peers      beside LiteLLM's proxy and Portkey's gateway too, which pip and npm install below target/
#   BIN=DIR benches/gateway.sh    the programs in DIR instead of building them
set -euo pipefail
cd "$(dirname "$0")/.."
readonly LITELLM=1.108.7 PORTKEY=1.15.2
target=${CARGO_TARGET_DIR:-target}
if [[ -z ${BIN:-} ]]; then
  cargo build --locked --release -p autoshare
  cargo build --locked --release -p autoshare-server --example gateway
  BIN=$target/release
fi
readonly autoshare=$BIN/autoshare bench=$BIN/examples/gateway ROUNDS=${ROUNDS:-20}
dir=$(mktemp -d)
pids=()
finish() { kill "${pids[@]}" 2>/dev/null || true; rm -rf -- "$dir"; }
trap finish EXIT
export HOME=$dir
fail() { printf 'benches/gateway.sh: %s\n' "$*" >&2; exit 1; }

# Starts a program in the background that prints its base URL; leaves `url` and `pid`.
serve() {
  "$bench" "$@" >"$dir/url" 2>/dev/null </dev/null &
  pid=$!
  pids+=("$pid")
  until [[ -s $dir/url ]]; do sleep 0.02; done
  url=$(<"$dir/url")
  rm -- "$dir/url"
}
# Starts a program and waits until URL is answered; leaves `pid` and `millis`.
launch() {
  read -r pid millis <<<"$("$bench" launch "$1" "$dir/log" "${@:2}" || cat "$dir/log" >&2)"
  [[ -n $pid ]] || fail "${*:2} did not start"
  pids+=("$pid")
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# target NAME PID HOST:PORT PATH RATE KEYS [HEADERS]
target() {
  printf '{"name": "%s", "pid": %d, "at": "%s", "path": "%s", "rate": %d, "keys": [%s], "headers": {%s}}' "$@" "${@:8:1}"
}
# measure STREAM TARGET...
measure() {
  local targets
  targets=$(IFS=,; echo "${*:2}")
  printf '{"stream": %s, "rounds": %d, "block_ms": 500, "targets": [%s]}' "$1" "$ROUNDS" "$targets" | "$bench" load
}
readonly HEAD='| who | asked | calls | failed | CPU ms a call |'

serve mock
readonly mock=${url#http://}
# Another of them, so that what it uses for those that pass by somebody is not counted.
serve mock
readonly alone=${url#http://} alone_pid=$pid
serve proxy "${mock%/v1}"
readonly proxy=${url#http://} proxy_pid=$pid

export OPENAI_BASE_URL=http://$mock OPENAI_API_KEY=sk-a-key-of-the-operators-which-nobody-sees
# gateway TOKENS: one with so many; leaves `keys`, `pid`, `port`, `millis`.
gateway() {
  local data=$dir/data-$1
  mkdir -m 700 "$data"
  keys=$("$bench" tokens "$data" "$1" | sed 's/.*/"&"/' | paste -sd ,)
  port=$(free_port)
  launch "http://127.0.0.1:$port/readyz" "$autoshare" --data-dir "$data" serve --listen "127.0.0.1:$port"
}
gateway 1
readonly one=127.0.0.1:$port one_pid=$pid one_key=$keys
started="AutoSHARE $millis ms"
gateway 100
readonly hundred=127.0.0.1:$port hundred_pid=$pid hundred_keys=$keys
readonly chat=/v1/chat/completions
direct() { target 'the upstream itself, a bare hyper server' "$alone_pid" "${alone%/v1}" $chat "$1" '"sk"'; }
bare() { target 'a bare hyper proxy' "$proxy_pid" "${proxy%/v1}" $chat "$1" '"sk"'; }
own() { target 'AutoSHARE, one token' "$one_pid" "$one" "/gateway/openai$chat" "$1" "$one_key"; }
many() { target 'AutoSHARE, 100 tokens' "$hundred_pid" "$hundred" "/gateway/openai$chat" "$1" "$hundred_keys"; }

whole() { printf '\n%s p50 ms | p99 ms | memory MiB |\n|---|---|---|---|---|---|---|---|\n' "$HEAD"; }
echo "Whole answers:"
whole
measure false "$(direct 1000)" "$(bare 1000)" "$(own 1000)" "$(many 1000)"
printf '\nStreams of 20 pieces, 5 ms apart:\n\n%s first byte p50 ms | p99 ms | a piece p50 ms | p99 ms | memory MiB |\n' "$HEAD"
echo '|---|---|---|---|---|---|---|---|---|---|'
measure true "$(direct 50)" "$(bare 50)" "$(own 50)" "$(many 50)"

if [[ ${1:-} == peers ]]; then
  peers=$PWD/$target/peers
  mkdir -p "$peers"
  if [[ ! -x $peers/litellm-$LITELLM/bin/litellm ]]; then
    python3 -m venv "$peers/litellm-$LITELLM"
    "$peers/litellm-$LITELLM/bin/pip" install --quiet "litellm[proxy]==$LITELLM"
  fi
  [[ -d $peers/node_modules/@portkey-ai/gateway ]] ||
    npm install --prefix "$peers" --no-audit --no-fund --silent "@portkey-ai/gateway@$PORTKEY"
  cat >"$dir/litellm.yaml" <<YAML
model_list:
  - model_name: gpt-4.1-mini
    litellm_params: {model: openai/gpt-4.1-mini, api_base: "http://$mock", api_key: "$OPENAI_API_KEY"}
YAML
  lite=$(free_port)
  master=sk-$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
  LITELLM_MASTER_KEY=$master LITELLM_MODE=PRODUCTION LITELLM_LOCAL_MODEL_COST_MAP=True launch "http://127.0.0.1:$lite/health/liveliness" \
    "$peers/litellm-$LITELLM/bin/litellm" --config "$dir/litellm.yaml" --host 127.0.0.1 --port "$lite" --num_workers 1
  lite_pid=$pid
  started+=", LiteLLM $LITELLM $millis ms"
  portkey=$(free_port)
  TRUSTED_CUSTOM_HOSTS=127.0.0.1 NODE_ENV=production launch "http://127.0.0.1:$portkey/" \
    node "$peers/node_modules/@portkey-ai/gateway/build/start-server.js" "--port=$portkey" --headless
  portkey_pid=$pid
  started+=", Portkey $PORTKEY $millis ms"
  route='"x-portkey-provider": "openai", "x-portkey-custom-host": "http://'$mock'"'
  printf '\nPeers, whole answers, each at a rate it can take:\n'
  whole
  measure false "$(direct 200)" "$(own 200)" \
    "$(target "Portkey $PORTKEY" "$portkey_pid" "127.0.0.1:$portkey" $chat 200 '"sk"' "$route")" \
    "$(target "LiteLLM $LITELLM" "$lite_pid" "127.0.0.1:$lite" $chat 20 "\"$master\"")"
fi
printf '\nFrom start to the first answer: %s.\n' "$started"
