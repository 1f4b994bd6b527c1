package client

import (
	"context"
	"fmt"
	"time"

	"carrel/shared/wire"
)

// ask asks and waits until it is answered. A refusal is a *Refused.
func (c *Client) ask(ctx context.Context, f func(*View, time.Time) (*asked, error)) (*asked, error) {
	var a *asked
	err := c.do(func(v *View, now time.Time) (err error) {
		a, err = f(v, now)
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

// Refused is the server's refusal of a request. Its message is written for a person.
type Refused struct {
	Code    wire.Code
	Message string
}

func (r *Refused) Error() string { return string(r.Code) + ": " + r.Message }
