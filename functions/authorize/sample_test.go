package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"carrel/shared/chat"
	"carrel/shared/gateway"
	"carrel/shared/gateway/gatewaytest"
)

func TestSample(t *testing.T) {
	pages, err := gateway.ParseOrigins("https://d111111abcdef8.cloudfront.net")
	if err != nil {
		t.Fatal(err)
	}
	a := gateway.Authorizer{Origins: pages, Log: slog.New(slog.DiscardHandler),
		Verify: func(_ context.Context, raw string) (chat.Claims, error) {
			if raw != "an.access.token" {
				t.Errorf("token %q", raw)
			}
			return chat.Claims{Issuer: "https://issuer.test", Subject: "alice", Expires: time.Unix(4102444800, 0),
				SignIn: chat.SignIn{At: time.Unix(1782907140, 0), Proven: true}, Grants: []string{"clock"}}, nil
		}}
	got, err := a.Handle(t.Context(), gatewaytest.Sample(t, "authorizer"))
	if err != nil || got.PrincipalID != "alice" || got.Context["user"] != "alice" ||
		got.Context["expires"] != "4102444800" ||
		got.Context["signedIn"] != "1782907140" || got.Context["signedInBy"] != "auth_time" {
		t.Errorf("answer %+v, %v", got, err)
	}
}
