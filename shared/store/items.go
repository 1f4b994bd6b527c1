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

// The items as they are stored. Times are milliseconds since the epoch, except expires: TTL requires seconds. Content
// whose size depends on the conversation is JSON text.

type ownerItem struct {
	PK      string `dynamodbav:"pk"`
	SK      string `dynamodbav:"sk"`
	User    string `dynamodbav:"user"`
	Out     string `dynamodbav:"out,omitempty"` // why the connection was ended: see type reason
	Expires int64  `dynamodbav:"expires"`
}

type connectionItem struct {
	PK           string `dynamodbav:"pk"`
	SK           string `dynamodbav:"sk"`
	ID           string `dynamodbav:"id"`
	Owner        string `dynamodbav:"owner"` // the seal
	Thread       string `dynamodbav:"thread"`
	N            int64  `dynamodbav:"n"`
	HelloBy      string `dynamodbav:"helloBy,omitempty"`
	Connected    int64  `dynamodbav:"connected"`
	TokenExpires int64  `dynamodbav:"token"`
	SignedIn     int64  `dynamodbav:"signed,omitempty"` // seconds
	Acked        int64  `dynamodbav:"acked,omitempty"`  // the position that its client acknowledged
	Epoch        string `dynamodbav:"epoch,omitempty"`  // of Acked
	Expires      int64  `dynamodbav:"expires"`
}

// connection converts a row into a Connection of the user. No other function does. A row that was written for another
// user or another connection, or without a seal, is a chat.ForeignError.
func (s *Store) connection(i connectionItem) (chat.Connection, error) {
	id := chat.ConnectionID(i.ID)
	if i.SK != s.connectionKey(id).sk || i.Owner != s.seal(id) {
		return chat.Connection{}, &chat.ForeignError{
			Connection: chat.ConnectionID(strings.TrimPrefix(i.SK, connectionPrefix)),
		}
	}
	return chat.Connection{
		ID: id, Owner: chat.OwnerHash(s.user.Hash()), Thread: chat.ThreadID(i.Thread), N: i.N, HelloBy: i.HelloBy,
		Connected: fromMillis(i.Connected), TokenExpires: fromMillis(i.TokenExpires), SignedIn: fromSeconds(i.SignedIn),
		Acked: chat.Cursor{Epoch: chat.Epoch(i.Epoch), Seq: chat.Seq(i.Acked)},
	}, nil
}

// seal returns a hash of the user and the connection for which a row was written. A row that was copied to another
// place, by a wrong key or by hand, has the wrong seal. Code that can read only one user's partition can check the
// seal, because the check needs no other record.
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
	Recent  string     `dynamodbav:"recent,omitempty"`  // sort key in the list: see recentThread; removed from a deleted thread
	Open    interrupts `dynamodbav:"open,omitempty"`    // open interrupts, including expired ones
	Asked   string     `dynamodbav:"asked,omitempty"`   // the run that opened the interrupts; conditions compare it
	Deleted int64      `dynamodbav:"deleted,omitempty"` // when the thread was deleted; it is invisible from then on
	Expires int64      `dynamodbav:"expires,omitempty"` // only of a deleted thread
}

// thread leaves out the interrupts: Table.thread adds those that are open.
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
	User     string `dynamodbav:"user"` // the owner, as in the key: a claim compares the two
	ID       string `dynamodbav:"id"`
	Thread   string `dynamodbav:"thread"`
	Agent    string `dynamodbav:"agent,omitempty"`
	Status   string `dynamodbav:"status"`
	Fence    int64  `dynamodbav:"fence"`
	Nonce    string `dynamodbav:"nonce"`                 // of the last writer that changed the status: admission, claim or cancel
	Epoch    string `dynamodbav:"epoch"`                 // of its thread, so that a claim can read the log first
	Answers  string `dynamodbav:"answers,omitempty"`     // the run to whose interrupts it responds
	Input    string `dynamodbav:"input"`                 // nonce of its admission, which its input item has too
	Inside   string `dynamodbav:"in,omitempty"`          // its input, unless that is an item; removed when the run ends
	Hash     []byte `dynamodbav:"requestHash,omitempty"` // of the request: see requestHash
	Lease    int64  `dynamodbav:"lease,omitempty"`
	Worker   string `dynamodbav:"worker,omitempty"` // the invocation that claimed the run last
	Cancel   bool   `dynamodbav:"cancel,omitempty"`
	Created  int64  `dynamodbav:"created"`
	Started  int64  `dynamodbav:"started,omitempty"`
	Attempts int64  `dynamodbav:"attempts,omitempty"`
	Handed   int64  `dynamodbav:"handed,omitempty"`   // the fence of the worker that handed the run over last
	Handings int64  `dynamodbav:"handings,omitempty"` // how often the run was handed over
	Ended    int64  `dynamodbav:"ended,omitempty"`
	Usage    string `dynamodbav:"usage,omitempty"`
	Stats    string `dynamodbav:"stats,omitempty"`    // see statsText
	Recent   string `dynamodbav:"recent,omitempty"`   // sort key in the list: see recentRun
	Live     string `dynamodbav:"live,omitempty"`     // partition of the index; removed when the run ends
	Due      int64  `dynamodbav:"due,omitempty"`      // sort key of the index: when sweep examines the run next
	Deadline int64  `dynamodbav:"deadline,omitempty"` // by this time the run must be claimed, or ended
	Expires  int64  `dynamodbav:"expires"`
}

