package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// Transcript holds the messages of one run that has ended.
type Transcript struct {
	First, Last chat.Seq // the run's events
	Run         chat.RunID
	Messages    []agui.Message
	Header      agui.Header
}

const (
	// maxTranscript is the maximum size of a transcript's messages as JSON text, in bytes: DynamoDB limits an item to
	// 400 KB, and messages that LZW does not make smaller are stored as they are.
	maxTranscript = 380 << 10
	// maxPage is the size of the text in bytes after which a page of transcripts ends.
	maxPage = 1 << 20
)

// Transcripts reads the transcripts that begin below before (0 means no bound) and end at or below the thread's head,
// newest first, until they hold limit messages or 1 MB, or slightly more. Messages of
// sub-agents do not count. more is true if older transcripts exist.
func (s *Store) Transcripts(
	ctx context.Context, t Thread, before chat.Seq, limit int,
) (ts []Transcript, more bool, err error) {
	if err := checkLog(t.ID, t.Epoch); err != nil {
		return nil, false, err
	}
	high := lastSeq
	if before > 0 {
		high = before - 1
	}
	q := s.transcriptSpan(t.ID, t.Epoch, high)
	q.descending, q.page = true, 10
	messages, size := 0, 0
	var u unpacking
	// Each further request reads as many transcripts as are still needed if they are like those before. So a long
	// thread costs one more request, not one for each ten of its runs, and no unneeded transcripts are read.
	q.next = func() int {
		if messages == 0 {
			return q.page
		}
		return max(q.page, min((limit-messages)*len(ts)/messages, (maxPage-size)*len(ts)/size)+1)
	}
	end, err := s.t.each(ctx, q, func(item attributes) (bool, error) {
		var i transcriptItem
		if err := attributevalue.UnmarshalMap(item, &i); err != nil {
			return false, err
		}
		if chat.Seq(i.Last) > t.Head { // its run has not ended, so the transcript is ignored
			return true, nil
		}
		p, err := u.unpack(i.Packed, chat.RunID(i.Run))
		if err != nil {
			return false, fmt.Errorf("decode the transcript at %d: %w", i.First, err)
		}
		ts = append(ts, Transcript{First: chat.Seq(i.First), Last: chat.Seq(i.Last), Run: chat.RunID(i.Run),
			Messages: p.messages, Header: p.header})
		messages += len(agui.LineMessages(p.messages, "")) // those of sub-agents come with their run
		size += p.size
		return messages < limit && size < maxPage, nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("read transcripts: %w", err)
	}
	// Each run that ended has a transcript, and the first one of a thread begins at 1.
	return ts, !end && len(ts) > 0 && ts[len(ts)-1].First > 1, nil
}

// fitting returns the folder's messages, truncated so that they fit into an item, and their size as JSON text. If they
// are too long, the longest contents are truncated first, and then whole messages are left out. A marker says how much
// is missing.
func fitting(f *agui.Folder) (messages []agui.Message, size int, err error) {
	for most := 0; ; {
		messages := f.Truncated(most)
		b, err := json.Marshal(messages)
		if err != nil {
			return nil, 0, fmt.Errorf("encode a transcript: %w", err)
		}
		switch {
		case len(b) <= maxTranscript:
			return messages, len(b), nil
		case most == 0:
			most = 128 << 10
		case most > 256:
			most /= 2
		case !f.Drop():
			return nil, 0, fmt.Errorf("encode a transcript: %d messages do not fit in %d bytes", len(messages),
				maxTranscript)
		}
	}
}

// shortID returns a message id as the transcript stores it: without the run's id, with which the clients begin their
// ids and which the item contains already.
func shortID(id string, run chat.RunID) string {
	rest, own := strings.CutPrefix(id, string(run)+".")
	switch {
	case own && !strings.HasPrefix(rest, "."):
		return "." + rest
	case strings.HasPrefix(id, "."):
		return "." + id
	}
	return id
}

// longID returns the id that shortID shortened.
func longID(id string, run chat.RunID) string {
	rest, short := strings.CutPrefix(id, ".")
	switch {
	case !short:
		return id
	case strings.HasPrefix(rest, "."):
		return rest
	}
	return string(run) + id
}
