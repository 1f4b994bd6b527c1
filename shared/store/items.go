package store

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// The items as they are stored. Times are milliseconds since the epoch, but expires: TTL wants seconds. What grows with
// what people say is JSON text.

type ownerItem struct {
	PK      string `dynamodbav:"pk"`
	SK      string `dynamodbav:"sk"`
	User    string `dynamodbav:"user"`
	Out     string `dynamodbav:"out,omitempty"` // why the connection was ended: see reason
	Expires int64  `dynamodbav:"expires"`
}

type connectionItem struct {
	PK           string `dynamodbav:"pk"`
	SK           string `dynamodbav:"sk"`
	ID           string `dynamodbav:"id"`
	Owner        string `dynamodbav:"owner,omitempty"` // the seal; "": a row of before there was one
	Thread       string `dynamodbav:"thread"`
	N            int64  `dynamodbav:"n"`
	HelloBy      string `dynamodbav:"helloBy,omitempty"`
	Connected    int64  `dynamodbav:"connected"`
	TokenExpires int64  `dynamodbav:"token"`
	SignedIn     int64  `dynamodbav:"signed,omitempty"` // seconds
	Acked        int64  `dynamodbav:"acked,omitempty"`  // what its client said that it had applied
	Epoch        string `dynamodbav:"epoch,omitempty"`  // of which that is
	Expires      int64  `dynamodbav:"expires"`
}

// connection is a row as a Connection of the user, and the only way from one to the other: a row that was written for
// another user, or for another connection, is a chat.ForeignError. One without a seal is nobody's to post to.
func (s *Store) connection(i connectionItem) (chat.Connection, error) {
	id := chat.ConnectionID(i.ID)
	if i.SK != s.connectionKey(id).sk || i.Owner != "" && i.Owner != s.seal(id) {
		return chat.Connection{}, &chat.ForeignError{Connection: chat.ConnectionID(strings.TrimPrefix(i.SK, connectionPrefix))}
	}
	c := chat.Connection{
		ID: id, Thread: chat.ThreadID(i.Thread), N: i.N, HelloBy: i.HelloBy,
		Connected: fromMillis(i.Connected), TokenExpires: fromMillis(i.TokenExpires), SignedIn: fromSeconds(i.SignedIn),
		Acked: chat.Cursor{Epoch: chat.Epoch(i.Epoch), Seq: chat.Seq(i.Acked)},
	}
	if i.Owner != "" {
		c.Owner = chat.OwnerHash(s.user.Hash())
	}
	return c, nil
}

