package lambda_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/lambda"
)

// BenchmarkWarmInvoke measures a synchronous invocation of a frozen process, in-process and through the AWS SDK.
func BenchmarkWarmInvoke(b *testing.B) {
	h := startWith(b, plain("one"))
	c := client(h)
	invoke(b, h, "one", `{}`)
	b.Run("in-process", func(b *testing.B) {
		for b.Loop() {
			if _, functionError, err := h.Invoke(b.Context(), "one", nil); functionError != "" || err != nil {
				b.Fatal(functionError, err)
			}
		}
	})
	b.Run("SDK", func(b *testing.B) {
		for b.Loop() {
			if out, err := c.Invoke(b.Context(), input("one", "", `{}`)); err != nil || out.FunctionError != nil {
				b.Fatal(out, err)
			}
		}
	})
}

// BenchmarkColdInvoke measures an invocation that starts a process: each has its own tenant.
func BenchmarkColdInvoke(b *testing.B) {
	f := perTenant("tenants")
	f.Concurrency = 4
	h, log := start(b, lambda.Config{Functions: []lambda.Function{f}, Idle: 50 * time.Millisecond})
	c := client(h)
	i := 0
	for b.Loop() {
		i++
		if out, err := c.Invoke(b.Context(), input("tenants", fmt.Sprint(i), `{}`)); err != nil ||
			out.FunctionError != nil {
			b.Fatal(out, err)
		}
	}
	if log.contain("lambda:") {
		b.Error("the host reported a problem")
	}
}

// BenchmarkFirstPoll measures the process's own part of a cold start: from exec to its first poll.
func BenchmarkFirstPoll(b *testing.B) {
	polls := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		polls <- struct{}{}
		<-r.Context().Done()
	}))
	b.Cleanup(server.Close)
	for b.Loop() {
		process := exec.Command(os.Getenv(binaryVariable))
		process.Env = []string{"GOMAXPROCS=1", "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(server.URL, "http://")}
		if err := process.Start(); err != nil {
			b.Fatal(err)
		}
		<-polls
		b.StopTimer()
		if err := process.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = process.Wait() // returns the error that the process was killed
		b.StartTimer()
	}
}

// BenchmarkColdBurst measures 50 concurrent invocations, each in a new process.
func BenchmarkColdBurst(b *testing.B) {
	for b.Loop() {
		h := startWith(b, plain("one"))
		url, _ := barrier(b, 50)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, functionError, err := h.Invoke(b.Context(), "one", []byte(meet(url))); functionError != "" ||
					err != nil {
					b.Error(functionError, err)
				}
			})
		}
		wg.Wait()
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
