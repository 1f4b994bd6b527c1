package gatewaytest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Sample is an event of infra/events, for the test of a function's folder: what sam local invoke is shown with must be
// what the function takes. The samples' user is alice, their connection SampleConnection and their run r1.
func Sample(tb testing.TB, name string) json.RawMessage {
	tb.Helper()
	event, err := os.ReadFile(filepath.Join("..", "..", "infra", "events", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return event
}

// SampleConnection is the connection of the samples.
const SampleConnection = "AbCdEfGhIAMCEXg="
