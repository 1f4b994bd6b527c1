package mutants

// pastFaults concern leftovers of earlier requests.
func pastFaults() []fault {
	return []fault{
		{
			number: 19, clause: "an answer that could not be posted is a failure",
			file: "functions/message/answer.go",
			from: `if errors.Is(err, chat.ErrGone) || errors.Is(err, chat.ErrSlow) || errors.Is(err, ` +
				`lasthop.ErrRefused) {`,
			to:  `if err != nil {`,
			pkg: audit, test: "TestFault19_AFailedPostIsNoSuccess",
		},
		{
			number: 20, clause: "runs are listed", file: "functions/message/runs.go",
			from: `for _, run := range page {`, to: `for _, run := range page[:0] {`,
			pkg: audit, test: "TestFault20_RunsAreListedAndStopped",
		},
		{
			number: 20, clause: "runs are stopped by their ids", file: "shared/store/cancel.go",
			from: `item, err := s.t.update(ctx, s.cancelRequest(chat.RunID(r.ID)))`,
			to: `_ = s.cancelRequest
		return Cancelled{Run: Run{ID: chat.RunID(r.ID), Status: chat.RunRunning}}, nil
		item, err := s.t.update(ctx, s.cancelRequest(chat.RunID(r.ID)))`,
			pkg: audit, test: "TestFault20_RunsAreListedAndStopped",
		},
		{
			// The guard is in net/http: it returns a connection to the pool only if its response was read to the end.
			// In its place stands a pool that hands out the responses in the order in which they arrive.
			number: 21, clause: "an answer belongs to its request", file: "shared/awsenv/http.go",
			from: `	return c.http.Do(r)
}
`, to: pooled, pkg: audit, test: "TestFault21_ACancelledReadLeavesNoAnswer",
		},
		{
			number: 22, clause: "a run uses its own user's data", file: "functions/turn/tools.go",
			from: runKeepsOwn, to: runKeepsAnother, pkg: audit, test: "TestFault22_AWarmProcessKeepsNobody",
		},
		{
			number: 22, clause: "a frame is answered from its own user's data", file: "functions/message/handler.go",
			from: frameKeepsOwn, to: frameKeepsAnother, pkg: audit, test: "TestFault22_AWarmProcessKeepsNobody",
		},
	}
}

// orderFaults concern the order of saving and sending.
func orderFaults() []fault {
	return []fault{
		{
			number: 23, clause: "a pong's head is compared with the cursor", file: "shared/client/inbox.go",
			from: `t.head = max(t.head, min(f.Head, maxSeq))`, to: `_ = maxSeq`,
			pkg: audit, test: "TestFault23_SavedAndNotTold",
		},
		{
			number: 23, clause: "a pong carries the last event of a running run", file: "functions/message/ping.go",
			from: `max(t.Head, last.Last)`, to: `max(t.Head, 0*last.Last)`,
			pkg: audit, test: "TestFault23_SavedAndNotTold",
		},
		{
			number: 24, clause: "saved before it is sent", file: "shared/emit/flush.go",
			from: `		seq, err := e.append(events)
		if err == nil {
			// before it counts as durable, so Drain returns only once it is queued for all subscribers
			e.queueRecord(seq, events, nil)
		}
`, to: `		e.queueRecord(chat.Seq(e.durable)+2, events, nil) // behind RUN_STARTED
		_, err := e.append(events)
`, pkg: audit, test: "TestFault24_NothingIsSentBeforeItIsSaved",
		},
	}
}

// Replacements for functions that then keep the store or connection of their previous call.
const (
	runKeepsOwn = `func (t *turn) ownRegistry() (*tool.Registry, error) {
	return t.registry(t.store)
`
	runKeepsAnother = `var kept *store.Store

func (t *turn) ownRegistry() (*tool.Registry, error) {
	if kept == nil {
		kept = t.store
	}
	return t.registry(kept)
`
	frameKeepsOwn = `func (h *handler) Handle(ctx context.Context, event json.RawMessage) (gateway.Answer, error) {
	in, err := gateway.ParseInbound(event)
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("message: %w", err)
	}
	s, err := h.table.For(in.User)
`
	frameKeepsAnother = `var kept *store.Store

func (h *handler) Handle(ctx context.Context, event json.RawMessage) (gateway.Answer, error) {
	in, err := gateway.ParseInbound(event)
	if err != nil {
		return gateway.Answer{}, fmt.Errorf("message: %w", err)
	}
	s, err := h.table.For(in.User)
	if kept == nil {
		kept = s
	}
	if bytes := string(in.Body); len(bytes) > 14 && bytes[:14] == "{\"type\":\"runs\"" {
		s = kept
	}
`
)

// pooled hands out answers in the order in which they come.
const pooled = `	own, err := http.NewRequest(r.Method, r.URL.String(), r.Body)
	if err != nil {
		return nil, err
	}
	own.Header, own.ContentLength = r.Header, r.ContentLength
	go func() {
		got, err := c.http.Do(own)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(got.Body)
			got.Body = io.NopCloser(bytes.NewReader(body))
		}
		answers <- answer{got, err}
	}()
	select {
	case a := <-answers:
		return a.got, a.err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

type answer struct {
	got *http.Response
	err error
}

var answers = make(chan answer, 1000)
`
