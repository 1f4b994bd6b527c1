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
	sdkSource  source = "SDK source" // read in the source of the AWS SDK, SAM or aws-lambda-go
	captured   source = "captured"   // seen in traffic that others have published; not documented
	uncertain  source = "uncertain"  // sources differ or are silent: the code must work in either case
)

// scenario is one behaviour of AWS, with a test that shows it.
type scenario struct {
	area      string
	behaviour string // a sentence
	source    source
	// byHand is the reason why make verify-aws cannot show the behaviour, or "" if it can.
	byHand string
	run    func(t *testing.T, on *target)
}

const (
	needsFunction = "needs a function that misbehaves"
	needsEvents   = "needs a function that returns its event"
	needsID       = "needs a connection's id, which Carrel does not give to clients"
)

func scenarios() []scenario {
	return slices.Concat(handshakes(), messages(), responses(), eventShapes(), delivery(), connections(),
		connectionCalls(), connectionErrors(),
		invokes(), environments(), failures(), asynchronous(), permissions())
}

// The local stack shows every scenario's behaviour.
func TestFidelity(t *testing.T) {
	here := local(t)
	for _, s := range scenarios() {
		t.Run(s.area+"/"+s.behaviour, func(t *testing.T) { s.run(t, here) })
	}
}

// The deployed stack that URL names shows the behaviour of every scenario that it can show.
func TestDeployed(t *testing.T) {
	there := deployed(t)
	for _, s := range scenarios() {
		if s.byHand == "" {
			t.Run(s.area+"/"+s.behaviour, func(t *testing.T) { s.run(t, there) })
		}
	}
}

// docs/fidelity.md is generated from the scenarios. The flag -write writes it.
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
		t.Errorf("docs/fidelity.md differs from the scenarios (%v): run go test ./infra/local/fidelity -run TestList "+
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
	b.WriteString(`# The behaviour of AWS that Carrel relies on

A test generates this page from the scenarios in ` + "`infra/local/fidelity`" + `: do not edit it. ` +
		"`go test ./infra/local/fidelity`" + `
verifies each row against the local stack. The authors of this repository have not verified any row on a real
account. The last column says how you can: **make verify-aws** marks the rows that this command verifies (run it to
see which variables to set); the other rows state why they must be verified by hand.

*Documented*: by AWS. *SDK source*: read in the source of the SDK, SAM or aws-lambda-go. *Captured*: seen in traffic
that others have published. *Uncertain*: sources differ or are silent, so Carrel must work in either case.
`)
	area := ""
	for _, s := range scenarios() {
		if s.area != area {
			area = s.area
			fmt.Fprintf(&b, "\n## %s\n\n| behaviour | source | verified here | how to verify on a real account "+
				"|\n|---|---|---|---|\n", area)
		}
		how := s.byHand
		if how == "" {
			how = "**make verify-aws**"
		}
		fmt.Fprintf(&b, "| %s | %s | yes | %s |\n", s.behaviour, s.source, how)
	}
	return b.String()
}
