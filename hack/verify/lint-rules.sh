#!/usr/bin/env bash
# Proves the rules of .golangci.yml that hold the direction of the tree and the purity of what only decides.
#
# A module of the same shape as this one is written to a temporary directory: each `breaks` below is a file that breaks
# one rule, each `keeps` a file that comes close and breaks none. The linter must report every one of the first, with the
# message named, and not one of the second.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
module=$(cd "$root" && go list -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$root/.golangci.yml" "$root/go.mod" "$root/go.sum" "$work/"

expected=() # FILE<tab>MESSAGE
forgiven=() # FILE
count=0

# add NAME DIR: a file of its own in the package DIR, with the code on standard input.
add() {
	local package=${2##*/}
	mkdir -p "$work/$2"
	{ echo "package ${package//-/}"; cat; } >"$work/$2/$1"
}

# breaks FILE MESSAGE: a file DIR/PREFIX.go with the code on standard input, which the linter must report with MESSAGE.
breaks() {
	local dir=${1%/*} name=${1##*/}
	((++count))
	case $name in
	*_test.go) name=${name%_test.go}_${count}_test.go ;;
	*) name=${name%.go}_$count.go ;;
	esac
	sed "s/\bf(/f$count(/" | add "$name" "$dir"
	expected+=("$dir/$name"$'\t'"$2")
}

# keeps FILE: the same, for a file that the linter must leave alone.
keeps() {
	breaks "$1" ""
	forgiven+=("${expected[-1]%%$'\t'*}")
	unset 'expected[-1]'
}

# breaks_import FILE LIST IMPORT...: one file for each import that the depguard list LIST must refuse.
breaks_import() {
	local file=$1 list=$2 import
	shift 2
	for import; do
		breaks "$file" "import '$import' is not allowed from list '$list'" <<<"import _ \"$import\""
	done
}

# keeps_import FILE IMPORT...: one file with imports that every list must allow.
keeps_import() {
	local file=$1
	shift
	keeps "$file" <<<"$(printf 'import _ "%s"\n' "$@")"
}

# The packages that the files below import. Where an import would close a cycle, which the compiler would report before
# the linter, the file is in a folder `up` that nobody imports.
for dir in api/v1alpha1 controllers controllers/backingservice controllers/binding controllers/planner controllers/preview controllers/internal/probe \
	controllers/job controllers/internal/move/{outcome,replicate} cmd/version; do
	add doc.go "$dir" </dev/null
done

client=sigs.k8s.io/controller-runtime/pkg/client

# The API imports apimachinery only.
breaks_import api/v1alpha1/types.go api k8s.io/api/core/v1 k8s.io/client-go/rest sigs.k8s.io/controller-runtime/pkg/scheme
breaks_import api/up/types.go api "$module/controllers"
keeps_import api/up/types.go "$module/api/v1alpha1"
keeps_import api/v1alpha1/types.go strings k8s.io/apimachinery/pkg/runtime
keeps_import api/v1alpha1/types_test.go k8s.io/api/core/v1

# What only decides has no client, logger, network, environment, chance or clock.
for file in controllers/internal/{catalog,condition,engine,handle,ledger,move/outcome,podtemplate,proof,rollout,slim}/pure.go \
	controllers/{backingservice/plan_redis,internal/follow/sighting,planner/decide,preview/play}.go; do
	breaks_import "$file" pure "$client" k8s.io/client-go/kubernetes os net/http log log/slog crypto/rand \
		"$module/controllers/internal/probe" "$module/controllers/internal/move/replicate"
	breaks "$file" 'take now as an argument' <<<$'import "time"\nfunc f() any { return time.Now() }'
	keeps_import "$file" net/url crypto/sha256 k8s.io/api/apps/v1 k8s.io/client-go/applyconfigurations/core/v1 "$module/api/v1alpha1"
done
pure=controllers/internal/handle/pure.go
breaks_import $pure pure os/exec syscall io/ioutil net/rpc net/smtp crypto/tls database/sql math/rand/v2 k8s.io/klog/v2 \
	github.com/go-logr/logr github.com/google/uuid sigs.k8s.io/controller-runtime k8s.io/utils/clock \
	k8s.io/apimachinery/pkg/util/{rand,uuid,wait}
keeps_import $pure k8s.io/apimachinery/pkg/api/resource k8s.io/utils/ptr sigs.k8s.io/yaml
breaks $pure 'take now as an argument' <<<$'import "time"\nfunc f(t time.Time) any { return time.Since(t) }'
breaks $pure 'take now as an argument' <<<$'import "time"\nfunc f(t time.Time) any { return time.Until(t) }'
breaks $pure 'take now as an argument' <<<$'import t "time"\nvar _ = t.Now'
breaks $pure 'take now as an argument' <<<$'import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"\nvar _ = metav1.Now'
breaks $pure 'leave the network to the probe' <<<$'import "net"\nvar _ = net.Dial'
breaks $pure 'leave the network to the probe' <<<$'import "net"\nvar _ = net.LookupHost'
keeps $pure <<<$'import "net"\nvar _ = net.JoinHostPort'
keeps controllers/internal/handle/pure_test.go <<<$'import ("os"; "time")\nvar _, _ = os.Getenv, time.Now'
keeps controllers/binding/apply.go <<<$'import ("time"; _ "'$client$'")\nvar _ = time.Now'
keeps controllers/internal/probe/redis.go <<<$'import ("net"; "time")\nvar _, _ = net.Dial, time.Now'

