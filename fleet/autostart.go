package fleet

import (
	"cmp"
	"fmt"
)

// Autostart says whether an instance is started after a reboot of its host.
type Autostart string

// The ways. An instance that an operator stopped is left stopped, whatever is
// said here.
const (
	// AutostartAsItWas starts what ran when the host went down.
	AutostartAsItWas Autostart = ""
	AutostartAlways  Autostart = "always"
	AutostartNever   Autostart = "never"
)

// MaxStartOrder bounds a start order; a larger number is a mistake.
const MaxStartOrder = 9999

// Booting says how an instance is to be brought up after a reboot of its host.
type Booting struct {
	Autostart Autostart `json:"autostart,omitempty" enum:"always,never," doc:"always, never, or empty: as it was when the host went down"`
	// StartOrder is its place: the lowest number first, those without one last.
	StartOrder int `json:"start_order,omitempty" minimum:"0" maximum:"9999"`
}

// Place returns where a start order stands among others: without one, behind all
// that have one.
func Place(startOrder int) int { return cmp.Or(startOrder, MaxStartOrder+1) }

// VerbAutostart is the verb of the operation that changes it.
const VerbAutostart = "autostart"

// CheckBooting judges what a person sent.
func CheckBooting(b Booting) error {
	switch b.Autostart {
	case AutostartAsItWas, AutostartAlways, AutostartNever:
	default:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("autostart %.40q is not one of always, never, or empty for as it was", string(b.Autostart))}
	}
	if b.StartOrder < 0 || b.StartOrder > MaxStartOrder {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("start_order is %d; it must be 0 to %d", b.StartOrder, MaxStartOrder)}
	}
	return nil
}
