package main

import (
	"context"
	"time"

	"carrel/shared/engine"
	"carrel/shared/usercontext"
)

// A model call starts only with startTime left of the invocation's time, and an answer that is not complete with
// closeTime left is closed. If an invocation works for less than usercontext.MaxRunTime, as in tests, both are a part
// of that time.
const (
	startTime = 150 * time.Second
	closeTime = 30 * time.Second
)

// planHandOver returns when the run has to be handed over to another invocation. left is the rest of the run's time. A
// run that ends within this invocation, or that may not be handed over any more, is never handed over.
func (t *turn) planHandOver(ctx context.Context, left time.Duration) engine.HandOver {
	works := t.works
	if works == 0 {
		works = usercontext.MaxRunTime
	}
	if deadline, ok := ctx.Deadline(); ok {
		works = min(works, time.Until(deadline)-reserve)
	}
	plan := engine.HandOver{Continues: t.lease.Continues()}
	if left > works && t.lease.MayHandOver() {
		plan.At, plan.Start, plan.Close = t.now().Add(works), min(startTime, works/5), min(closeTime, works/20)
	}
	return plan
}

// giveOver hands the run over to another invocation, and invokes it. If that fails, sweep does so.
func (t *turn) giveOver(ctx context.Context) error {
	if err := t.emitter.Drain(ctx); err != nil {
		return err
	}
	if err := t.durably(ctx, "hand-over", t.lease.HandOver); err != nil {
		return err
	}
	if err := t.invoker.Turn(ctx, t.user, t.lease.Run().ID); err != nil {
		t.log.ErrorContext(ctx, "invoke turn to continue the run", "err", err)
	}
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	if err := t.emitter.Finish(ctx); err != nil {
		t.log.WarnContext(ctx, "post the last events", "err", err) // clients detect the gap and request the events
	}
	t.measureDelivery()
	return nil
}
