// Package guards breaks off.
package guards

import "testing"

func TestGood(t *testing.T) { t.Attr("figure", "1 of 1") }

func TestPanics(*testing.T) { panic("boom") }

func TestLater(t *testing.T) { t.Attr("figure", "never") }
