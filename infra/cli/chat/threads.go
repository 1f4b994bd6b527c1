package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/visible"
)

const (
	askTime     = 15 * time.Second // the time to wait for the answer to a command
	historyPage = 20               // about this many messages per /history
)

// row returns the thread with this number in the last printed list.
func (s *session) row(number string) (chat.ThreadID, error) {
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > len(s.rows) {
		return "", errors.New("use /threads first, then a number of that list")
	}
	return s.rows[n-1].ThreadID, nil
}

func (s *session) open(id chat.ThreadID) error {
	s.printer.reset()
	return s.client.Open(id)
}

func (s *session) listThreads(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	rows, err := s.client.Threads(ctx)
	if err != nil {
		return fmt.Errorf("list the threads: %w", err)
	}
	s.rows = rows
	for i, row := range rows {
		at := time.UnixMilli(row.Updated).Format(time.DateTime)
		fmt.Fprintf(s.std.out, "%3d  %s  %-7s  %s\n", i+1, at, row.Status, visible.Line(row.Title))
	}
	if len(rows) == 0 {
		fmt.Fprintln(s.std.out, "(no threads yet)")
	}
	return nil
}

func (s *session) rename(ctx context.Context, title string) error {
	if title = strings.TrimSpace(title); chars.Blank(title) {
		return errors.New("use /rename with the thread's new title")
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := s.client.Rename(ctx, s.client.State().ThreadID, title); err != nil {
		return fmt.Errorf("rename this thread: %w", err)
	}
	return nil
}

// delete deletes the open thread, or one of the list. After the open one it opens a new thread.
func (s *session) delete(ctx context.Context, number string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	open := s.client.State().ThreadID
	id := open
	if strings.TrimSpace(number) != "" {
		var err error
		if id, err = s.row(number); err != nil {
			return err
		}
	}
	if err := s.client.Delete(ctx, id); err != nil {
		return fmt.Errorf("delete a thread: %w", err)
	}
	fmt.Fprintln(s.std.out, "(deleted)")
	if id != open {
		return nil
	}
	return s.open(chat.ThreadID(client.NewID()))
}

// history prints the page of messages before the printed ones.
func (s *session) history(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	state := s.client.State()
	if s.older.thread != state.ThreadID {
		s.older = older{state.ThreadID, state.Before}
	}
	if s.older.before == 0 {
		fmt.Fprintln(s.std.out, "(this is the beginning)")
		return nil
	}
	page, err := s.client.History(ctx, s.older.before, historyPage)
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	s.older.before = page.Before
	past := printer{out: s.out, own: map[string]bool{}}
	past.show(client.State{ThreadID: state.ThreadID, Messages: page.Messages})
	past.endLine()
	fmt.Fprintln(s.std.out, "(these messages are older than the ones above)")
	return nil
}
