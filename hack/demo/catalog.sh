#!/usr/bin/env bash
# Plays the second story of Bindery in a namespace of its own, with the files of config/samples/catalog and with commands that
# anybody could type: one deploy, Storefront, attached to four backing services (a MySQL, a mail server, an S3 and an account
# of Twitter), each of which is swapped to that of a vendor by one edited line. A handle with a wrong password moves nothing.
# A Pod calls Storefront without pause, and not one request may fail.
#
# The servers are real ones, those of the e2e tests; the vendors' are such servers too. Nobody asks Twitter anything.
#
# Fails if a request failed, if a change made another number of rollouts than it should, or if the Deployment is not in the
# end what it was at first. Needs a cluster with Bindery installed from this tree: see `make demo STORY=catalog`.
#
#   KEEP=1            leaves everything in place
#   NAMESPACE=shop    where to play
APP=storefront
START='make demo STORY=catalog'
source "$(dirname "${BASH_SOURCE[0]}")/story.sh"

SERVICES=/api/v1/namespaces/$NAMESPACE/services
STOREFRONT=$SERVICES/storefront:http/proxy/
SAMPLES=config/samples/catalog

# --- The story ------------------------------------------------------------------------------------------------------

run_the_servers() {
  step 'Servers, here and at vendors' 'A MySQL, a mail server and an S3 run in the cluster. So do three more, which stand for those of vendors.'
  run <<'COMMAND'
serve() { # NAME MANIFEST PASSWORD [FLAGS]
  sed "s/<NAME>/$1/; s/<PASSWORD>/$3/; s/<USER>/app/; s/<OPTIONS>//; s/<FLAGS>/${4:-}/" "hack/e2e/testdata/servers/$2.yaml" |
    kubectl apply -f - >/dev/null
}
COMMAND
  run 'serve mysql mysql a-password-for-the-demo'
  run 'serve mailpit smtp a-password-for-the-demo --smtp-auth-allow-insecure'
  run 'serve versity s3 a-password-for-the-demo --quiet'
  run 'serve rds mysql the-password-of-a-vendor'
  run 'serve postmark smtp the-password-of-a-vendor --smtp-auth-allow-insecure'
  run 'serve amazon s3 the-password-of-a-vendor --quiet'
  await 'kubectl wait --for=condition=Available deployments --all --timeout=180s' pods
  say 'Bindery gets the name of a Secret for each of them. It does not read what is in there.'
  run "kubectl apply -f $SAMPLES/services.yaml -f $SAMPLES/vendors.yaml"
  await 'kubectl wait --for=condition=Ready bsvc --all --timeout=60s' pods
  run 'kubectl get bsvc'
  step_done 0
}

alone() {
  step 'Storefront, alone' 'An app in three Pods. It says nothing of any backing service, and is attached to none.'
  run "kubectl apply -f $SAMPLES/storefront.yaml"
  await 'kubectl rollout status deployment/storefront --timeout=120s' pods
  kubectl get deployment storefront -o jsonpath='{.spec}' >$OUT/first.json
  run "STOREFRONT=$STOREFRONT"
  run "kubectl get --raw \${STOREFRONT}"
  echo # the answer does not end its line
  step_done
}

attach_four_services() {
  step 'Attach four services' 'One deploy, four resources: each is attached by a short file, and all of them in one rollout.'
  say 'First, somebody begins to call Storefront: 50 times a second, until the end.'
  run "sed s,http://pinger,http://storefront, config/samples/load.yaml | kubectl apply -f -"
  await 'kubectl wait --for=condition=Ready pod/load --timeout=60s' pods
  measure
  local files
  printf -v files ' -f %s' $SAMPLES/storefront-{orders,mail,invoices,news}.yaml
  run "kubectl apply$files"
  await 'kubectl wait --for=condition=Ready bnd --all --timeout=180s' message bnd/storefront-orders
  measured
  ask_storefront
  expect_endpoint mysql mysql:3306
  expect_endpoint smtp mailpit:1025
  expect_endpoint s3 versity:7070
  expect_token
  run 'kubectl get bindery'
  step_done
}

swap_the_database() {
  step 'MySQL becomes that of a vendor' 'A deploy is to swap a local MySQL for one that somebody else runs, with no change of its code.'
  swap orders orders-rds MySQL
  expect_endpoint mysql rds:3306
  step_done
}

swap_the_mail() {
  step 'The mail server becomes Postmark' 'So is a local mail server for Postmark, which is of another type, and gives out a URL of the same form.'
  swap mail mail-postmark SMTP
  expect_endpoint smtp postmark:1025
  say 'The mails of before are in one of them, and those of after in the other:'
  local server
  for server in mailpit postmark; do
    run "kubectl get --raw '$SERVICES/$server:8025/proxy/api/v1/messages?limit=1' | grep -oE '\"total\":[1-9][0-9]*'"
  done
  step_done
}

