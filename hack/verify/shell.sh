#!/usr/bin/env bash
# Runs shellcheck over every shell script of the repository: *.sh, and whatever begins with #! and a shell. And fails, with
# the lines, where a script may lose the failure of a command:
#   a function under a condition (if, while, until, !, &&, ||), where `set -e` does not hold inside it. It may only ask a
#   question and be named so, with `is`, `has` or `can` as a word of its name;
#   a process substitution that is read: its exit status is nobody's. A pipe with `lastpipe` does the same and keeps it.
# It proves on examples first that it tells one from the other.
set -euo pipefail
shopt -s inherit_errexit lastpipe
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v shellcheck >/dev/null; then
	command -v apt-get >/dev/null || { echo "install shellcheck: https://www.shellcheck.net" >&2; exit 1; }
	as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	echo "installing shellcheck" >&2
	"${as_root[@]}" apt-get update -qq >&2
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends shellcheck >&2
fi

scripts=()
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
	[ -f "$file" ] || continue # deleted, and not yet committed
	if [[ $file == *.sh ]] || head -c 64 -- "$file" | head -n 1 | tr -d '\0' | grep -qE '^#!.*[/ ](ba|da)?sh( |$)'; then
		scripts+=("$file")
	fi
done

# grep_some ARGUMENTS: grep, for which it is no error to find nothing.
grep_some() { grep "$@" || [ $? = 1 ]; }

# losses FILE...: the lines that may lose a failure. Shellcheck finds functions under conditions by their names, and not the
# names that are put together at run time, such as "${CLUSTER_KIND}_load".
losses() {
	local file line column rest name
	{
		# Its exit status is 1 where it has found something.
		shellcheck --check-sourced --external-sources --source-path=SCRIPTDIR --enable=check-set-e-suppressed --include=SC2310 \
			--format=gcc -- "$@" || [ $? = 1 ]
	} | while IFS=: read -r file line column rest; do
		name=$(sed -n "${line}p" "$file")
		[[ ${name:column-1} =~ ^[A-Za-z_0-9]+ ]]
		name=${BASH_REMATCH[0]}
		[[ $name =~ (^|_)(is|has|can)(_|$) ]] || echo "${file/\/.\//\/}:$line: $name is a function under a condition, and its name asks no question"
	done | sort -u
	grep_some -nHE '(^|[^[:alnum:]_])(if|while|until|!|&&|\|\|) +"\$\{?[A-Za-z_]+\}?_[a-z_]+"' -- "$@" |
		grep_some -vE '_(is|has|can)_[a-z_]*"' |
		sed 's/$/   # a function under a condition, and its name asks no question/'
	grep_some -nHE '[^<]< <\(' -- "$@" | sed 's/$/   # the status of what is read is lost/'
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/good.sh" <<'SCRIPT'
#!/usr/bin/env bash
set -e
shopt -s lastpipe
is_there() { [ -e "$1" ]; }
make_it() { touch "$1"; touch "$2"; }
if ! is_there a; then make_it a b; fi
is_there a || make_it a b
"${KIND}_load" a
if "${KIND}_has_image" a; then "${KIND}_load" a; fi
ls | mapfile -t files
diff <(ls) <(ls "${files[@]}")
SCRIPT
# The @ keeps the lines from being found here.
sed 's/@//' >"$work/bad.sh" <<'SCRIPT'
#!/usr/bin/env bash
set -e
make_it() { touch "$1"; touch "$2"; }
if make_it a b; then echo made; fi
make_it a b && echo made
while ! make_it a b; do sleep 1; done
if "$@{KIND}_load" a; then echo loaded; fi
[ -e a ] || "$@{KIND}_load" a && echo loaded
mapfile -t files < @<(ls)
while read -r file; do echo "$file"; done < @<(ls "${files[@]}")
SCRIPT
good=$(losses "$work/good.sh")
bad=$(losses "$work/bad.sh")
if [ -n "$good" ] || [ "$(wc -l <<<"$bad")" != 7 ]; then
	printf 'shell: reported of what loses nothing: %s\nand of seven lines that do:\n%s\n' "$good" "$bad" >&2
	exit 2
fi

shellcheck --external-sources --source-path=SCRIPTDIR -- "${scripts[@]}"
lost=$(losses "${scripts[@]}")
if [ -n "$lost" ]; then
	echo "$lost" >&2
	echo 'shell: call it on a line of its own, or see at the top of hack/verify/shell.sh' >&2
	exit 1
fi
echo "shellcheck: ${#scripts[@]} scripts" >&2
