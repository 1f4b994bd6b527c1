package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errEndedWithHost is how a try ended that an earlier host had begun.
var errEndedWithHost = errors.New("the host ended while it ran")

// queued is an event as it waits in a file.
type queued struct {
	ID, Entry, Function, Tenant, Trace string
	Runs                               int
	Payload                            json.RawMessage
	Taken, Expires                     time.Time

	tries int // begun; the file's name tells it
}

// queue is a folder with one file for each event, named <entry>.<tries>; the zero queue keeps nothing. It survives the end of
// the process, however that comes, but not that of the machine: nothing is synced.
type queue struct{ folder string }

// unfinished ends the name of a file that is being written.
const unfinished = ".new"

func (q queue) file(entry string, tries int) string {
	return filepath.Join(q.folder, entry+"."+strconv.Itoa(tries))
}

func (q queue) add(e queued) error {
	if q.folder == "" {
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	file := q.file(e.Entry, 0)
	return errors.Join(os.WriteFile(file+unfinished, text, 0o600), os.Rename(file+unfinished, file))
}

// begin notes that a try begins: whatever ends the host, it counts.
func (q queue) begin(entry string, tries int) error {
	if q.folder == "" {
		return nil
	}
	return os.Rename(q.file(entry, tries-1), q.file(entry, tries))
}

// remove forgets an event of which at most so many tries have begun.
func (q queue) remove(entry string, tries int) error {
	if q.folder == "" {
		return nil
	}
	var err error
	for n := tries; n >= 0; n-- {
		if err = os.Remove(q.file(entry, n)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

// load reads the events that an earlier host has left, oldest first.
func (q queue) load() ([]queued, error) {
	if q.folder == "" {
		return nil, nil
	}
	if err := os.MkdirAll(q.folder, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(q.folder)
	if err != nil {
		return nil, err
	}
	var all []queued
	for _, entry := range entries {
		file := filepath.Join(q.folder, entry.Name())
		if strings.HasSuffix(file, unfinished) {
			if err := os.Remove(file); err != nil { // nobody was told that it was taken
				return nil, err
			}
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var e queued
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if e.tries, err = strconv.Atoi(strings.TrimPrefix(filepath.Ext(file), ".")); err != nil {
			return nil, fmt.Errorf("%s is no event's file", file)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b queued) int { return a.Taken.Compare(b.Taken) })
	return all, nil
}

// resume goes on with events of an earlier host. One whose function is gone, or has become another kind, is dropped.
func (h *Host) resume(left []queued) {
	for _, e := range left {
		f, err := h.admit(e.Function, e.Tenant, e.Payload, maxAsync)
		if err != nil {
			h.log(e.Function, fmt.Sprintf("lambda: event %s of an earlier run is dropped: %v", e.ID, errors.Join(err, h.queue.remove(e.Entry, e.tries))))
			continue
		}
		h.log(f.Name, fmt.Sprintf("lambda: event %s is left from an earlier run, after %d tries", e.ID, e.tries))
		inv := &invocation{id: e.ID, entry: e.Entry, tenant: e.Tenant, trace: e.Trace, runs: e.Runs, payload: e.Payload, done: make(chan outcome, 1)}
		h.own(func() { h.work(f, inv, e.Expires, e.tries) })
	}
}
