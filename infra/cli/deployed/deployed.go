// Package deployed reads a deployed stack by the AWS CLI, for the programs of infra/cli.
package deployed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Run runs a program and returns its output.
type Run func(ctx context.Context, name string, args ...string) ([]byte, error)

// Outputs are a stack's outputs by their names.
func Outputs(ctx context.Context, run Run, stack string) (map[string]string, error) {
	out, err := run(ctx, "aws", "cloudformation", "describe-stacks", "--stack-name", stack, "--query",
		"Stacks[0].Outputs", "--output", "json")
	if err != nil {
		return nil, fmt.Errorf("read the outputs of the stack %s: %w", stack, err)
	}
	var list []struct{ OutputKey, OutputValue string }
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("the outputs of the stack %s: %w", stack, err)
	}
	all := map[string]string{}
	for _, o := range list {
		all[o.OutputKey] = o.OutputValue
	}
	return all, nil
}

// Require reports the outputs that a stack must have and lacks.
func Require(outputs map[string]string, stack string, names ...string) error {
	var missing []string
	for _, name := range names {
		if outputs[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the stack %s has no output %s: is it Carrel's, and of this version?", stack,
			strings.Join(missing, ", "))
	}
	return nil
}

// Program runs a program of this machine. Its error has what the program wrote to standard error.
func Program(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, fmt.Errorf("%s %s: %s", name, args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}
