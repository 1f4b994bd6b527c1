package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// The failure policy. It is the same for all providers.
const (
	maxTries    = 4                 // of one model, before the first delta of an answer
	maxCuts     = 2                 // how often one model may give a cut answer again
	maxStalls   = 1                 // how often one model may give a stalled answer again
	pauseAnswer = 45 * time.Second  // of all pauses before one answer
	pauseRun    = 120 * time.Second // of all pauses in a run
	firstPause  = 2 * time.Second   // the longest first pause; the next ones double
	longPause   = 20 * time.Second

	firstLife  = 60 * time.Second  // within this time a model gives its first sign of life
	silentLife = 300 * time.Second // the same for a model that thinks
	nextLife   = 60 * time.Second  // between two signs of life

	quiet = 2 * time.Second // shorter waits are not shown to the person
)

// errStalled is the cancel cause of a model call that gave no sign of life in time.
var errStalled = errors.New("engine: the model gave no sign of life")

// asking is the request for one answer, over all tries and models.
type asking struct {
	r      *run
	since  time.Time
	paused time.Duration
	shown  bool   // the person sees that the model thinks
	tries  int    // of the present model, before the first delta
	cuts   int    // answers of the present model that were cut
	stalls int    // answers of the present model that stalled
	failed []Kind // why each model was given up
}

// askModel requests the next answer, until a model gives a whole one. The error ends the run.
func (r *run) askModel(ctx context.Context) (*answer, error) {
	s := &asking{r: r, since: r.c.User.Now()}
	counted := false
	for {
		if err := r.ready(ctx); err != nil {
			return nil, err
		}
		if r.mustHandOver(r.c.HandOver.Start) {
			return nil, ErrHandOver
		}
		if !counted {
			if r.c.User.Count(chat.RunStats{}).ModelCalls >= r.limits.ModelCalls {
				return nil, limitReached(CodeModelCalls, "model calls", r.limits.ModelCalls)
			}
			r.c.User.Count(chat.RunStats{ModelCalls: 1})
		}
		a, failed, err := s.stream(ctx)
		if errors.Is(err, ErrHandOver) {
			return nil, r.closeAnswer(a)
		}
		if err != nil {
			return nil, err
		}
		if failed == nil {
			r.worked.Store(true)
			return a, a.finish()
		}
		counted = !a.begun()
		if err := s.handle(ctx, a, failed); err != nil {
			return nil, err
		}
	}
}

// stream makes one model call and emits its deltas as events. failed is the provider's failure.
func (s *asking) stream(ctx context.Context) (a *answer, failed *ModelError, err error) {
	r := s.r
	model := r.c.Models[r.model]
	request, err := r.request()
	if err != nil {
		return nil, nil, err
	}
	call, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wait := firstLife
	if model.Silent || r.c.Settings.Effort != "" {
		wait = silentLife
	}
	life := time.AfterFunc(wait, func() { cancel(errStalled) })
	defer life.Stop()
	defer r.closeInTime(cancel)()
	a = &answer{r: r, id: r.messageID(), model: model.Name, sent: request.Messages}
	for delta, err := range model.Stream(call, request) {
		life.Stop()
		if ctx.Err() != nil {
			return a, nil, stopped(ctx)
		}
		if err != nil || call.Err() != nil {
			failed, err = whatFailed(call, err)
			return a, failed, err
		}
		if err := s.take(a, delta); err != nil {
			return a, nil, err
		}
		if a.stop = delta.Stop; a.stop != "" {
			break
		}
		life.Reset(nextLife)
	}
	switch {
	case a.stop == StopContext:
		return a, &ModelError{Kind: TooLong, Cause: errors.New("the model stopped because its context is full")}, nil
	case a.stop != "":
		return a, nil, nil
	case ctx.Err() != nil:
		return a, nil, stopped(ctx)
	case call.Err() != nil:
		failed, err = whatFailed(call, nil)
		return a, failed, err
	}
	return a, &ModelError{Kind: Cut, Cause: errors.New("the stream ended without a stop")}, nil
}

// whatFailed returns what an error of a model call means. An error that is no ModelError is a defect of the model's
// adapter, and ends the run.
func whatFailed(call context.Context, err error) (*ModelError, error) {
	if errors.Is(context.Cause(call), errStalled) {
		return &ModelError{Kind: Cut, Cause: errStalled}, nil
	}
	if errors.Is(context.Cause(call), ErrHandOver) {
		return nil, ErrHandOver
	}
	var failed *ModelError
	if errors.As(err, &failed) {
		return failed, nil
	}
	return nil, modelFailed(err)
}

