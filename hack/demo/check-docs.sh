#!/usr/bin/env bash
# Checks that README.md, docs/*.md and docs/types/*.md say what is true:
#
#   ```sh     is run, in order, block by block, against the cluster, in a namespace of its own instead of shop. A block of
#             git, cd and make alone is not run: each target of make must exist. helm changes nothing: what it installs is
#             sent to the API server as a dry run, because others use the installation meanwhile.
#   ```text   right after it is its output, line by line; … is anything within a line, and as a line any number of lines
#   ```console is a recording: what is behind a $ is typed, and says those lines, in that order, beside others. A number is
#             any number
#   ```yaml   that begins with apiVersion is an object that the API server takes
#   links     into this repository lead to something
#   tables    of reasons have what the code has
#
# usage: check-docs.sh [FILE...]           Needs a cluster with Bindery installed from this tree: see `make test-docs`.
#        check-docs.sh --alone [FILE...]   Needs a cluster without Bindery that nobody else uses: helm does what it is told.
#                                          Bindery may be installed or not afterwards. Without files: docs/operate.md.
#
# HELM=helm3 runs Helm 3 instead of 4.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

alone=false
NAMESPACE=bindery-docs # stands for the shop of the documents
WORK=$BIN/docs         # looks like a clone, to whoever types the commands
GENERATED=docs/api.md  # rendered out of the API's own comments
ALONE=docs/operate.md  # installs and uninstalls

