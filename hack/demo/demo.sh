#!/usr/bin/env bash
# Plays the story of Bindery in a namespace of its own, with the files of config/samples and with commands that anybody
# could type: Pinger alone, attached to a Redis and to a collector, swapped to another Redis, to one whose password is wrong
# (which moves nothing) and to one that somebody else runs, and detached. From the second attachment on, a Pod calls Pinger without pause, and not one request may fail.
#
# Fails if a request failed, if a change made another number of rollouts than it should, or if the Deployment is not in the end what it was at
# first. Needs a cluster with Bindery installed from this tree: see `make demo`.
#
#   KEEP=1            leaves everything in place
#   NAMESPACE=shop    where to play
APP=pinger
START='make demo'
source "$(dirname "${BASH_SOURCE[0]}")/story.sh"

PINGER=/api/v1/namespaces/$NAMESPACE/services/pinger:http/proxy/
LOGS=/api/v1/namespaces/$NAMESPACE/services/bindery-logs:4001/proxy/

# --- The story ------------------------------------------------------------------------------------------------------

alone() {
  step 'Pinger, alone' 'An app in three Pods. It says nothing of any backing service, and is attached to none.'
  run 'kubectl apply -f config/samples/pinger.yaml'
  await 'kubectl rollout status deployment/pinger --timeout=120s' pods
  kubectl get deployment pinger -o jsonpath='{.spec}' >$OUT/first.json
  run "PINGER=$PINGER"
  run "kubectl get --raw \${PINGER}"
  echo # the answer does not end its line
  step_done
}

attach_a_redis() {
  step 'Attach a Redis' 'One file asks for a Redis, the other attaches it. Pinger counts its visitors in it from then on.'
  run 'kubectl apply -f config/samples/visits.yaml'
  run 'kubectl apply -f config/samples/pinger-visits.yaml'
  await_binding pinger-visits
  local visit
  for visit in 1 2 3; do
    ask_pinger
    expect 'the count of visits' "$visits" "$visit"
  done
  expect_endpoint visits
  step_done
}

attach_a_collector() {
  step 'Attach a collector' 'A collector keeps log lines in a Redis: a backing service that has a backing service.'
  say 'First, somebody begins to call Pinger: 50 times a second, until the end.'
  run 'kubectl apply -f config/samples/load.yaml'
  await 'kubectl wait --for=condition=Ready pod/load --timeout=60s' pods
  local before
  before=$(replica_sets)
  measure
  run 'kubectl apply -f config/samples/logs.yaml'
  await_binding pinger-logs
  measured Redis
  say "Pinger had $before ReplicaSets and has $(replica_sets): one rollout."
  expect 'the number of ReplicaSets' "$(replica_sets)" $((before + 1))
  run 'kubectl get bindery'
  find_a_log_line
  step_done
}

find_a_log_line() {
  local id secret key='' find try
  say 'Where is a log line now? Each request has an id, and so have its lines:'
  ask '"correlationId".*' hello
  id=$(sed -n 's/^"correlationId":"\([^"]*\)".*/\1/p' <<<"$answer")
  say 'The collector keeps lines in batches, each under a key. Who runs its Redis may ask that for the key of ours:'
  run <<'COMMAND'
FIND='for _, key in ipairs(redis.call("keys", "????????-*")) do
    if redis.call("get", key):find(ARGV[1], 1, true) then return key end end'
COMMAND
  secret=$(kubectl get bsvc visits -o jsonpath='{.status.handle.secretName}')
  find="kubectl get secret $secret -o jsonpath='{.data.password}' | base64 -d |
    kubectl exec -i visits-0 -- redis-cli --askpass eval \"\$FIND\" 0 $id"
  type_out "$find"
  # A batch is sent when it is full, so ours may take a moment.
  for try in {1..20}; do
    key=$(eval "$find")
    [ -z "$key" ] || break
    sleep 0.5
  done
  [ -n "$key" ] || fail "after $try tries, the collector's Redis has no record of the request"
  echo "$key"
  say 'And the collector answers with the lines of that batch. Two are of our request:'
  run "kubectl get --raw '$LOGS?key=$key' | grep -o '{[^{}]*${id}[^{}]*}'"
}

swap_to_another_redis() {
  step 'Swap to another Redis' 'The second Redis has no volume: a cache. It is there before anything is swapped.'
  run 'kubectl apply -f config/samples/visits2.yaml'
  await 'kubectl wait --for=condition=Ready bsvc/visits2 --timeout=120s' message bsvc/visits2
  swap pinger-visits swap-to-visits2
  expect_endpoint visits2
  step_done
}

