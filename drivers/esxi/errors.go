package esxi

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"

	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
)

// faultOf returns the fault with which the host answered, nil when it did not
// answer with one.
func faultOf(err error) types.BaseMethodFault {
	var f interface{ Fault() types.BaseMethodFault }
	if errors.As(err, &f) {
		return f.Fault()
	}
	return nil
}

// classify puts an error of govmomi into the contract's words. Errors that are
// in them already, and those of contexts, stay as they are.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isContract(err):
		return err
	}
	switch f := faultOf(err).(type) {
	case nil:
	case *types.NoDiskSpace, *types.InsufficientStorageSpace:
		return fmt.Errorf("%w: %w", drivers.ErrOutOfSpace, err)
	case *types.ManagedObjectNotFound:
		return fmt.Errorf("%w: %w", drivers.ErrNotFound, err)
	case *types.HostNotConnected, *types.HostCommunication, *types.HostNotReachable:
		return fmt.Errorf("%w: %w", drivers.ErrUnavailable, err)
	default:
		return fmt.Errorf("the host answered with %T: %w", f, err)
	}
	if isTransport(err) {
		return fmt.Errorf("%w: %w", drivers.ErrUnavailable, err)
	}
	return err
}

func isContract(err error) bool {
	for _, known := range []error{
		drivers.ErrNotFound, drivers.ErrUnavailable, drivers.ErrUnsupported,
		drivers.ErrOutOfSpace, drivers.ErrBadImage, drivers.ErrForeign,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// isTransport reports whether no answer came, or one cut short.
func isTransport(err error) bool {
	var (
		urlError *url.Error
		netError net.Error
		syntax   *xml.SyntaxError
	)
	return errors.As(err, &urlError) || errors.As(err, &netError) || errors.As(err, &syntax) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func isUnavailable(err error) bool { return errors.Is(err, drivers.ErrUnavailable) }

// isNotAuthenticated reports whether the host no longer knows the login.
func isNotAuthenticated(err error) bool {
	_, is := faultOf(err).(*types.NotAuthenticated)
	return is
}

// isNoFile reports whether the fault is that of a file that is not there.
func isNoFile(err error) bool {
	_, is := faultOf(err).(*types.FileNotFound)
	return is
}

// isFileThere reports whether the fault is that of a file that is there.
func isFileThere(err error) bool {
	_, is := faultOf(err).(*types.FileAlreadyExists)
	return is
}

// isPowerState reports whether the fault is that of a machine that is not in
// the power state that the action starts from.
func isPowerState(err error) bool {
	_, is := faultOf(err).(*types.InvalidPowerState)
	return is
}
