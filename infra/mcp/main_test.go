package mcp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"carrel/infra/testkit"
)

// asClient is the environment variable with which the conformance suite starts this program as a client.
const asClient = "CARREL_MCP_CLIENT"

var kit testkit.Kit

// everything is the address of the example server of the tests over a stack. It is chosen before the functions are
// built, because they hold the declaration of the server.
var everything string

func TestMain(m *testing.M) {
	if os.Getenv(asClient) != "" {
		os.Exit(m.Run())
	}
	folder, err := os.MkdirTemp("", "carrel-mcp")
	if err == nil {
		err = declare(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := kit.Main(m, 1)
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// declare declares the example server in agents/mcp.yaml, for the builds of this test only.
func declare(folder string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	everything = l.Addr().String()
	file := filepath.Join(folder, "mcp.yaml")
	text := fmt.Sprintf("servers:\n  every:\n    url: http://%s/mcp\n    grant: clock\n    tools: [\"*\"]\n"+
		"    readOnly: [echo, get-*, trigger-long-*]\n", everything)
	root, err1 := filepath.Abs("../..")
	overlay, err2 := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "agents/mcp.yaml"): file}})
	list := filepath.Join(folder, "overlay.json")
	return errors.Join(l.Close(), err1, err2, os.WriteFile(file, []byte(text), 0o600),
		os.WriteFile(list, overlay, 0o600), os.Setenv("GOFLAGS", "-overlay="+list))
}
