package bench_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/chat"
)

// runWords is the number of words of throughput. The agents of the peers stream as many.
const runWords = 200

// agentServer is a server of agents.
type agentServer interface {
	// conversation begins a conversation of a user. It is for one goroutine at a time.
	conversation(ctx context.Context, user string) (conversation, error)
}

// conversation is one user's conversation.
type conversation interface {
	// run plays one run and returns after its end. It returns an error unless all words have arrived, each once.
	run(ctx context.Context) error
}

// TestBenchRuns measures runs per second of processor time, of two tool calls and 200 words, beside two servers of
// agents. LangGraph keeps threads in memory. ADK keeps sessions in memory too, and knows no users' tokens.
func TestBenchRuns(t *testing.T) {
	needsTime(t)
	local, e := startLocal(t, "../..")
	users, each := size(8, 2), size(5, 2)
	ours := func(t *testing.T) []sample { return perCPU(t, local, carrelServer{t, e}, users, each) }
	for _, peer := range []struct {
		names []string
		start func(*testing.T) (*process, agentServer, error)
		each  int
	}{{[]string{wholeStack, functionsAlone}, startLangGraph, each}, {[]string{wholeStackADK}, startADK, 10 * each}} {
		p, s, why := peer.start(t)
		if why != nil {
			missing(t, peer.names[0], why.Error())
			many(t, peer.names, ours, nil)
			continue
		}
		many(t, peer.names, ours, func(t *testing.T) []sample { return perCPU(t, p, s, users, peer.each) })
	}
}

// perCPU lets users play runs and returns the runs per second of processor time: of the whole server, and of the
// functions alone.
func perCPU(t *testing.T, p *process, s agentServer, users, each int) []sample {
	t.Helper()
	var all []conversation
	for i := range users {
		c, err := s.conversation(t.Context(), fmt.Sprint("user-", i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	playAll(t, all, 1) // starts processes
	before := p.used(t)
	playAll(t, all, each)
	after := p.used(t)
	runs := users * each
	out := []sample{rate(runs, after.all-before.all)}
	if functions := after.functions() - before.functions(); functions > 0 {
		out = append(out, rate(runs, functions))
	}
	return out
}

// functions returns the processor time of the local stack's functions. Those that have ended have no name any more.
func (u usage) functions() time.Duration { return u.programs["bootstrap"] + u.programs[""] }

func rate(runs int, cpu time.Duration) sample {
	return sample{float64(runs) / cpu.Seconds(), cpu / time.Duration(runs)}
}

// playAll lets each conversation play n runs, one after another.
func playAll(t *testing.T, conversations []conversation, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	errs := make([]error, len(conversations))
	var all sync.WaitGroup
	for i, c := range conversations {
		all.Go(func() {
			for range n {
				if errs[i] = c.run(ctx); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// carrelServer is a stack of Carrel.
type carrelServer struct {
	t *testing.T
	e stack.Endpoints
}

// conversation implements agentServer: a device of the user in a new thread.
func (s carrelServer) conversation(_ context.Context, user string) (conversation, error) {
	d := open(s.t, s.e, user, chat.ThreadID(chat.NewID(time.Now())))
	return d, nil
}

// run implements conversation.
func (d *device) run(ctx context.Context) error {
	if _, err := d.ask(ctx, throughput); err != nil {
		return err
	}
	if word, err := d.await(ctx, `"RUN_FINISHED"`, `"RUN_ERROR"`); err != nil || word != `"RUN_FINISHED"` {
		return fmt.Errorf("the run ended with %s: %w", word, err)
	}
	return checkWords(d.words)
}

// checkWords returns an error unless the words are the numbers from 1 to runWords.
func checkWords(words []string) error {
	for i, w := range words {
		if w != fmt.Sprint(i+1) {
			return fmt.Errorf("word %d of the answer is %q", i+1, w)
		}
	}
	if len(words) != runWords {
		return fmt.Errorf("the answer has %d words instead of %d", len(words), runWords)
	}
	return nil
}
