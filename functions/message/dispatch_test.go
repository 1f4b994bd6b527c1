package main

import (
	"testing"

	"carrel/shared/wire"
)

// TestDispatch_EveryType wants a handler for each frame that shared/wire decodes.
func TestDispatch_EveryType(t *testing.T) {
	for _, typ := range wire.ClientTypes() {
		if _, err := handlerOf(typ); err != nil {
			t.Errorf("%v: add one in functions/message/dispatch.go", err)
		}
	}
}
