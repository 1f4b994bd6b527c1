package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"carrel/shared/agui"
	"carrel/shared/chars"
	"carrel/shared/tool"
)

// maxTools bounds how many tools a server may list.
const maxTools = 500

// KeyName is the member of a call's _meta that holds the call's idempotency key. It is the same each time the call is
// repeated, and differs for every other call of any user.
const KeyName = "carrel/idempotencyKey"

// list returns the tools that the server lists in this connection, by their names. Of two tools with one name the
// first counts.
func (s *session) list(ctx context.Context) (map[string]Listed, error) {
	conn, _, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]Listed{}
	for t, err := range conn.Tools(ctx, nil) {
		if err != nil {
			return nil, errors.Join(err, s.drop(ctx, conn))
		}
		if len(found) == maxTools {
			return nil, fmt.Errorf("the server lists more than %d tools", maxTools)
		}
		l, err := listed(t)
		if err != nil {
			return nil, err
		}
		if _, twice := found[l.Name]; !twice {
			found[l.Name] = l
		}
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	if s.conn == conn {
		s.found = found
	}
	return found, nil
}

// handler calls the tools of one session.
type handler struct{ s *session }

// with returns the handler of one tool. unwrap turns the model's arguments into the server's.
func (h handler) with(l Listed, unwrap unwrapper) func(context.Context, json.RawMessage) (tool.Output, error) {
	return func(ctx context.Context, args json.RawMessage) (tool.Output, error) {
		args, err := unwrap(args)
		if err != nil {
			return tool.Output{}, fmt.Errorf("unwrap the arguments: %w", err)
		}
		return h.s.call(ctx, l, args)
	}
}

// call makes a call. If the server answers that it does not know the session, the call was not made: it is repeated
// once in a new session. No other failed call is repeated.
func (s *session) call(ctx context.Context, l Listed, args json.RawMessage) (tool.Output, error) {
	for try := 1; ; try++ {
		conn, again, err := s.ready(ctx, l)
		if err != nil {
			return tool.Output{}, err
		}
		if again && s.Stateful {
			return tool.Output{}, &tool.Error{Text: "The server " + s.Name + " has lost the state of earlier calls. " +
				"This call was not made. Begin again with the calls that build that state."}
		}
		a := &attempt{}
		result, err := s.send(context.WithValue(ctx, attemptOf{}, a), conn, l, args)
		if err == nil {
			return output(result)
		}
		if ctx.Err() != nil {
			return tool.Output{}, ctx.Err()
		}
		var answered *jsonrpc.Error
		if errors.As(err, &answered) && answered.Code != notSent && !a.missing.Load() {
			return tool.Output{}, &tool.Error{Text: fmt.Sprintf("The server %s refused the call: %s", s.Name,
				chars.Head(answered.Message, maxMessage))}
		}
		if err := s.drop(ctx, conn); err != nil {
			return tool.Output{}, err
		}
		if a.missing.Load() && try == 1 {
			continue
		}
		return tool.Output{}, s.lost(a, err)
	}
}

// notSent is the code of the SDK's own errors about requests that had no valid answer.
const notSent = -32005

// maxMessage bounds the bytes of a server's message in an error.
const maxMessage = 1000

// lost returns the error of a call without an answer. The model reads whether it may have been made.
func (s *session) lost(a *attempt, cause error) error {
	made := "It is not known whether the call was made."
	if a.missing.Load() {
		made = "The call was not made."
	}
	return &tool.Error{Text: fmt.Sprintf("The connection to the server %s was lost. %s", s.Name, made), Cause: cause}
}

// ready returns a connection in which the tool has not changed since it was offered.
func (s *session) ready(ctx context.Context, l Listed) (conn *connection, again bool, err error) {
	conn, again, err = s.connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, again, ctx.Err()
		}
		return nil, again, &tool.Error{Text: fmt.Sprintf("The server %s cannot be reached. The call was not made.",
			s.Name), Cause: err}
	}
	found, err := s.listedNow(ctx)
	if err != nil {
		return nil, again, &tool.Error{Cause: err, Text: fmt.Sprintf(
			"The server %s does not list its tools. The call was not made.", s.Name)}
	}
	switch now, there := found[l.Name]; {
	case !there:
		return nil, again, &tool.Error{Text: fmt.Sprintf("The server %s has no tool %s any more.", s.Name, l.Name)}
	case now.Digest != l.Digest:
		return nil, again, &tool.Error{Text: fmt.Sprintf(
			"The tool %s of the server %s has changed since it was approved. The call was not made.", l.Name, s.Name)}
	}
	return conn, again, nil
}

