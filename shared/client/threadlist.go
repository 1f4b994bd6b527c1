package client

import (
	"cmp"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// deleted takes a thread's row away for good: its id is not used again. The open one is asked for once more, which
// empties it.
func (v *View) deleted(id chat.ThreadID) {
	delete(v.list, id)
	if v.gone[id] {
		return
	}
	v.gone[id] = true
	if id == v.open.id {
		v.socket.wantHello = true
	}
}

// row takes one row of the list of threads, unless the one that is shown is newer. A deleted one does not come back.
func (v *View) row(r wire.ThreadInfo) {
	if r.Deleted {
		v.deleted(r.ThreadID)
	}
	if v.gone[r.ThreadID] {
		return
	}
	if have, there := v.list[r.ThreadID]; !there || r.Updated >= have.Updated {
		v.list[r.ThreadID] = r
		v.compare(r.ThreadID, r.Interrupted)
	}
}

// rows takes the first page of the list. A row that was there when it was asked for, belongs into it and is not in it has
// gone.
func (v *View) rows(f *wire.ThreadList) {
	belongs := func(wire.ThreadInfo) bool { return true }
	if n := len(f.Threads); f.More && n > 0 {
		belongs = func(row wire.ThreadInfo) bool { return byUse(row, f.Threads[n-1]) <= 0 }
	}
	for id, known := range v.requests.listed {
		gone := !slices.ContainsFunc(f.Threads, func(r wire.ThreadInfo) bool { return r.ThreadID == id })
		if now, there := v.list[id]; gone && there && now.Updated == known && belongs(now) {
			delete(v.list, id)
		}
	}
	v.requests.list, v.requests.listSent, v.requests.listed = false, false, nil
	for _, row := range f.Threads {
		v.row(row)
	}
	v.answered()
}

// byUse is the order of lists: pinned threads first and archived ones last, and of each the one used last first.
func byUse(a, b wire.ThreadInfo) int {
	return cmp.Or(class(b)-class(a), cmp.Compare(b.Used, a.Used), cmp.Compare(b.ThreadID, a.ThreadID))
}

func class(row wire.ThreadInfo) int {
	switch {
	case row.Pinned:
		return 2
	case row.Archived:
		return 0
	}
	return 1
}
