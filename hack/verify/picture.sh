#!/usr/bin/env bash
# Renders the picture at the top of README.md, and the other golden pictures, with headless Chromium in light and in dark, and
# measures with it that no text is wider than its room. The PNGs are for looking at.
#
# usage: picture.sh [FILE.svg...]   The PNGs are in bin/picture. Needs Chromium, and installs that of Debian where it is missing.
set -euo pipefail
shopt -s inherit_errexit lastpipe
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

OUT=bin/picture
# A browser draws no more pixels in one image.
LONGEST=16000

main() {
	local files=("$@") file
	[ ${#files[@]} -gt 0 ] || files=(docs/images/attached.svg cmd/kubectl-bindery/internal/picture/testdata/*.svg)
	install_chromium
	mkdir -p "$OUT"
	for file in "${files[@]}"; do
		measure "$file"
		shoot "$file" light
		shoot "$file" dark
	done
	echo "picture: ${#files[@]} pictures have room for their texts; look at $OUT/*.png" >&2
}

install_chromium() {
	local as_root=()
	! command -v chromium >/dev/null || return 0
	command -v apt-get >/dev/null || { echo 'picture: install chromium' >&2; exit 1; }
	[ "$(id -u)" = 0 ] || as_root=(sudo)
	"${as_root[@]}" apt-get update -qq >&2
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2
}

browse() { timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "$@" 2>"$OUT/chromium.log"; }

# measure FILE: fails with the texts that are wider than the room that the layout gave them (data-room).
measure() {
	local page=$OUT/measure.html result
	{
		echo '<!DOCTYPE html><meta charset="utf-8"><body>'
		cat "$1"
		cat <<-'HTML'
			<pre id="result"></pre>
			<script>
			const texts = [...document.querySelectorAll('svg text')]
			const wide = texts.filter(t => t.getComputedTextLength() > Number(t.dataset.room))
			document.getElementById('result').textContent = ['measured ' + texts.length,
			  ...wide.map(t => 'too wide: ' + t.getComputedTextLength() + ' of ' + t.dataset.room + ': ' + t.textContent)].join('\n')
			document.currentScript.remove()
			</script>
		HTML
	} >"$page"
	result=$(browse --dump-dom "file://$PWD/$page" | sed -n '/<pre id="result">/,/<\/pre>/p' | sed -E 's/<[^>]*>//g')
	if ! [[ $result =~ ^measured\ [1-9] ]] || [[ $result == *'too wide'* ]]; then
		printf 'picture: %s:\n%s\n' "$1" "${result:-$(cat "$OUT/chromium.log")}" >&2
		exit 1
	fi
}

# shoot FILE light|dark: as a browser shows it to somebody who prefers that.
shoot() {
	local name width height scheme=1
	name=$(basename "$1" .svg)
	[[ $(<"$1") =~ \ width=\"([0-9]+)\"\ height=\"([0-9]+)\" ]]
	width=${BASH_REMATCH[1]} height=${BASH_REMATCH[2]}
	[ "$height" -le "$LONGEST" ] || height=$LONGEST
	[ "$2" = light ] || scheme=0
	printf '<!DOCTYPE html><meta name="color-scheme" content="light dark"><body style="margin:0"><img src="file://%s">' \
		"$(realpath "$1")" >"$OUT/shoot.html"
	browse --blink-settings=preferredColorScheme=$scheme --allow-file-access-from-files --window-size="$width,$height" \
		--screenshot="$OUT/$name-$2.png" "file://$PWD/$OUT/shoot.html"
}

main "$@"
