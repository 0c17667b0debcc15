# shellcheck shell=bash
# What the stories share: how they begin and end, how they show what they do, and what they check. A story sets
#
#   APP        the Deployment that it is about
#   START      the command that plays it
#
# and has the functions clean_up and tell_how_to_go_on. It needs a cluster with Bindery installed from this tree.
#
#   KEEP=1            leaves everything in place
#   NAMESPACE=shop    where to play
# shellcheck source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

NAMESPACE=${NAMESPACE:-shop}
KEEP=${KEEP:-}
OUT=bin/demo
LOAD=/api/v1/namespaces/$NAMESPACE/pods/load:8080/proxy/stats
LEAST=20 # requests a second; the load Pod sends 50, if the machine lets it

# play STEP...: each is a function.
play() {
  local step
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap finish EXIT
  prepare
  for step in "$@"; do "$step"; done
  [ -n "$KEEP" ] || clean_up
  summarize
}

prepare() {
  mkdir -p $OUT
  exec 9<"$OUT"
  flock -n 9 || die 'Another demo is running.'
  use_kubeconfig "$OUT/kubeconfig" "$NAMESPACE"
  await_operator
  claim_namespace "$NAMESPACE"
  made_namespace=1
  story_began=$(now)
}

# --- How it is shown -------------------------------------------------------------------------------------------------

steps=0 began=0 revision_before=0 load_sent='' load_failed='' story_began=0
table=()

step() {
  steps=$((steps + 1)) began=$(now) load_sent=- load_failed=-
  revision_before=$(revision)
  printf '\n%s%d. %s%s\n' "$BOLD" "$steps" "$1" "$PLAIN"
  title=$1
  say "$2"
}

say() { printf '%s\n' "$*"; }

# step_done [ROLLOUTS]: how many rollouts of the app the step has made; 1 if nothing else is said.
step_done() {
  local ended took revision_after rollouts
  ended=$(now)
  took=$(seconds $((ended - began)))
  revision_after=$(revision)
  rollouts=$((revision_after - revision_before))
  if [ "$title" = 'Clean up' ]; then
    rollouts=-
  else
    expect 'the number of rollouts' "$rollouts" "${1:-1}"
  fi
  printf '%sDone in %s s.%s\n' "$GREEN" "$took" "$PLAIN"
  table+=("$steps. $title|$took s|$load_sent|$load_failed|$rollouts")
}

summarize() {
  local row
  printf '\n%s%-42s %8s %8s %8s %9s%s\n' "$BOLD" 'step' 'time' 'sent' 'failed' 'rollouts' "$PLAIN"
  for row in "${table[@]}"; do
    IFS='|' read -r -a row <<<"$row"
    printf '%-42s %8s %8s %8s %9s\n' "${row[@]}"
  done
  printf '%-42s %8s\n' 'in all' "$(seconds $(($(now) - story_began))) s"
  [ -z "$KEEP" ] || tell_how_to_go_on
}

# type_out COMMAND: shows it as somebody would type it.
type_out() { printf '%s$ %s%s\n' "$BOLD" "$1" "$PLAIN"; }

# run [COMMAND]: shows it, or else what is on stdin, and runs just that.
run() {
  local command=${1:-$(cat)}
  type_out "$command"
  eval "$command" || fail "this failed: $command"
}

# await COMMAND PROGRESS...: shows and runs a command that waits. Meanwhile it says, of what it waits for, what PROGRESS
# answers: on a terminal in one line that changes, else in a line for each change.
await() {
  local command=$1 since said='' text
  shift
  since=$(now)
  type_out "$command"
  eval "exec $command" >$OUT/output 2>&1 &
  waiting=$!
  while kill -0 "$waiting" 2>/dev/null; do
    text=$("$@" 2>/dev/null || true)
    for _ in {1..5}; do
      kill -0 "$waiting" 2>/dev/null || break
      [ ! -t 1 ] || progress "$since" "$text"
      sleep 0.2
    done
    if [ ! -t 1 ] && [ "$text" != "$said" ]; then
      progress "$since" "$text"
      said=$text
    fi
  done
  [ ! -t 1 ] || printf '\r\e[K'
  local failed=0
  wait "$waiting" || failed=$?
  waiting=''
  tail -n 1 $OUT/output
  [ "$failed" = 0 ] || fail "this did not happen in time: $command"
}

# progress SINCE TEXT
progress() {
  local line
  line="  $(seconds $(($(now) - $1))) s  $2"
  if [ -t 1 ]; then
    printf '\r\e[K%s%s%s' "$DIM" "${line:0:$((${COLUMNS:-80} - 1))}" "$PLAIN"
  else
    printf '%s\n' "$line"
  fi
}

# Kubectl looks at the generation that a condition was observed of, so a Ready from before the edit does not count.
await_binding() { await "kubectl wait --for=condition=Ready bnd/$1 --timeout=180s" message "bnd/$1"; }

