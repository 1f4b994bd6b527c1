package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carrel/infra/template/templatetest"
)

// models reads lines "service operation" or "service wait condition" and prints the flags that the AWS CLI has for
// each. The CLI derives them from the service's model.
const models = `
import sys
import botocore.session
from botocore import xform_name
session = botocore.session.get_session()
for line in sys.stdin:
    words = line.split()
    client = session.create_client(words[0], region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a")
    names = {xform_name(o, "-"): o for o in client.meta.service_model.operation_names}
    operation, pages = words[1], ""
    if operation != "wait":
        pages = "--max-items" if client.can_paginate(operation.replace("-", "_")) else ""
    else:
        operation = xform_name(session.get_waiter_model(words[0]).get_waiter(
            "".join(p.title() for p in words[2].split("-"))).operation, "-")
    members = client.meta.service_model.operation_model(names[operation]).input_shape.members
    print(" ".join(words) + ":", pages, *["--" + xform_name(m, "-") for m in members])
`

// Every flag that the fakes know is one of the real programs: the AWS CLI makes its flags of the models that SAM has
// too.
func TestFlagsAreReal(t *testing.T) {
	var asked []string
	for command := range known() {
		words := strings.Fields(command)
		// those two have no model
		if words[0] == "aws" && len(words) > 2 && words[1] != "configure" && words[1] != "s3" {
			asked = append(asked, strings.Join(words[1:], " "))
		}
	}
	out := templatetest.Python(t, models, []byte(strings.Join(asked, "\n")))
	real := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		command, flags, _ := strings.Cut(line, ":")
		real["aws "+command] = append(strings.Fields(flags), "--output")
	}
	for _, command := range []string{"build", "package"} {
		help, err := exec.CommandContext(t.Context(), filepath.Join(templatetest.Tools(t), "sam"), command,
			"--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		real["sam "+command] = strings.FieldsFunc(string(help), func(r rune) bool {
			return strings.ContainsRune(" "+
				"/\n,[]()", r)
		})
	}
	if len(real) < 15 {
		t.Errorf("only %d commands have a model: the test looks at nothing", len(real))
	}
	// the CLI's own short form
	real["aws cloudfront create-invalidation"] = append(real["aws cloudfront create-invalidation"], "--paths")
	for command, flags := range known() {
		for flag := range strings.FieldsSeq(flags) {
			if has, ok := real[command]; ok && !slices.Contains(has, strings.TrimSuffix(flag, "!")) {
				t.Errorf("%s has no flag %s", command, flag)
			}
		}
	}
}