main() {
  local files file
  if [ "${1:-}" = --alone ]; then alone=true && shift; fi
  files=("$@")
  [ ${#files[@]} -gt 0 ] || documents | mapfile -t files
  prepare
  for file in "${files[@]}"; do
    check_links "$file"
    check_blocks "$file"
  done
  check_reasons docs/guide.md docs/concepts.md
  remove_namespace
  echo "docs: ${#files[@]} documents say what is true"
}

documents() {
  if "$alone"; then
    echo "$ALONE"
  else
    printf '%s\n' README.md docs/*.md docs/types/*.md charts/bindery/README.md | grep -vxFe "$GENERATED" -e "$ALONE"
  fi
}

prepare() {
  mkdir -p "$WORK"
  exec 9<"$WORK"
  flock -n 9 || die 'docs: another check is running'
  rm -rf "${WORK:?}"/*
  mkdir -p "$WORK/bin/cluster" "$WORK/blocks"
  ln -s "$BIN/kubectl" "$WORK/bin/kubectl"
  ln -s "$ROOT/charts" "$ROOT/config" "$ROOT/docs" "$ROOT/hack" "$WORK"
  use_kubeconfig "$WORK/bin/cluster/kubeconfig" "$NAMESPACE"
  "$alone" || await_operator
  remove_namespace
  trap report EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

remove_namespace() { kubectl delete namespace "$NAMESPACE" --ignore-not-found --timeout=180s >/dev/null; }

# --- Blocks ---------------------------------------------------------------------------------------------------------

at='' running='' # where in the documents we are, and what is run there
check_blocks() {
  local file=$1 number language line follows expected
  rm -f "$WORK"/blocks/*
  split "$file" >"$WORK/blocks/index"
  while read -r -u 3 number language line follows; do
    at=$file:$line
    case $language in
    sh)
      expected=''
      [ "$follows" = - ] || expected=$WORK/blocks/$follows.text
      if is_make "$WORK/blocks/$number.sh"; then check_targets "$WORK/blocks/$number.sh"; else run_block "$number" "$expected"; fi
      ;;
    console) replay "$WORK/blocks/$number.console" ;;
    yaml) check_object "$WORK/blocks/$number.yaml" ;;
    esac
  done 3<"$WORK/blocks/index"
  at=''
}

# split FILE: each block into a file of its own; on stdout NUMBER LANGUAGE LINE, and the number of the text block that
# follows with nothing in between, or -.
split() {
  awk -v folder="$WORK/blocks" '
    function end_block() { if (number) print number, language, line, follows }
    /^```/ && !inside {
      before = language; was = number
      if (substr($0, 4) == "text" && before == "sh" && adjacent) follows = number + 1
      end_block()
      inside = 1; number++; language = substr($0, 4); line = NR; follows = "-"
      if (language == "") language = "none"
      path = folder "/" number "." language
      printf "" > path
      next
    }
    /^```/ { inside = 0; adjacent = 1; close(path); next }
    inside { print > path; next }
    /[^ ]/ { adjacent = 0 }
    END { end_block() }' "$1"
}

# grep_some ARGUMENTS: grep, for which it is no error to find nothing.
grep_some() { grep "$@" || [ $? = 1 ]; }

is_make() { ! grep -qvE '^(([A-Z]+=[^ ]+ )*make|git|cd) |^$' "$1"; }

check_targets() {
  local target
  grep_some -oE 'make [a-z-]+' "$1" | cut -d' ' -f2 | while read -r target; do
    grep -qE "^$target:.*##" Makefile hack/make/*.mk || wrong "there is no target $target in the Makefile"
  done
}

# run_block NUMBER EXPECTED: in this shell, so that what a block exports is there in the next.
run_block() {
  local block output=$WORK/output
  block=$(in_namespace <"$WORK/blocks/$1.sh")
  echo "docs: $at" >&2
  running=$block
  cd "$WORK"
  eval "$block" >"$output" 2>&1 </dev/null
  cd "$ROOT"
  running=''
  [ -z "$2" ] || compare "$2" "$output"
}

# replay FILE: types the commands of a recording, and compares what each says.
replay() {
  local line block=$WORK/blocks/typed
  echo 'docs: '"$at" >&2
  in_namespace <"$1" | mapfile -t recorded
  recorded+=('$ ') # the end
  for line in "${recorded[@]}"; do
    if [[ $line != '$ '* ]]; then
      sed -E 's/[0-9]+/…/g' <<<"$line" | squeeze >>"$block.expected"
      continue
    fi
    [ -z "$running" ] || type_it "$running" "$block"
    running=${line#'$ '}
    : >"$block.expected"
  done
  running=''
}

# type_it COMMAND BLOCK: the lines of BLOCK.expected are said in that order. Lines that are alike are one.
type_it() {
  local expected output i=0 line
  cd "$WORK"
  eval "$1" 2>&1 </dev/null | tee "$WORK/output" | squeeze | mapfile -t output
  cd "$ROOT"
  uniq "$2.expected" | mapfile -t expected
  for line in "${output[@]}"; do
    [ "$i" -lt ${#expected[@]} ] || return 0
    if is_line "${expected[i]}" "$line"; then i=$((i + 1)); fi
  done
  [ "$i" = ${#expected[@]} ] || wrong "\`$1\` says
$(cat "$WORK/output")
and the document, after that,
${expected[i]}"
}

# helm ARGUMENTS: as the documents call it. The chart that is published is that of this tree, with the images that the
# cluster has.
helm() {
  local argument arguments=() version
  version=$(sed -n 's/^version: //p' "$ROOT/charts/bindery/Chart.yaml")
  for argument in "$@"; do
    if [ "$argument" = oci://ghcr.io/bindery-dev/charts/bindery ]; then
      argument=$ROOT/charts/bindery
      [[ " $* " == *" --version $version "* ]] || wrong "helm: the chart of this tree has version $version"
    fi
    arguments+=("$argument")
  done
  case $1 in
  install | upgrade) arguments+=(--values "$ROOT/hack/cluster/values.yaml") ;;
  esac
  if ! "$alone"; then
    case $1 in
    install) arguments=(upgrade --install "${arguments[@]:1}" --dry-run=server) ;; # there is a release of the name
    test) arguments=(status "${arguments[@]:1}") ;;                                # a test of its own runs it
    *) wrong "helm $1 is for a document that is checked --alone" ;;
    esac
  fi
  "$BIN/${HELM:-helm}" "${arguments[@]}"
}

in_namespace() { sed "s/\\bshop\\b/$NAMESPACE/g"; }

# compare EXPECTED OUTPUT
compare() {
  local expected output
  in_namespace <"$1" | squeeze | mapfile -t expected
  squeeze <"$2" | mapfile -t output
  is_output_from 0 0 || wrong "the output is
$(cat "$2")
and the document says
$(cat "$1")"
}

# Columns are as wide as what is in them.
squeeze() { sed -E 's/[[:space:]]+/ /g; s/ $//'; }

# is_output_from I J: whether the expected lines from I on match the output from J on.
is_output_from() {
  local i=$1 j=$2
  while [ "$i" -lt ${#expected[@]} ]; do
    if [ "${expected[i]}" = … ]; then
      while [ "$j" -le ${#output[@]} ]; do
        ! is_output_from $((i + 1)) "$j" || return 0
        j=$((j + 1))
      done
      return 1
    fi
    [ "$j" -lt ${#output[@]} ] && is_line "${expected[i]}" "${output[j]}" || return 1
    i=$((i + 1)) j=$((j + 1))
  done
  [ "$j" = ${#output[@]} ]
}

# is_line EXPECTED LINE: … is anything; all else is itself.
is_line() {
  local pattern
  pattern=$(sed 's/[][\\*?]/\\&/g; s/…/*/g' <<<"$1")
  # shellcheck disable=SC2053 # the right side is a pattern
  [[ $2 == $pattern ]]
}

check_object() {
  [[ $(head -c 10 "$1") == apiVersion ]] || return 0
  running="kubectl apply --dry-run=server -f $1"
  kubectl apply --namespace=default --dry-run=server -f "$1" >"$WORK/output" 2>&1
  running=''
}

# --- The rest -------------------------------------------------------------------------------------------------------

check_links() {
  local link path anchors
  at=$1
  grep_some -oE '\]\([^)]+\)' "$1" | sed -E 's/^\]\((.*)\)$/\1/' | grep_some -vE '^https?://' | while read -r link; do
    path=${link%%#*}
    [ -z "$path" ] || path=$(dirname "$1")/$path
    [ -e "${path:-$1}" ] || wrong "the link $link leads nowhere"
    [[ $link == *#* ]] || continue
    anchors=$(anchors "${path:-$1}")
    grep -qxF "${link#*#}" <<<"$anchors" || wrong "there is no heading for the link $link"
  done
}

# anchors FILE: for each heading, its words in lower case, with dashes.
anchors() { sed -nE 's/^#+ //p' "$1" | tr '[:upper:]' '[:lower:]' | tr -d ".,:\`?/()'" | tr ' ' '-'; }

# check_reasons FILE...: each condition and each reason of the API is explained in one of them.
check_reasons() {
  local word words
  at=$*
  words=$(sed -nE 's/^[[:space:]]*(Reason|Condition)[A-Za-z]+ = "(.*)"$/\2/p' api/v1alpha1/conditions.go)
  [ -n "$words" ] || wrong 'the reasons of the API are not where they are looked for'
  while read -r word; do
    grep -qF "\`$word\`" "$@" || wrong "$word is not explained"
  done <<<"$words"
}

wrong() {
  printf 'docs: %s: %s\n' "$at" "$1" >&2
  exit 1
}

report() {
  local status=$?
  trap - EXIT
  if [ -n "$running" ]; then
    printf 'docs: %s: this ended with %s:\n%s\nIts output was:\n' "$at" "$status" "$running" >&2
    cat "$WORK/output" >&2 || true
  fi
  exit "$status"
}

main "$@"
