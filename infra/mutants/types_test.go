package mutants

import "slices"

// typeGuards make up the locks types and keys of docs/locks.md: no code can make a user, and each key belongs to its
// owner.
func typeGuards() []guard {
	all := slices.Concat(userGuards(), makerGuards(), escapeGuards(), nobodyGuards(), keyGuards(), keyRuleGuards(),
		tableGuards())
	for i := range all {
		if all[i].row == "" {
			all[i].row = "B1"
		}
	}
	return all
}

// userGuards keep code from making users.
func userGuards() []guard {
	const cannot, nobody = "./shared/arch TestUsers_ForgeriesDoNotCompile", "./shared/arch TestUsers_ForgeriesAtRunTime"
	const method = "func (u User) IsZero() bool"
	return []guard{
		{
			name: "types: no decoder finds a way to fill a user",
			file: "shared/internal/principal/principal.go", from: method,
			to: "// UnmarshalText is new.\nfunc (u *User) UnmarshalText(b []byte) error { u.key = string(b); " +
				"return nil }\n\n" + method,
			test: cannot,
		},
		{
			name: "types: no text is a user when it is decoded",
			file: "shared/internal/principal/principal.go", from: method,
			to: "// UnmarshalText is new.\nfunc (u *User) UnmarshalText(b []byte) error { u.key = string(b); " +
				"return nil }\n\n" + method,
			test: nobody,
		},
		{
			name: "types: a user has no method that changes it",
			file: "shared/internal/principal/principal.go", from: method,
			to: "// SetKey is new.\nfunc (u *User) SetKey(key string) { u.key = key }\n\n" + method, test: cannot,
		},
		{
			name: "types: package chat makes no user", file: "shared/chat/chat.go",
			from: "type User = principal.User\n",
			to: "type User = principal.User\n\n// New is new.\nfunc New(i, s string) (User, error) { return " +
				"principal.New(i, s) }\n",
			test: cannot,
		},
		{
			name: "types: the store accepts no string as a user",
			file: "shared/store/store.go", from: "func (t *Table) nowSeconds() int64",
			to: "// For is new.\nfunc (s *Store) For(name string) (*Store, error) { " +
				"return &Store{s.t, s.user, \"U#\" + name}, nil }\n\nfunc (t *Table) nowSeconds() int64",
			test: cannot,
		},
	}
}

// makerGuards name the code that may make, return or receive users.
func makerGuards() []guard {
	return []guard{
		{
			name: "types: users are made in a few files", file: "shared/arch/imports_test.go",
			from: `&& !slices.Contains(makers(), f.path) &&`, to: `&& slices.Contains(makers(), f.path+"?") &&`,
			test: "./shared/arch TestUsers_Makers",
		},
		{
			name: "types: a new way to a user is found", file: "shared/arch/users_test.go",
			from: `if _, known := doors()[name]; gives && !known {`,
			to:   `if _, known := doors()[name]; gives && known && name == "" {`,
			test: "./shared/arch TestUsers_Doors",
		},
		{
			name: "types: a function that returns a user has named callers", file: "shared/arch/users_test.go",
			from: `!slices.Contains(doors()[name].only, f.dir())`, to: `len(doors()[name].only) == 0`,
			test: "./shared/arch TestUsers_Doors",
		},
		{
			name: "types: a function that returns a user is not passed as a value", file: "shared/arch/users_test.go",
			from: `ok && t.Name.IsExported() {`, to: `ok && t.Name != nil {`,
			test: "./shared/arch TestUsers_Doors",
		},
		{
			name: "types: a listed function may receive a user", file: "shared/arch/users_test.go",
			from: `is(f, spec.Type) {`, to: `len(found) > 0 && is(f, spec.Type) {`,
			test: "./shared/arch TestUsers_Doors",
		},
		{
			name: "types: each type that carries a user is found", file: "shared/arch/users_test.go",
			from: `yes = yes || open && holds(f, field.Type, known, kind)`, to: `yes = yes || open && len(f.text) == 0`,
			test: "./shared/arch TestTakers_Planted",
		},
	}
}