swap_to_a_wrong_password() {
  step 'Swap to a Redis with a wrong password' 'Somebody mistypes a password, on a Friday afternoon. No Pod of Pinger is touched.'
  run 'kubectl apply -f config/samples/wrong-password.yaml'
  measure
  run 'kubectl apply -f config/samples/swap-to-wrong-password.yaml'
  await 'kubectl wait --for=condition=Stalled bnd/pinger-visits --timeout=120s' message bnd/pinger-visits
  run "kubectl get bnd pinger-visits -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].message}{\"\\n\"}'"
  run 'kubectl get bindery'
  say 'To go back is to edit the line back:'
  run 'kubectl apply -f config/samples/swap-to-visits2.yaml'
  await_binding pinger-visits
  measured Redis
  ask_pinger
  expect_endpoint visits2
  run 'kubectl delete -f config/samples/wrong-password.yaml'
  step_done 0
}

swap_to_somebody_elses_redis() {
  step 'Swap to a Redis that somebody else runs' 'Bindery did not make it. Of its handle it knows the name of a Secret, and never what is in it.'
  run 'kubectl apply -f config/samples/somebody-elses-redis.yaml'
  run 'kubectl apply -f config/samples/elsewhere.yaml'
  await 'kubectl rollout status deployment/somebody-elses-redis --timeout=120s' pods
  await 'kubectl wait --for=condition=Ready bsvc/elsewhere --timeout=60s' message bsvc/elsewhere
  swap swap-to-visits2 swap-to-elsewhere
  expect_endpoint somebody-elses-redis
  run 'kubectl get bindery'
  step_done
}

# swap FROM TO: by name of their files, which differ in one line.
swap() {
  say 'A swap is one line:'
  run "diff config/samples/$1.yaml config/samples/$2.yaml || true"
  measure
  run "kubectl apply -f config/samples/$2.yaml"
  await_binding pinger-visits
  measured Redis
  ask_pinger
}

detach() {
  step 'Detach' 'To detach is to delete. Both Bindings go in one rollout, and the services stay.'
  measure
  run 'kubectl delete bnd pinger-visits pinger-logs'
  run <<'COMMAND'
until kubectl get deployment pinger -o jsonpath='{.metadata.annotations}' | grep -qv bindery.dev/attachments; do sleep 0.2; done
COMMAND
  await 'kubectl rollout status deployment/pinger --timeout=180s' pods
  await 'kubectl wait --for=jsonpath="{.status.terminatingReplicas}"=0 deployment/pinger --timeout=60s' pods
  measured Redis
  ask_pinger
  expect 'the endpoint' "$endpoint" ''
  say 'The Deployment is, byte for byte, what was applied at first:'
  kubectl get deployment pinger -o jsonpath='{.spec}' >$OUT/last.json
  run "cmp $OUT/first.json $OUT/last.json && echo the same"
  step_done
}

clean_up() {
  step 'Clean up' 'Bindery puts a finalizer on nothing, so nothing holds a deletion up.'
  # First everything that has Pods: the deletion of a namespace with Pods that are ending is retried only half a minute
  # later.
  run 'kubectl delete -f config/samples/load.yaml'
  say 'The collector uses a Redis, and what is in use is not deleted: so it goes first.'
  run 'kubectl delete bsvc logs'
  await 'kubectl wait --for=delete bnd/logs-store --timeout=60s' pods
  run 'kubectl delete bsvc,deployments --all'
  await 'kubectl wait --for=delete pods --all --timeout=120s' pods
  await "kubectl delete namespace $NAMESPACE --timeout=180s" pods
  made_namespace=''
  step_done
}

tell_how_to_go_on() {
  cat <<TEXT

Everything is still there: Pinger, attached to nothing, two Redis, a collector, and somebody else's Redis. To go on:

  export KUBECONFIG=\$PWD/$OUT/kubeconfig PATH=\$PWD/bin:\$PATH
  kubectl apply -f config/samples/pinger-visits.yaml
  kubectl get bindery
  kubectl get --raw $PINGER

When you are done: kubectl delete namespace $NAMESPACE
TEXT
}

# --- What is checked ------------------------------------------------------------------------------------------------

# ask PATTERN [PATH]: what of Pinger's answer matches goes to stdout, and into answer.
answer=''
ask() {
  local command="kubectl get --raw \${PINGER}${2:-} | grep -oE '$1'"
  type_out "$command"
  answer=$(eval "$command") || fail "this failed: $command"
  printf '%s\n' "$answer"
}

# ask_pinger: sets visits and endpoint.
visits='' endpoint=''
ask_pinger() {
  ask '"(visits|attached)".*'
  visits=$(sed -n 's/.*"visits":\([0-9]*\).*/\1/p' <<<"$answer")
  endpoint=$(sed -n 's/.*"redis":{"endpoint":"\([^"]*\)".*/\1/p' <<<"$answer")
}

# expect_endpoint NAME: the Redis that Pinger says it is attached to, Bindery's or somebody else's.
expect_endpoint() {
  case $endpoint in
  "$1:6379" | "bindery-$1.$NAMESPACE.svc:6379") ;;
  *) fail "Pinger is attached to '$endpoint', and should be to $1" ;;
  esac
}

play alone attach_a_redis attach_a_collector swap_to_another_redis swap_to_a_wrong_password swap_to_somebody_elses_redis detach
