package client

import (
	"context"
	"fmt"
	"time"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// send sends a call about a thread ("": none) and waits for its answer.
func (c *Client) send(ctx context.Context, id chat.ThreadID, f wire.ClientFrame) (*call, error) {
	return c.call(ctx, func(v *View, now time.Time) (*call, error) { return v.call(now, id, f) })
}

// call makes a call in the loop and waits for its answer. The error is a *Refused if the server has refused the call.
func (c *Client) call(ctx context.Context, begin func(*View, time.Time) (*call, error)) (*call, error) {
	var a *call
	err := c.do(func(v *View, now time.Time) (err error) {
		a, err = begin(v, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	for answered := false; !answered; {
		changed := c.Changes()
		if err := c.look(func() { answered = a.answered }); err != nil {
			return nil, err
		}
		if answered {
			break
		}
		select {
		case <-changed:
		case <-c.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("client: wait for an answer: %w", ctx.Err())
		}
	}
	if a.refused != nil {
		return nil, &Refused{Code: a.refused.Code, Message: a.refused.Message}
	}
	return a, nil
}

// Refused is the error of a request that the server has refused. Its message is written for a person.
type Refused struct {
	Code    wire.Code
	Message string
}

func (r *Refused) Error() string { return string(r.Code) + ": " + r.Message }
