// Package clock provides the built-in tool that returns the current date and time in any time zone.
package clock

import (
	"context"
	"fmt"
	"time"
	_ "time/tzdata" // Lambda's runtime has no time zone database

	"carrel/shared/chars"
	"carrel/shared/tool"
)

// Name is the tool's name, and the grant that a run needs for it.
const Name = "clock"

const description = "Tells the current date and time, in UTC or in the time zone that is given."

type arguments struct {
	Zone string `json:"zone,omitempty" jsonschema:"a time zone's IANA name, for example Europe/Berlin; UTC if it is left out"`
}

// New makes the tool. now is the clock.
func New(now func() time.Time) (tool.Tool, error) {
	t, err := tool.Define(Name, description, Name, func(_ context.Context, in arguments) (string, error) {
		zone, err := location(in.Zone)
		if err != nil {
			return "", err
		}
		return now().In(zone).Format("Monday, 2 January 2006, 15:04:05 MST (-07:00)"), nil
	})
	return t.ReadOnly(), err
}

// location finds a time zone by its name. It rejects "Local", which is the server's zone.
func location(name string) (*time.Location, error) {
	if name == "Local" {
		name = "local"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, &tool.Error{Text: fmt.Sprintf("There is no time zone %q. "+
			"Give an IANA name such as Europe/Berlin, America/New_York or UTC.", chars.HeadPoints(name, 60))}
	}
	return zone, nil
}
