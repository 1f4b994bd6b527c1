package client

// Wanted reports whether a socket is wanted that has neither taken over nor failed: what is under way is else given up.
func (v *View) Wanted() bool { return v.wanted }