swap_the_store() {
  step 'S3 becomes that of a vendor' 'Invoices go to another bucket, in another account.'
  swap invoices invoices-amazon S3
  expect_endpoint s3 amazon:7070
  step_done
}

swap_the_account() {
  step "Twitter becomes the company's account" 'A service can be nothing but a token. Storefront never says which one it has.'
  swap news news-of-the-company
  expect_token
  step_done
}

swap_to_a_wrong_password() {
  step 'Swap to a wrong password' 'Somebody mistypes a password. No Pod of Storefront is touched.'
  run "kubectl apply -f $SAMPLES/wrong-password.yaml"
  measure
  run "kubectl apply -f $SAMPLES/swap-to-wrong-password.yaml"
  await 'kubectl wait --for=condition=Stalled bnd/storefront-orders --timeout=120s' message bnd/storefront-orders
  run "kubectl get bnd storefront-orders -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].message}{\"\\n\"}'"
  say 'To go back is to edit the line back:'
  run "kubectl apply -f $SAMPLES/swap-to-orders-rds.yaml"
  await_binding storefront-orders
  measured MySQL
  ask_storefront
  expect_endpoint mysql rds:3306
  run 'kubectl get bindery'
  step_done 0
}

# swap FROM TO [TYPE]: by name of the services, whose files differ in one line. Answers are counted by the endpoints of the
# type.
swap() {
  say 'A swap is one line:'
  run "diff $SAMPLES/storefront-$1.yaml $SAMPLES/swap-to-$2.yaml || true"
  measure
  run "kubectl apply -f $SAMPLES/swap-to-$2.yaml"
  await_binding "storefront-$1"
  measured "${@:3}"
  ask_storefront
}

detach() {
  step 'Detach' 'To detach is to delete. All four Bindings go in one rollout, and the services stay.'
  measure
  run 'kubectl delete bnd --all'
  run <<'COMMAND'
until kubectl get deployment storefront -o jsonpath='{.metadata.annotations}' | grep -qv bindery.dev/attachments; do sleep 0.2; done
COMMAND
  await 'kubectl rollout status deployment/storefront --timeout=180s' pods
  await 'kubectl wait --for=jsonpath="{.status.terminatingReplicas}"=0 deployment/storefront --timeout=60s' pods
  measured
  say 'The Deployment is, byte for byte, what was applied at first:'
  kubectl get deployment storefront -o jsonpath='{.spec}' >$OUT/last.json
  run "cmp $OUT/first.json $OUT/last.json && echo the same"
  step_done
}

clean_up() {
  step 'Clean up' 'Bindery puts a finalizer on nothing, so nothing holds a deletion up.'
  run 'kubectl delete pod load'
  run 'kubectl delete bsvc,deployments --all'
  await 'kubectl wait --for=delete pods --all --timeout=120s' pods
  await "kubectl delete namespace $NAMESPACE --timeout=180s" pods
  made_namespace=''
  step_done
}

tell_how_to_go_on() {
  cat <<TEXT

Everything is still there: Storefront, attached to nothing, four services, and those of four vendors. To go on:

  export KUBECONFIG=\$PWD/$OUT/kubeconfig PATH=\$PWD/bin:\$PATH
  kubectl apply -f $SAMPLES/storefront-orders.yaml
  kubectl get bindery
  kubectl get --raw $STOREFRONT

When you are done: kubectl delete namespace $NAMESPACE
TEXT
}

# --- What is checked ------------------------------------------------------------------------------------------------

# ask_storefront: what it says of its services goes to stdout, and into answer.
answer=''
ask_storefront() {
  local command="kubectl get --raw \${STOREFRONT} | grep -oE '\"attached\".*'"
  type_out "$command"
  answer=$(eval "$command") || fail "this failed: $command"
  printf '%s\n' "$answer"
}

# expect_endpoint TYPE ENDPOINT: where Storefront says that its service of the type is.
expect_endpoint() {
  local endpoint
  endpoint=$(sed -n "s/.*\"$1\":{\"endpoint\":\"\\([^\"]*\\)\".*/\\1/p" <<<"$answer")
  expect "the endpoint of $1" "$endpoint" "$2"
}

expect_token() { expect 'what Storefront says of Twitter' "$(grep -o '"twitter":{[^}]*}' <<<"$answer")" '"twitter":{"did":"has a token"}'; }

play run_the_servers alone attach_four_services swap_the_database swap_the_mail swap_the_store swap_the_account swap_to_a_wrong_password detach
