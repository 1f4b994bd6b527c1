package client

import (
	"cmp"
	"slices"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

// deleted removes a thread's row for good: its id is not used again. For the open thread it also sends a hello, whose
// ready empties the view.
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

// row applies one row of the list, unless the row shown is newer or the thread is deleted.
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

// rows applies the first page of the list. It removes the rows that were known at the time of the request, belong in
// the page and are not in it.
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

// byUse orders lists: pinned threads first and archived ones last, and each group by last use, newest first.
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
