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

func TestWarmInvokeReusesTheProcess(t *testing.T) {
	h := startWith(t, plain("one"))
	first := invoke(t, h, "one", `{}`)
	for i := range 50 {
		if a := invoke(t, h, "one", ``); a.PID != first.PID || a.Calls != int64(i+2) {
			t.Fatalf("invocation %d: process %d, its call %d; want process %d", i+2, a.PID, a.Calls, first.PID)
		}
	}
}

func TestFunctionSeesOnlyItsOwnEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "1")
	f := plain("one")
	f.Env = map[string]string{"TABLE": "t", "AWS_REGION": "xx-test-1", "AWS_LAMBDA_FUNCTION_NAME": "forged"}
	h := startWith(t, f)
	a := invoke(t, h, "one", `{}`)
	for _, want := range []string{
		"TABLE=t", "AWS_REGION=xx-test-1", "AWS_LAMBDA_FUNCTION_NAME=one", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "GOMAXPROCS=1", "GOMEMLIMIT=230MiB", "_HANDLER=bootstrap", "TZ=:UTC",
		"AWS_ENDPOINT_URL_LAMBDA=" + h.URL(),
	} {
		if !slices.Contains(a.Env, want) {
			t.Errorf("%s is not in the environment %q", want, a.Env)
		}
	}
	if joined := strings.Join(a.Env, "\n"); strings.Contains(joined, "SECRET_OF_THE_HOST") || strings.Contains(joined, "HOME=") {
		t.Errorf("the host's variables reach the function: %q", a.Env)
	}
	if want := "arn:aws:lambda:eu-central-1:123456789012:function:one"; a.ARN != want || len(a.ID) != 36 {
		t.Errorf("ARN %q, request id %q; want %s and a UUID", a.ARN, a.ID, want)
	}
	if a.Left <= 0 || a.Left > f.Timeout {
		t.Errorf("%v are left until the deadline of %v", a.Left, f.Timeout)
	}
}

func TestConcurrentInvokesGetEnvironmentsOfTheirOwn(t *testing.T) {
	const n = 20
	h := startWith(t, plain("one"))
	url, _ := meeting(t, n)
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
		t.Errorf("%d invocations at once had %d processes", n, distinct)
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
	if most := 2*runtime.NumCPU() + 4; len(pids) > most+2 { // two more where the machine stands still for a moment
		t.Errorf("200 short invocations had %d processes, want at most %d", len(pids), most)
	}
}

func TestProcessIsFrozenBetweenInvocations(t *testing.T) {
	h := startWith(t, plain("one"), plain("other"))
	pid := invoke(t, h, "one", `{"Do":"tick"}`).PID
	eventually(t, "the process is stopped", func() bool { return frozen(t, pid) })
	before := time.Now()
	eventually(t, "another function has worked for 200 ms", func() bool {
		invoke(t, h, "other", `{}`)
		return time.Since(before) > 200*time.Millisecond
	})
	a := invoke(t, h, "one", `{}`)
	if a.PID != pid || a.Ticks > 50 {
		t.Errorf("process %d (first %d) had %d ticks of 1 ms in 200 ms of being frozen", a.PID, pid, a.Ticks)
	}
	eventually(t, "the ticks go on while invocations run", func() bool { return invoke(t, h, "one", `{}`).Ticks > a.Ticks })
}

func TestDeadlineKills(t *testing.T) {
	f := plain("one")
	f.Timeout = 300 * time.Millisecond
	h := startWith(t, f)
	pid := invoke(t, h, "one", `{}`).PID
	if message := fail(t, h, `{"Do":"hang"}`, "Sandbox.Timedout"); !strings.HasSuffix(message, "Task timed out after 0.30 seconds") {
		t.Errorf("the message is %q", message)
	}
	if exists(pid) {
		t.Errorf("process %d is still there after its deadline", pid)
	}
	if next := invoke(t, h, "one", `{}`); next.PID == pid || next.Calls != 1 {
		t.Errorf("after the deadline: %+v, want a new process", next)
	}
}

func TestCrashAnswersAnErrorAndTheNextInvokeWorks(t *testing.T) {
	for _, c := range []struct{ event, kind, message string }{
		{`{"Do":"exit"}`, "Runtime.ExitError", "Runtime exited with error: exit status 3"},
		{`{"Do":"panic"}`, "string", "told to"},
		{`{"Do":"fail"}`, "errorString", "told to fail"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			h, log := start(t, lambda.Config{Functions: []lambda.Function{plain("one")}})
			invoke(t, h, "one", `{}`)
			for range 5 {
				if message := fail(t, h, c.event, c.kind); !strings.HasSuffix(message, c.message) {
					t.Errorf("the message is %q, want %q at its end", message, c.message)
				}
				invoke(t, h, "one", `{}`)
			}
			if !log.contain("one: begins") || c.kind == "Runtime.ExitError" && !log.contain("one: no newline before the end") {
				t.Errorf("the log misses lines of the function: %q", log.list)
			}
		})
	}
}

func TestBinaryThatCannotStart(t *testing.T) {
	f := plain("one")
	f.Binary += "-missing"
	h := startWith(t, f)
	if message := fail(t, h, `{}`, "Runtime.ExitError"); !strings.Contains(message, "no such file") {
		t.Errorf("the message %q does not say what is missing", message)
	}
}