// seal says of a connection's row for whom and for which connection it was written, so that a copy that stands elsewhere,
// by a wrong key or a wrong hand, is noticed. Who acts for a user alone can compare it: no other record is needed.
func (s *Store) seal(id chat.ConnectionID) string {
	sum := sha256.Sum256([]byte("carrel connection " + s.user.Key() + "\x00" + string(id)))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

type threadItem struct {
	PK      string     `dynamodbav:"pk"`
	SK      string     `dynamodbav:"sk"`
	ID      string     `dynamodbav:"id"`
	Epoch   string     `dynamodbav:"epoch"`
	Head    int64      `dynamodbav:"head"`
	Title   string     `dynamodbav:"title"`
	Created int64      `dynamodbav:"created"`
	Updated int64      `dynamodbav:"updated"`
	Recent  string     `dynamodbav:"recent,omitempty"`  // its place in the list: see recentThread; gone with the mark
	Open    interrupts `dynamodbav:"open,omitempty"`    // what waits for a person, expired ones too
	Asked   string     `dynamodbav:"asked,omitempty"`   // the run that asked it: the condition that it is still there
	Deleted int64      `dynamodbav:"deleted,omitempty"` // the mark: invisible from then on
	Expires int64      `dynamodbav:"expires,omitempty"` // only with the mark
}

// thread lacks the questions: Table.thread knows which are open.
func (i threadItem) thread() Thread {
	class, used := splitRecentThread(i.Recent)
	return Thread{
		ID: chat.ThreadID(i.ID), Epoch: chat.Epoch(i.Epoch), Head: chat.Seq(i.Head), Title: i.Title,
		Created: fromMillis(i.Created), Updated: fromMillis(i.Updated),
		Used: fromMillis(used), Pinned: class == pinnedThread, Archived: class == archivedThread,
	}
}

type runItem struct {
	PK       string `dynamodbav:"pk"`
	SK       string `dynamodbav:"sk"`
	User     string `dynamodbav:"user"` // whose it is, once more: a claim looks whether the key says the same
	ID       string `dynamodbav:"id"`
	Thread   string `dynamodbav:"thread"`
	Agent    string `dynamodbav:"agent,omitempty"`
	Status   string `dynamodbav:"status"`
	Fence    int64  `dynamodbav:"fence"`
	Nonce    string `dynamodbav:"nonce"`                 // of the last writer that took the run: admission, claim, cancel
	Answers  string `dynamodbav:"answers,omitempty"`     // the run whose questions it answers
	Input    string `dynamodbav:"input"`                 // nonce of the input item that it was admitted with
	Hash     []byte `dynamodbav:"requestHash,omitempty"` // of what was asked: see requestHash
	Lease    int64  `dynamodbav:"lease,omitempty"`
	Worker   string `dynamodbav:"worker,omitempty"` // the invocation that claimed it last
	Cancel   bool   `dynamodbav:"cancel,omitempty"`
	Created  int64  `dynamodbav:"created"`
	Started  int64  `dynamodbav:"started,omitempty"`
	Attempts int64  `dynamodbav:"attempts,omitempty"`
	Ended    int64  `dynamodbav:"ended,omitempty"`
	Usage    string `dynamodbav:"usage,omitempty"`
	Stats    string `dynamodbav:"stats,omitempty"`    // see statsText
	Recent   string `dynamodbav:"recent,omitempty"`   // its place in the list: see recentRun
	Live     string `dynamodbav:"live,omitempty"`     // the index's partition; gone when the run has ended
	Due      int64  `dynamodbav:"due,omitempty"`      // the index's order: when sweep looks at the run next
	Deadline int64  `dynamodbav:"deadline,omitempty"` // by when it is to be claimed, or ended
	Expires  int64  `dynamodbav:"expires"`
}

func (i runItem) run() (Run, error) {
	r := Run{
		ID: chat.RunID(i.ID), Thread: chat.ThreadID(i.Thread), Agent: i.Agent, Status: chat.RunStatus(i.Status),
		Fence: i.Fence, LeaseExpires: fromMillis(i.Lease), CancelRequested: i.Cancel,
		Created: fromMillis(i.Created), Ended: fromMillis(i.Ended),
		Started: fromMillis(i.Started), Attempts: int(i.Attempts), Deadline: fromMillis(i.Deadline),
		Due: fromMillis(i.Due),
	}
	if i.Usage != "" {
		if err := json.Unmarshal([]byte(i.Usage), &r.Usage); err != nil {
			return Run{}, fmt.Errorf("read a run's usage: %w", err)
		}
	}
	if i.Stats != "" {
		f := &r.Stats
		if _, err := fmt.Sscan(i.Stats, &f.ModelCalls, &f.ToolCalls, &f.Events, &f.OutputBytes); err != nil {
			return Run{}, fmt.Errorf("read a run's figures: %w", err)
		}
	}
	return r, nil
}

type inputItem struct {
	PK      string `dynamodbav:"pk"`
	SK      string `dynamodbav:"sk"`
	Input   string `dynamodbav:"input"` // an Admission
	Expires int64  `dynamodbav:"expires"`
}

type queueItem struct {
	PK      string            `dynamodbav:"pk"`
	SK      string            `dynamodbav:"sk"`
	Slots   map[string]string `dynamodbav:"slots"`
	Queued  []queuedItem      `dynamodbav:"queued"`
	Full    int64             `dynamodbav:"full,omitempty"` // when the bucket of runs is full again
	Version int64             `dynamodbav:"version"`
	Erasing bool              `dynamodbav:"erasing,omitempty"` // the user is being erased, or was: see Forget
	Expires int64             `dynamodbav:"expires,omitempty"` // only of one who was erased
}

type queuedItem struct {
	Run      string `dynamodbav:"run"`
	Thread   string `dynamodbav:"thread"`
	Priority int    `dynamodbav:"priority,omitempty"`
}

func (i queueItem) queue() runqueue.Queue {
	d := runqueue.Queue{Slots: map[chat.RunID]chat.ThreadID{}, Full: fromMillis(i.Full), Version: i.Version, Erasing: i.Erasing}
	for run, thread := range i.Slots {
		d.Slots[chat.RunID(run)] = chat.ThreadID(thread)
	}
	for _, w := range i.Queued {
		d.Queued = append(d.Queued, runqueue.Entry{Run: chat.RunID(w.Run), Thread: chat.ThreadID(w.Thread), Priority: runqueue.Priority(w.Priority)})
	}
	return d
}

// recordItem has short names: a record is to stay within one write unit (1 KB, names included).
type recordItem struct {
	PK      string `dynamodbav:"pk"`
	SK      string `dynamodbav:"sk"`
	Seq     int64  `dynamodbav:"s"`
	Count   int64  `dynamodbav:"n"`
	Run     string `dynamodbav:"r"`
	Fence   int64  `dynamodbav:"f"`
	Nonce   string `dynamodbav:"x"`
	Events  string `dynamodbav:"e"`
	Expires int64  `dynamodbav:"expires"`
}

func (i recordItem) last() chat.Seq { return chat.Seq(i.Seq + i.Count - 1) }

func (i recordItem) record() (Record, error) {
	r := Record{Seq: chat.Seq(i.Seq), Last: i.last(), Run: chat.RunID(i.Run)}
	if err := json.Unmarshal([]byte(i.Events), &r.Events); err != nil {
		r.Events = nil
		return r, fmt.Errorf("the log record at %d: %w: %w", i.Seq, ErrUnreadable, err)
	}
	return r, nil
}

type transcriptItem struct {
	PK       string `dynamodbav:"pk"`
	SK       string `dynamodbav:"sk"`
	First    int64  `dynamodbav:"s"`
	Last     int64  `dynamodbav:"l"`
	Run      string `dynamodbav:"r"`
	Fence    int64  `dynamodbav:"f"`
	Messages string `dynamodbav:"m"`
	At       int64  `dynamodbav:"at,omitempty"` // ms since the epoch
	Agent    string `dynamodbav:"a,omitempty"`
	Usage    string `dynamodbav:"u,omitempty"` // as shortText writes it
}

func (i transcriptItem) transcript() (Transcript, error) {
	t := Transcript{First: chat.Seq(i.First), Last: chat.Seq(i.Last), Run: chat.RunID(i.Run)}
	if err := json.Unmarshal([]byte(i.Messages), &t.Messages); err != nil {
		return Transcript{}, fmt.Errorf("read the transcript at %d: %w", i.First, err)
	}
	for n := range t.Messages {
		t.Messages[n].ID = longID(t.Messages[n].ID, t.Run)
	}
	usage, err := fromShort(i.Usage)
	if err != nil {
		return Transcript{}, fmt.Errorf("read the usage in the transcript at %d: %w", i.First, err)
	}
	t.Header.At, t.Header.Agent = i.At, i.Agent
	t.Header.SetUsage(usage)
	return t, nil
}

// liveItem is what the index projects.
type liveItem struct {
	PK  string `dynamodbav:"pk"`
	SK  string `dynamodbav:"sk"`
	Due int64  `dynamodbav:"due"`
}

func usageText(u []agui.Usage) (string, error) {
	if len(u) == 0 {
		return "", nil
	}
	text, err := json.Marshal(u)
	return string(text), err
}

// statsText is short: with a record's other attributes it is to stay within one write unit.
func statsText(f chat.RunStats) string {
	return fmt.Sprint(f.ModelCalls, " ", f.ToolCalls, " ", f.Events, " ", f.OutputBytes)
}
