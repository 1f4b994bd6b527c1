package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/dynamodb"
	"carrel/infra/local/stack"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"
)

// patience is the time limit of a test's steps. It includes a cold build on a busy machine.
const patience = 3 * time.Minute

// site copies testdata/site to a temporary folder, so that a test can change its sources.
func site(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	copySite(t, root)
	return root
}

func copySite(t *testing.T, root string) {
	t.Helper()
	if err := os.CopyFS(root, os.DirFS(filepath.Join("testdata", "site"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, name), string(content))
	}
}

// siteBuild holds the binaries of the unchanged site, built once for all tests that do not change its sources.
var siteBuild struct {
	once     sync.Once
	root     string
	binaries map[string]string
	err      error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(siteBuild.root); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// unchanged returns a configuration of a stack of the unchanged site.
func unchanged(t *testing.T) stack.Config {
	t.Helper()
	b := &siteBuild
	b.once.Do(func() {
		if b.root, b.err = os.MkdirTemp("", "carrel-site"); b.err == nil {
			copySite(t, b.root)
			b.binaries, b.err = stack.Build(t.Context(), stack.Config{Root: b.root})
		}
	})
	if b.err != nil {
		t.Fatalf("build the site: %v", b.err)
	}
	return stack.Config{Root: site(t), Binaries: b.binaries}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// running is a stack under test.
type running struct {
	*testing.T
	*stack.Stack
	ctx     context.Context
	notices *notices
}

// start starts a stack. Without a DynamoDB engine it skips the test, or fails it if CARREL_REQUIRE_ALL is set.
func start(t *testing.T, c stack.Config) *running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	n := &notices{added: make(chan struct{}, 1000)}
	c.Notices = n
	s, err := stack.Start(ctx, c)
	if errors.Is(err, dynamodb.ErrNoEngine) && os.Getenv("CARREL_REQUIRE_ALL") == "" {
		t.Skip("no DynamoDB engine is installed: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log, err := os.ReadFile(s.Log())
			t.Logf("log (%v):\n%s", err, log)
		}
	})
	return &running{t, s, ctx, n}
}

// notices collects what the stack writes to Config.Notices.
type notices struct {
	mu    sync.Mutex
	text  strings.Builder
	added chan struct{}
}

func (n *notices) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.added <- struct{}{}
	return n.text.Write(p)
}

func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// awaitNotice waits until the notices contain a text.
func (r *running) awaitNotice(text string) {
	r.Helper()
	for !strings.Contains(r.notices.String(), text) {
		select {
		case <-r.notices.added:
		case <-r.ctx.Done():
			r.Fatalf("no notice %q, but:\n%s", text, r.notices)
		}
	}
}

// get requests a page and returns the response and its body.
func (r *running) get(url string) (*http.Response, string) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, url, nil)
	if err != nil {
		r.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response, string(body)
}

// token requests an access token from the issuer's token endpoint.
func (r *running) token(user string) string {
	r.Helper()
	form := url.Values{"user": {user}}.Encode()
	request, err := http.NewRequestWithContext(r.ctx, http.MethodPost, r.Endpoints().Token, strings.NewReader(form))
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	var out struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil || out.Access == "" {
		r.Fatal(response.Status, err)
	}
	return out.Access
}

// dial opens a socket and returns the status of the handshake. The socket is nil if the handshake failed.
func (r *running) dial(token string) (*websocket.Conn, int) {
	r.Helper()
	conn, response, err := websocket.Dial(r.ctx, r.Endpoints().WebSocket,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if response == nil {
		r.Fatal(err)
	}
	if conn != nil {
		r.Cleanup(func() { _ = conn.CloseNow() }) // the test may have closed it already
	}
	return conn, response.StatusCode
}

// exchange sends a message and returns the next message that arrives.
func (r *running) exchange(conn *websocket.Conn, message string) string {
	r.Helper()
	if err := conn.Write(r.ctx, websocket.MessageText, []byte(message)); err != nil {
		r.Fatal(err)
	}
	_, answer, err := conn.Read(r.ctx)
	if err != nil {
		r.Fatal(err)
	}
	return string(answer)
}

// hasItem reports whether the table Book has an item with this id.
func (r *running) hasItem(id string) bool {
	r.Helper()
	db := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(r.Endpoints().DynamoDB),
		Credentials: r.Endpoints().Operator()})
	out, err := db.GetItem(r.ctx, &sdk.GetItemInput{TableName: aws.String("carrel-Book"),
		ConsistentRead: aws.Bool(true),
		Key:            map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}})
	if err != nil {
		r.Fatal(err)
	}
	return len(out.Item) > 0
}

// awaitItem waits until the function later has written an item. It polls, because nothing signals the write.
func (r *running) awaitItem(id string) {
	r.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !r.hasItem(id) {
		select {
		case <-poll.C:
		case <-r.ctx.Done():
			r.Fatalf("the item %q was never written", id)
		}
	}
}

// children lists the processes whose parent is this one.
func children(t *testing.T) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the process has exited
		}
		// pid (name) state ppid ...
		after := string(text[strings.LastIndex(string(text), ")")+1:])
		if fields := strings.Fields(after); len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, pid)
		}
	}
	return out
}
