package main

import (
	"strings"
	"testing"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
)

// The samples name the user in both ways. sam local invoke passes the tenant by --tenant-id.
func TestSamples(t *testing.T) {
	for name, tenancy := range map[string]gateway.Tenancy{"turn": gateway.PerTenant, "turn-shared": gateway.Shared} {
		t.Run(name, func(t *testing.T) {
			r := newFixture(t, fast())
			r.tenancy = tenancy
			r.user = chattest.User(t, "alice")
			var err error
			if r.store, err = r.table.For(r.user); err != nil {
				t.Fatal(err)
			}
			r.admit(t, "r1", "what is 12*(3+4)?")
			tenant := r.user
			if tenancy == gateway.Shared {
				tenant = chat.User{}
			}
			ctx, _ := gatewaytest.Turn(t, tenant, "r1")
			if err := r.Handle(ctx, gatewaytest.Sample(t, name)); err != nil {
				t.Fatal(err)
			}
			if answer := said(r.events(t)); !strings.Contains(answer, "84") {
				t.Errorf("the answer is %q", answer)
			}
		})
	}
}
