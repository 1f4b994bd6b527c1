package client

import (
	"maps"
	"slices"

	"carrel/shared/agui"
)

// reports is what the newest run reports beside its messages.
type reports struct {
	progress map[string]agui.Progress // of calls without a result, by the call's id
	sources  []agui.Source            // whose tools are missing
}

// follow applies the next event of the thread.
func (r *reports) follow(e agui.Event) {
	if e.Type == agui.RunStarted {
		*r = reports{}
	}
	if p, ok := agui.ProgressOf(e); ok {
		if r.progress == nil {
			r.progress = map[string]agui.Progress{}
		}
		r.progress[p.Call] = p
	}
	if s, ok := agui.SourceOf(e); ok {
		same := func(other agui.Source) bool { return other.Server == s.Server }
		r.sources = append(slices.DeleteFunc(slices.Clone(r.sources), same), s)
	}
	switch {
	case e.Type == agui.ToolCallResult:
		delete(r.progress, e.ToolCallID)
	case e.Terminal():
		r.progress = nil
	}
}

// copied returns a copy for a State, in which nothing is nil.
func (r *reports) copied() (map[string]agui.Progress, []agui.Source) {
	progress := maps.Clone(r.progress)
	if progress == nil {
		progress = map[string]agui.Progress{}
	}
	return progress, append([]agui.Source{}, r.sources...)
}