// take emits a delta. An empty one is a sign of life. After a while the person sees that the model thinks.
func (s *asking) take(a *answer, d Delta) error {
	if d == (Delta{}) && !s.shown && !a.begun() && s.r.c.User.Now().Sub(s.since) >= quiet {
		s.shown = true
		return s.r.emit(agui.CustomEvent(agui.CustomWaiting, agui.Waiting{Why: "thinking"}))
	}
	return a.add(d)
}

// handle does what a provider's failure needs before the next try. Its error ends the run.
func (s *asking) handle(ctx context.Context, a *answer, e *ModelError) error {
	begun := a.begun()
	if s.r.c.Failed != nil {
		s.r.logging.Lock()
		s.r.c.Failed(s.r.c.Models[s.r.model].Name, s.tries+s.cuts+1, e)
		s.r.logging.Unlock()
	}
	if begun {
		s.cuts++
		if err := s.r.again(a, e); err != nil {
			return err
		}
	} else {
		s.tries++
	}
	if errors.Is(e.Cause, errStalled) {
		s.stalls++
	}
	switch {
	case e.Kind == Invalid:
		return modelFailed(e)
	case e.Kind == TooLong:
		return s.r.refusedAsTooLong(e, a.sent)
	case e.Kind == Refused, s.tries >= maxTries, s.cuts > maxCuts, s.stalls > maxStalls:
		return s.next(e, begun)
	}
	if begun && e.Kind == Cut {
		return nil // at once: the provider answers
	}
	pause := e.After
	if pause == 0 {
		pause = rand.N(min(longPause, firstPause<<min(s.tries+s.cuts-1, 10))) // full jitter
	}
	if s.paused+pause > pauseAnswer || s.r.paused+pause > pauseRun {
		return s.next(e, begun)
	}
	return s.pause(ctx, pause)
}

// again closes an answer that was cut, and says that it is requested again.
func (r *run) again(a *answer, e *ModelError) error {
	value := agui.Again{Message: a.id, Why: string(e.Kind)}
	value.Provider, value.Model, value.Usage = a.tokens()
	return r.emit(append(r.cutAnswer(), agui.CustomEvent(agui.CustomAgain, value))...)
}

// next changes to the next model of the list. Without one the run fails.
func (s *asking) next(e *ModelError, cut bool) error {
	s.failed = append(s.failed, e.Kind)
	if s.r.model+1 == len(s.r.c.Models) {
		return s.exhausted(e)
	}
	s.r.model++
	s.tries, s.cuts, s.stalls = 0, 0, 0
	if !cut && s.r.c.User.Now().Sub(s.since) < quiet {
		return nil
	}
	return s.r.emit(agui.CustomEvent(agui.CustomWaiting, agui.Waiting{Why: "trying_another_model"}))
}

// exhausted returns the failure of a run whose last model has failed.
func (s *asking) exhausted(e *ModelError) error {
	all := func(kinds ...Kind) bool {
		return !slices.ContainsFunc(s.failed, func(k Kind) bool { return !slices.Contains(kinds, k) })
	}
	switch {
	case all(Throttled, Overloaded):
		return &failure{code: CodeBusy, cause: e, message: "The model has too many requests right now. " +
			"Your message is kept: ask again in a minute."}
	case all(Refused):
		return &failure{code: CodeRefused, cause: e,
			message: "The model is not available here; the operator has been informed."}
	}
	return modelFailed(e)
}

func tooLong(e error) error {
	return &failure{code: CodeTooLong, cause: e, message: "This conversation has become too long for the model. " +
		"Start a new conversation, and begin with the facts that it needs."}
}

// pause waits before the next try. After a while the person sees until when.
func (s *asking) pause(ctx context.Context, d time.Duration) error {
	silent := max(0, min(d, quiet-s.paused))
	s.paused += d
	s.r.paused += d
	if err := s.r.sleep(ctx, silent); err != nil || silent == d {
		return err
	}
	until := s.r.c.User.Now().Add(d - silent).UnixMilli()
	if err := s.r.emit(agui.CustomEvent(agui.CustomWaiting, agui.Waiting{Why: "busy", Until: until})); err != nil {
		return err
	}
	return s.r.sleep(ctx, d-silent)
}

// sleep waits. A run that is stopped ends the wait at once.
func (r *run) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return stopped(ctx)
	}
}

// position returns the place in the list of the model that gave the run's last answer, so that a worker that continues
// a run asks the same model.
func position(models []Candidate, marks []agui.Answer) int {
	if len(marks) == 0 {
		return 0
	}
	last := marks[len(marks)-1]
	name := last.Provider + ":" + last.Model
	return max(0, slices.IndexFunc(models, func(c Candidate) bool { return c.Name == name }))
}