// escapeGuards keep code from bypassing the types.
func escapeGuards() []guard {
	const round = "./shared/arch TestTypes_NoBypass"
	return []guard{
		{
			name: "types: no unsafe", file: "shared/arch/escape_test.go",
			from: `if why := everywhere[imp]; why != "" {`,
			to:   `if why := everywhere[imp]; why != "" && imp != "unsafe" {`,
			test: round,
		},
		{
			name: "types: no C", file: "shared/arch/escape_test.go",
			from: `if why := everywhere[imp]; why != "" {`, to: `if why := everywhere[imp]; why != "" && imp != "C" {`,
			test: round,
		},
		{
			name: "types: reflect is for tests", file: "shared/arch/escape_test.go",
			from: `why != "" && !testing {`, to: `why == imp && !testing {`, test: round,
		},
		{
			name: "types: no pointer from reflect", file: "shared/arch/escape_test.go",
			from: `{"UnsafePointer", "UnsafeAddr", "NewAt"}`, to: `{"UnsafeAddr", "NewAt"}`, test: round,
		},
		{
			name: "types: no package where the rules do not read", file: "shared/arch/escape_test.go",
			from: `ok && slices.ContainsFunc(strings.Split(ours, "/"), skipped)`, to: `ok && skipped(ours)`,
			test: round,
		},
		{
			name: "types: no dot import", file: "shared/arch/escape_test.go",
			from: `i.Name.Name == "." {`, to: `i.Name.Name == ".." {`, test: round,
		},
		{
			name: "types: no assembly", file: "shared/arch/escape_test.go",
			from: `{".s", ".S",`, to: `{".S",`, test: "./shared/arch TestModule_OnlyReadableFiles",
		},
		{
			name: "types: no linkname", file: "shared/arch/state_test.go", row: "C1",
			from: `strings.HasPrefix(c.Text, "//go:linkname") ||`, to: ``,
			test: "./shared/arch TestState_InitAndLinkname",
		},
	}
}

// nobodyGuards refuse the zero User.
func nobodyGuards() []guard {
	const test = "./shared/arch TestTakers_ZeroUser"
	return []guard{
		{
			name: "types: no store for the zero User", file: "shared/store/store.go",
			from: `if u.IsZero() {`, to: `if u.IsZero() && u.Key() != "" {`, test: test,
		},
		{
			name: "types: no context for the zero User", file: "shared/usercontext/usercontext.go",
			from: `if c.User.IsZero() {`, to: `if c.User.IsZero() && c.Thread == "" {`, test: test,
		},
		{
			name: "types: turn is not invoked for the zero User", file: "shared/gateway/gateway.go",
			from: `if u.IsZero() {`, to: `if u.IsZero() && u.Key() != "" {`, test: test,
		},
		{
			name: "types: no broadcast for the zero User", file: "shared/lasthop/broadcast.go",
			from: `if to.User.IsZero() {`, to: `if to.User.IsZero() && to.User.Key() != "" {`, test: test,
		},
		{
			name: "types: no credentials for the zero User", file: "shared/usercreds/usercreds.go",
			from: `if u.IsZero() {`, to: `if u.IsZero() && u.Key() != "" {`, test: test,
			spare: "the table behind the credentials refuses the zero User too",
		},
		{
			name: "types: each function that takes a user has a case", file: "shared/arch/nobody_test.go",
			from: `"shared/lasthop.Broadcast": func(`, to: `"shared/lasthop.Broadcasts": func(`, test: test,
		},
	}
}

