package lambda_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/lambda"
)

func TestInvoke_WarmProcess(t *testing.T) {
	h := startWith(t, plain("one"))
	first := invoke(t, h, "one", `{}`)
	for i := range 50 {
		if a := invoke(t, h, "one", ``); a.PID != first.PID || a.Calls != int64(i+2) {
			t.Fatalf("invocation %d: process %d, its call %d; want process %d", i+2, a.PID, a.Calls, first.PID)
		}
	}
}

func TestEnvironment_Variables(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "1")
	f := plain("one")
	f.Env = map[string]string{"TABLE": "t", "AWS_REGION": "xx-test-1", "AWS_LAMBDA_FUNCTION_NAME": "forged"}
	h := startWith(t, f)
	a := invoke(t, h, "one", `{}`)
	for _, want := range []string{
		"TABLE=t", "AWS_REGION=xx-test-1", "AWS_LAMBDA_FUNCTION_NAME=one", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "_HANDLER=bootstrap", "TZ=:UTC",
		"AWS_ENDPOINT_URL_LAMBDA=" + h.URL(),
	} {
		if !slices.Contains(a.Env, want) {
			t.Errorf("%s is not in the environment %q", want, a.Env)
		}
	}
	if joined := strings.Join(a.Env, "\n"); strings.Contains(joined, "SECRET_OF_THE_HOST") ||
		strings.Contains(joined, "HOME=") {
		t.Errorf("the host's variables reach the function: %q", a.Env)
	}
	// Lambda sets none of these: only a template can, and then the deployed function has them too.
	if i := slices.IndexFunc(a.Env, func(v string) bool { return strings.HasPrefix(v, "GO") }); i >= 0 {
		t.Errorf("the host sets %s, which Lambda does not", a.Env[i])
	}
	if want := "arn:aws:lambda:eu-central-1:123456789012:function:one"; a.ARN != want || len(a.ID) != 36 {
		t.Errorf("ARN %q, request id %q; want %s and a UUID", a.ARN, a.ID, want)
	}
	if a.Left <= 0 || a.Left > f.Timeout {
		t.Errorf("%v left until the deadline, with a timeout of %v", a.Left, f.Timeout)
	}
}

func TestInvoke_Concurrent(t *testing.T) {
	const n = 20
	h := startWith(t, plain("one"))
	url, _ := barrier(t, n)
	var wg sync.WaitGroup
	pids := make([]int, n)
	for i := range n {
		wg.Go(func() {
			body, functionError, err := h.Invoke(t.Context(), "one", []byte(meet(url)))
			if err != nil || functionError != "" {
				t.Errorf("invocation %d: %s %s %v", i, body, functionError, err)
				return
			}
			pids[i] = parse(t, body).PID
		})
	}
	wg.Wait()
	slices.Sort(pids)
	if distinct := len(slices.Compact(pids)); distinct != n {
		t.Errorf("%d concurrent invocations had %d processes", n, distinct)
	}
}