// listedNow returns what the server lists in this connection.
func (s *session) listedNow(ctx context.Context) (map[string]Listed, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	found := s.found
	s.unlock()
	if found != nil {
		return found, nil
	}
	return s.list(ctx)
}

// send makes one request.
func (s *session) send(ctx context.Context, conn *connection, l Listed, args json.RawMessage) (*sdk.CallToolResult,
	error) {
	key := tool.IdempotencyKey(ctx)
	sum := sha256.Sum256([]byte(key)) // the key names the user's hash and the run, which the server need not know
	params := &sdk.CallToolParams{Name: l.Name, Arguments: args, Meta: sdk.Meta{KeyName: hex.EncodeToString(sum[:16])}}
	token := hex.EncodeToString(sum[16:])
	params.SetProgressToken(token)
	s.updates.expect(token, ctx)
	defer s.updates.forget(token)
	return conn.CallTool(ctx, params)
}

// updates passes the progress that the server reports on to the calls.
type updates struct {
	mu    sync.Mutex
	calls map[string]context.Context
}

func (u *updates) expect(token string, call context.Context) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.calls == nil {
		u.calls = map[string]context.Context{}
	}
	u.calls[token] = call
}

func (u *updates) forget(token string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.calls, token)
}

// receive is called by the SDK with each progress notification.
func (u *updates) receive(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
	token, _ := r.Params.ProgressToken.(string)
	u.mu.Lock()
	call := u.calls[token]
	u.mu.Unlock()
	if call != nil {
		tool.Progress(call, r.Params.Progress, r.Params.Total, r.Params.Message)
	}
}

// output returns a server's result as a tool's output. A result that the server marks as an error is one for the model.
func output(r *sdk.CallToolResult) (tool.Output, error) {
	if r.NeedsInput() {
		return tool.Output{}, &tool.Error{Text: "The server asks for input, which is not supported."}
	}
	var out tool.Output
	for _, c := range r.Content {
		out.Parts = append(out.Parts, part(c))
	}
	if r.StructuredContent != nil {
		text, err := json.Marshal(r.StructuredContent)
		if err != nil {
			return tool.Output{}, fmt.Errorf("encode the structured result: %w", err)
		}
		out.Structured = text
	}
	if !r.IsError {
		return out, nil
	}
	var texts []string
	for _, p := range out.Parts {
		texts = append(texts, p.Text)
	}
	return tool.Output{}, &tool.Error{Text: strings.TrimSpace("The tool failed: " + strings.Join(texts, "\n"))}
}

// part returns one item of a result.
func part(c sdk.Content) agui.Part {
	text := func(s string) agui.Part { return agui.Part{Type: agui.PartText, Text: s} }
	switch c := c.(type) {
	case *sdk.TextContent:
		return text(c.Text)
	case *sdk.ImageContent:
		return agui.Part{Type: agui.PartFile, MimeType: c.MIMEType, Bytes: len(c.Data)}
	case *sdk.AudioContent:
		return agui.Part{Type: agui.PartFile, MimeType: c.MIMEType, Bytes: len(c.Data)}
	case *sdk.ResourceLink:
		return text(fmt.Sprintf("[link: %s %s]", c.Name, c.URI))
	case *sdk.EmbeddedResource:
		if c.Resource == nil {
			return text("")
		}
		if len(c.Resource.Blob) > 0 {
			return agui.Part{Type: agui.PartFile, MimeType: c.Resource.MIMEType, Bytes: len(c.Resource.Blob)}
		}
		return text(c.Resource.Text)
	}
	return text("[a part of an unknown type]")
}
