package client

import (
	"time"

	"carrel/shared/wire"
)

// Wanted reports whether the view wants a socket that has neither opened nor failed.
func (v *View) Wanted() bool { return v.wanted }

// Request sends any request that is answered once, such as a Rename.
func (v *View) Request(now time.Time, f wire.ClientFrame) error {
	_, err := v.call(now, f.Named().Thread, f)
	return err
}

// EraseCall sends an erase. Its function returns whether the erase was answered, and its refusal.
func (v *View) EraseCall(now time.Time) (func() (bool, *wire.Error), error) {
	a, err := v.call(now, "", eraseFrame())
	return func() (bool, *wire.Error) { return a.answered, a.refused }, err
}
