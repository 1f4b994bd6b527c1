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

// quietTime is how long no file must change before functions are rebuilt, because an editor writes several files.
const quietTime = 200 * time.Millisecond

// watch rebuilds and replaces functions when Go files below functions/ or shared/ change.
func (s *Stack) watch(binaries map[string]string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("create the file watcher: %w", err)
	}
	for _, folder := range []string{"functions", "shared"} {
		err = errors.Join(err, watchBelow(w, filepath.Join(s.config.Root, folder)))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("watch the functions' sources: %w", err), w.Close())
	}
	s.tasks.Go(func() {
		s.handleChanges(w, binaries)
		if err := w.Close(); err != nil {
			s.notice("stop the file watcher: %v", err)
		}
	})
	return nil
}

// watchBelow watches a folder and all folders in it. A folder that does not exist is not an error.
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

// handleChanges rebuilds after file changes until the stack ends.
func (s *Stack) handleChanges(w *fsnotify.Watcher, binaries map[string]string) {
	settled := time.NewTimer(quietTime)
	settled.Stop()
	for {
		select {
		case <-s.ending.Done():
			return
		case err := <-w.Errors:
			s.notice("watch the functions' sources: %v: restart the stack if it misses a change", err)
		case event := <-w.Events:
			if event.Has(fsnotify.Create) {
				// The event may be for a folder that already has files; for a file, watchBelow does nothing.
				if err := watchBelow(w, event.Name); err != nil {
					s.notice("watch %s: %v", event.Name, err)
				}
			}
			if triggersBuild(event) {
				settled.Reset(quietTime)
			}
		case <-settled.C:
			s.rebuild(binaries)
		}
	}
}

// triggersBuild reports whether an event can change a build's result.
func triggersBuild(event fsnotify.Event) bool {
	name := event.Name
	if strings.HasSuffix(name, "_test.go") ||
		!event.Has(fsnotify.Create|fsnotify.Write|fsnotify.Remove|fsnotify.Rename) {
		return false
	}
	return strings.HasSuffix(name, ".go") || filepath.Ext(name) == ""
}

// rebuild builds all functions and replaces those whose binary has changed. If one build fails, it replaces none,
// because a partly applied change is worse than none.
func (s *Stack) rebuild(binaries map[string]string) {
	built, err := s.buildAll(s.ending)
	if s.ending.Err() != nil {
		return
	}
	if err != nil {
		s.notice("%v\nthe running functions are unchanged", err)
		return
	}
	for _, f := range s.template.Functions {
		binary := built[f.LogicalID]
		if binary == binaries[f.LogicalID] {
			continue
		}
		if err := s.host.Replace(f.Name, binary); err != nil {
			s.notice("replace %s: %v", f.LogicalID, err)
			continue
		}
		binaries[f.LogicalID] = binary
		s.notice("replaced %s", f.LogicalID)
	}
}