// keyGuards keep a user's, or a thread's, records out of other keys.
func keyGuards() []guard {
	const escaping, keys = "./shared/internal/principal FuzzKey", "./shared/store FuzzKeys"
	const file = "shared/store/keys.go"
	return inRow("B3", []guard{
		{
			name: "keys: the separator is escaped", file: "shared/internal/principal/principal.go",
			from: `c == '.' || c == '_' || c == '-'`, to: `c == '.' || c == '_' || c == '-' || c == '#'`,
			test: escaping,
		},
		{
			name: "keys: the escape is escaped", file: "shared/internal/principal/principal.go",
			from: `c == '.' || c == '_' || c == '-'`, to: `c == '.' || c == '_' || c == '-' || c == '='`,
			test: escaping,
		},
		{
			name: "keys: no id begins like a hash", file: "shared/internal/principal/principal.go",
			from: `plain(c) && (i > 0 ||`, to: `plain(c) && (i >= 0 ||`, test: escaping,
		},
		{
			name: "keys: only what Key returns is a key", file: "shared/internal/principal/principal.go",
			from: `return escape(id.String()) == key`, to: `return id.Len() > 0`,
			test: "./shared/internal/principal TestFromKey_MalformedKey",
		},
		{
			name: "keys: a hashed key is written in one way", file: "shared/internal/principal/principal.go",
			from: ` && hashed(raw) == sum`, to: ``, test: "./shared/internal/principal TestFromKey_MalformedKey",
		},
		{name: "keys: a log's thread ends before its epoch", file: file, from: `string(id) + "#" + string(epoch)`,
			to: `string(id) + string(epoch)`, test: keys},
		{name: "keys: an input's run ends before its nonce", file: file, from: `string(id) + "#" + nonce`,
			to: `string(id) + nonce`, test: keys},
		{name: "keys: tools' records lie below their user", file: file, from: `s.pk + "#D"`, to: `s.pk + "D"`,
			test: keys},
		{name: "keys: logs lie below their user", file: file, from: `s.pk + "#T#"`, to: `s.pk + "T#"`, test: keys},
		{name: "keys: a query ends with its prefix", file: file, from: `high: prefix + aboveAll}`,
			to: `high: aboveAll}`, test: keys},
		{name: "keys: records sort as their numbers do", file: file, from: `"%s%012d", recordPrefix`,
			to: `"%s%d", recordPrefix`, test: keys},
		{name: "keys: connections sort below the end of their list", file: file, from: `c >= '~'`, to: `c == '~'`,
			test: keys},
		{name: "keys: only runs and erasures are live", file: file, from: `isUser && isRun && chat.CheckID(id) == nil`,
			to: `isUser && (isRun || !isRun) && id != ""`, test: keys},
	})
}

// keyRuleGuards keep other code from building keys.
func keyRuleGuards() []guard {
	return inRow("B3", []guard{
		{
			name: "keys: each key is fuzzed", file: "shared/store/keys_test.go",
			from: `put("userErasureKey", "forgetting"`, to: `put("queueKey", "forgetting"`,
			test: "./shared/store TestKeys_AllAreFuzzed",
		},
		{
			name: "keys: no other file builds a query", file: "shared/arch/keys_test.go",
			from: `(name.Name == "span" || name.Name == "key"`, to: `(name.Name == "key"`,
			test: "./shared/arch TestKeys_OneFile",
		},
		{
			name: "keys: parts of keys are not concatenated elsewhere", file: "shared/arch/keys_test.go",
			from: `(k.part(n.X) || k.part(n.Y)) {`, to: `(k.part(n.X) && k.part(n.Y)) {`,
			test: "./shared/arch TestKeys_OneFile",
		},
	})
}

// inRow gives guards their row of the audit.
func inRow(row string, all []guard) []guard {
	for i := range all {
		all[i].row = row
	}
	return all
}

// tableGuards are guards that the store's isolation matrix must notice.
func tableGuards() []guard {
	const matrix = "./shared/store TestStore/dynoxide/Isolation"
	all := []guard{
		{
			name: "keys: a partition is its user's whole key", file: "shared/store/keys.go",
			from: `return userPrefix + u.Key()`, to: `return userPrefix + u.Key()[:1]`, test: matrix,
		},
		{
			name: "keys: a hostile id is refused", file: "shared/store/threads.go",
			from: "if err := checkID(\"thread\", id); err != nil {\n\t\treturn Thread{}, err",
			to:   "if err := checkID(\"thread\", id); err != nil && id == \"\" {\n\t\treturn Thread{}, err",
			test: matrix,
		},
		{
			name: "keys: each method has a case", file: "shared/store/storetest/probes.go",
			from: `"Store.StartQueued": {`, to: `"Store.StartedQueued": {`, test: matrix,
		},
	}
	for i := range all {
		all[i].row = "B3"
	}
	return all
}
