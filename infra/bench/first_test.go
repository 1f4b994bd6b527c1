package bench_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"

	"github.com/coder/websocket"
)

// TestBenchFirst measures one user's run of one word when the calls of AWS take as long as there: from the frame to the
// first event, to the first text and to the end. Everything is warm.
func TestBenchFirst(t *testing.T) {
	needsTime(t)
	s := startStack(t, stack.Config{Parameters: generous()})
	likeAWS(t, s)
	d := open(t, s.Endpoints(), "alice", chat.ThreadID(chat.NewID(time.Now())))
	many(t, []string{firstEvent, firstText, lastEvent}, func(t *testing.T) []sample {
		var took [3]times
		for range size(12, 2) {
			for i, d := range oneWord(t, s, d) {
				took[i] = append(took[i], d)
			}
		}
		var medians []sample
		for _, d := range took {
			medians = append(medians, sample{Value: d.at(.5)})
		}
		return medians
	}, nil)
}

// oneWord plays a run and returns the times to its first event, its first text and its end. It returns when the run's
// process is idle again: the next run would start another one.
func oneWord(t *testing.T, s *stack.Stack, d *device) [3]time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var took [3]time.Duration
	at := time.Now()
	run, err := d.ask(ctx, "/say hi")
	for i, word := range []string{`"RUN_STARTED"`, `"TEXT_MESSAGE_CONTENT"`, `"RUN_FINISHED"`} {
		if err == nil && !d.holds(word) {
			_, err = d.await(ctx, word)
		}
		took[i] = time.Since(at)
	}
	if err == nil {
		_, err = settled(ctx, s, run)
	}
	if err != nil {
		t.Fatal(err)
	}
	return took
}

// The load of TestBenchFirstEvent is far below what two processors can do, so that it measures a latency and not a
// queue: this number of users, and one exchange in each period over all users.
const (
	pacedUsers = 20
	period     = 50 * time.Millisecond
)

// TestBenchFirstEvent measures the time from a run frame to the run's first event, without delays, beside an echo: a
// frame to a function that posts it back. Everything is warm.
func TestBenchFirstEvent(t *testing.T) {
	needsTime(t)
	carrel, ours := startLocal(t, "../..")
	echo, theirs := startLocal(t, "../local/stack/testdata/site")
	var runs, echoes []exchange
	for i := range pacedUsers {
		runs = append(runs, newRuns(t, ours, i))
		echoes = append(echoes, newEcho(t, theirs, i))
	}
	compare(t, firstOfMany, paced(carrel, runs), paced(echo, echoes))
}

// exchange sends a request and returns the time to the first answer, after all is quiet again.
type exchange func(ctx context.Context) (time.Duration, error)

// paced returns a trial: exchanges of all users at a steady rate. The figure is the median in milliseconds.
func paced(p *process, all []exchange) func(*testing.T) sample {
	return func(t *testing.T) sample {
		t.Helper()
		each := size(2, 1)
		var mu sync.Mutex
		var took times
		var users sync.WaitGroup
		before, pace := p.used(t), time.NewTicker(period)
		defer pace.Stop()
		for _, do := range all {
			<-pace.C
			users.Go(func() {
				again := time.NewTicker(period * time.Duration(len(all)))
				defer again.Stop()
				for range each {
					d, err := do(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
					<-again.C
				}
			})
		}
		users.Wait()
		if t.Failed() {
			t.FailNow()
		}
		return sample{took.at(.5), p.used(t).since(before, len(took))}
	}
}

func newEcho(t *testing.T, e stack.Endpoints, i int) exchange {
	t.Helper()
	c, n := dial(t, e, fmt.Sprint("user-", i)), 0
	return func(ctx context.Context) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		n++
		text := fmt.Sprintf("hello %d of %d", n, i)
		at := time.Now()
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			return 0, err
		}
		_, m, err := c.Read(ctx)
		took := time.Since(at)
		if err != nil || string(m) != "you said $default "+text {
			return 0, fmt.Errorf("the answer to %q is %q: %w", text, m, err)
		}
		return took, nil
	}
}

func newRuns(t *testing.T, e stack.Endpoints, i int) exchange {
	t.Helper()
	d := open(t, e, fmt.Sprint("user-", i), chat.ThreadID(chat.NewID(time.Now())))
	return func(ctx context.Context) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		at := time.Now()
		_, err := d.ask(ctx, "/say hi")
		if err == nil {
			_, err = d.await(ctx, `"RUN_STARTED"`)
		}
		took := time.Since(at)
		if err == nil && !d.holds(`"RUN_FINISHED"`) {
			_, err = d.await(ctx, `"RUN_FINISHED"`)
		}
		return took, err
	}
}
