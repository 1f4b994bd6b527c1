package bench_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/infra/local/template"
)

// maxControl is the largest deviation of the control from 1 at which a ratio is printed.
const maxControl = 0.10

// bare and control name the same binary, which is measured twice: the second is the control.
const bare, control = "bare", "control"

// started is one start of a process: the time from its execution to its first request for an invocation, and the
// processor time of its whole life.
type started struct{ wall, cpu time.Duration }

// TestBenchStart measures how long each function takes from its execution to its first request for an invocation,
// beside a function that does nothing. STARTS is the number of starts of each; BEFORE is a folder with other builds of
// the functions, such as the previous commit's, which are measured too.
//
//	CARREL_BENCH=1 go test -count=1 -v -run TestBenchStart ./infra/bench
func TestBenchStart(t *testing.T) {
	needsTime(t)
	rounds, err := strconv.Atoi(os.Getenv("STARTS"))
	if err != nil {
		rounds = 60
	}
	binaries, env := startable(t)
	runtime := newRuntimeAPI(t)
	names := slices.Sorted(maps.Keys(binaries))
	took := map[string][]started{}
	for range rounds {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			took[name] = append(took[name], runtime.start(t, name, binaries[name], env[name]))
		}
	}
	slices.Sort(names)
	fmt.Println("start              p50 ms  against bare   CPU ms  against bare")
	for _, name := range names {
		wall, cpu := median(took[name])
		fmt.Printf("%-18s %6.2f %13s %8.2f %13s\n", name, wall, against(took, name, wallOf), cpu,
			against(took, name, cpuOf))
	}
}

func wallOf(s started) float64 { return float64(s.wall.Microseconds()) / 1000 }
func cpuOf(s started) float64  { return float64(s.cpu.Microseconds()) / 1000 }

func median(all []started) (wall, cpu float64) { return middle(all, wallOf), middle(all, cpuOf) }

func middle(all []started, of func(started) float64) float64 {
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// against returns the ratio of a function's median to the bare handler's, or a dash where the control shows that the
// machine is too noisy.
func against(took map[string][]started, name string, of func(started) float64) string {
	base := middle(took[bare], of)
	noise := middle(took[control], of) / base
	if name != control && max(noise, 1/noise) > 1+maxControl {
		return "-"
	}
	return fmt.Sprintf("%.2f×", middle(took[name], of)/base)
}

// startable builds the functions and the bare handler. It returns their binaries and environments by name. All binaries
// are copies in one folder, because a start also depends on the file system.
func startable(t *testing.T) (binaries map[string]string, env map[string]map[string]string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	built, err := stack.Build(t.Context(), stack.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	buildBare(t, root, filepath.Join(folder, "built"))
	binaries, env = map[string]string{}, map[string]map[string]string{}
	add := func(name, binary string, variables map[string]string) {
		binaries[name], env[name] = filepath.Join(folder, name), variables
		content, err := os.ReadFile(binary)
		if err == nil {
			err = os.WriteFile(binaries[name], content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	common := map[string]string{}
	for _, f := range ownFunctions(t, root) {
		name := strings.ToLower(strings.TrimSuffix(f.LogicalID, "Function"))
		add(name, built[f.LogicalID], f.Env)
		if before := os.Getenv("BEFORE"); before != "" {
			add(name+" before", filepath.Join(before, name), f.Env)
		}
		for _, v := range []string{"GOMAXPROCS", "GOMEMLIMIT", "GOGC"} {
			if f.Env[v] != "" {
				common[v] = f.Env[v]
			}
		}
	}
	add(bare, filepath.Join(folder, "built"), common)
	add(control, filepath.Join(folder, "built"), common)
	return binaries, env
}

func ownFunctions(t *testing.T, root string) []template.Function {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := template.Resolve(source, template.Options{Parameters: map[string]string{
		"Issuer": "http://127.0.0.1:3000/issuer", "Audience": "carrel-page", "TokenKind": "typ",
		"Origins": "http://127.0.0.1:3000"}})
	if err != nil {
		t.Fatal(err)
	}
	return resolved.Functions
}

// buildBare builds the bare handler as make builds the functions.
func buildBare(t *testing.T, root, binary string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc",
		"-ldflags", "-s -w", "-o", binary, "./infra/bench/bare")
	command.Dir, command.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the bare handler: %v\n%s", err, out)
	}
}

// runtimeAPI is Lambda's runtime API as far as a start goes: it reports requests for an invocation and answers none.
type runtimeAPI struct {
	addr string
	next chan time.Time
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &runtimeAPI{listener.Addr().String(), make(chan time.Time, 1)}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		r.next <- time.Now()
		<-request.Context().Done()
	})}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = server.Serve(listener) // it returns when the test closes the server
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-stopped
	})
	return r
}

// start starts a process once and kills it when it asks for an invocation.
func (r *runtimeAPI) start(t *testing.T, name, binary string, env map[string]string) started {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var complaint strings.Builder
	command := exec.CommandContext(ctx, binary)
	command.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + r.addr, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=id",
		"AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=token", "AWS_LAMBDA_FUNCTION_NAME=" + name}
	for key, value := range env {
		command.Env = append(command.Env, key+"="+value)
	}
	command.Stdout, command.Stderr = io.Discard, &complaint
	at := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	var took time.Duration
	select {
	case next := <-r.next:
		took = next.Sub(at)
	case err := <-exited:
		t.Fatalf("%s ended before it asked for an invocation: %v\n%s", name, err, complaint.String())
	}
	cancel() // kills the process
	<-exited
	state := command.ProcessState
	return started{took, state.UserTime() + state.SystemTime()}
}
