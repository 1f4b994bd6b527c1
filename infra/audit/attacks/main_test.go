package attacks_test

import (
	"fmt"
	"os"
	"testing"

	"carrel/infra/testkit"
)

var kit testkit.Kit

func TestMain(m *testing.M) {
	code := kit.Main(m, 1)
	if err := target.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the attacked stack:", err)
		code = 1
	}
	os.Exit(code)
}
