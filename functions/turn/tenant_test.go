package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"carrel/shared/chat"
	"carrel/shared/gateway/gatewaytest"
	"carrel/shared/monitor"
)

// violations returns the guards that recorded a violation, each with the hash of the user.
func (r *fixture) violations() (found []string) {
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, `"`+monitor.IsolationViolation+`":1`) {
			found = append(found, line)
		}
	}
	return found
}

func (r *fixture) wantViolation(t *testing.T, guard string) {
	t.Helper()
	found := r.violations()
	if len(found) != 1 || !strings.Contains(found[0], `"Guard":"`+guard+`"`) || !strings.Contains(found[0],
		r.user.Hash()) || !strings.Contains(found[0], `"Request":"request"`) ||
		strings.Contains(r.log.String(), "bob") {
		t.Errorf("violations %q, want one of the guard %s, of %s, with the request and without a name", found, guard,
			r.user.Hash())
	}
}

// The invocation's tenant id is the only source of the user. An event that names another user is rejected, counted and
// changes nothing.
func TestTenant_EventNamesAnotherUser(t *testing.T) {
	t.Attr("row", "B2: an event that names a second user is rejected")
	t.Attr("row", "E2: an invocation that names two users is recorded")
	r := newFixture(t, fast())
	r.admit(t, "r1", "/say hello")
	ctx, _ := gatewaytest.Turn(t, r.user, "r1")
	if err := r.Handle(ctx, []byte(`{"run":"r1","reason":"run","user":"bob"}`)); !errors.Is(err, chat.ErrNoUser) {
		t.Errorf("error %v, want ErrNoUser", err)
	}
	r.wantViolation(t, "tenant")
	if s := r.status(t, "r1"); s != chat.RunAdmitted || len(r.edge.Frames("window")) > 0 {
		t.Errorf("the run is %s, its window was posted %d frames", s, len(r.edge.Frames("window")))
	}
	t.Attr("figure", fmt.Sprintf("1 event that names another user: %d violation recorded, the run still %s",
		len(r.violations()), r.status(t, "r1")))
	r.log.Reset()
	nobody := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{})
	if err := r.Handle(nobody, []byte(`{"run":"r1","reason":"run","user":"bob"}`)); !errors.Is(err, chat.ErrNoUser) ||
		len(r.violations()) > 0 {
		t.Errorf("without a tenant id: error %v, violations %q; no two users met", err, r.violations())
	}
}

// A run whose record names another user than the tenant is not executed.
func TestTenant_RunOfAnotherOwner(t *testing.T) {
	t.Attr("row", "B2: a tenant processes no run of another owner")
	r := newFixture(t, fast())
	spoil := r.spoiled(t)
	r.admit(t, "r1", "/say hello")
	spoil(r.user, "RUN#r1", "user")
	ctx, event := gatewaytest.Turn(t, r.user, "r1")
	if err := r.Handle(ctx, event); !errors.Is(err, chat.ErrForeign) {
		t.Errorf("error %v, want ErrForeign", err)
	}
	r.wantViolation(t, "tenant")
	if s := r.status(t, "r1"); s != chat.RunAdmitted || len(r.edge.Frames("window")) > 0 {
		t.Errorf("the run is %s, its window was posted %d frames", s, len(r.edge.Frames("window")))
	}
	t.Attr("figure", fmt.Sprintf("1 run that says that it is another's: %d violation recorded, the run still %s",
		len(r.violations()), r.status(t, "r1")))
}
