package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carrel/infra/testkit"
)

// A peer is a program of other people. Its version is pinned in testdata, where each peer has a folder: a Go module, a
// package.json or a requirements.txt. make bench installs peers in .carrel/bench/peers. The quick form installs none.

// installTime bounds the installation of one peer.
const installTime = 10 * time.Minute

// errNotInstalled is why the quick form leaves a peer out.
var errNotInstalled = errors.New("it is not installed; make bench without QUICK installs it")

// install returns a peer's folder, in which do has installed it once for the files in testdata.
func install(t *testing.T, name string, do func(ctx context.Context, folder string) error) (string, error) {
	t.Helper()
	source, folder := filepath.Join("testdata", name), filepath.Join(benchFolder(t), "peers", name)
	pins, err := readPins(source)
	if err != nil {
		t.Fatal(err)
	}
	stamp := filepath.Join(folder, "installed")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == pins {
		return folder, nil
	}
	if quick() {
		return "", errNotInstalled
	}
	fmt.Printf("installing the peer %s (once)\n", name)
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	err = errors.Join(os.RemoveAll(folder), os.CopyFS(folder, os.DirFS(source)))
	if err == nil {
		err = do(ctx, folder)
	}
	if err != nil {
		return "", fmt.Errorf("it cannot be installed here: %w", err)
	}
	return folder, os.WriteFile(stamp, []byte(pins), 0o644)
}

// readPins returns the contents of a peer's files.
func readPins(source string) (string, error) {
	var all strings.Builder
	err := fs.WalkDir(os.DirFS(source), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(source, path))
		all.Write(text)
		return err
	})
	return all.String(), err
}

// command runs a command of an installation in a folder and returns its output as the error.
func command(ctx context.Context, folder, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = folder, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out))
		return fmt.Errorf("%s %s: %w: %s", name, args[0], err, text[max(0, len(text)-300):])
	}
	return nil
}

// startCentrifuge starts the library centrifuge in a program of its own. Its clients subscribe to channels.
func startCentrifuge(t *testing.T) (*process, server, error) {
	t.Helper()
	folder, err := install(t, "centrifuge", func(ctx context.Context, folder string) error {
		return command(ctx, folder, "go", "build", "-buildvcs=false", "-o", "server", ".")
	})
	if err != nil {
		return nil, server{}, err
	}
	p := launch(t, "centrifuge", exec.Command(filepath.Join(folder, "server")))
	s := server{dialect: dialect{shared: true, greet: subscribe, answer: pong}}
	p.address(t, &s)
	return p, s, nil
}

// subscribe connects a client of centrifuge and subscribes it to the channel of its name.
func subscribe(l *listener) (string, error) {
	for _, request := range [...]string{`{"id":1,"connect":{}}`,
		fmt.Sprintf(`{"id":2,"subscribe":{"channel":%q}}`, l.name)} {
		if err := l.write(request); err != nil {
			return "", err
		}
		message, err := l.next()
		if err != nil {
			return "", err
		}
		var answer struct {
			ID    int
			Error json.RawMessage
		}
		if err := json.Unmarshal(message, &answer); err != nil || answer.ID == 0 || answer.Error != nil {
			return "", fmt.Errorf("centrifuge answered %s with %s", request, message)
		}
	}
	return l.name, nil
}

// pong answers centrifuge's pings. A ping is an empty object in a line of its own.
func pong(message []byte) []byte {
	for l := range bytes.SplitSeq(message, []byte("\n")) {
		if string(l) == "{}" {
			return l
		}
	}
	return nil
}

// startServerless starts serverless-offline with one handler in its own process.
func startServerless(t *testing.T) (*process, server, error) {
	t.Helper()
	folder, err := install(t, "serverless", func(ctx context.Context, folder string) error {
		return command(ctx, folder, "npm", "install", "--no-audit", "--no-fund", "--no-update-notifier",
			"--loglevel=error")
	})
	if err != nil {
		return nil, server{}, err
	}
	ports := freePorts(t, 3)
	c := exec.Command("node", "node_modules/serverless/bin/serverless.js", "offline", "start", "--httpPort", ports[0],
		"--websocketPort", ports[1], "--lambdaPort", ports[2])
	c.Dir, c.Env = folder, append(os.Environ(), "SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off",
		"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none", "BENCH_URL=http://127.0.0.1:"+ports[1])
	p := launch(t, "serverless", c)
	address := "127.0.0.1:" + ports[1]
	awaitPort(t, address)
	return p, server{WebSocket: "ws://" + address + "/?token=bench", Connections: "http://" + address +
		"/@connections", dialect: dialect{greet: connectionID}}, nil
}

// startLangGraph starts LangGraph's server with threads in memory.
func startLangGraph(t *testing.T) (*process, agentServer, error) {
	t.Helper()
	folder, err := install(t, "langgraph", func(ctx context.Context, folder string) error {
		if err := command(ctx, folder, "python3", "-m", "venv", "venv"); err != nil {
			return err
		}
		return command(ctx, folder, "venv/bin/pip", "install", "-q", "--disable-pip-version-check", "-r",
			"requirements.txt")
	})
	if err != nil {
		return nil, nil, err
	}
	port := freePorts(t, 1)[0]
	c := exec.Command(filepath.Join(folder, "venv/bin/langgraph"), "dev", "--no-browser", "--no-reload", "--host",
		"127.0.0.1", "--port", port, "--n-jobs-per-worker", "10")
	c.Dir, c.Env = folder, append(os.Environ(), "LANGSMITH_TRACING=false", "LANGGRAPH_CLI_NO_ANALYTICS=1",
		"LOG_LEVEL=ERROR")
	p := launch(t, "langgraph", c)
	awaitPort(t, "127.0.0.1:"+port)
	return p, langgraphServer("http://127.0.0.1:" + port), nil
}

// startADK starts the REST server of Google's Agent Development Kit with sessions in memory.
func startADK(t *testing.T) (*process, agentServer, error) {
	t.Helper()
	folder, err := install(t, "adk", func(ctx context.Context, folder string) error {
		return command(ctx, folder, "go", "build", "-buildvcs=false", "-o", "server", ".")
	})
	if err != nil {
		return nil, nil, err
	}
	p := launch(t, "adk", exec.Command(filepath.Join(folder, "server")))
	var address struct{ URL string }
	p.address(t, &address)
	return p, adkServer(address.URL), nil
}

// freePorts returns ports that were free a moment ago.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// awaitPort waits until a server answers HTTP requests.
func awaitPort(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	testkit.Eventually(t, ctx, "a server answers at "+address, func() bool {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return false
		}
		response, err := (&http.Client{Timeout: time.Second}).Do(r)
		return err == nil && response.Body.Close() == nil
	})
}
