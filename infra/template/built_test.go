package template_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/template/templatetest"
	"carrel/infra/testkit"
)

// The result of sam build is deployed. It runs unchanged on the local stack, with tenant isolation and without it.
func TestBuilt_Runs(t *testing.T) {
	sam := filepath.Join(templatetest.Tools(t), "sam")
	architecture := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	built := filepath.Join(t.TempDir(), "build")
	command := exec.CommandContext(t.Context(), sam, "build", "--build-dir", built, "--parameter-overrides",
		"Architecture="+architecture)
	command.Dir = filepath.Join("..", "..")
	command.Env = append(os.Environ(), "GOARCH="+runtime.GOARCH, "SAM_CLI_TELEMETRY=0", "AWS_DEFAULT_REGION=us-east-1")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("sam build: %v\n%s", err, out)
	}
	for _, isolation := range []string{"on", "off"} {
		t.Run("TenantIsolation "+isolation, func(t *testing.T) {
			s := new(testkit.Kit).Start(t,
				stack.Config{Built: built, Parameters: map[string]string{"TenantIsolation": isolation}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			// The answer takes all functions but sweep.
			alice := testkit.NewUser("alice", 1)
			testkit.Open(t, ctx, s.Endpoints(), alice, alice.Threads[0]).Ask(t, ctx, "what is 12*(3+4)?", "84")
		})
	}
}
