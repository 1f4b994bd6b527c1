package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/endpoints"
	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
	"carrel/shared/store/storetest"
)

// rig is a table on the local engine, as the local stack would have it.
type rig struct {
	t         *testing.T
	db        *sdk.Client
	table     *store.Table
	endpoints string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	engine, err := dynamodb.Start(t.Context(), dynamodb.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, endpoints: filepath.Join(t.TempDir(), "endpoints.json")}
	r.db = store.NewClient(aws.Config{
		Region: "local", BaseEndpoint: aws.String(engine.URL()), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err := storetest.CreateTable(t.Context(), r.db, "carrel"); err != nil {
		t.Fatal(err)
	}
	r.table = store.New(r.db, store.Config{Name: "carrel", Limits: chat.DefaultLimits()})
	e := endpoints.Endpoints{WebSocket: "x", Token: "x", DynamoDB: engine.URL(), Table: "carrel",
		Issuer: chattest.Issuer, OperatorSecret: "s"}
	if err := e.Write(r.endpoints); err != nil {
		t.Fatal(err)
	}
	return r
}

// ops runs the command and returns its output.
func (r *rig) ops(args ...string) (string, error) {
	r.t.Helper()
	var out, complaint bytes.Buffer
	err := run(r.t.Context(), append([]string{"-endpoints", r.endpoints, "-wait", "100ms"}, args...), world{
		getenv: func(string) string { return "" }, out: &out, err: &complaint,
		run: func(context.Context, string, ...string) ([]byte, error) { return nil, errors.New("not here") },
	})
	return out.String(), err
}

// says runs the command, which must go well and say these things.
func (r *rig) says(args string, want ...string) {
	r.t.Helper()
	out, err := r.ops(strings.Fields(args)...)
	if err != nil {
		r.t.Errorf("%s: %v", args, err)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			r.t.Errorf("%s does not say %q:\n%s", args, w, out)
		}
	}
}

// refuses runs the command, which must fail and say why.
func (r *rig) refuses(args, why string) {
	r.t.Helper()
	out, err := r.ops(strings.Fields(args)...)
	if err == nil || !strings.Contains(err.Error(), why) {
		r.t.Errorf("%s: error %v, want one with %q; it printed\n%s", args, err, why, out)
	}
}

func (r *rig) as(subject string) *store.Store { return storetest.As(r.t, r.table, subject) }

func (r *rig) admit(s *store.Store, run chat.RunID, thread chat.ThreadID) {
	r.t.Helper()
	if _, err := s.Admit(r.t.Context(), storetest.Asked(run, thread)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) claim(s *store.Store, run chat.RunID) *store.Lease {
	r.t.Helper()
	h, err := s.Claim(r.t.Context(), run)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r *rig) status(s *store.Store, run chat.RunID) chat.RunStatus {
	r.t.Helper()
	got, err := s.Run(r.t.Context(), run)
	if err != nil {
		r.t.Fatal(err)
	}
	return got.Status
}