# internal knows no controller, the controllers do not know each other, and nothing below cmd knows cmd.
for name in catalog condition engine handle ledger podtemplate probe proof rollout slim; do
	breaks_import controllers/internal/$name/up/up.go controllers-internal "$module/controllers" \
		"$module/controllers/backingservice" "$module/controllers/binding" "$module/controllers/planner" "$module/controllers/preview"
done
breaks_import controllers/planner/up/up.go pure "$module/controllers/backingservice" "$module/controllers/binding" "$module/controllers/preview"
breaks_import controllers/preview/up/up.go pure "$module/controllers/backingservice" "$module/controllers/binding" "$module/controllers"
keeps_import controllers/preview/play.go "$module/controllers/planner"
breaks_import controllers/internal/probe/up/up_test.go controllers-internal "$module/controllers/binding"
breaks_import controllers/binding/up/observe.go controllers-binding "$module/controllers/backingservice" "$module/controllers"
breaks_import controllers/backingservice/up/observe.go controllers-backingservice "$module/controllers/binding" \
	"$module/controllers/planner" "$module/controllers"
breaks_import controllers/up/plan.go pure "$module/controllers/backingservice" "$module/controllers/binding"
breaks_import controllers/setup.go controllers "$module/cmd/version"
breaks_import controllers/setup.go operator "$module/controllers/job" "$module/controllers/internal/probe" \
	"$module/controllers/internal/move/replicate"
keeps_import controllers/setup.go "$module/controllers/backingservice" "$module/controllers/binding" \
	"$module/controllers/internal/move/outcome"
keeps_import controllers/binding/observe.go "$module/controllers/internal/rollout" "$module/controllers/planner"

# Commands go through the one exported door; the apps know nothing of Bindery.
for name in bindery kubectl-bindery; do
	breaks_import cmd/$name/x.go cmd "$module/controllers/binding" "$module/controllers/backingservice"
	keeps_import cmd/$name/x.go "$module/controllers" "$module/controllers/planner" "$module/controllers/preview" "$module/api/v1alpha1" "$client"
done
for dir in cmd/pinger cmd/collector cmd/storefront cmd/internal/env; do
	breaks_import $dir/x.go apps "$module/api/v1alpha1" "$module/controllers" k8s.io/client-go/rest "$client"
	breaks_import $dir/x.go cmd "$module/controllers/binding"
done
keeps_import cmd/pinger/x.go "$module/cmd/internal/env" net/http

# Only commands print, and only they and tests make a context.
for file in controllers/setup.go controllers/binding/apply.go; do
	breaks $file 'only a command prints' <<<$'import "fmt"\nfunc f() { fmt.Println("x") }'
	breaks $file 'only a command prints' <<<$'import "fmt"\nfunc f() { fmt.Printf("x") }'
	breaks $file 'only a command prints' <<<$'func f() { println("x") }'
	breaks $file "take the caller's context" <<<$'import "context"\nvar _ = context.Background'
	breaks $file "take the caller's context" <<<$'import "context"\nvar _ = context.TODO'
done
breaks_import cmd/bindery/x.go everywhere io/ioutil math/rand
keeps cmd/bindery/x.go <<<$'import ("context"; "fmt")\nfunc f() { fmt.Println(context.Background()) }'
keeps controllers/setup_test.go <<<$'import ("context"; "fmt")\nfunc f() { fmt.Println(context.Background()) }'

report=$work/report
status=0
(cd "$work" && "$root/bin/golangci-lint" run --enable-only=depguard,forbidigo --uniq-by-line=false \
	--output.text.path="$report" --output.text.print-issued-lines=false --output.text.colors=false --show-stats=false \
	./...) || status=$?
if [[ $status != 1 ]] || grep -q '(typecheck)' "$report"; then
	echo "lint-rules: the files of this test do not compile, or the linter failed (exit $status):" >&2
	cat "$report" >&2
	exit 1
fi

failed=0
for entry in "${expected[@]}"; do
	file=${entry%%$'\t'*} message=${entry#*$'\t'}
	if ! grep -F "$file:" "$report" | grep -qF -- "$message"; then
		echo "lint-rules: $file is not reported with \"$message\":" >&2
		sed 's/^/    /' "$work/$file" >&2
		grep -F "$file:" "$report" | sed 's/^/    /' >&2 || true
		failed=1
	fi
done
for file in "${forgiven[@]}"; do
	if grep -F "$file:" "$report" >&2; then
		echo "lint-rules: $file is reported, and breaks no rule" >&2
		failed=1
	fi
done
[[ $failed == 0 ]] && echo "lint-rules: ${#expected[@]} broken rules reported, ${#forgiven[@]} good files left alone" >&2
exit "$failed"
