package faults_test

import (
	"bytes"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/apigateway"
	"carrel/infra/local/dynamodb/proxy"
	"carrel/infra/local/lambda"
	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

var kit testkit.Kit

func TestMain(m *testing.M) {
	if state := os.Getenv(stackProcess); state != "" {
		runStackUntilKilled(state)
	}
	os.Exit(kit.Main(m, 6))
}

// faultTimeout bounds one test with a stack of its own.
const faultTimeout = 75 * time.Second

// faultEnv is a stack of its own for one test of a fault, and a user with one thread.
type faultEnv struct {
	*testkit.Env
	alice *testkit.User
}

// newFaultEnv starts a stack for one test, which runs in parallel with others.
func newFaultEnv(t *testing.T, c stack.Config) *faultEnv { return newFaultEnvFor(t, c, faultTimeout) }

// newFaultEnvFor is newFaultEnv for a test that takes longer.
func newFaultEnvFor(t *testing.T, c stack.Config, limit time.Duration) *faultEnv {
	t.Helper()
	return &faultEnv{Env: kit.Own(t, c, limit), alice: testkit.NewUser("alice", 1)}
}

// window opens a window of alice on her thread and waits until it is ready.
func (g *faultEnv) window() *testkit.Device {
	g.Helper()
	return g.Open(g.alice, g.alice.Threads[0])
}

// checkWindows waits until the windows on a thread show all of it. The windows must show the same, each event that was
// sent to one must be in the log, the log must have no gap, and so many runs must each have started once and ended
// once.
func (g *faultEnv) checkWindows(runs int, windows ...*testkit.Device) {
	g.Helper()
	all := testkit.Logs(g.T, g.Ctx, g.Endpoints())
	var first []agui.Message
	for i, w := range windows {
		log := all[w.State().ThreadID]
		st := g.WaitFor(w, "shows all of the thread", func(st client.State) bool {
			return testkit.Idle(st) && st.Seq == chat.Seq(len(log))
		})
		if err := log.Check(w.Received(g.T, []*testkit.User{g.alice}), runs); err != nil {
			g.Errorf("window %d: %v", i, err)
		}
		if i == 0 {
			first = st.Messages
		}
		if !slices.EqualFunc(first, st.Messages, testkit.SameMessage) {
			g.Errorf("window %d shows %+v, the first %+v", i, st.Messages, first)
		}
	}
}

// readyFrames counts the ready frames that were sent to a window, which is how often it sent hello.
func readyFrames(w *testkit.Device) int { return len(testkit.Frames[*wire.Ready](w)) }

// inbox keeps what clients have sent, by connection and in order.
type inbox struct {
	mu   sync.Mutex
	sent map[string][][]byte
}

// recordInbound keeps what clients send from now on. fault, unless it is nil, decides about each message.
func (g *faultEnv) recordInbound(fault func(apigateway.Message) apigateway.MessageFault) *inbox {
	in := &inbox{sent: map[string][][]byte{}}
	g.SetGatewayFaults(apigateway.Faults{Inbound: func(m apigateway.Message) apigateway.MessageFault {
		in.mu.Lock()
		in.sent[m.Connection] = append(in.sent[m.Connection], slices.Clone(m.Body))
		in.mu.Unlock()
		if fault == nil {
			return apigateway.MessageFault{}
		}
		return fault(m)
	}})
	return in
}

// count returns how many frames of a type a connection has sent.
func (in *inbox) count(connection string, kind wire.Type) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range in.sent[connection] {
		if isFrame(m, kind) {
			n++
		}
	}
	return n
}

func isFrame(m []byte, kind wire.Type) bool { return bytes.Contains(m, []byte(`"type":"`+kind+`"`)) }

// requestHas reports whether a request of DynamoDB is this operation and contains each of some texts.
func requestHas(r proxy.Request, operation string, texts ...string) bool {
	if r.Operation != operation {
		return false
	}
	return !slices.ContainsFunc(texts, func(t string) bool { return !bytes.Contains(r.Body, []byte(t)) })
}

// freezeAt freezes the processes of a function once, as soon as one has made a write with all of some texts in it.
func (g *faultEnv) freezeAt(function, operation string, texts ...string) *testkit.Signal {
	frozen := testkit.NewSignal()
	g.SetTableHook(func(r proxy.Request) (proxy.Fault, func()) {
		if r.Caller != function || frozen.Fired() || !requestHas(r, operation, texts...) {
			return proxy.Fine, nil
		}
		return proxy.Fine, func() {
			if g.Host().Freeze(g.Function(function), "") > 0 {
				frozen.Fire()
			}
		}
	})
	return frozen
}

// hold blocks a hook until a signal fires or the test ends.
func (g *faultEnv) hold(s *testkit.Signal) { _ = s.Wait(g.Ctx) }

// sweep invokes sweep once, as its schedule does each minute.
func (g *faultEnv) sweep() {
	g.Helper()
	event := []byte(`{"detail-type":"Scheduled Event"}`)
	_, failed, err := g.Host().Invoke(g.Ctx, g.Function("SweepFunction"), event)
	if err != nil || failed != "" {
		g.Fatalf("invoke sweep: %s, %v", failed, err)
	}
}

// advanceClocks sets the clocks of processes that start from now on ahead: for them a lease of now has expired.
func (g *faultEnv) advanceClocks(by time.Duration) {
	g.Host().SetFaults(lambda.Faults{Env: func(string, string) map[string]string {
		return map[string]string{"CLOCK_SKEW": by.String()}
	}})
}