// handedOver reports whether the worker of the last claim has handed the run over.
func (i runItem) handedOver() bool {
	return i.Handed != 0 && i.Handed == i.Fence && chat.RunStatus(i.Status) == chat.RunRunning
}

func (i runItem) run() (Run, error) {
	r := Run{
		ID: chat.RunID(i.ID), Thread: chat.ThreadID(i.Thread), Agent: i.Agent, Status: chat.RunStatus(i.Status),
		Fence: i.Fence, LeaseExpires: fromMillis(i.Lease), CancelRequested: i.Cancel,
		Created: fromMillis(i.Created), Ended: fromMillis(i.Ended),
		Started: fromMillis(i.Started), Attempts: int(i.Attempts), Deadline: fromMillis(i.Deadline),
		Due: fromMillis(i.Due), HandOvers: int(i.Handings), HandedOver: i.handedOver(),
	}
	if i.Usage != "" {
		if err := json.Unmarshal([]byte(i.Usage), &r.Usage); err != nil {
			return Run{}, fmt.Errorf("decode the usage of a run: %w", err)
		}
	}
	if i.Stats != "" {
		f := &r.Stats
		if _, err := fmt.Sscan(i.Stats, &f.ModelCalls, &f.ToolCalls, &f.Events, &f.OutputBytes); err != nil {
			return Run{}, fmt.Errorf("decode the stats of a run: %w", err)
		}
	}
	return r, nil
}

type inputItem struct {
	PK      string `dynamodbav:"pk"`
	SK      string `dynamodbav:"sk"`
	Input   string `dynamodbav:"input"` // a storedInput
	Expires int64  `dynamodbav:"expires"`
}

type queueItem struct {
	PK      string            `dynamodbav:"pk"`
	SK      string            `dynamodbav:"sk"`
	Slots   map[string]string `dynamodbav:"slots"`
	Queued  []queuedItem      `dynamodbav:"queued"`
	Full    int64             `dynamodbav:"full,omitempty"` // when the token bucket of runs is full again
	Tokens  map[string]int64  `dynamodbav:"tokens"`         // of model calls, by day; never missing: End writes into it
	Version int64             `dynamodbav:"version"`
	Erasing bool              `dynamodbav:"erasing,omitempty"` // the user is being erased, or was: see RequestErasure
	Expires int64             `dynamodbav:"expires,omitempty"` // only after the user was erased
}

type queuedItem struct {
	Run      string `dynamodbav:"run"`
	Thread   string `dynamodbav:"thread"`
	Priority int    `dynamodbav:"priority,omitempty"`
}

func (i queueItem) queue() runqueue.Queue {
	q := runqueue.Queue{
		Slots: map[chat.RunID]chat.ThreadID{}, Full: fromMillis(i.Full), Tokens: i.Tokens, Version: i.Version,
		Erasing: i.Erasing,
	}
	for run, thread := range i.Slots {
		q.Slots[chat.RunID(run)] = chat.ThreadID(thread)
	}
	for _, e := range i.Queued {
		q.Queued = append(q.Queued, runqueue.Entry{
			Run: chat.RunID(e.Run), Thread: chat.ThreadID(e.Thread), Priority: runqueue.Priority(e.Priority),
		})
	}
	return q
}

// recordItem has short attribute names, so that most records fit into one write unit (1 KB, names included).
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
	r := Record{Seq: chat.Seq(i.Seq), Last: i.last(), Run: chat.RunID(i.Run), Size: len(i.Events)}
	if err := json.Unmarshal([]byte(i.Events), &r.Events); err != nil {
		r.Events = nil
		return r, fmt.Errorf("decode the log record at %d: %w: %w", i.Seq, ErrUnreadable, err)
	}
	return r, nil
}

type transcriptItem struct {
	PK     string `dynamodbav:"pk"`
	SK     string `dynamodbav:"sk"`
	First  int64  `dynamodbav:"s"`
	Last   int64  `dynamodbav:"l"`
	Run    string `dynamodbav:"r"`
	Fence  int64  `dynamodbav:"f"`
	Packed []byte `dynamodbav:"m"` // as packed.pack writes it
}

// liveItem holds the attributes that the index live projects.
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

// statsText encodes the stats as a short text, so that the run's record fits into one write unit.
func statsText(f chat.RunStats) string {
	return fmt.Sprint(f.ModelCalls, " ", f.ToolCalls, " ", f.Events, " ", f.OutputBytes)
}
