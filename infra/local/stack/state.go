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
	dataFolder    = "data" // tables and signing keys; FRESH deletes it
)

// state is the folder of everything that is written at run time: users' messages, signing keys, the operator's key. One
// stack at a time owns it, and other users of this machine cannot read it.
type state struct {
	folder string
	lock   *os.File
}

// openState creates the folder and takes its lock. The lock ends with the process.
func openState(folder string, fresh bool) (*state, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("resolve the state folder: %w", err)
	}
	s := &state{folder: folder}
	if err := makePrivate(folder); err != nil {
		return nil, err
	}
	if s.lock, err = secretFile(s.path("lock"), 0); err != nil {
		return nil, fmt.Errorf("open the lock of the state folder: %w", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another stack runs with the state in %s: stop it, or give this one "+
			"another folder (STATE=...): %w", folder, err), s.lock.Close())
	}
	if fresh {
		err = os.RemoveAll(s.path(dataFolder))
	}
	if err := errors.Join(err, os.MkdirAll(s.path(dataFolder), 0o700), s.removeEndpoints()); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the state folder: %w", err), s.lock.Close())
	}
	return s, nil
}

// makePrivate creates a folder that only this user may enter, or removes the permissions of others from an existing
// one. It refuses a folder such as /tmp that everyone may write to, because that folder belongs to others as well.
func makePrivate(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("create the state folder: %w", err)
	}
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("inspect the state folder: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("everyone may write to the state folder %s: name a folder of its own (STATE=...); it is "+
			"created if it does not exist", folder)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return fmt.Errorf("make the state folder private: %w", err)
	}
	return nil
}

// path returns the path of a file in the state folder.
func (s *state) path(elements ...string) string {
	return filepath.Join(append([]string{s.folder}, elements...)...)
}

// removeEndpoints removes endpoints.json, including the file of an earlier stack that was killed.
func (s *state) removeEndpoints() error {
	if err := os.Remove(s.path(endpointsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// close releases the lock.
func (s *state) close() error { return s.lock.Close() }

// publish writes endpoints.json once the page and the issuer answer. All other parts answer before it is called.
func (s *Stack) publish(ctx context.Context) error {
	for _, url := range []string{s.endpoints.Page + "config.json", s.endpoints.Issuer +
		"/.well-known/openid-configuration"} {
		if err := expectOK(ctx, url); err != nil {
			return fmt.Errorf("wait for the page server: %w", err)
		}
	}
	return s.endpoints.Write(s.EndpointsFile())
}

// expectOK returns an error unless a GET of url succeeds within 5 s.
func expectOK(ctx context.Context, url string) error {
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
		err = fmt.Errorf("%s responds with %s", url, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// tailLines is the number of log lines that /ops shows.
const tailLines = 200

// journal receives the lines of all functions and of the stack. It writes them to a file and keeps the newest for /ops.
// It is safe for concurrent use.
type journal struct {
	mu      sync.Mutex
	file    *os.File
	lines   []string
	first   int // the number of lines[0], counted from 0
	metrics metrics
	failed  error // the first write error
}

// secretFile opens a file and makes it readable by this user only, even if an earlier version made it otherwise.
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

// openJournal starts a new log and deletes the last run's log.
func openJournal(file string) (*journal, error) {
	f, err := secretFile(file, os.O_TRUNC)
	if err != nil {
		return nil, fmt.Errorf("create the log: %w", err)
	}
	return &journal{file: f}, nil
}

// add writes one line. Its callers cannot handle a write error, so close returns the first one.
func (j *journal) add(source, line string) {
	text := time.Now().Format("15:04:05.000") + " " + source + ": " + line
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := fmt.Fprintln(j.file, text); err != nil && j.failed == nil {
		j.failed = fmt.Errorf("write the log: %w", err)
	}
	j.lines = append(j.lines, text)
	j.metrics.read(line)
	if len(j.lines) > 2*tailLines {
		j.first += tailLines
		j.lines = append([]string(nil), j.lines[tailLines:]...)
	}
}

// tail returns the newest lines with a number of at least from, oldest first, and the number of the next line.
func (j *journal) tail(from int) (lines []string, next int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next = j.first + len(j.lines)
	from = min(max(from, next-tailLines, j.first), next)
	return append([]string{}, j.lines[from-j.first:]...), next
}

// metricTotals returns the sums of the functions' metrics and the newest violations.
func (j *journal) metricTotals() (map[string]map[string]float64, []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.metrics.copy()
}

// source returns a writer that adds lines to the journal under a source's name.
func (j *journal) source(name string) *lines { return &lines{journal: j, name: name} }

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.failed, j.file.Close())
}

// lines is a writer that adds each line of its input to the journal. It is not safe for concurrent use.
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
