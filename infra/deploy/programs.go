package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// programs runs SAM, the AWS CLI and make. All of them get the same environment.
type programs struct {
	env []string
}

// The longest that one program may take. A waiter of the AWS CLI gives up after an hour.
const (
	answerTime = 2 * time.Minute
	buildTime  = 30 * time.Minute
	waitTime   = 70 * time.Minute
)

// awsError is an error that the AWS CLI reports.
type awsError struct {
	operation string // such as DescribeStacks; empty if AWS was not reached
	code      string // such as ValidationError; empty likewise
	message   string
}

func (e *awsError) Error() string { return e.message }

// denied reports whether an error says that the caller lacks a right.
func denied(err error) bool {
	var e *awsError
	return errors.As(err, &e) && (strings.HasPrefix(e.code, "AccessDenied") || e.code == "UnauthorizedOperation" ||
		strings.Contains(e.message, "is not authorized to perform"))
}

// findPrograms reports a program that is missing, or an AWS CLI that is too old.
func (d *deployment) findPrograms(ctx context.Context) error {
	var errs []error
	for _, p := range []struct{ name, remedy string }{
		{d.sam, "there is no SAM CLI: pip install aws-sam-cli, or make .carrel/sam/bin/sam"},
		{"aws", "there is no AWS CLI: install version 2 as docs.aws.amazon.com/cli describes"},
		{"node", "there is no Node, which builds the page"},
	} {
		if _, err := exec.LookPath(p.name); err != nil {
			errs = append(errs, errors.New(p.remedy))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	d.env = append(d.env, "SAM_CLI_TELEMETRY=0", "AWS_PAGER=", "GOARCH="+d.goarch)
	out, err := d.output(ctx, answerTime, "aws", "--version")
	if err != nil {
		return fmt.Errorf("ask the AWS CLI for its version: %w", err)
	}
	version := regexp.MustCompile(`^aws-cli/(\d+)\.`).FindStringSubmatch(string(out))
	if version == nil {
		return fmt.Errorf("the program aws is not the AWS CLI: it says %q", strings.TrimSpace(string(out)))
	}
	if major, err := strconv.Atoi(version[1]); err != nil || major < 2 {
		return fmt.Errorf("the AWS CLI has version %s: install version 2 as docs.aws.amazon.com/cli describes",
			version[1])
	}
	return nil
}

// aws runs the AWS CLI and decodes its answer, unless that is nil.
func (p programs) aws(ctx context.Context, answer any, args ...string) error {
	limit := answerTime
	if args[1] == "wait" {
		limit = waitTime
	}
	if answer != nil {
		args = append(args, "--output", "json")
	}
	out, err := p.output(ctx, limit, "aws", args...)
	if err != nil || answer == nil || len(bytes.TrimSpace(out)) == 0 { // some operations answer nothing instead of {}
		return err
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("the answer of aws %s %s: %w", args[0], args[1], err)
	}
	return nil
}

// quiet runs a program whose output the user sees only if it fails: SAM's advice on what to do next is for other
// projects.
func (p programs) quiet(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Env = p.env
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s failed: %w\n%s", name, args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// output runs a program and returns its output. Its error holds what the program wrote to standard error.
func (p programs) output(ctx context.Context, limit time.Duration, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Env = p.env
	out, err := command.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || ctx.Err() != nil {
		return out, err
	}
	said := strings.TrimSpace(string(exit.Stderr))
	failed := &awsError{message: said}
	answer := regexp.MustCompile(`An error occurred \(([^)]+)\) when calling the (\w+) operation[^:]*: `).FindStringSubmatch(said)
	if answer != nil {
		failed.code, failed.operation = answer[1], answer[2]
	}
	return out, failed
}
