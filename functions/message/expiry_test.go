package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carrel/shared/wire"
)

// Whenever the token expires, even during the answer, a frame gets exactly one answer: its own or token_expired. This
// holds for refused and undecodable frames too.
func TestFrame_TokenExpiresDuringAnswer(t *testing.T) {
	r := newRig(t)
	looks := 0
	r.handler.now = func() time.Time {
		looks++
		return r.at.Add(time.Duration(looks) * time.Second) // which tokens end at
	}
	for body, own := range map[string]wire.ServerFrame{
		`{"type":"ping","requestId":"p"}`:                            &wire.Pong{},
		`{"type":"dance","requestId":"p"}`:                           &wire.Error{Code: wire.CodeBadFrame},
		`{"type":"delete","requestId":"p","threadId":"none"}`:        &wire.Error{Code: wire.CodeNotFound},
		strings.Replace(hi, `"n":2,`, `"n":2,"agent":"none",`, 1):    &wire.Rejected{Code: wire.CodeUnknownAgent},
		strings.Replace(hi, `"threadId":"t"`, `"threadId":"t t"`, 1): &wire.Error{Code: wire.CodeBadFrame},
	} {
		answered, expired := 0, 0
		for life := range 20 {
			w := r.window(fmt.Sprint("alice", life), fmt.Sprintf("w%d=", life))
			w.life, looks = time.Duration(life)*time.Second, 0
			got := w.send(body)
			if len(got) != 1 {
				t.Errorf("%s with a token that ends after %d looks at the clock: %d answers", body, life, len(got))
				continue
			}
			switch e, isError := got[0].(*wire.Error); {
			case isError && e.Code == wire.CodeTokenExpired && e.RequestID != "":
				expired++
			case code(got[0]) == code(own):
				answered++
			default:
				t.Errorf("%s: answered %+v", body, got[0])
			}
		}
		if answered == 0 || expired < 3 {
			t.Errorf("%s: %d answers, %d token_expired: that proves nothing", body, answered, expired)
		}
	}
}

// code is what kind of answer a frame is.
func code(f wire.ServerFrame) string {
	switch f := f.(type) {
	case *wire.Error:
		return string(f.Code)
	case *wire.Rejected:
		return string(f.Code)
	}
	return fmt.Sprintf("%T", f)
}
