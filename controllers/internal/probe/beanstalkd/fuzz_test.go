package beanstalkd

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire/wiretest"
)

// Whatever a server answers, none of it gets into a sentence, and only statistics pass.
func FuzzReadAnswer(f *testing.F) {
	for _, answer := range []string{
		"OK 20\r\n---\ndraining: true\n\n\r\n", "OK 20\r\n---\ndraining: c4n4ry\r\n", "OK 0\r\n\r\n", "OK -1\r\n", "OUT_OF_MEMORY\r\n", "INTERNAL_ERROR\r\n",
		"UNKNOWN_COMMAND\n", "OK 11\r\n&a [*a, *a]\r\n", "-ERR c4n4ry\r\n",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		result, err := readAnswer(bufio.NewReader(bytes.NewReader(answer)))
		if err != nil {
			return
		}
		if _, known := exitcode.Lookup(v1alpha1.TypeBeanstalkd, result.Code); !known || result.Sentence == "" || strings.Contains(result.Sentence, wiretest.Canary) {
			t.Errorf("the result is %v", result)
		}
		if result.Code == exitcode.Passed && !bytes.HasPrefix(answer, []byte("OK ")) {
			t.Errorf("it passes without statistics")
		}
	})
}
