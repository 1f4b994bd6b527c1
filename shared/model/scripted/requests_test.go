package scripted_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"carrel/shared/agui"
	"carrel/shared/engine"
	"carrel/shared/model/scripted"
	"carrel/shared/tool"
)

// Messages, and the tool calls that the assistant makes for them.
func TestRequestedTool(t *testing.T) {
	offered := []string{"ask", "clock", "notes_clear", "notes_delete", "notes_list", "notes_save", "notes_search"}
	for message, want := range map[string]string{
		"note: Buy milk: 2 l":               `notes_save {"text":"Buy milk: 2 l"}`,
		"Note:\nbuy milk\nand bread":        `notes_save {"text":"buy milk\nand bread"}`,
		"note:":                             "",
		"my notes":                          `notes_list {}`,
		" What are my notes? ":              `notes_list {}`,
		"Delete all my notes!":              `notes_clear {}`,
		"find notes about milk":             `notes_search {"words":"milk"}`,
		"delete note 12.":                   `notes_delete {"number":12}`,
		"delete note twelve":                "",
		"delete note 007":                   "",
		"what time is it in Europe/Berlin?": `clock {"zone":"Europe/Berlin"}`,
		"What day is it?":                   `clock {}`,
		"Ask me something.": `ask {"choices":["coffee","tea","neither"],"question":"Which do you ` +
			`like best?"}`,
		"noteworthy: this": "",
	} {
		if got := called(t, message, offered); got != want {
			t.Errorf("%q: calls %q, want %q", message, got, want)
		}
		if got := called(t, message, nil); got != "" {
			t.Errorf("%q, without tools: calls %q", message, got)
		}
	}
}

// called returns the tool call of one model call.
func called(t *testing.T, message string, tools []string) (call string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := engine.Request{Messages: []agui.Message{{ID: "u", Role: agui.RoleUser, Content: message}}}
		for _, name := range tools {
			r.Tools = append(r.Tools, tool.Spec{Name: name})
		}
		for d, err := range scripted.New(scripted.Config{Pace: time.Millisecond}).Stream(context.Background(), r) {
			if err != nil {
				t.Fatal(err)
			}
			if d.ToolStart != nil {
				call += d.ToolStart.Name + " "
			}
			call += d.ToolArgs
		}
	})
	return call
}
