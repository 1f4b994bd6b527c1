// Command testfn is the function of the host's tests. It does what its event requests and describes its process.
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
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Event selects what the function does.
type Event struct {
	Do   string // "", meet, hang, panic, exit, fail, tick, child, grow, big, again, say
	Text string // say: the text to keep in memory for the next invocation
	URL  string // meet: URL to GET before the response; again: address of the host
	Size int    // big: bytes of the response; again: total number of runs
}

// Answer describes the process.
type Answer struct {
	PID, Child   int
	Calls, Ticks int64 // since the process started
	Tenant       string
	First        string // the first tenant of this process
	ID, ARN      string
	Left         time.Duration // until the deadline
	Env          []string
	Filler       string
	Runs         int    // again: number of runs
	Previous     string // say: the text of the previous invocation
}

type function struct {
	calls, ticks atomic.Int64
	first        string
	held         []byte
	lastText     string // of any caller: the mistake against which tenant isolation protects
}

func main() {
	fmt.Println("begins")
	if url := os.Getenv("FORWARD"); url != "" {
		lambda.Start(forward(url))
	}
	lambda.Start((&function{}).handle)
}

// forward returns a handler that sends each event to a test's server. It handles meet events as usual.
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
	if e.Do == "again" {
		return a, recurse(ctx, e, &a)
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
			for range time.NewTicker(time.Millisecond).C {
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
	case "say":
		a.Previous, f.lastText = f.lastText, e.Text
	case "big":
		a.Filler = strings.Repeat("x", e.Size)
	}
	return nil
}

// recurse makes the function invoke itself. It reports the number of successful runs and the error that ended the
// chain.
func recurse(ctx context.Context, e Event, a *Answer) error {
	if a.Runs = 1; e.Size == 1 {
		return nil
	}
	api := sdk.New(sdk.Options{Region: os.Getenv("AWS_REGION"), BaseEndpoint: &e.URL,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", "")})
	e.Size--
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	name := os.Getenv("AWS_LAMBDA_FUNCTION_NAME")
	out, err := api.Invoke(ctx, &sdk.InvokeInput{FunctionName: &name, Payload: payload})
	if err != nil {
		a.Filler = err.Error()
		return nil
	}
	var inner Answer
	if err := json.Unmarshal(out.Payload, &inner); err != nil {
		return err
	}
	a.Runs, a.Filler = 1+inner.Runs, inner.Filler
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
