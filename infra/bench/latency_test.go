package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/chat"
)

// The load is paced, so that the benchmark measures latency and not a queue: this number of exchanges of each kind, and
// one started in each period over all users.
const (
	exchanges = 300
	period    = 20 * time.Millisecond
)

// BenchmarkFirstEvent measures the time from a run frame to the run's first events, through API Gateway, message, the
// table, the asynchronous invocation and turn, for one user and for twenty at once. For comparison it measures an echo
// through the same gateway and a function that does nothing else. Everything is warm.
//
//	go test ./infra/bench -run - -bench FirstEvent -benchtime 1x
func BenchmarkFirstEvent(b *testing.B) {
	// One user starts more runs here than the default limits allow.
	carrel := start(b, "", generous())
	echo := start(b, "../local/stack/testdata/site", nil)
	for b.Loop() {
		for _, users := range []int{1, 20} {
			report(b, fmt.Sprintf("echo-%d", users), users, func(i int) exchange { return newEcho(b, echo, i) })
			report(b, fmt.Sprintf("first-event-%d", users), users,
				func(i int) exchange { return newRuns(b, carrel, i) })
		}
	}
}

func start(b *testing.B, root string, parameters map[string]string) stack.Endpoints {
	b.Helper()
	builds := testkit.Path(b, filepath.Join(".carrel/bench", filepath.Base(root)))
	return new(testkit.Kit).Start(b, stack.Config{Root: root, Builds: builds, Parameters: parameters}).Endpoints()
}

// exchange sends a request and returns the time to the first answer, after all is quiet again.
type exchange func() (time.Duration, error)

func report(b *testing.B, name string, users int, make func(i int) exchange) {
	b.Helper()
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	for i := range users {
		do := make(i)
		all.Go(func() {
			pace := time.NewTicker(period * time.Duration(users))
			defer pace.Stop()
			for n := range exchanges/users + 3 {
				<-pace.C
				d, err := do()
				if err != nil {
					b.Error(err)
					return
				}
				if n >= 3 { // the first ones start processes
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if len(took) == 0 {
		b.Fatalf("%s: nothing was measured", name)
	}
	slices.Sort(took)
	ms := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(0.5), name+"-p50-ms")
	b.ReportMetric(ms(0.99), name+"-p99-ms")
}

func dial(b testing.TB, e stack.Endpoints, user string) *websocket.Conn {
	b.Helper()
	token := testkit.Token(b, b.Context(), e, user, time.Hour)
	r, _, err := testkit.DialRawWith(b.Context(), e, user,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Conn.CloseNow() }) // it may be closed already
	return r.Conn
}

// await reads until a message contains one of the words, and returns that word.
func await(ctx context.Context, c *websocket.Conn, words ...string) (string, error) {
	for {
		_, m, err := c.Read(ctx)
		if err != nil {
			return "", err
		}
		for _, w := range words {
			if bytes.Contains(m, []byte(w)) {
				return w, nil
			}
		}
		if bytes.Contains(m, []byte(`"type":"error"`)) || bytes.Contains(m, []byte(`"type":"rejected"`)) {
			return "", fmt.Errorf("refused: %s", m)
		}
	}
}

func newEcho(b *testing.B, e stack.Endpoints, i int) exchange {
	c := dial(b, e, fmt.Sprint("user-", i))
	return func() (time.Duration, error) {
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
		defer cancel()
		at := time.Now()
		if err := c.Write(ctx, websocket.MessageText, []byte(`{"action":"echo","text":"hello"}`)); err != nil {
			return 0, err
		}
		_, err := await(ctx, c, "hello")
		return time.Since(at), err
	}
}

func newRuns(b *testing.B, e stack.Endpoints, i int) exchange {
	c := dial(b, e, fmt.Sprint("user-", i))
	thread, n := chat.NewID(time.Now()), 0
	return func() (time.Duration, error) {
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
		defer cancel()
		n++
		run := fmt.Sprintf("%s.%d", thread, n)
		frame := fmt.Sprintf(`{"type":"run","n":%d,"runId":%q,"threadId":%q,"messages":[{"id":"%s.1","role":"user",`+
			`"content":"/say hi"}]}`, n, run, thread, run)
		at := time.Now()
		if err := c.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			return 0, err
		}
		if _, err := await(ctx, c, `"RUN_STARTED"`); err != nil {
			return 0, err
		}
		took := time.Since(at)
		_, err := await(ctx, c, `"RUN_FINISHED"`)
		return took, err
	}
}
