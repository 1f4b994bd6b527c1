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

// errEndedWithHost is the outcome of an attempt that an earlier host had started.
var errEndedWithHost = errors.New("the host ended while it ran")

// storedEvent is an event in the queue's folder.
type storedEvent struct {
	ID, Entry, Function, Tenant, Trace string
	Runs                               int
	Payload                            json.RawMessage
	Taken, Expires                     time.Time

	tries int // attempts started; stored in the file's name
}

// queue is a folder with one file per event, named <entry>.<tries>. The zero queue stores nothing. The files survive
// any end of the process, but not of the machine, because they are not synced.
type queue struct{ folder string }

// partialSuffix marks a file that is not completely written.
const partialSuffix = ".new"

func (q queue) file(entry string, tries int) string {
	return filepath.Join(q.folder, entry+"."+strconv.Itoa(tries))
}

func (q queue) add(e storedEvent) error {
	if q.folder == "" {
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	file := q.file(e.Entry, 0)
	return errors.Join(os.WriteFile(file+partialSuffix, text, 0o600), os.Rename(file+partialSuffix, file))
}

// begin records the start of an attempt, so that it counts even if the host ends.
func (q queue) begin(entry string, tries int) error {
	if q.folder == "" {
		return nil
	}
	return os.Rename(q.file(entry, tries-1), q.file(entry, tries))
}

// remove deletes an event that has had at most this number of attempts.
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

// load returns the events that an earlier host left, oldest first. It deletes partial files.
func (q queue) load() ([]storedEvent, error) {
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
	var all []storedEvent
	for _, entry := range entries {
		file := filepath.Join(q.folder, entry.Name())
		if strings.HasSuffix(file, partialSuffix) {
			if err := os.Remove(file); err != nil { // its event was never acknowledged
				return nil, err
			}
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var e storedEvent
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if e.tries, err = strconv.Atoi(strings.TrimPrefix(filepath.Ext(file), ".")); err != nil {
			return nil, fmt.Errorf("%s is not the file of an event", file)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b storedEvent) int { return a.Taken.Compare(b.Taken) })
	return all, nil
}

// resume delivers the events of an earlier host. It drops those whose function no longer accepts them.
func (h *Host) resume(leftover []storedEvent) {
	for _, e := range leftover {
		f, err := h.admit(e.Function, e.Tenant, e.Payload, maxAsync)
		if err != nil {
			h.log(e.Function, fmt.Sprintf("lambda: drop event %s of an earlier run: %v", e.ID,
				errors.Join(err, h.queue.remove(e.Entry, e.tries))))
			continue
		}
		h.log(f.Name, fmt.Sprintf("lambda: deliver event %s of an earlier run, after %d attempts", e.ID, e.tries))
		inv := &invocation{id: e.ID, entry: e.Entry, tenant: e.Tenant, trace: e.Trace, runs: e.Runs, payload: e.Payload,
			done: make(chan outcome, 1)}
		h.spawn(func() { h.work(f, inv, e.Expires, e.tries) })
	}
}
