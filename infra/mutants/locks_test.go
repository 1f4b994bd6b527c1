package mutants

// lockGuards are the lines of code that implement the locks of docs/locks.md.
func lockGuards() []guard {
	const lambda = "./infra/local/lambda "
	return []guard{
		{
			name: "lock compute: a process has one tenant", row: "B6", file: "infra/local/lambda/function.go",
			test: lambda + "TestPerTenant_WarmMemory",
			from: `if f.idle[i].tenant != tenant {`, to: `if f.idle[i] == nil {`,
		},
		{
			name: "lock compute: no invocation without a tenant", row: "B2", file: "infra/local/lambda/api.go",
			test: lambda + "TestInvoke_SDKErrors",
			from: `case f.PerTenant && tenant == "":`, to: `case f.PerTenant && name == "":`,
		},
		{
			name: "lock compute: a tenant is rejected without isolation", row: "B2", file: "infra/local/lambda/api.go",
			test: lambda + "TestInvoke_SDKErrors",
			from: `case !f.PerTenant && tenant != "":`, to: `case !f.PerTenant && name == "":`,
		},
		{
			name: "lock compute: the template isolates turn", file: "infra/local/template/function.go",
			test: "./infra/local/template TestResolve_OwnTemplate",
			from: `f.PerTenant = tenancy.oneOf("TenantIsolationMode", "PER_TENANT") != ""`,
			to:   `f.PerTenant = tenancy.oneOf("TenantIsolationMode", "PER_TENANT") == ""`,
		},
	}
}

// ownerGuards compare the owner of an event or a run with the tenant.
func ownerGuards() []guard {
	const turn, gateway = "./functions/turn ", "./shared/gateway "
	return []guard{
		{
			name: "lock compute: the event names no user", row: "B2", file: "shared/gateway/gateway.go",
			test: gateway + "TestParseTurn_User",
			from: "	if other != \"\" {\n", to: "	if other != \"\" && err != nil {\n",
		},
		{
			name: "lock compute: two users in one event are noticed", row: "B2", file: "shared/gateway/gateway.go",
			test: turn + "TestTenant_EventNamesAnotherUser",
			from: `(bad == nil && second != u ||`, to: `(bad == nil && second == u ||`,
		},
		{
			name: "lock compute: an event of another owner is noticed", file: "shared/gateway/gateway.go",
			test: gateway + "TestParseTurn_User",
			from: `t.OwnerHash != "" && t.OwnerHash != u.Hash()`, to: `t.OwnerHash != "" && t.OwnerHash == ""`,
		},
		{
			name: "lock compute: a failure record acts for its own user", file: "shared/store/due.go",
			test: "./functions/sweep TestRecord_SameRunIDOfOtherUsers",
			from: `chat.OwnerHash(e.User.Hash()) != of`, to: `chat.OwnerHash(e.User.Hash()) == ""`,
		},
		{
			name: "lock compute: a run has its tenant as owner", row: "B2", file: "shared/store/claim.go",
			test: turn + "TestTenant_RunOfAnotherOwner",
			from: `present + " AND #user = :me AND " + c.when`, to: `present + " AND :me = :me AND " + c.when`,
		},
		{
			name: "lock compute: a run of another owner is noticed", row: "B2", file: "functions/turn/handler.go",
			test: turn + "TestTenant_RunOfAnotherOwner",
			from: `if errors.Is(err, chat.ErrForeign) {`, to: `if errors.Is(err, chat.ErrForeign) && lease != nil {`,
		},
		{
			name: "lock keys: an id does not name its owner", row: "C5", file: keys, test: audit + " TestLockKeys",
			from: keysOut()[0].from, to: keysOut()[0].to, also: keysOut()[1:],
		},
		{
			name: "lock compute: sweep notices a run of another owner", file: "functions/sweep/user.go",
			test: "./functions/sweep TestSweep_RunOfAnotherOwner",
			from: `if errors.Is(err, chat.ErrForeign) {`, to: `if errors.Is(err, chat.ErrForeign) && lease != nil {`,
		},
	}
}
