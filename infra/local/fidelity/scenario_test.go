package fidelity_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// source is how a behaviour is known.
type source string

const (
	documented source = "documented"
	sdkSource  source = "SDK source" // of the AWS SDK, SAM or aws-lambda-go
	captured   source = "captured"   // in traffic that others have published, not documented
	uncertain  source = "uncertain"  // sources differ or are silent: code must bear it either way
)

// scenario is one behaviour of AWS, and the proof that the stack has it.
type scenario struct {
	area   string
	says   string // a sentence
	source source
	// by hand says why make verify-aws cannot show it; "" if it can.
	byHand string
	run    func(t *testing.T, on *target)
}

const (
	needsFunction = "needs a function that misbehaves"
	needsEvents   = "needs a function that tells its event"
	needsID       = "needs a connection's id, which Carrel tells no client"
)

func scenarios() []scenario {
	return slices.Concat(handshakes(), messages(), answered(), told(), delivered(), connections(), reached(),
		invokes(), environments(), failures(), asynchronous(), permissions())
}

// Each scenario holds of the local stack.
func TestFidelity(t *testing.T) {
	here := local(t)
	for _, s := range scenarios() {
		t.Run(s.area+"/"+s.says, func(t *testing.T) { s.run(t, here) })
	}
}

// The scenarios that a deployed stack can show hold of the one that URL names.
func TestDeployed(t *testing.T) {
	there := deployed(t)
	for _, s := range scenarios() {
		if s.byHand == "" {
			t.Run(s.area+"/"+s.says, func(t *testing.T) { s.run(t, there) })
		}
	}
}

// docs/fidelity.md is what the scenarios say. With -write it is written.
func TestList(t *testing.T) {
	const file = "../../../docs/fidelity.md"
	want := list()
	if flag.Lookup("write").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/fidelity.md is not what the scenarios say (%v): go test ./infra/local/fidelity -run TestList "+
			"-write", err)
	}
}

func TestMain(m *testing.M) {
	flag.Bool("write", false, "write docs/fidelity.md")
	flag.Parse()
	os.Exit(m.Run())
}

func list() string {
	var b strings.Builder
	b.WriteString(`# What AWS does, and how it is known

Made from the scenarios in ` + "`infra/local/fidelity`" + ` by their test; do not edit. Each row is verified against the local stack by
` + "`go test ./infra/local/fidelity`" + `. No row has been verified on a real account by this repository's authors: **make verify-aws**
says that the command does it on yours (` + "`make verify-aws`" + ` tells what to set), anything else why it has to be done by hand.

*Documented*: by AWS. *SDK source*: read in the SDK, SAM or aws-lambda-go. *Captured*: in traffic that others have published.
*Uncertain*: sources differ or are silent, and Carrel must bear it either way.
`)
	area := ""
	for _, s := range scenarios() {
		if s.area != area {
			area = s.area
			fmt.Fprintf(&b,
				"\n## %s\n\n| behaviour | source | verified here | to be verified on a real account "+
					"|\n|---|---|---|---|\n", area)
		}
		how := s.byHand
		if how == "" {
			how = "**make verify-aws**"
		}
		fmt.Fprintf(&b, "| %s | %s | yes | %s |\n", s.says, s.source, how)
	}
	return b.String()
}
