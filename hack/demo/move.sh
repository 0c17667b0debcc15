#!/usr/bin/env bash
# Plays the third story of Bindery in a namespace of its own, with the files of config/samples/move and with commands that
# anybody could type: the data moves with the swap. Pinger counts its visitors in a Redis, and a collector keeps its log lines
# there. Both move to a bigger Redis by an edited line each, under load: no request fails, and no visit is forgotten. Then
# Miniflux, an app that nobody here has written, moves from a PostgreSQL in the cluster to that of a vendor, with its feeds:
# it is stopped while they are copied.
#
# Fails if a request failed, if a visit or a feed is missing, or if a change made another number of rollouts than it should.
# Needs a cluster with Bindery installed from this tree: see `make demo STORY=move`.
#
#   KEEP=1            leaves everything in place
#   NAMESPACE=shop    where to play
APP=pinger
START='make demo STORY=move'
source "$(dirname "${BASH_SOURCE[0]}")/story.sh"

PINGER=/api/v1/namespaces/$NAMESPACE/services/pinger:http/proxy/
SAMPLES=config/samples/move
RATE=250  # requests a second; each is a visit to count, and two log lines
FEEDS=200 # that Miniflux has

# --- The story ------------------------------------------------------------------------------------------------------

attach() {
  step 'Pinger and a collector, in one Redis' 'Pinger counts its visitors in a Redis. A collector keeps its log lines in the same one.'
  run "kubectl apply -f config/samples/pinger.yaml -f config/samples/visits.yaml -f config/samples/pinger-visits.yaml -f config/samples/logs.yaml"
  await 'kubectl wait --for=condition=Ready bnd/pinger-visits bnd/pinger-logs bnd/logs-store --timeout=180s' message bnd/pinger-visits
  run "PINGER=$PINGER"
  say "Somebody begins to call Pinger: $RATE times a second, if the machine lets it, until the end of this part."
  run "sed 's/\"50\"/\"$RATE\"/' config/samples/load.yaml | kubectl apply -f -"
  await 'kubectl wait --for=condition=Ready pod/load --timeout=60s' pods
  visits_between
  step_done "$(revision)"
}

ask_for_a_bigger_one() {
  step 'A bigger Redis' 'It names the first one in spec.seedFrom, gets its data, and follows it. No app is touched.'
  measure
  run "kubectl apply -f $SAMPLES/visits-big.yaml"
  await 'kubectl wait --for=jsonpath="{.status.move.step}"=Attaching bsvc/visits-big --timeout=180s' seeded visits-big
  run "kubectl get bsvc visits-big -o jsonpath='{.status.conditions[?(@.type==\"Seeded\")].message}{\"\\n\"}'"
  measured Redis
  step_done 0
}

move_both() {
  step 'Both move to it, with their data' 'One line for Pinger, and one for the collector. Pods of before and of after write to the same data meanwhile.'
  run "diff config/samples/pinger-visits.yaml $SAMPLES/swap-to-visits-big.yaml || true"
  measure
  run "kubectl apply -f $SAMPLES/swap-to-visits-big.yaml -f $SAMPLES/logs-to-visits-big.yaml"
  await 'kubectl wait --for=condition=Seeded bsvc/visits-big --timeout=180s' seeded visits-big
  await 'kubectl wait --for=condition=Ready bnd/pinger-visits bnd/logs-store --timeout=180s' message bnd/pinger-visits
  measured Redis
  visits_between
  run 'kubectl get bindery'
  say 'The first Redis has what it had at that moment, and is used by nobody:'
  run "kubectl get bsvc visits -o jsonpath='{.status.attachmentCount}{\"\\n\"}'"
  run 'kubectl delete pod load'
  step_done
}

an_app_of_somebody_elses() {
  APP=miniflux
  step 'Miniflux, with its feeds in a PostgreSQL' 'An app that nobody here has written: https://miniflux.app. It has what it needs to know from its Binding.'
  run <<'COMMAND'
serve() { # NAME PASSWORD
  sed "s/<NAME>/$1/; s/<PASSWORD>/$2/; s/<ADMIN>/of-the-administrator/; s/<PRIMARY>//" hack/e2e/testdata/servers/postgresql.yaml |
    kubectl apply -f - >/dev/null
}
COMMAND
  run 'serve postgres a-password-for-the-demo'
  run 'serve rds the-password-of-a-vendor'
  await 'kubectl wait --for=condition=Available deployment/postgres deployment/rds --timeout=180s' pods
  run "kubectl apply -f $SAMPLES/databases.yaml -f $SAMPLES/miniflux-feeds.yaml -f hack/e2e/testdata/miniflux.yaml"
  await_binding miniflux-feeds
  say "Somebody reads $FEEDS feeds with it:"
  run <<COMMAND
for i in {1..$FEEDS}; do echo "<outline type='rss' text='Feed \$i' xmlUrl='http://feed-\$i.example/rss'/>"; done |
  (echo '<opml version="2.0"><body>'; cat; echo '</body></opml>') >$OUT/feeds.opml
COMMAND
  ask_miniflux --data-binary @$OUT/feeds.opml /v1/import >/dev/null
  expect_feeds
  step_done "$(revision)"
}

