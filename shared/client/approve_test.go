package client_test

import (
	"encoding/json"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/client"
)

// TestApprove_Payloads checks the payloads of Approve, Refuse and ApproveWith. The server accepts exactly these forms.
func TestApprove_Payloads(t *testing.T) {
	q := agui.Interrupt{ID: "i", Reason: agui.ReasonToolCall}
	if got := client.Approve(q); got.InterruptID != "i" || got.Status != agui.ResumeResolved || got.Payload != nil {
		t.Errorf("approved with %+v", got)
	}
	if got := client.Refuse(q); got.InterruptID != "i" || got.Status != agui.ResumeCancelled {
		t.Errorf("refused with %+v", got)
	}
	got, err := client.ApproveWith(q, json.RawMessage(` {"id": 12345678901234567890}`))
	if err != nil || got.Status != agui.ResumeResolved ||
		string(got.Payload) != `{"approved":true,"arguments":{"id":12345678901234567890}}` {
		t.Errorf("ApproveWith: %+v %s, %v", got, got.Payload, err)
	}
	for _, arguments := range []string{"", "[]", "null", "{", `"{}"`} {
		if got, err := client.ApproveWith(q, json.RawMessage(arguments)); err == nil {
			t.Errorf("ApproveWith(%q) = %+v, want an error", arguments, got)
		}
	}
}