// Lambda would start a process for each of these invocations; one machine has a bounded pool.
func TestPool_BurstOfShortInvocations(t *testing.T) {
	h := startWith(t, plain("one"))
	var all sync.WaitGroup
	var mu sync.Mutex
	pids := map[int]bool{}
	for i := range 200 {
		all.Go(func() {
			body, functionError, err := h.Invoke(t.Context(), "one", []byte(`{}`))
			if err != nil || functionError != "" {
				t.Errorf("invocation %d: %s %s %v", i, body, functionError, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pids[parse(t, body).PID] = true
		})
	}
	all.Wait()
	if most := 2*runtime.NumCPU() + 4; len(pids) > most+2 { // two more are allowed if the machine stalls for a moment
		t.Errorf("200 short invocations had %d processes, want at most %d", len(pids), most)
	}
}

func TestFreeze_BetweenInvocations(t *testing.T) {
	h := startWith(t, plain("one"), plain("other"))
	pid := invoke(t, h, "one", `{"Do":"tick"}`).PID
	eventually(t, "the process is frozen", func() bool { return frozen(t, pid) })
	before := time.Now()
	eventually(t, "another function has run for 200 ms", func() bool {
		invoke(t, h, "other", `{}`)
		return time.Since(before) > 200*time.Millisecond
	})
	a := invoke(t, h, "one", `{}`)
	if a.PID != pid || a.Ticks > 50 {
		t.Errorf("process %d (first %d) had %d ticks of 1 ms while it was frozen for 200 ms", a.PID, pid, a.Ticks)
	}
	eventually(t, "the ticks continue during invocations",
		func() bool { return invoke(t, h, "one", `{}`).Ticks > a.Ticks })
}

func TestTimeout_Kills(t *testing.T) {
	f := plain("one")
	f.Timeout = 300 * time.Millisecond
	h := startWith(t, f)
	pid := invoke(t, h, "one", `{}`).PID
	if message := wantFailure(t, h, `{"Do":"hang"}`, "Sandbox.Timedout"); !strings.HasSuffix(message,
		"Task timed out after 0.30 seconds") {
		t.Errorf("the message is %q", message)
	}
	if exists(pid) {
		t.Errorf("process %d still exists after its deadline", pid)
	}
	if next := invoke(t, h, "one", `{}`); next.PID == pid || next.Calls != 1 {
		t.Errorf("after the deadline: %+v, want a new process", next)
	}
}

func TestInvoke_Crash(t *testing.T) {
	for _, c := range []struct{ event, kind, message string }{
		{`{"Do":"exit"}`, "Runtime.ExitError", "Runtime exited with error: exit status 3"},
		{`{"Do":"panic"}`, "string", "told to"},
		{`{"Do":"fail"}`, "errorString", "told to fail"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			h, log := start(t, lambda.Config{Functions: []lambda.Function{plain("one")}})
			invoke(t, h, "one", `{}`)
			for range 5 {
				if message := wantFailure(t, h, c.event, c.kind); !strings.HasSuffix(message, c.message) {
					t.Errorf("the message is %q, want %q at its end", message, c.message)
				}
				invoke(t, h, "one", `{}`)
			}
			if !log.contain("one: begins") || c.kind == "Runtime.ExitError" &&
				!log.contain("one: no newline before the end") {
				t.Errorf("lines of the function are missing in the log: %q", log.list)
			}
		})
	}
}

func TestInvoke_MissingBinary(t *testing.T) {
	f := plain("one")
	f.Binary += "-missing"
	h := startWith(t, f)
	if message := wantFailure(t, h, `{}`, "Runtime.ExitError"); !strings.Contains(message, "no such file") {
		t.Errorf("the message %q does not name the cause", message)
	}
}

func TestInvoke_ProcessKilledWhileIdle(t *testing.T) {
	h := startWith(t, plain("one"))
	pid := invoke(t, h, "one", `{}`).PID
	process, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatalf("kill the function's process: %v", err)
	}
	eventually(t, "the process has ended", func() bool { return !exists(pid) })
	if a := invoke(t, h, "one", `{}`); a.PID == pid {
		t.Errorf("process %d responded after it was killed", pid)
	}
}

func TestIdle_Ends(t *testing.T) {
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{plain("one")}, Idle: 50 * time.Millisecond})
	pid := invoke(t, h, "one", `{}`).PID
	eventually(t, "the idle process has ended", func() bool { return !exists(pid) })
}

func TestMemoryLimit_Kills(t *testing.T) {
	f := plain("one")
	f.MemoryMB = 128
	h, log := start(t, lambda.Config{Functions: []lambda.Function{f}})
	invoke(t, h, "one", `{}`)
	if message := wantFailure(t, h, `{"Do":"grow"}`, "Runtime.ExitError"); !strings.HasSuffix(message,
		"signal: killed") {
		t.Errorf("the message is %q", message)
	}
	eventually(t, "the log has the reason", func() bool { return log.contain("MB of 128 MB") })
	invoke(t, h, "one", `{}`)
}

func TestIdle_RestartsWithEachInvocation(t *testing.T) {
	f := plain("one")
	f.Timeout = 500 * time.Millisecond
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{f}, Idle: time.Second})
	pid := invoke(t, h, "one", `{}`).PID
	for begin := time.Now(); time.Since(begin) < 1500*time.Millisecond; {
		if a := invoke(t, h, "one", `{}`); a.PID != pid {
			t.Fatalf("after %v process %d runs instead of %d", time.Since(begin), a.PID, pid)
		}
	}
}

func TestTimeout_NotWhileIdle(t *testing.T) {
	f := plain("one")
	f.Timeout = 300 * time.Millisecond
	h := startWith(t, f, plain("other"))
	pid := invoke(t, h, "one", `{}`).PID
	for begin := time.Now(); time.Since(begin) < 2*f.Timeout; {
		invoke(t, h, "other", `{}`)
	}
	if a := invoke(t, h, "one", `{}`); a.PID != pid {
		t.Errorf("process %d runs instead of %d", a.PID, pid)
	}
}

func TestInvoke_CallerLeaves(t *testing.T) {
	h := startWith(t, plain("one"), plain("other"))
	pid := invoke(t, h, "one", `{}`).PID
	url, arrived := barrier(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := h.Invoke(ctx, "one", []byte(meet(url)))
		left <- err
	}()
	eventually(t, "the invocation runs", func() bool { return arrived() == 1 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("Invoke: %v, want context.Canceled", err)
	}
	invoke(t, h, "other", meet(url))
	eventually(t, "the process is used again", func() bool { return invoke(t, h, "one", `{}`).PID == pid })
}
