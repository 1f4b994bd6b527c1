package clock_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/tool/clock"
	"carrel/shared/usercontext"
)

func TestClock(t *testing.T) {
	at := time.Date(2026, 7, 1, 22, 30, 15, 0, time.UTC)
	made, err := clock.New(func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	registry, err := tool.NewRegistry(made)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(t.Context(), usercontext.Config{
		User: chattest.User(t, "alice"), Thread: "t", Run: "r", Request: "q", Grants: []string{clock.Name},
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := tool.NewDispatcher(uc, registry, []string{clock.Name})
	if err != nil {
		t.Fatal(err)
	}
	for arguments, want := range map[string]string{
		"":                          "Wednesday, 1 July 2026, 22:30:15 UTC (+00:00)",
		`{"zone":"UTC"}`:            "Wednesday, 1 July 2026, 22:30:15 UTC (+00:00)",
		`{"zone":"Europe/Berlin"}`:  "Thursday, 2 July 2026, 00:30:15 CEST (+02:00)",
		`{"zone":"Asia/Kathmandu"}`: "Thursday, 2 July 2026, 04:15:15 +0545 (+05:45)",
	} {
		if got := d.Call(t.Context(), tool.Call{Name: clock.Name, Arguments: arguments}); got.Outcome != tool.OK ||
			got.Content != want {
			t.Errorf("%s: %+v, want %q", arguments, got, want)
		}
	}
	for _, zone := range []string{"Local", "Mars/Olympus", "../etc/passwd", strings.Repeat("x", 300)} {
		got := d.Call(t.Context(), tool.Call{Name: clock.Name, Arguments: `{"zone":"` + zone + `"}`})
		if got.Outcome != tool.Failed || !strings.Contains(got.Content, "Europe/Berlin") || len(got.Content) > 300 {
			t.Errorf("%s: %+v", zone, got)
		}
	}
	if err := uc.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
