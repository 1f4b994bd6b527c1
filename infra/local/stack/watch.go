package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settles is how long no file must have changed before functions are built again: an editor writes several.
const settles = 200 * time.Millisecond

// watch rebuilds and replaces functions when Go files below functions/ or shared/ change.
func (s *Stack) watch(binaries map[string]string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching the functions' sources: %w", err)
	}
	for _, folder := range []string{"functions", "shared"} {
		err = errors.Join(err, watchBelow(w, filepath.Join(s.config.Root, folder)))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("watching the functions' sources: %w", err), w.Close())
	}
	s.tasks.Go(func() {
		s.follow(w, binaries)
		if err := w.Close(); err != nil {
			s.notice("watching the functions' sources: %v", err)
		}
	})
	return nil
}

// watchBelow adds a folder and those in it; one that is not there is fine.
func watchBelow(w *fsnotify.Watcher, folder string) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return w.Add(path)
		}
		return nil
	})
}

// follow waits for changes until the stack ends.
func (s *Stack) follow(w *fsnotify.Watcher, binaries map[string]string) {
	settled := time.NewTimer(settles)
	settled.Stop()
	for {
		select {
		case <-s.ending.Done():
			return
		case err := <-w.Errors:
			s.notice("watching the functions' sources: %v: restart the stack if a change is not seen", err)
		case event := <-w.Events:
			if event.Has(fsnotify.Create) {
				// It may be a folder with files in it already; a file is harmless.
				if err := watchBelow(w, event.Name); err != nil {
					s.notice("watching %s: %v", event.Name, err)
				}
			}
			if concerns(event) {
				settled.Reset(settles)
			}
		case <-settled.C:
			s.rebuild(binaries)
		}
	}
}

// concerns tells whether an event can change what is built.
func concerns(event fsnotify.Event) bool {
	name := event.Name
	if strings.HasSuffix(name, "_test.go") ||
		!event.Has(fsnotify.Create|fsnotify.Write|fsnotify.Remove|fsnotify.Rename) {
		return false
	}
	return strings.HasSuffix(name, ".go") || filepath.Ext(name) == ""
}

// rebuild builds all and replaces the functions whose binary has changed. If one cannot be built, all stay as they are:
// half of a change is worse than none.
func (s *Stack) rebuild(binaries map[string]string) {
	built, err := s.buildAll(s.ending)
	if s.ending.Err() != nil {
		return
	}
	if err != nil {
		s.notice("%v\nthe functions that run stay as they are", err)
		return
	}
	for _, f := range s.template.Functions {
		binary := built[f.LogicalID]
		if binary == binaries[f.LogicalID] {
			continue
		}
		if err := s.host.Replace(f.Name, binary); err != nil {
			s.notice("replacing %s: %v", f.LogicalID, err)
			continue
		}
		binaries[f.LogicalID] = binary
		s.notice("replaced %s", f.LogicalID)
	}
}
