package client

import (
	"slices"

	"carrel/shared/chat"
	"carrel/shared/wire"
)

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

// rows takes a page of the list, of the newest threads. A row that was there when it was asked for, belongs into it and
// is not in it has gone.
func (v *View) rows(f *wire.ThreadList) {
	last := chat.ThreadID("")
	if n := len(f.Threads); f.More && n > 0 {
		last = f.Threads[n-1].ThreadID
	}
	for id, known := range v.requests.listed {
		gone := !slices.ContainsFunc(f.Threads, func(r wire.ThreadInfo) bool { return r.ThreadID == id })
		if now, there := v.list[id]; gone && there && now.Updated == known && id > last {
			delete(v.list, id)
		}
	}
	v.requests.list, v.requests.listSent, v.requests.listed = false, false, nil
	for _, row := range f.Threads {
		v.row(row)
	}
	v.answered()
}
