package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	endpointsFile = "endpoints.json"
	dataFolder    = "data" // what FRESH removes: tables and signing keys
)

// state is the folder of all that is made at run time: what users said, signing keys, the operator's key. One stack at
// a time has it, and no other user of this machine may look into it.
type state struct {
	folder string
	lock   *os.File
}

// openState makes the folder and takes its lock, which ends with the process.
func openState(folder string, fresh bool) (*state, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("the state folder: %w", err)
	}
	s := &state{folder: folder}
	if err := private(folder); err != nil {
		return nil, err
	}
	if s.lock, err = secretFile(s.path("lock"), 0); err != nil {
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil,
			errors.Join(fmt.Errorf("another stack runs with the state in %s: stop it, or give this one another folder "+
				"(STATE=...): %w", folder, err), s.lock.Close())
	}
	if fresh {
		err = os.RemoveAll(s.path(dataFolder))
	}
	if err := errors.Join(err, os.MkdirAll(s.path(dataFolder), 0o700), s.removeEndpoints()); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the state folder: %w", err), s.lock.Close())
	}
	return s, nil
}

// private makes a folder that only this user may enter, or takes the rights of others away from one that is there. A
// folder that everybody may write to, as /tmp, is somebody else's: it is refused.
func private(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("everybody may write to the state folder %s: name a folder of its own (STATE=...), which "+
			"is made if it is not there", folder)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return fmt.Errorf("keep others out of the state folder: %w", err)
	}
	return nil
}

// path is a file in the state folder.
func (s *state) path(elements ...string) string {
	return filepath.Join(append([]string{s.folder}, elements...)...)
}

// removeEndpoints removes endpoints.json, that of a stack that was killed too.
func (s *state) removeEndpoints() error {
	if err := os.Remove(s.path(endpointsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// close gives the lock back.
func (s *state) close() error { return s.lock.Close() }

// publish writes endpoints.json, once the page and the issuer answer; the others have by now.
func (s *Stack) publish(ctx context.Context) error {
	for _, url := range []string{s.endpoints.Page + "config.json", s.endpoints.Issuer +
		"/.well-known/openid-configuration"} {
		if err := ask(ctx, url); err != nil {
			return fmt.Errorf("waiting for the page server: %w", err)
		}
	}
	return s.endpoints.Write(s.EndpointsFile())
}

func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// tailLines is how many lines /ops shows.
const tailLines = 200

// journal takes the lines of all functions and of the stack: into a file, and the newest for /ops. It is safe for
// concurrent use.
type journal struct {
	mu      sync.Mutex
	file    *os.File
	lines   []string
	first   int // the number of the first of them, from 0
	metrics metrics
	failed  error // the first failure to write
}

// secretFile opens a file that only this user may read, one of an earlier version too.
func secretFile(file string, flag int) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openJournal begins a new log.
func openJournal(file string) (*journal, error) {
	f, err := secretFile(file, os.O_TRUNC)
	if err != nil {
		return nil, fmt.Errorf("making the log: %w", err)
	}
	return &journal{file: f}, nil
}

// add writes one line. It keeps the first failure for close: who logs cannot do anything about it.
func (j *journal) add(source, line string) {
	text := time.Now().Format("15:04:05.000") + " " + source + ": " + line
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := fmt.Fprintln(j.file, text); err != nil && j.failed == nil {
		j.failed = fmt.Errorf("writing the log: %w", err)
	}
	j.lines = append(j.lines, text)
	j.metrics.read(line)
	if len(j.lines) > 2*tailLines {
		j.first += tailLines
		j.lines = append([]string(nil), j.lines[tailLines:]...)
	}
}

// tail returns the newest lines, oldest first, those before the number from excepted, and the number of the next one.
func (j *journal) tail(from int) (lines []string, next int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next = j.first + len(j.lines)
	from = min(max(from, next-tailLines, j.first), next)
	return append([]string{}, j.lines[from-j.first:]...), next
}

// figures are what the functions' metrics add up to, and the newest violations.
func (j *journal) figures() (map[string]map[string]float64, []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.metrics.copy()
}

// source makes a writer of one source's lines.
func (j *journal) source(name string) *lines { return &lines{journal: j, name: name} }

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.failed, j.file.Close())
}

// lines cuts what is written into lines. It is for one writer at a time.
type lines struct {
	journal *journal
	name    string
	rest    []byte
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ended := bytes.Cut(l.rest, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		l.journal.add(l.name, string(line))
		l.rest = rest
	}
}
