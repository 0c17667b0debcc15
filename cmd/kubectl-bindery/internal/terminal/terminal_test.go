package terminal_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

func TestWhatIsNoTerminalHasNoWidthAndNoColour(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, got := range []terminal.Terminal{terminal.Of(&bytes.Buffer{}), terminal.Of(file)} {
		if got != (terminal.Terminal{}) || got.Is() {
			t.Errorf("%+v", got)
		}
	}
}

func TestWrap(t *testing.T) {
	for sentence, c := range map[string]struct {
		width                int
		indent, text, wanted string
	}{
		"nothing is broken without a width":         {0, "  ", "one two three", "  one two three"},
		"a line is broken at a space":               {10, "  ", "one two three", "  one two\n  three"},
		"a word longer than a line is broken":       {6, "", "abcdefghij", "abcdef\nghij"},
		"each line of several begins with the same": {20, "> ", "a\nb", "> a\n> b"},
		"a name is not broken at a hyphen":          {12, "", "see pinger-visits", "see\npinger-visit\ns"},
		"several spaces stay":                       {20, "", "one  two", "one  two"},
		"a terminal narrower than the indent":       {1, "  ", "ab", "  a\n  b"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := (terminal.Terminal{Width: c.width}).Wrap(c.indent, c.text); got != c.wanted {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestLinesAfterTheFirstHang(t *testing.T) {
	if got, want := (terminal.Terminal{Width: 12}).Hang("- ", "  ", "one two three four"), "- one two\n  three four"; got != want {
		t.Errorf("%q", got)
	}
}

func TestColourHasNoWidth(t *testing.T) {
	painted := terminal.Terminal{Colour: true}.Paint(terminal.Bad, "failed")
	if painted == "failed" || terminal.Columns(painted) != len("failed") {
		t.Errorf("%q has %d columns", painted, terminal.Columns(painted))
	}
	if got := terminal.Pad(painted, 8); got != painted+"  " {
		t.Errorf("%q", got)
	}
	if got := (terminal.Terminal{}).Paint(terminal.Bad, "failed"); got != "failed" {
		t.Errorf("%q, without colour", got)
	}
}
