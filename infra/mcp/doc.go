// Package mcp tests the tools of MCP servers with servers and clients of other authors: the protocol's own example
// server over the whole local stack, and the protocol's conformance suite. The package holds tests only. make test-mcp
// installs what they need.
package mcp