copy_the_database() {
  step 'Its database becomes that of a vendor' 'Nothing follows a PostgreSQL of somebody else. So Miniflux is stopped while its data is copied.'
  await 'kubectl wait --for=jsonpath="{.status.move.step}"=Checking bsvc/feeds-rds --timeout=60s' seeded feeds-rds
  run "diff $SAMPLES/miniflux-feeds.yaml $SAMPLES/swap-to-feeds-rds.yaml || true"
  run "kubectl apply -f $SAMPLES/swap-to-feeds-rds.yaml"
  await 'kubectl wait --for=condition=Seeded bsvc/feeds-rds --timeout=180s' seeded feeds-rds
  await_binding miniflux-feeds
  run "kubectl get events --field-selector involvedObject.name=miniflux -o custom-columns=REASON:.reason,MESSAGE:.message | grep -E 'Stopped|Started'"
  expect_feeds
  step_done
}

clean_up() {
  step 'Clean up' 'Bindery puts a finalizer on nothing, so nothing holds a deletion up.'
  run 'kubectl delete bnd pinger-visits pinger-logs miniflux-feeds'
  await 'kubectl wait --for=jsonpath="{.status.attachmentCount}"=0 bsvc/logs --timeout=60s' pods
  run 'kubectl delete bsvc logs'
  await 'kubectl wait --for=delete bnd/logs-store --timeout=60s' pods
  await 'kubectl wait --for=jsonpath="{.status.attachmentCount}"=0 bsvc --all --timeout=60s' pods
  run 'kubectl delete bsvc,deployments --all'
  await 'kubectl wait --for=delete pods --all --timeout=120s' pods
  await "kubectl delete namespace $NAMESPACE --timeout=180s" pods
  made_namespace=''
  step_done
}

tell_how_to_go_on() {
  cat <<TEXT

Everything is still there: Pinger and a collector on the bigger Redis, and Miniflux on the PostgreSQL of the vendor. To go back,
with what was written since:

  export KUBECONFIG=\$PWD/$OUT/kubeconfig PATH=\$PWD/bin:\$PATH
  kubectl patch bsvc visits --type=merge -p '{"spec":{"seedFrom":{"name":"visits-big","replaceData":"Always"}}}'
  kubectl apply -f config/samples/pinger-visits.yaml -f config/samples/logs.yaml
  kubectl get bindery

When you are done: kubectl delete namespace $NAMESPACE
TEXT
}

# --- What is checked ------------------------------------------------------------------------------------------------

# seeded SERVICE: what it says about its data.
seeded() { kubectl get bsvc "$1" -o jsonpath='{.status.conditions[?(@.type=="Seeded")].message}'; }

# visits_between: each request that was answered is a visit. So Pinger's count lies between what the load Pod has had answers to
# before Pinger was asked, and what it has sent after that; and what was asked here counts, too.
asked=0
visits_between() {
  local answered sent command="kubectl get --raw \${PINGER} | grep -oE '\"visits\".*'" visits
  answered=$(kubectl get --raw "$LOAD" | { stats=$(cat); echo $(($(number sent "$stats") - $(number failed "$stats"))); })
  type_out "$command"
  visits=$(eval "$command") || fail "this failed: $command"
  asked=$((asked + 1))
  sent=$(number sent "$(kubectl get --raw "$LOAD")")
  printf '%s\n' "$visits"
  visits=$(sed -n 's/.*"visits":\([0-9]*\).*/\1/p' <<<"$visits")
  say "The load Pod had $answered answers before, and has sent $sent requests after that; $asked were sent from here."
  [ "$visits" -ge $((answered + asked)) ] || fail "$((answered + asked - visits)) visits are forgotten"
  [ "$visits" -le $((sent + asked + IN_FLIGHT)) ] || fail "$((visits - sent - asked)) visits were never made"
}
IN_FLIGHT=64 # of the load Pod at one moment, at most: they are not counted as sent yet

# ask_miniflux [OPTION...] PATH: its API, as the administrator.
ask_miniflux() {
  local port=$OUT/port try
  kubectl port-forward service/miniflux :80 >$port 2>&1 &
  waiting=$!
  for try in {1..100}; do
    grep -q 'Forwarding from 127' $port && break
    sleep 0.1
  done
  curl -sSf -u admin:test123 "${@:1:$#-1}" "http://127.0.0.1:$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' $port)${*: -1}"
  kill "$waiting"
  wait "$waiting" || true
  waiting=''
}

expect_feeds() {
  local feeds
  feeds=$(ask_miniflux /v1/feeds | grep -o '"feed_url"' | wc -l)
  say "Miniflux has $feeds feeds."
  expect 'the number of feeds' "$feeds" "$FEEDS"
}

play attach ask_for_a_bigger_one move_both an_app_of_somebody_elses copy_the_database
