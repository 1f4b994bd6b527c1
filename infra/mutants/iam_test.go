package mutants

// iamGuards make up the lock IAM of docs/locks.md, and show that it works.
func iamGuards() []guard {
	return []guard{
		{
			name: "iam: a user's requests have credentials of their own", file: "shared/usercreds/usercreds.go",
			from: `c.Credentials = aws.NewCredentialsCache(`, to: `_ = aws.NewCredentialsCache(`,
			test: "./shared/usercreds TestTables_CredentialsPerUser",
		},
		{
			name: "iam: expired credentials are rejected", file: "shared/usercreds/usercreds.go",
			from: `if !old.HasKeys() || !p.valid() {`, to: `if !old.HasKeys() {`,
			test: "./shared/usercreds TestTables_Renewal",
		},
		{
			name: "iam: an STS that hangs does not delay a run", file: "shared/usercreds/usercreds.go",
			from: `	if p.valid() {`, to: `	if p == nil {`,
			test: "./shared/usercreds TestTables_HangingSTS",
		},
		{
			name: "iam: an invocation grants no permission", file: "shared/store/delete.go",
			test: "./infra/audit/... TestLocksStopSelfInvoke",
			from: `	case err == nil:
		return nil, nil
	case !errors.Is(err, chat.ErrNotFound):
		return nil, err
	}
	d, err := rows.RunQueue()`,
			to: `	case err != nil && !errors.Is(err, chat.ErrNotFound):
		return nil, err
	}
	d, err := rows.RunQueue()`,
		},
		{
			name: "iam: the checked request is the executed one", file: "infra/local/dynamodb/access/access.go",
			test: "./infra/audit/... TestIAM_AmbiguousRequest",
			from: "	raw, found := o[name]\n",
			to: `	raw, found := o[name]
	for n, other := range o {
		if n != name && strings.EqualFold(n, name) {
			raw, found = other, true
		}
	}
`,
		},
		{
			name: "iam: no managed policy", file: "infra/local/template/policy.go",
			test: "./infra/local/template TestResolve_PoliciesReadDifferentlyByAWS",
			from: `len(p.texts("ManagedPolicyArns")) > 0 &&`, to: `len(p.texts("ManagedPolicyArns")) > 9 &&`,
		},
		{
			name: "iam: no variable where there are none", file: "infra/local/template/policy.go",
			test: "./infra/local/template TestResolve_PoliciesReadDifferentlyByAWS",
			from: `version != "2012-10-17" &&`, to: `version == "nonsense" &&`,
		},
		{
			name: "iam: no session policy", file: "infra/local/sts/assume.go",
			test: "./infra/local/sts TestAssumeRole_Errors",
			from: `if !parameter.MatchString(name) {`, to: `if !parameter.MatchString(name) && name == "" {`,
		},
	}
}

// decisionGuards make up the local stack's IAM decisions.
func decisionGuards() []guard {
	return []guard{
		{
			name: "iam: an explicit deny wins", file: "infra/local/iam/iam.go",
			from: `if s.Effect == "Deny" {`, to: `if s.Effect == "Deny" && decision == Implicit {`,
			test: "./infra/local/iam TestDecide",
		},
		{
			name: "iam: an absent variable matches nothing", file: "infra/local/iam/condition.go",
			from: `return "", false`, to: `values = []string{"*"}`,
			test: "./infra/local/iam TestDecide",
		},
		{
			name: "iam: a request must name a partition", file: "infra/local/iam/condition.go",
			from: `return slices.Contains(c.values, fmt.Sprint(len(got) == 0))`, to: `return len(c.values) > 0`,
			test: "./infra/local/iam TestDecide",
		},
		{
			name: "iam: every key of a batch counts", file: "infra/local/dynamodb/access/access.go",
			from: `named = append(named, key)`, to: `named = []string{key}`,
			test: "./infra/local/dynamodb/access TestPermissions",
		},
		{
			name: "iam: a role's trust policy decides", file: "infra/local/sts/assume.go",
			from: `return role.Trust.Trusts(caller.Role, r) == iam.Allow && caller`, to: `return caller`,
			test: "./infra/local/sts TestAssumeRole_Errors",
		},
		{
			name: "iam: a session's token comes with its key", file: "infra/local/sts/sts.go",
			from: `case !known || h.token != "" && h.token != token:`, to: `case !known:`,
			test: "./infra/local/sts TestAssumeRole",
		},
		{
			name: "iam: a session ends", file: "infra/local/sts/sts.go",
			from: `case !h.expires.IsZero() && !s.now().Before(h.expires):`, to: `case s.now().IsZero():`,
			test: "./infra/local/sts TestAssumeRole",
		},
		{
			name: "iam: the table checks the caller's permission", file: "infra/local/dynamodb/proxy/proxy.go",
			from: `if p.c.Allow != nil {`, to: `if p.c.Allow != nil && operation == "" {`,
			test: "./infra/audit/... TestIAMMatrix", row: "B3",
		},
	}
}
