package client_test

import (
	"bytes"
	"testing"
	"time"

	"carrel/shared/client"
)

// FuzzReceive gives a view arbitrary messages, one per line. The view must not panic, its timers must end, and it never
// shows a run as both active and queued.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"type":"ready","n":1,"threadId":"t","epoch":"e","head":9007199254740993,"queued":[{"runId":"r"}],"reconnectInMs":-1}
{"type":"snapshot","n":1,"threadId":"t","epoch":"e","seq":-4,"messages":null}
{"type":"events","threadId":"t","epoch":"e","seq":9223372036854775807,"runId":"r","events":[{"type":"RUN_ERROR"},{}]}`))
	f.Add([]byte(`{"type":"events","threadId":"t","epoch":"e","seq":1,"runId":"r","events":[{"type":"RUN_STARTED","input":{}}]}
{"type":"part","id":"p","n":1,"of":2,"data":"e30="}
{"message":"Forbidden"}
{"type":"error","requestId":"run.","code":"internal"}
{"type":"pong","threadId":"t","runs":[{"runId":"r","threadId":"t"}]}
{"type":"accepted","runId":"a","threadId":"t","state":"running"}`))
	f.Fuzz(func(t *testing.T, messages []byte) {
		now := time.UnixMilli(0)
		v := client.NewView(func() float64 { return 0.5 })
		if err := v.Open(now, "t"); err != nil {
			t.Fatal(err)
		}
		v.Opened(now)
		if err := v.Send(now, "a", "", "hi"); err != nil {
			t.Fatal(err)
		}
		for m := range bytes.Lines(messages) {
			now = now.Add(100 * time.Millisecond)
			v.Receive(now, m)
			v.Tick(now)
			s := v.State()
			for _, w := range s.Queued {
				if w == s.Active {
					t.Fatalf("run %q is both active and queued", w)
				}
			}
		}
		v.Tick(now.Add(time.Hour))
	})
}
