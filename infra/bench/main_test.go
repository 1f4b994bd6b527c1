package bench_test

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestMain prints the table after the benchmarks and writes it beside the raw lines.
func TestMain(m *testing.M) {
	code := m.Run()
	raw, err := os.ReadFile(rawFile())
	if os.Getenv(folderVariable) == "" || errors.Is(err, fs.ErrNotExist) {
		os.Exit(code)
	}
	text := ""
	if err == nil {
		text, err = table(raw)
	}
	if err == nil {
		fmt.Printf("\n%s\nThe raw lines are in %s.\n", text, rawFile())
		err = os.WriteFile(filepath.Join(filepath.Dir(rawFile()), "table.md"), []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "print the table:", err)
		code = cmp.Or(code, 1)
	}
	os.Exit(code)
}
