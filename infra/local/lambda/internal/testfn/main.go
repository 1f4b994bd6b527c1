// Command testfn is the function that the host's tests run: it does what its event says and tells of its process.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Event says what to do.
type Event struct {
	Do   string // "", meet, hang, panic, exit, fail, tick, child, grow, big
	URL  string // meet: what to GET before the answer
	Size int    // big: bytes of the answer
}

// Answer tells of the process.
type Answer struct {
	PID, Child   int
	Calls, Ticks int64 // since the process began
	Tenant       string
	First        string // the first tenant that this process served
	ID, ARN      string
	Left         time.Duration // until the deadline
	Env          []string
	Filler       string
}

type function struct {
	calls, ticks atomic.Int64
	first        string
	held         []byte
}

func main() {
	fmt.Println("begins")
	if url := os.Getenv("FORWARD"); url != "" {
		lambda.Start(forward(url))
	}
	lambda.Start((&function{}).handle)
}

// forward hands each event without a Do to a test's server.
func forward(to string) func(context.Context, json.RawMessage) error {
	return func(_ context.Context, event json.RawMessage) error {
		var e Event
		if err := json.Unmarshal(event, &e); err == nil && e.Do == "meet" {
			return meet(e.URL)
		}
		return meet(to + "?event=" + url.QueryEscape(string(event)))
	}
}

func (f *function) handle(ctx context.Context, e Event) (Answer, error) {
	lc, _ := lambdacontext.FromContext(ctx)
	if f.calls.Add(1) == 1 {
		f.first = lc.TenantID
	}
	deadline, _ := ctx.Deadline()
	a := Answer{
		PID: os.Getpid(), Calls: f.calls.Load(), Ticks: f.ticks.Load(), Tenant: lc.TenantID, First: f.first,
		ID: lc.AwsRequestID, ARN: lc.InvokedFunctionArn, Left: time.Until(deadline), Env: os.Environ(),
	}
	err := f.do(e, &a)
	return a, err
}

func (f *function) do(e Event, a *Answer) error {
	switch e.Do {
	case "meet":
		return meet(e.URL)
	case "hang":
		select {}
	case "panic":
		panic("told to")
	case "exit":
		fmt.Print("no newline before the end")
		os.Exit(3)
	case "fail":
		return errors.New("told to fail")
	case "tick":
		go func() {
			for range time.Tick(time.Millisecond) {
				f.ticks.Add(1)
			}
		}()
	case "child":
		child := exec.Command("/bin/sleep", "600")
		if err := child.Start(); err != nil {
			return err
		}
		a.Child = child.Process.Pid
	case "grow":
		f.held = bytes.Repeat([]byte{1}, 200<<20)
		select {}
	case "big":
		a.Filler = strings.Repeat("x", e.Size)
	}
	return nil
}

func meet(url string) error {
	client := http.Client{Timeout: time.Minute}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
