package drivers

import (
	"errors"
	"fmt"
	"strings"
)

// Unfit is the error of what cannot be done to this one machine, or with this
// one image, as it is, whatever the hypervisor. It says why and nothing else:
// the hypervisor is not to blame. For errors.Is it is an ErrUnsupported.
func Unfit(format string, args ...any) error { return &unfit{fmt.Errorf(format, args...)} }

type unfit struct{ why error }

// Error implements error.
func (e *unfit) Error() string { return e.why.Error() }

// Is reports whether target is ErrUnsupported.
func (e *unfit) Is(target error) bool { return target == ErrUnsupported }

// Unwrap returns what the reason wraps.
func (e *unfit) Unwrap() error { return e.why }

// Why is what an ErrUnsupported says is the matter, without what was being done
// and that it cannot be.
func Why(err error) string {
	if unfit, ok := errors.AsType[*unfit](err); ok {
		return unfit.Error()
	}
	if _, why, found := strings.Cut(err.Error(), ErrUnsupported.Error()+": "); found {
		return why
	}
	return err.Error()
}
