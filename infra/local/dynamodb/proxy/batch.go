package proxy

import (
	"encoding/json"
	"maps"
	"net/http"
)

// tableKeys is the request of a BatchGetItem for one table. Only its member Keys is decoded.
type tableKeys map[string]json.RawMessage

// splitBatch applies a partial throttle to a BatchGetItem: it removes one key from the request to the engine and
// returns it. It returns nil for all other requests, and for a batch of one key, which is then not throttled.
func (c *call) splitBatch() map[string]tableKeys {
	if c.operation != "BatchGetItem" || c.injection.kind != throttle {
		return nil
	}
	var request map[string]json.RawMessage
	var tables map[string]tableKeys
	if json.Unmarshal(c.body, &request) != nil || json.Unmarshal(request["RequestItems"], &tables) != nil {
		return nil // the engine reports the error
	}
	for name, table := range tables {
		var keys []json.RawMessage
		if json.Unmarshal(table["Keys"], &keys) != nil || len(keys) < 2 {
			continue
		}
		removed := maps.Clone(table)
		last := len(keys) - 1
		removed["Keys"], table["Keys"] = encode(keys[last:]), encode(keys[:last])
		request["RequestItems"] = encode(tables)
		c.body = encode(request)
		return map[string]tableKeys{name: removed}
	}
	return nil
}

// setUnprocessed adds the removed keys to the response as UnprocessedKeys.
func (a *answer) setUnprocessed(rest map[string]tableKeys) {
	var fields map[string]json.RawMessage
	if rest == nil || a.status != http.StatusOK || json.Unmarshal(a.body, &fields) != nil {
		return
	}
	fields["UnprocessedKeys"] = encode(rest)
	a.body = encode(fields)
	// The checksum and length of the old body do not apply any more.
	a.header = http.Header{"Content-Type": a.header["Content-Type"]}
}

func encode(v any) json.RawMessage {
	text, _ := json.Marshal(v) // cannot fail: v was decoded from JSON
	return text
}
