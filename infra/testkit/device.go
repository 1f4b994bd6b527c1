package testkit

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carrel/infra/local/stack"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// User is a made-up user. All that the user says in a test contains the secret, and nothing that another user says
// does.
type User struct {
	Name, Secret string
	Threads      []chat.ThreadID
}

// NewUser returns a user with a random secret and so many new threads.
func NewUser(name string, threads int) *User {
	u := &User{Name: name, Secret: "secret-" + rand.Text()}
	for range threads {
		u.Threads = append(u.Threads, NewThread())
	}
	return u
}

// NewThread returns the id of a thread that does not exist yet.
func NewThread() chat.ThreadID { return chat.ThreadID(chat.NewID(time.Now())) }

// In reports whether a message contains the user's secret or names one of the user's threads.
func (u *User) In(m []byte) bool {
	return bytes.Contains(m, []byte(u.Secret)) ||
		slices.ContainsFunc(u.Threads, func(id chat.ThreadID) bool { return bytes.Contains(m, []byte(id)) })
}

// Device is one window of a user on one thread: a real client. It keeps every message that was ever sent to it.
type Device struct {
	*client.Client
	User   *User
	Thread chat.ThreadID // the thread that it opened first

	mu       sync.Mutex
	messages [][]byte
}

// Dial opens a window on a thread. token provides the client's tokens; nil: the local issuer does.
func Dial(ctx context.Context, e stack.Endpoints, u *User, thread chat.ThreadID,
	token func(context.Context) (string, error)) (*Device, error) {
	if token == nil {
		token = func(ctx context.Context) (string, error) { return SignIn(ctx, e, url.Values{"user": {u.Name}}) }
	}
	d := &Device{User: u, Thread: thread}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	d.Client, err = client.Dial(ctx, client.Config{URL: e.WebSocket, Thread: thread, Token: token, OnFrame: d.Record})
	return d, err
}

// Open opens a window on a thread, waits until it is ready, and closes it when the test ends.
func Open(t testing.TB, ctx context.Context, e stack.Endpoints, u *User, thread chat.ThreadID) *Device {
	t.Helper()
	d, err := Dial(ctx, e, u, thread, nil)
	if err != nil {
		t.Fatalf("open a window of %s: %v", u.Name, err)
	}
	t.Cleanup(d.Close)
	d.Wait(t, ctx, "is ready", func(st client.State) bool { return st.Status == client.Ready })
	return d
}

// Record keeps a message of the server.
func (d *Device) Record(m []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.messages = append(d.messages, slices.Clone(m))
}

// Messages returns all messages that were sent to the device, over all of its sockets.
func (d *Device) Messages() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.messages)
}

// WaitUntil waits for a state of the window. The error says what did not happen, and what the window shows.
func (d *Device) WaitUntil(ctx context.Context, what string, condition func(client.State) bool) error {
	st, err := d.WaitFor(ctx, condition)
	if err != nil {
		return fmt.Errorf("%s, thread %s: wait until the window %s: %w; it shows %.2000s", d.User.Name, d.Thread, what,
			err,
			fmt.Sprintf("%+v", st))
	}
	return nil
}

// Wait is WaitUntil that fails the test, and returns the state.
func (d *Device) Wait(t testing.TB, ctx context.Context, what string, condition func(client.State) bool) client.State {
	t.Helper()
	if err := d.WaitUntil(ctx, what, condition); err != nil {
		t.Fatal(err)
	}
	return d.State()
}

// WaitFrames checks a condition again with each message that is sent to the window, until it holds.
func (d *Device) WaitFrames(t testing.TB, ctx context.Context, what string, condition func() bool) {
	t.Helper()
	for {
		changed := d.Changes() // before the look: a later message is another change
		if condition() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s: wait until %s: %v", d.User.Name, what, ctx.Err())
		}
	}
}

// Ask sends a message and waits until the last message of the thread is an answer that contains a text.
func (d *Device) Ask(t testing.TB, ctx context.Context, question, want string) {
	t.Helper()
	d.mustSend(t, question)
	d.Wait(t, ctx, fmt.Sprintf("answers %q with %q", question, want), func(st client.State) bool {
		n := len(st.Messages)
		return Idle(st) && n > 0 && Says(client.State{Messages: st.Messages[n-1:]}, agui.RoleAssistant, want)
	})
}

// RunScript sends a message and waits until its run has ended, however it ended.
func (d *Device) RunScript(t testing.TB, ctx context.Context, script string) {
	t.Helper()
	d.mustSend(t, script)
	d.Wait(t, ctx, "has run "+script, func(st client.State) bool { return Idle(st) && Says(st, agui.RoleUser, script) })
}

func (d *Device) mustSend(t testing.TB, text string) {
	t.Helper()
	if _, err := d.Send(text); err != nil {
		t.Fatal(err)
	}
}

// Idle reports whether no run is active or queued, and nothing is unsent or missing.
func Idle(st client.State) bool {
	return st.Status == client.Ready && !st.Lagging && st.Active == "" && len(st.Queued) == 0 && len(st.Sending) == 0
}

// Says reports whether a message of a role contains a text.
func Says(st client.State, role agui.Role, text string) bool {
	return slices.ContainsFunc(st.Messages, func(m agui.Message) bool {
		return m.Role == role && strings.Contains(m.Content, text)
	})
}

// CountQuestions counts the user's messages with exactly this text; "": all of them.
func CountQuestions(st client.State, text string) (n int) {
	for _, m := range st.Messages {
		if m.Role == agui.RoleUser && (text == "" || m.Content == text) {
			n++
		}
	}
	return n
}

// SameMessage reports whether two messages are shown alike.
func SameMessage(a, b agui.Message) bool {
	return a.ID == b.ID && a.Role == b.Role && a.Content == b.Content && len(a.ToolCalls) == len(b.ToolCalls)
}

// Frames returns the frames of one kind that were sent to a device, in order. Parts are joined.
func Frames[F wire.ServerFrame](d *Device) (all []F) {
	var joiner wire.Joiner
	for _, m := range d.Messages() {
		frame, _, err := Decode(&joiner, m)
		if f, ok := frame.(F); ok && err == nil {
			all = append(all, f)
		}
	}
	return all
}

// Ready returns the last ready frame that was sent to the device.
func (d *Device) Ready(t testing.TB) *wire.Ready {
	t.Helper()
	all := Frames[*wire.Ready](d)
	if len(all) == 0 {
		t.Fatalf("%s was sent no ready frame", d.User.Name)
	}
	return all[len(all)-1]
}

// Connection returns the id of the device's connection, as its last ready frame says.
func (d *Device) Connection(t testing.TB) string {
	t.Helper()
	return string(d.Ready(t).ConnectionID)
}

// Containing counts the messages that contain a text, joined parts included, of all messages that were sent to the
// device.
func (d *Device) Containing(text string) (n, of int) {
	var joiner wire.Joiner
	messages := d.Messages()
	for _, m := range messages {
		_, whole, _ := Decode(&joiner, m) // what cannot be decoded is searched as it is
		if bytes.Contains(m, []byte(text)) || bytes.Contains(whole, []byte(text)) {
			n++
		}
	}
	return n, len(messages)
}