func TestProcessThatIsKilledWhileIdleIsReplaced(t *testing.T) {
	h := startWith(t, plain("one"))
	pid := invoke(t, h, "one", `{}`).PID
	process, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatalf("killing the function's process: %v", err)
	}
	eventually(t, "the process is gone", func() bool { return !exists(pid) })
	if a := invoke(t, h, "one", `{}`); a.PID == pid {
		t.Errorf("process %d answered after it was killed", pid)
	}
}

func TestIdleEnvironmentEnds(t *testing.T) {
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{plain("one")}, Idle: 50 * time.Millisecond})
	pid := invoke(t, h, "one", `{}`).PID
	eventually(t, "the idle process is gone", func() bool { return !exists(pid) })
}

func TestMemoryLimitKills(t *testing.T) {
	f := plain("one")
	f.MemoryMB = 128
	h, log := start(t, lambda.Config{Functions: []lambda.Function{f}})
	invoke(t, h, "one", `{}`)
	if message := fail(t, h, `{"Do":"grow"}`, "Runtime.ExitError"); !strings.HasSuffix(message, "signal: killed") {
		t.Errorf("the message is %q", message)
	}
	eventually(t, "the log says why", func() bool { return log.contain("MB of 128 MB") })
	invoke(t, h, "one", `{}`)
}

func TestUsedEnvironmentDoesNotEnd(t *testing.T) {
	f := plain("one")
	f.Timeout = 500 * time.Millisecond
	h, _ := start(t, lambda.Config{Functions: []lambda.Function{f}, Idle: time.Second})
	pid := invoke(t, h, "one", `{}`).PID
	for begin := time.Now(); time.Since(begin) < 1500*time.Millisecond; {
		if a := invoke(t, h, "one", `{}`); a.PID != pid {
			t.Fatalf("after %v process %d serves instead of %d", time.Since(begin), a.PID, pid)
		}
	}
}

func TestDeadlineDoesNotRunWhileIdle(t *testing.T) {
	f := plain("one")
	f.Timeout = 300 * time.Millisecond
	h := startWith(t, f, plain("other"))
	pid := invoke(t, h, "one", `{}`).PID
	for begin := time.Now(); time.Since(begin) < 2*f.Timeout; {
		invoke(t, h, "other", `{}`)
	}
	if a := invoke(t, h, "one", `{}`); a.PID != pid {
		t.Errorf("process %d serves instead of %d", a.PID, pid)
	}
}

func TestEndOfTheContextClosesTheHost(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h, err := lambda.Start(ctx, lambda.Config{Addr: "127.0.0.1:0", Functions: []lambda.Function{plain("one")}})
	if err != nil {
		t.Fatal(err)
	}
	pid := invoke(t, h, "one", `{}`).PID
	cancel()
	eventually(t, "the process is gone", func() bool { return !exists(pid) })
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestCallerThatLeavesLeavesTheInvocationRunning(t *testing.T) {
	h := startWith(t, plain("one"), plain("other"))
	pid := invoke(t, h, "one", `{}`).PID
	url, arrived := meeting(t, 2)
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
	eventually(t, "its process serves again", func() bool { return invoke(t, h, "one", `{}`).PID == pid })
}

func TestReplaceEndsIdleNowAndBusyAfterTheirAnswer(t *testing.T) {
	h := startWith(t, plain("one"), plain("other"))
	idle := invoke(t, h, "one", `{}`).PID
	if err := h.Replace("one", os.Getenv(binaryVariable)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the idle process is gone", func() bool { return !exists(idle) })

	url, arrived := meeting(t, 2)
	busy := make(chan answer, 1)
	go func() {
		body, _, _ := h.Invoke(t.Context(), "one", []byte(meet(url)))
		busy <- parse(t, body)
	}()
	eventually(t, "the invocation runs", func() bool { return arrived() == 1 })
	if err := h.Replace("one", os.Getenv(binaryVariable)); err != nil {
		t.Fatal(err)
	}
	invoke(t, h, "other", meet(url))
	old := (<-busy).PID
	eventually(t, "the busy process is gone after its answer", func() bool { return !exists(old) })
	var refused *lambda.Error
	if err := h.Replace("none", "x"); !errors.As(err, &refused) || refused.Status != 404 {
		t.Errorf("replacing an unknown function: %v", err)
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	h := startWith(t, plain("one"), perTenant("tenants"))
	a := invoke(t, h, "one", `{"Do":"child"}`)
	url, arrived := meeting(t, 2)
	cut := make(chan error, 1)
	go func() {
		_, _, err := h.Invoke(context.Background(), "one", []byte(meet(url)))
		cut <- err
	}()
	eventually(t, "the second invocation runs", func() bool { return arrived() == 1 })
	if err := h.InvokeAsync(t.Context(), "tenants", "ann", []byte(`{"Do":"hang"}`)); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if exists(a.PID) {
		t.Errorf("the function's process %d is left", a.PID)
	}
	eventually(t, "what the function started is gone", func() bool { return !running(a.Child) })
	if err := <-cut; !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("the invocation that was cut short: %v, want ErrClosed", err)
	}
	if _, _, err := h.Invoke(t.Context(), "one", nil); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("an invocation after the end: %v, want ErrClosed", err)
	}
	if err := h.InvokeAsync(t.Context(), "one", "", nil); !errors.Is(err, lambda.ErrClosed) {
		t.Errorf("an event after the end: %v, want ErrClosed", err)
	}
}
