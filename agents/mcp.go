package agents

import (
	"bytes"
	_ "embed"
)

//go:embed mcp.yaml
var mcpServers []byte

//go:embed mcp.lock.json
var mcpPins []byte

// MCP returns the texts of mcp.yaml and mcp.lock.json: the declared MCP servers, and what they offered when they were
// pinned.
func MCP() (servers, pins []byte) { return bytes.Clone(mcpServers), bytes.Clone(mcpPins) }
