package agent

import (
	"errors"
	"fmt"

	"grapevine/agent/convert"
	"grapevine/agent/fetch"
	"grapevine/drivers"
	"grapevine/fleet"
)

// driverError says a driver's error in the words that callers outside know.
func driverError(doing string, err error) error {
	code := fleet.CodeInternal
	for _, known := range []struct {
		sentinel error
		code     fleet.Code
	}{
		{drivers.ErrUnavailable, fleet.CodeHypervisorUnreachable},
		{drivers.ErrNotFound, fleet.CodeNotFound},
		{drivers.ErrUnsupported, fleet.CodeUnsupported},
		{drivers.ErrOutOfSpace, fleet.CodeOutOfSpace},
		{fetch.ErrOutOfSpace, fleet.CodeOutOfSpace},
		{convert.ErrOutOfSpace, fleet.CodeOutOfSpace},
		{drivers.ErrBadImage, fleet.CodeInvalid},
		{drivers.ErrForeign, fleet.CodeNotManaged},
		{drivers.ErrMaintenance, fleet.CodeRefused},
		{drivers.ErrConsoleHeld, fleet.CodeConflict},
		{drivers.ErrNotRunning, fleet.CodeConflict},
	} {
		if errors.Is(err, known.sentinel) {
			code = known.code
			break
		}
	}
	return &fleet.Error{Code: code, Detail: fmt.Sprintf("%s: %v", doing, err)}
}

func errorf(code fleet.Code, format string, args ...any) error {
	return &fleet.Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}
