package cli

import "syscall"

// timeError is adjtimex's word for a clock that nobody keeps right.
const timeError = 5

// clockFinding asks the kernel whether the clock is kept in step. Nothing in
// the fleet is ordered by wall clocks; certificates and people read them.
func clockFinding() finding {
	state, err := syscall.Adjtimex(&syscall.Timex{})
	switch {
	case err != nil:
		return found("clock", "clock", levelWarning, "the kernel does not say whether the clock is kept in step: "+err.Error(), "")
	case state == timeError:
		return found("clock", "clock", levelWarning, "nothing keeps this machine's clock in step", "run a time service: systemd-timesyncd or chrony; certificates need it right to the hour")
	default:
		return fine("clock", "clock", "is kept in step")
	}
}
