package picture

import (
	"strconv"
	"strings"
)

// style of a text. A drawing in cells has all of them in one size.
type style string

const (
	styleTitle    style = "title"    // of the picture
	styleCaption  style = "caption"  // below it, and above columns
	styleName     style = "name"     // of an app or a service
	styleVariable style = "variable" // of an attachment
	styleKind     style = "kind"     // what an app or a service is
	styleEndpoint style = "endpoint"
	styleNote     style = "note" // a state
)

// fonts are the sizes of the styles, in pixels.
var fonts = map[style]struct {
	size float64
	mono bool
	bold bool
}{
	styleTitle: {18, false, true}, styleCaption: {12, false, false}, styleName: {14, true, true}, styleVariable: {13, true, true},
	styleKind: {12, false, false}, styleEndpoint: {11, true, false}, styleNote: {12, false, false},
}

// Whose machine draws the picture decides on the font, so a width has to be true for the widest that is usual.
const (
	// monoAdvance is the advance of a monospaced font, in em. Usual are 0.55 (Consolas) to 0.618 (SF Mono).
	monoAdvance = 0.625
	// sansMargin is how much wider than DejaVu Sans, which is among the widest, others are in some characters (Verdana).
	sansMargin = 1.04
	// boldMargin is how much wider bold letters are.
	boldMargin = 1.2
	// wideAdvance is the advance of a character that is none of ASCII, in thousandths of em.
	wideAdvance = 1000
)

// sansAdvances are the advances of DejaVu Sans from space to ~, in thousandths of em.
var sansAdvances = [...]int{
	318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636, 636, 636, 636,
	337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695,
	635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278,
	974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
}

// pixels is how wide a text can be at most.
func pixels(s style, text string) int {
	font := fonts[s]
	var width float64
	for _, r := range text {
		width += advance(r, font.mono)
	}
	if font.bold && !font.mono {
		width *= boldMargin
	}
	return int(width*font.size) + 1
}

func advance(r rune, mono bool) float64 {
	switch {
	case mono && r < 0x2500:
		return monoAdvance
	case !mono && r >= ' ' && int(r-' ') < len(sansAdvances):
		return float64(sansAdvances[r-' ']) / 1000 * sansMargin
	case r == '·' || r == '’':
		return 0.4
	default:
		return wideAdvance / 1000
	}
}

// shorten leaves out of the middle of a text what has no room. The beginning and the end tell names apart: most that are
// long begin alike.
func shorten(text string, room int, width func(string) int) string {
	if width(text) <= room {
		return text
	}
	runes := []rune(text)
	for keep := len(runes) - 1; keep > 0; keep-- {
		head := (keep + 1) / 2
		short := string(runes[:head]) + "…" + string(runes[len(runes)-(keep-head):])
		if width(short) <= room {
			return short
		}
	}
	return "…"
}

// shortenList shortens a list of names: those that have no room are counted.
func shortenList(names []string, room int, width func(string) int) string {
	for shown := len(names); shown > 0; shown-- {
		text := strings.Join(names[:shown], ", ")
		if shown < len(names) {
			text += " +" + strconv.Itoa(len(names)-shown)
		}
		if width(text) <= room {
			return text
		}
	}
	if len(names) == 1 {
		return shorten(names[0], room, width)
	}
	tail := " +" + strconv.Itoa(len(names)-1)
	return shorten(names[0], room-width(tail), width) + tail
}

// wrap breaks a text into lines that have room; a word that has none by itself is shortened.
func wrap(text string, room int, width func(string) int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		word = shorten(word, room, width)
		switch {
		case line == "":
			line = word
		case width(line+" "+word) <= room:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
