package proxy

import (
	"encoding/json"
	"maps"
	"net/http"
)

// keysOf is what a BatchGetItem asks of one table. Keys is of it alone, all else goes on as it came.
type keysOf map[string]json.RawMessage

// splitBatch takes a key from a batch that is throttled and may be so in part: what is left of it goes to the engine,
// and what was taken is returned. It is nil for all other requests, and for a batch of one key, which is not throttled
// then.
func (c *call) splitBatch() map[string]keysOf {
	if c.operation != "BatchGetItem" || c.fate.kind != throttle {
		return nil
	}
	var request map[string]json.RawMessage
	var tables map[string]keysOf
	if json.Unmarshal(c.body, &request) != nil || json.Unmarshal(request["RequestItems"], &tables) != nil {
		return nil // the engine says what is wrong with it
	}
	for name, table := range tables {
		var keys []json.RawMessage
		if json.Unmarshal(table["Keys"], &keys) != nil || len(keys) < 2 {
			continue
		}
		taken := maps.Clone(table)
		last := len(keys) - 1
		taken["Keys"], table["Keys"] = encode(keys[last:]), encode(keys[:last])
		request["RequestItems"] = encode(tables)
		c.body = encode(request)
		return map[string]keysOf{name: taken}
	}
	return nil
}

// leave says in the answer what was not read.
func (a *answer) leave(rest map[string]keysOf) {
	var told map[string]json.RawMessage
	if rest == nil || a.status != http.StatusOK || json.Unmarshal(a.body, &told) != nil {
		return
	}
	told["UnprocessedKeys"] = encode(rest)
	a.body = encode(told)
	a.header = http.Header{"Content-Type": a.header["Content-Type"]} // without the checksum and length of the old body
}

func encode(v any) json.RawMessage {
	text, _ := json.Marshal(v) // of what was decoded: it cannot fail
	return text
}
