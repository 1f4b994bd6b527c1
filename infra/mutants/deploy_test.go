package mutants

// deployGuards keep make deploy from building, deleting or replacing anything without a request.
func deployGuards() []guard {
	return inPackage("deploy: ", "infra/deploy", []guard{
		{name: "two Regions are refused", file: "preflight.go", test: "TestPreflight_Region",
			from: `if first != "" && second != "" && first != second {`, to: `if first == "none" && second != "" {`},
		{name: "SAM gets the Region of the AWS CLI", file: "preflight.go", test: "TestDeploy_SecondRegion",
			from: `, "AWS_DEFAULT_REGION="+d.region)`, to: `)`},
		{name: "only y confirms", file: "main.go", test: "TestDeploy_UserSaysNo",
			from: `return answer == "y" || answer == "yes"`, to: `return answer != "n"`},
		{name: "an interrupt does not confirm", file: "main.go", test: "TestDeploy_InterruptedAtTheQuestion",
			from: "case <-ctx.Done():\n\t\td.say(\"\")\n\t\treturn false", to: "case <-ctx.Done():\n\t\treturn true"},
		{name: "a failed stack is deleted after a yes", file: "stack.go", test: "TestDeploy_RollbackComplete",
			from: `if !d.ask(ctx, "Delete it and go on?") {`, to: `if !d.ask(ctx, "Delete it and go on?") && false {`},
		{name: "another program's stack is left alone", file: "stack.go", test: "TestDeploy_AnotherProgramsStack",
			from: `case s.works() && s.output("WebSocket") == "":`,
			to:   `case s.works() && s.output("WebSocket") == "none":`},
		{name: "a stack with an unknown status is not updated", file: "stack.go",
			test: "TestDeploy_StackThatCannotBeUpdated",
			from: `return slices.Contains([]string{"CREATE_COMPLETE", "UPDATE_COMPLETE", ` +
				`"UPDATE_ROLLBACK_COMPLETE"}, s.StackStatus)`, to: `return !strings.Contains(s.StackStatus, "FAILED")`},
		{name: "a first deploy protects nothing yet", file: "changes.go",
			test: "TestDeploy_AccountWithoutDistributions", from: `values["DeletionProtection"] = "false"`,
			to: `values["DeletionProtection"] = "true"`},
		{name: "a finished first deploy is protected", file: "protect.go", test: "TestDeploy_FreshAccount",
			from: `if d.stackPolicy == "" && d.stackNow`, to: `if d.stackPolicy == "none" && d.stackNow`},
		{name: "a change set that loses the table is refused", file: "protect.go", test: "TestDeploy_LossOfData",
			from: `r.loses() && slices`, to: `r.Action == "none" && slices`},
		{name: "declining leaves no stack", file: "changes.go", test: "TestDeploy_UserSaysNo",
			from: `return errors.Join(errors.New("nothing was changed"), d.discard(ctx, name, first))`,
			to:   `return errors.Join(errors.New("nothing was changed"), d.discard(ctx, name, false))`},
		{name: "the rules see the values that a stack keeps", file: "preflight.go", test: "TestPreflight_KeptValues",
			from: `if !d.first() && d.stackNow.hasParameter(name) {`, to: `if d.first() && d.stackNow != nil {`},
	})
}