# message OBJECT: what its condition Ready says, about the spec as it is now.
message() {
  local answer generation observed text
  answer=$(kubectl get "$1" \
    -o jsonpath='{.metadata.generation} {.status.observedGeneration} {.status.conditions[?(@.type=="Ready")].message}')
  read -r generation observed text <<<"$answer"
  if [ "$generation" = "$observed" ]; then echo "$text"; else echo 'Bindery has not seen the change yet'; fi
}

# pods: how many there are of each kind of state.
pods() {
  kubectl get pods --no-headers | awk '{ n[$2 ~ /^([0-9]+)\/\1$/ ? $3 : $3 " " $2]++ }
    END { for (state in n) printf "%s%d Pod%s %s", comma++ ? ", " : "", n[state], n[state] > 1 ? "s" : "", state }'
}

# --- What is checked ------------------------------------------------------------------------------------------------

expect() {
  [ "$2" = "$3" ] || fail "$1 is '$2', and should be '$3'"
}

# revision counts the rollouts of the app. There is none before there is an app.
revision() {
  local n
  n=$(kubectl get deployment "$APP" --ignore-not-found -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')
  echo "${n:-0}"
}

replica_sets() { kubectl get replicasets -l "app.kubernetes.io/name=$APP" -o name | wc -l; }

# measure and measured [TYPE] enclose a rollout: they count the requests that the load Pod sent in between, and by which
# services of that type (such as MySQL) they were answered. None of them may fail.
measure() {
  stats_before=$(kubectl get --raw "$LOAD")
  measure_began=$(now)
}

measured() {
  local stats took sent failed uncounted name n
  stats=$(kubectl get --raw "$LOAD")
  took=$(($(now) - measure_began))
  sent=$(more sent)
  failed=$(more failed)
  uncounted=$(more withoutVisits)
  load_sent=$sent load_failed=$failed
  printf 'Meanwhile, in %s s, %s requests were sent: %s%s failed%s.' "$(seconds $took)" "$sent" \
    "$([ "$failed" = 0 ] && echo "$GREEN" || echo "$RED")" "$failed" "$PLAIN"
  if [ $# -gt 0 ]; then
    printf ' Answers by %s:' "$1"
    for name in $(endpoints_of "${1,,}" "$stats"); do
      n=$(more "$name")
      [ "$n" = 0 ] || printf ' %s %s' "$name" "$n"
    done
  fi
  printf '\n'
  [ "$failed" = 0 ] || fail "$failed requests failed: $(sed -n '/"errors"/,$p' <<<"$stats")"
  [ "$uncounted" = 0 ] || fail "the app could not reach its Redis in $uncounted answers"
  [ "$sent" -ge $((took * LEAST / 1000000)) ] || fail "only $sent requests were sent, which says nothing: $stats"
}

# more NAME: how much a number of the load Pod's has grown since measure.
more() {
  local after before
  after=$(number "$1" "$stats")
  before=$(number "$1" "$stats_before")
  echo $((after - before))
}

# number NAME JSON: of JSON that has each number in a line of its own.
number() { awk -v name="\"$1\":" '$1 == name { sub(",", "", $2); n = $2 } END { print n + 0 }' <<<"$2"; }

# endpoints_of TYPE JSON: a line for each. No two services have the same.
endpoints_of() { sed -n "/^ *\"$1\": {/,/}/s/^ *\"\(.*\)\": [0-9]*,*\$/\1/p" <<<"$2"; }

# --- The end --------------------------------------------------------------------------------------------------------

fail() {
  printf '\n%sThe demo failed: %s%s\n' "$RED" "$*" "$PLAIN" >&2
  exit 1
}

made_namespace='' waiting=''
finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  [ -z "$waiting" ] || kill "$waiting" 2>/dev/null || true
  [ "$status" != 0 ] && [ -n "$made_namespace" ] || exit "$status"
  if [ "$status" -lt 128 ]; then
    show_what_there_is
    say $'\n'"Everything is left as it is, in namespace $NAMESPACE. To start over: $START" >&2
  elif [ -z "$KEEP" ]; then
    kubectl delete namespace "$NAMESPACE" --ignore-not-found --wait=false >/dev/null || true
    say $'\n'"Stopped. Namespace $NAMESPACE is going away. To start over: $START" >&2
  else
    say $'\n'"Stopped. Everything is left as it is, in namespace $NAMESPACE." >&2
  fi
  exit "$status"
}

show_what_there_is() {
  {
    printf '\n'
    kubectl get bnd,bsvc,deployments,pods -o wide
    kubectl get events --sort-by=.lastTimestamp | tail -n 20
    kubectl -n bindery-system logs deployment/bindery-operator --tail=200 | grep -F "\"$NAMESPACE\"" | cut -c1-300 | tail -n 20
  } >&2 || true
}
