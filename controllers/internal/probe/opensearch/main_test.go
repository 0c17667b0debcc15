package opensearch

import (
	"os"
	"testing"

	"github.com/bindery-dev/bindery/controllers/internal/evidence/evidencetest"
)

func TestMain(m *testing.M) { os.Exit(evidencetest.Run(m, "opensearch")) }
